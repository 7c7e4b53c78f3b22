// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DatanetRegistry} from "./DatanetRegistry.sol";
import {IModelPrecompile} from "./IPrecompiles.sol";
import {LicenceUse, Licences, LicenceViolation} from "./Licences.sol";
import {Lineage} from "./Lineage.sol";
import {Predeploys} from "./Predeploys.sol";
import {SealManifest} from "./SealManifest.sol";

/// @title ModelRegistry
/// @notice Base models, what was promised before training, the models that came of it with their sealed
/// attribution table, their prices, and where they come from.
///
///     registerBase -> commitManifest (before training) -> putChunk ... putChunk -> registerModel -> setRates
///
/// JobRegistry does the second and the fourth step in the name of a job's owner.
///
/// Only this contract may write through the MODEL precompile; the model id is the one MODEL returns, the
/// hash of everything sealed.
contract ModelRegistry {
    enum EdgeKind {
        TRAINED_ON,
        FINETUNED_FROM,
        MERGED_OF,
        EVALUATED_ON
    }

    /// @notice One step of descent. `target` is a content hash, a model id, or a Datanet id with `version`.
    struct Edge {
        EdgeKind kind;
        bytes32 target;
        uint32 version;
    }

    struct Base {
        address registrant;
        uint64 registeredAt;
        string name;
        string licence;
    }

    /// @notice What a manifest says, as far as this contract can hold its owner to it.
    struct ManifestTerms {
        bytes32 manifestHash;
        bytes32 baseHash;
        /// Trained on, and what the parents were trained on.
        uint256[] datanetIds;
        /// In the same order.
        uint32[] versions;
        /// Models it continues (one) or merges (two and more).
        bytes32[] parents;
        bool isMerge;
        /// A model whose manifest says false can have no price.
        bool isCommercial;
        /// What the model is for, in the bits of `Licences`; 0: not said.
        uint32 purposes;
        /// Least part of a fee that its contributors get, in 10,000ths.
        uint16 contributorsPart;
        /// Datanet versions that only measure the model.
        uint256[] evaluationIds;
        uint32[] evaluationVersions;
    }

    struct Manifest {
        address owner;
        uint64 blockNumber;
        ManifestTerms terms;
    }

    struct RegisterParams {
        bytes32 manifestHash;
        bytes32 adapterHash;
        bytes32 artefactHash;
        bytes32 leavesRoot;
        string name;
        bytes sealManifest;
    }

    struct Model {
        address owner;
        uint64 registeredAt;
        bytes32 baseHash;
        bytes32 adapterHash;
        bytes32 artefactHash;
        bytes32 leavesRoot;
        bytes32 manifestHash;
        /// Record of the corpus that the verbatim channel searches; zero: there is none.
        bytes32 corpusHash;
        /// Where the sealed manifest stands as code.
        address sealedAt;
        string name;
        uint256[] datanetIds;
        uint32[] versions;
        /// wei of OPEN per token.
        uint128 rateIn;
        uint128 rateOut;
    }

    /// @notice What settlement asks of a model.
    struct Terms {
        address owner;
        bytes32 baseHash;
        bytes32 adapterHash;
        /// Least part of a fee that its contributors get, in 10,000ths.
        uint16 contributorsPart;
    }

    struct Rates {
        uint128 rateIn;
        uint128 rateOut;
        uint64 changedAt;
        /// Still good for `RATE_GRACE_SECONDS` after `changedAt`.
        uint128 previousIn;
        uint128 previousOut;
    }

    event BaseRegistered(
        bytes32 indexed contentHash, address indexed registrant, string name, string licence
    );
    event ManifestCommitted(
        bytes32 indexed manifestHash,
        address indexed owner,
        bytes32 indexed baseHash,
        uint256[] datanetIds,
        uint32[] versions
    );
    event ChunkPut(address indexed chunk, uint256 size);
    event ModelTransferred(bytes32 indexed modelId, address indexed from, address indexed to);
    event ModelRegistered(
        bytes32 indexed modelId,
        address indexed owner,
        bytes32 indexed baseHash,
        bytes32 adapterHash,
        bytes32 manifestHash,
        string name
    );
    event RatesSet(bytes32 indexed modelId, uint128 rateIn, uint128 rateOut);
    event LineageAdded(
        bytes32 indexed modelId, EdgeKind indexed kind, bytes32 indexed target, uint32 version
    );

    error BadText(uint256 bytesMax);
    error BaseExists(bytes32 contentHash);
    error UnknownBase(bytes32 baseHash);
    error DatanetsOutOfBounds(uint256 datanetIds, uint256 versions);
    /// @notice Somebody committed to this manifest before; change the seed and commit again.
    error ManifestTaken(bytes32 manifestHash, address owner);
    error UnknownManifest(bytes32 manifestHash);
    error NotManifestOwner(bytes32 manifestHash, address caller);
    /// @notice Commit before training: in an earlier block than the registration.
    error ManifestNotEarlier(bytes32 manifestHash);
    /// @notice The sealed manifest and the parameters (or the committed base) differ in this hash.
    error SealMismatch(bytes32 expected, bytes32 got);
    /// @notice MODEL halted: the bytes are malformed, too long, miss a chunk, or the gas did not suffice.
    error ArtefactRefused(uint256 length);
    error ModelExists(bytes32 modelId);
    error UnknownModel(bytes32 modelId);
    error NotModelOwner(bytes32 modelId, address caller);
    error ZeroAddress();
    error TooManyEdges(uint256 count);
    error NotJobRegistry(address caller);
    /// @notice One parent is continued; two to `PARENTS_MAX` are merged.
    error ParentsOutOfBounds(uint256 count);
    /// @notice The parent stands on another base.
    error ParentBaseMismatch(bytes32 parent, bytes32 baseHash);
    /// @notice What a parent was trained on must be named too, or its contributors would be forgotten.
    error ParentDatanetMissing(bytes32 parent, uint256 datanetId, uint32 version);
    /// @notice The licence of this Datanet version forbids the use, and why.
    error LicenceForbids(uint256 datanetId, uint32 version, LicenceViolation why);
    /// @notice The model was committed as not commercial.
    error NotCommercial(bytes32 modelId);

    uint256 public constant NAME_BYTES_MAX = 128;
    uint256 public constant DATANETS_MAX = 16;
    uint256 public constant EDGES_MAX = 64;
    uint256 public constant PARENTS_MAX = 8;
    /// @notice A quoted price can still be settled this long after the owner has changed it.
    uint256 public constant RATE_GRACE_SECONDS = 1 hours;

    DatanetRegistry private constant DATANETS = DatanetRegistry(Predeploys.DATANET_REGISTRY);
    IModelPrecompile private constant MODEL = IModelPrecompile(Predeploys.MODEL);

    mapping(bytes32 contentHash => Base) private _bases; // slot 0
    mapping(bytes32 manifestHash => Manifest) private _manifests; // slot 1
    mapping(bytes32 modelId => Model) private _models; // slot 2
    mapping(bytes32 modelId => Rates) private _rates; // slot 3
    mapping(bytes32 modelId => Edge[]) private _edges; // slot 4
    bytes32[] private _modelIds; // slot 5
    mapping(bytes32 modelId => Lineage.Share[]) private _royalties; // slot 6

    modifier onlyJobRegistry() {
        if (msg.sender != Predeploys.JOB_REGISTRY) revert NotJobRegistry(msg.sender);
        _;
    }

    modifier onlyModelOwner(bytes32 modelId) {
        if (_model(modelId).owner != msg.sender) revert NotModelOwner(modelId, msg.sender);
        _;
    }

    /// @notice Names a base model by the hash of its files. Anyone may; it gives no rights.
    function registerBase(bytes32 contentHash, string calldata name, string calldata licence)
        external
    {
        if (_bases[contentHash].registrant != address(0)) revert BaseExists(contentHash);
        _checkText(name);
        _checkText(licence);
        _bases[contentHash] = Base(msg.sender, uint64(block.timestamp), name, licence);
        emit BaseRegistered(contentHash, msg.sender, name, licence);
    }

    /// @notice Fixes how a model will be trained, and on what, before it is. The first to commit a
    /// manifest owns it.
    function commitManifest(ManifestTerms calldata terms) external {
        _commit(msg.sender, terms);
    }

    /// @notice A job's manifest, in the name of the job's owner.
    function commitManifestFor(address owner, ManifestTerms calldata terms)
        external
        onlyJobRegistry
    {
        _commit(owner, terms);
    }

    /// @notice Stores one piece of an attribution table; whoever sends it pays for it.
    function putChunk(bytes calldata chunk) external returns (address account) {
        try MODEL.put(chunk) returns (address stored) {
            account = stored;
        } catch {
            revert ArtefactRefused(chunk.length);
        }
        emit ChunkPut(account, chunk.length);
    }

    /// @notice Seals the table and makes the model known. Its chunks must be stored already.
    function registerModel(RegisterParams calldata params) external returns (bytes32 modelId) {
        return _register(msg.sender, params);
    }

    /// @notice A job's model, in the name of the job's owner.
    function registerModelFor(address owner, RegisterParams calldata params)
        external
        onlyJobRegistry
        returns (bytes32 modelId)
    {
        return _register(owner, params);
    }

    /// @notice Prices from now on; the ones before stay good for `RATE_GRACE_SECONDS`.
    function setRates(bytes32 modelId, uint128 rateIn, uint128 rateOut)
        external
        onlyModelOwner(modelId)
    {
        bool isFree = rateIn == 0 && rateOut == 0;
        if (!isFree && !_manifests[_models[modelId].manifestHash].terms.isCommercial) {
            revert NotCommercial(modelId);
        }
        Rates storage rates = _rates[modelId];
        rates.previousIn = rates.rateIn;
        rates.previousOut = rates.rateOut;
        // The very first prices replace none, so nothing free remains good beside them.
        if (rates.changedAt == 0) (rates.previousIn, rates.previousOut) = (rateIn, rateOut);
        rates.rateIn = rateIn;
        rates.rateOut = rateOut;
        rates.changedAt = uint64(block.timestamp);
        emit RatesSet(modelId, rateIn, rateOut);
    }

    /// @notice Gives the model away; the market does it when it is sold. What its ancestors and contributors get of
    /// its income goes on, and what it gets of its descendants' goes to the new owner.
    function transferModel(bytes32 modelId, address to) external {
        Model storage model = _model(modelId);
        if (msg.sender != model.owner && msg.sender != Predeploys.MARKET) {
            revert NotModelOwner(modelId, msg.sender);
        }
        if (to == address(0)) revert ZeroAddress();
        emit ModelTransferred(modelId, model.owner, to);
        model.owner = to;
    }

    /// @notice Adds a step of descent that registration does not know: MERGED_OF, EVALUATED_ON and the like.
    function addLineage(bytes32 modelId, EdgeKind kind, bytes32 target, uint32 version)
        external
        onlyModelOwner(modelId)
    {
        _addEdge(modelId, kind, target, version);
    }

    function getBase(bytes32 contentHash) external view returns (Base memory) {
        if (_bases[contentHash].registrant == address(0)) revert UnknownBase(contentHash);
        return _bases[contentHash];
    }

    function getManifest(bytes32 manifestHash) external view returns (Manifest memory) {
        if (_manifests[manifestHash].owner == address(0)) revert UnknownManifest(manifestHash);
        return _manifests[manifestHash];
    }

    function getModel(bytes32 modelId) external view returns (Model memory model) {
        model = _model(modelId);
        (model.rateIn, model.rateOut) = (_rates[modelId].rateIn, _rates[modelId].rateOut);
    }

    function modelCount() external view returns (uint256) {
        return _modelIds.length;
    }

    function modelAt(uint256 index) external view returns (bytes32) {
        return _modelIds[index];
    }

    function lineageOf(bytes32 modelId) external view returns (Edge[] memory) {
        return _edges[modelId];
    }

    /// @notice What the owners of a model's ancestors get of its owner's income, parts of 10^9.
    function royaltiesOf(bytes32 modelId) external view returns (Lineage.Share[] memory) {
        return _royalties[modelId];
    }

    /// @notice Cuts the model owner's part of a fee between the owner, who comes first, and the owners of
    /// its ancestors. The amounts sum to `amount`.
    function splitRoyalties(bytes32 modelId, uint256 amount)
        external
        view
        returns (address[] memory accounts, uint256[] memory amounts)
    {
        (bytes32[] memory ancestors, uint256[] memory parts, uint256 rest) =
            Lineage.split(_royalties[modelId], amount);
        accounts = new address[](ancestors.length + 1);
        amounts = new uint256[](ancestors.length + 1);
        (accounts[0], amounts[0]) = (_model(modelId).owner, rest);
        for (uint256 i = 0; i < ancestors.length; ++i) {
            (accounts[i + 1], amounts[i + 1]) = (_models[ancestors[i]].owner, parts[i]);
        }
    }

    function termsOf(bytes32 modelId) external view returns (Terms memory) {
        Model storage model = _model(modelId);
        return Terms(
            model.owner,
            model.baseHash,
            model.adapterHash,
            _manifests[model.manifestHash].terms.contributorsPart
        );
    }

    function datanetsOf(bytes32 modelId) external view returns (uint256[] memory) {
        return _model(modelId).datanetIds;
    }

    /// @notice What these tokens cost now, wei.
    function feeOf(bytes32 modelId, uint32 tokensIn, uint32 tokensOut)
        public
        view
        returns (uint256)
    {
        Rates storage rates = _rates[modelId];
        return uint256(rates.rateIn) * tokensIn + uint256(rates.rateOut) * tokensOut;
    }

    /// @notice Whether `fee` is the price of these tokens, today's or one changed moments ago.
    function isFee(bytes32 modelId, uint32 tokensIn, uint32 tokensOut, uint256 fee)
        external
        view
        returns (bool)
    {
        if (fee == feeOf(modelId, tokensIn, tokensOut)) return true;
        Rates storage rates = _rates[modelId];
        return block.timestamp < rates.changedAt + RATE_GRACE_SECONDS
            && fee == uint256(rates.previousIn) * tokensIn + uint256(rates.previousOut) * tokensOut;
    }

    function _useOf(ManifestTerms calldata terms) private pure returns (LicenceUse memory use) {
        use.permissions = Licences.TRAIN;
        if (terms.isCommercial) use.permissions |= Licences.COMMERCIAL;
        if (terms.parents.length > 0) use.permissions |= Licences.DERIVATIVES;
        use.purposes = terms.purposes;
        use.contributorsPart = terms.contributorsPart;
        use.base = terms.baseHash;
    }

    /// Reverts, too, when there is no such version.
    function _checkLicences(
        uint256[] calldata datanetIds,
        uint32[] calldata versions,
        LicenceUse memory use
    ) private view {
        uint256 count = datanetIds.length;
        if (count > DATANETS_MAX || count != versions.length) {
            revert DatanetsOutOfBounds(count, versions.length);
        }
        for (uint256 i = 0; i < count; ++i) {
            LicenceViolation why = DATANETS.violationOf(datanetIds[i], versions[i], use);
            if (why != LicenceViolation.NONE) {
                revert LicenceForbids(datanetIds[i], versions[i], why);
            }
        }
    }

    function _commit(address owner, ManifestTerms calldata terms) private {
        Manifest storage manifest = _manifests[terms.manifestHash];
        if (manifest.owner != address(0)) {
            revert ManifestTaken(terms.manifestHash, manifest.owner);
        }
        if (_bases[terms.baseHash].registrant == address(0)) revert UnknownBase(terms.baseHash);
        if (terms.datanetIds.length == 0) revert DatanetsOutOfBounds(0, terms.versions.length);
        LicenceUse memory use = _useOf(terms);
        _checkLicences(terms.datanetIds, terms.versions, use);
        // Measuring takes reading the rows, and nothing is made of them.
        use.permissions = Licences.TRAIN;
        _checkLicences(terms.evaluationIds, terms.evaluationVersions, use);
        uint256 count = terms.parents.length;
        if (terms.isMerge ? count < 2 || count > PARENTS_MAX : count > 1) {
            revert ParentsOutOfBounds(count);
        }
        for (uint256 i = 0; i < count; ++i) {
            _checkParent(terms, terms.parents[i]);
        }
        (manifest.owner, manifest.blockNumber) = (owner, uint64(block.number));
        manifest.terms = terms;
        emit ManifestCommitted(
            terms.manifestHash, owner, terms.baseHash, terms.datanetIds, terms.versions
        );
    }

    function _checkParent(ManifestTerms calldata terms, bytes32 parent) private view {
        Model storage model = _model(parent);
        if (model.baseHash != terms.baseHash) revert ParentBaseMismatch(parent, model.baseHash);
        for (uint256 i = 0; i < model.datanetIds.length; ++i) {
            (uint256 id, uint32 version) = (model.datanetIds[i], model.versions[i]);
            uint256 j = 0;
            while (
                j < terms.datanetIds.length
                    && (terms.datanetIds[j] != id || terms.versions[j] != version)
            ) ++j;
            if (j == terms.datanetIds.length) revert ParentDatanetMissing(parent, id, version);
        }
    }

    function _register(address owner, RegisterParams calldata params)
        private
        returns (bytes32 modelId)
    {
        Manifest storage manifest = _manifests[params.manifestHash];
        if (manifest.owner == address(0)) revert UnknownManifest(params.manifestHash);
        if (manifest.owner != owner) revert NotManifestOwner(params.manifestHash, owner);
        if (manifest.blockNumber >= block.number) {
            revert ManifestNotEarlier(params.manifestHash);
        }
        _checkText(params.name);
        bytes32 corpusHash = _checkSeal(params, manifest.terms.baseHash);
        try MODEL.seal(params.sealManifest) returns (bytes32 id) {
            modelId = id;
        } catch {
            revert ArtefactRefused(params.sealManifest.length);
        }
        _store(modelId, owner, params, manifest.terms);
        _models[modelId].corpusHash = corpusHash;
        _describe(modelId, manifest.terms);
        Lineage.inherit(_royalties, modelId, manifest.terms.parents);
    }

    /// Lineage as the manifest gives it.
    function _describe(bytes32 modelId, ManifestTerms storage terms) private {
        _addEdge(modelId, EdgeKind.FINETUNED_FROM, terms.baseHash, 0);
        for (uint256 i = 0; i < terms.parents.length; ++i) {
            EdgeKind kind = terms.isMerge ? EdgeKind.MERGED_OF : EdgeKind.FINETUNED_FROM;
            _addEdge(modelId, kind, terms.parents[i], 0);
        }
        for (uint256 i = 0; i < terms.datanetIds.length; ++i) {
            bytes32 target = bytes32(terms.datanetIds[i]);
            _addEdge(modelId, EdgeKind.TRAINED_ON, target, terms.versions[i]);
        }
        for (uint256 i = 0; i < terms.evaluationIds.length; ++i) {
            bytes32 target = bytes32(terms.evaluationIds[i]);
            _addEdge(modelId, EdgeKind.EVALUATED_ON, target, terms.evaluationVersions[i]);
        }
    }

    /// The corpus the seal names.
    function _checkSeal(RegisterParams calldata params, bytes32 baseHash)
        private
        pure
        returns (bytes32)
    {
        SealManifest.Hashes memory inside = SealManifest.hashes(params.sealManifest);
        _checkSame(baseHash, inside.base);
        _checkSame(params.adapterHash, inside.adapter);
        _checkSame(params.artefactHash, inside.artefact);
        _checkSame(params.leavesRoot, inside.leavesRoot);
        _checkSame(params.manifestHash, inside.manifest);
        return inside.corpus;
    }

    function _checkSame(bytes32 expected, bytes32 got) private pure {
        if (expected != got) revert SealMismatch(expected, got);
    }

    function _store(
        bytes32 modelId,
        address owner,
        RegisterParams calldata params,
        ManifestTerms storage terms
    ) private {
        Model storage model = _models[modelId];
        if (model.owner != address(0)) revert ModelExists(modelId);
        model.owner = owner;
        model.registeredAt = uint64(block.timestamp);
        model.baseHash = terms.baseHash;
        model.adapterHash = params.adapterHash;
        model.artefactHash = params.artefactHash;
        model.leavesRoot = params.leavesRoot;
        model.manifestHash = params.manifestHash;
        model.sealedAt = address(uint160(uint256(modelId)));
        model.name = params.name;
        model.datanetIds = terms.datanetIds;
        model.versions = terms.versions;
        _modelIds.push(modelId);
        emit ModelRegistered(
            modelId, owner, terms.baseHash, params.adapterHash, params.manifestHash, params.name
        );
    }

    function _addEdge(bytes32 modelId, EdgeKind kind, bytes32 target, uint32 version) private {
        if (_edges[modelId].length >= EDGES_MAX) revert TooManyEdges(_edges[modelId].length + 1);
        _edges[modelId].push(Edge(kind, target, version));
        emit LineageAdded(modelId, kind, target, version);
    }

    function _model(bytes32 modelId) private view returns (Model storage model) {
        model = _models[modelId];
        if (model.owner == address(0)) revert UnknownModel(modelId);
    }

    function _checkText(string calldata text) private pure {
        if (bytes(text).length == 0 || bytes(text).length > NAME_BYTES_MAX) {
            revert BadText(NAME_BYTES_MAX);
        }
    }
}
