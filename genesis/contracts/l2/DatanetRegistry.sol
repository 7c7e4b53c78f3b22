// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {DatanetValidation, Quorum} from "./DatanetValidation.sol";
import {Eip712} from "./Eip712.sol";
import {Licence, Licences, LicenceUse, LicenceViolation} from "./Licences.sol";
import {Predeploys} from "./Predeploys.sol";

/// @notice Who pays when a contribution is relayed.
enum Payer {
    /// Whoever sends it.
    RELAYER,
    /// The owner's budget gives the relayer `relayFee`, while it lasts.
    OWNER
}

/// @notice What one contribution may hold, and one contributor in one day (UTC). 0: no limit of this kind,
/// but for `rowsMax` and `rowBytesMax`, which are needed.
struct Limits {
    uint32 rowsMax;
    uint32 rowBytesMax;
    uint32 rowsPerDayMax;
    uint64 bytesPerDayMax;
}

struct DatanetParams {
    string name;
    string schema;
    Licence licence;
    /// Paid when nobody's data can be named for an answer; zero means the owner.
    address treasury;
    Limits limits;
    Quorum quorum;
    Payer payer;
    /// wei of OPEN for a relayed reveal.
    uint128 relayFee;
}

/// @notice What a contributor commits to and, to have it relayed, signs (EIP-712).
struct Contribution {
    uint256 datanetId;
    address contributor;
    bytes32 rowsRoot;
    /// keccak256 of the row file, or of its encrypted form.
    bytes32 contentHash;
    uint32 rowCount;
    /// Bytes of the row file in clear.
    uint64 byteCount;
    /// The content is encrypted to those the contributor grants it to.
    bool isPrivate;
    bytes32 salt;
}

struct VersionParams {
    /// Rows root of an earlier version; zero for the first.
    bytes32 parent;
    bytes32 rowsRoot;
    bytes32 manifestHash;
    /// keccak256 of the duplicate groups of the version's rows.
    bytes32 groupsHash;
    /// Rows roots, in the order of their commitments.
    bytes32[] contributions;
}

/// @title DatanetRegistry
/// @notice Datanets, their licences, who contributed which rows to them, and their published versions.
///
/// A contribution is committed before it is shown: the commitment hides the rows and binds the
/// contributor, so nobody who sees it, the sequencer included, can claim the rows. Rows belong to whoever
/// committed to them *first*, whenever they reveal: holding back a reveal and copying it wins nothing.
///
///     commit(h) in block n -> reveal in block > n -> (validation) -> publish a version made of contributions
contract DatanetRegistry is Eip712 {
    using EnumerableSet for EnumerableSet.AddressSet;
    using EnumerableSet for EnumerableSet.Bytes32Set;
    using Licences for Licence;

    struct Datanet {
        address owner;
        Payer payer;
        uint32 versionCount;
        uint32 licenceCount;
        address treasury;
        Limits limits;
        uint128 relayFee;
        /// wei that the owner has put up for relayers.
        uint128 budget;
        string name;
        string schema;
    }

    /// @notice A revealed contribution.
    struct Held {
        address contributor;
        uint32 rowCount;
        uint64 commitBlock;
        /// Place of the commitment among all: earlier wins.
        uint64 commitOrder;
        uint64 byteCount;
        uint64 revealedAt;
        bool isPrivate;
        bool isErased;
        bytes32 rowsRoot;
        bytes32 contentHash;
    }

    struct Version {
        bytes32 parent;
        bytes32 rowsRoot;
        bytes32 manifestHash;
        bytes32 groupsHash;
        uint32 rowCount;
        uint32 contributionCount;
        /// Of `licenceAt`.
        uint32 licence;
        uint64 publishedAt;
    }

    struct Commitment {
        uint64 blockNumber;
        uint64 order;
    }

    struct Used {
        uint64 rowCount;
        uint64 byteCount;
    }

    event DatanetCreated(
        uint256 indexed datanetId, address indexed owner, string name, string schema
    );
    event DatanetTransferred(uint256 indexed datanetId, address indexed from, address indexed to);
    event TreasurySet(uint256 indexed datanetId, address treasury);
    event LicenceSet(uint256 indexed datanetId, uint32 indexed licence, Licence terms);
    event LicenceRevoked(uint256 indexed datanetId, uint32 indexed licence);
    event Funded(uint256 indexed datanetId, address indexed from, uint256 amount);
    event Withdrawn(uint256 indexed datanetId, uint256 amount);
    event Relayed(uint256 indexed datanetId, address indexed relayer, uint256 fee);
    event Committed(uint256 indexed datanetId, bytes32 indexed commitment, uint64 order);
    event Revealed(
        uint256 indexed datanetId,
        address indexed contributor,
        bytes32 indexed rowsRoot,
        bytes32 contentHash,
        uint32 rowCount,
        uint64 byteCount,
        uint64 order,
        bool isPrivate
    );
    /// @notice Somebody with an earlier commitment has revealed the same rows.
    event Reassigned(
        uint256 indexed datanetId, bytes32 indexed rowsRoot, address from, address indexed to
    );
    /// @notice The content key of private rows, encrypted to `grantee`, is the content `keyHash`; zero takes it back.
    event Granted(
        uint256 indexed datanetId,
        bytes32 indexed rowsRoot,
        address indexed grantee,
        bytes32 keyHash
    );
    /// @notice Nodes forget the content; what stands on chain stays.
    event Erased(uint256 indexed datanetId, bytes32 indexed rowsRoot, bytes32 contentHash);
    event VersionPublished(
        uint256 indexed datanetId,
        uint32 indexed version,
        bytes32 indexed rowsRoot,
        bytes32 parent,
        bytes32 manifestHash,
        bytes32 groupsHash,
        uint32 rowCount,
        uint32 licence,
        bytes32[] contributions
    );

    error UnknownDatanet(uint256 datanetId);
    error UnknownVersion(uint256 datanetId, uint32 version);
    error UnknownLicence(uint256 datanetId, uint32 licence);
    error UnknownContribution(uint256 datanetId, bytes32 rowsRoot);
    error NotOwner(uint256 datanetId, address caller);
    error NotContributor(bytes32 rowsRoot, address caller);
    error BadText(uint256 bytesMax);
    error BadLimits();
    error ZeroAddress();
    error CommitmentsOutOfBounds(uint256 count);
    error AlreadyCommitted(bytes32 commitment);
    error NotCommitted(bytes32 commitment);
    /// @notice Reveal in a block after the commitment's.
    error RevealTooEarly(uint64 commitBlock);
    error RowCountOutOfBounds(uint32 rowCount, uint32 rowsMax);
    error DayLimitReached(address contributor, uint64 rowCount, uint64 byteCount);
    error BadContributorSignature(address contributor);
    /// @notice These rows belong to a commitment that is not later than this one.
    error RowsAlreadyOwned(bytes32 rowsRoot, address contributor);
    error NotPrivate(bytes32 rowsRoot);
    error IsErased(bytes32 rowsRoot);
    error NotAccepted(bytes32 rowsRoot);
    /// @notice A version names its contributions in the order of their commitments, each once.
    error OutOfOrder(bytes32 rowsRoot);
    error ContributionsOutOfBounds(uint256 count);
    error VersionExists(bytes32 rowsRoot);
    /// @notice The parent is zero for the first version, the rows root of an earlier one after it.
    error UnknownParent(bytes32 parent);
    error EmptyVersion();
    error BudgetTooSmall(uint256 budget, uint256 amount);
    error PaymentFailed(address to);

    uint256 public constant NAME_BYTES_MAX = 64;
    uint256 public constant SCHEMA_BYTES_MAX = 4_096;
    uint256 public constant COMMITMENTS_MAX = 256;
    uint256 public constant VERSION_CONTRIBUTIONS_MAX = 1_024;
    bytes32 private constant CONTRIBUTION_TYPEHASH = keccak256(
        "Contribution(uint256 datanetId,address contributor,bytes32 rowsRoot,bytes32 contentHash,uint32 rowCount,uint64 byteCount,bool isPrivate,bytes32 salt)"
    );
    DatanetValidation private constant VALIDATION =
        DatanetValidation(Predeploys.DATANET_VALIDATION);

    uint256 public datanetCount; // slot 0; ids start at 1
    uint64 private _commitCount; // slot 1
    mapping(uint256 datanetId => Datanet) private _datanets; // slot 2
    mapping(uint256 datanetId => mapping(bytes32 commitment => Commitment)) public commitmentOf; // slot 3
    mapping(uint256 datanetId => mapping(bytes32 rowsRoot => Held)) private _rows; // slot 4
    mapping(uint256 datanetId => EnumerableSet.AddressSet) private _contributors; // slot 5
    mapping(uint256 datanetId => mapping(address account => EnumerableSet.Bytes32Set)) private
        _rootsOf; // slot 6
    mapping(uint256 datanetId => mapping(uint32 version => Version)) private _versions; // slot 7
    mapping(uint256 datanetId => mapping(bytes32 rowsRoot => uint32 version)) public versionOf; // slot 8
    mapping(uint256 datanetId => mapping(uint32 licence => Licence)) private _licences; // slot 9
    mapping(uint256 datanetId => mapping(uint32 licence => uint64 seconds_)) public
        licenceRevokedAt; // slot 10
    mapping(uint256 datanetId => mapping(address account => mapping(uint256 day => Used))) public
        usedOn; // slot 11
    mapping(uint256 datanetId => mapping(bytes32 rowsRoot => mapping(address account => bytes32)))
        public grantOf; // slot 12

    modifier onlyOwner(uint256 datanetId) {
        if (_datanet(datanetId).owner != msg.sender) revert NotOwner(datanetId, msg.sender);
        _;
    }

    function create(DatanetParams calldata params) external returns (uint256 datanetId) {
        if (bytes(params.name).length == 0 || bytes(params.name).length > NAME_BYTES_MAX) {
            revert BadText(NAME_BYTES_MAX);
        }
        if (bytes(params.schema).length > SCHEMA_BYTES_MAX) revert BadText(SCHEMA_BYTES_MAX);
        if (params.limits.rowsMax == 0 || params.limits.rowBytesMax == 0) revert BadLimits();
        datanetId = ++datanetCount;
        Datanet storage datanet = _datanets[datanetId];
        datanet.owner = msg.sender;
        datanet.treasury = params.treasury == address(0) ? msg.sender : params.treasury;
        datanet.limits = params.limits;
        datanet.payer = params.payer;
        datanet.relayFee = params.relayFee;
        datanet.name = params.name;
        datanet.schema = params.schema;
        emit DatanetCreated(datanetId, msg.sender, params.name, params.schema);
        _setLicence(datanetId, params.licence);
        VALIDATION.setQuorum(datanetId, params.quorum);
    }

    function setTreasury(uint256 datanetId, address treasury) external onlyOwner(datanetId) {
        if (treasury == address(0)) revert ZeroAddress();
        _datanets[datanetId].treasury = treasury;
        emit TreasurySet(datanetId, treasury);
    }

    /// @notice Gives the Datanet away, with the budget for relayers; the market does it when it is sold. The treasury
    /// is the new owner from then on. Contributions, versions and their licences stay as they are.
    function transferDatanet(uint256 datanetId, address to) external {
        Datanet storage datanet = _datanet(datanetId);
        if (msg.sender != datanet.owner && msg.sender != Predeploys.MARKET) {
            revert NotOwner(datanetId, msg.sender);
        }
        if (to == address(0)) revert ZeroAddress();
        emit DatanetTransferred(datanetId, datanet.owner, to);
        datanet.owner = to;
        datanet.treasury = to;
        emit TreasurySet(datanetId, to);
    }

    /// @notice Terms of the versions published from now on; those before keep theirs.
    function setLicence(uint256 datanetId, Licence calldata licence)
        external
        onlyOwner(datanetId)
    {
        _setLicence(datanetId, licence);
    }

    /// @notice No new use of the versions under this licence is allowed; what has begun may end.
    function revokeLicence(uint256 datanetId, uint32 licence) external onlyOwner(datanetId) {
        if (licence == 0 || licence > _datanets[datanetId].licenceCount) {
            revert UnknownLicence(datanetId, licence);
        }
        if (licenceRevokedAt[datanetId][licence] != 0) return;
        licenceRevokedAt[datanetId][licence] = uint64(block.timestamp);
        emit LicenceRevoked(datanetId, licence);
    }

    /// @notice Adds to what relayers of contributions are paid from.
    function fund(uint256 datanetId) external payable {
        _datanet(datanetId).budget += uint128(msg.value);
        emit Funded(datanetId, msg.sender, msg.value);
    }

    function withdraw(uint256 datanetId, uint128 amount) external onlyOwner(datanetId) {
        Datanet storage datanet = _datanets[datanetId];
        if (amount > datanet.budget) revert BudgetTooSmall(datanet.budget, amount);
        datanet.budget -= amount;
        emit Withdrawn(datanetId, amount);
        _send(msg.sender, amount);
    }

    /// @notice Records commitments made with `commitmentFor`. They name their contributor, so anyone may
    /// send them.
    function commit(uint256 datanetId, bytes32[] calldata commitments) external {
        _datanet(datanetId);
        uint256 count = commitments.length;
        if (count == 0 || count > COMMITMENTS_MAX) revert CommitmentsOutOfBounds(count);
        uint64 order = _commitCount;
        for (uint256 i = 0; i < count; ++i) {
            Commitment storage commitment = commitmentOf[datanetId][commitments[i]];
            if (commitment.blockNumber != 0) revert AlreadyCommitted(commitments[i]);
            (commitment.blockNumber, commitment.order) = (uint64(block.number), ++order);
            emit Committed(datanetId, commitments[i], order);
        }
        _commitCount = order;
    }

    function reveal(Contribution calldata contribution) external {
        if (contribution.contributor != msg.sender) {
            revert NotContributor(contribution.rowsRoot, msg.sender);
        }
        _reveal(contribution, commitmentFor(contribution));
    }

    /// @notice Reveals for a contributor who has no gas but has signed the contribution.
    function revealFor(Contribution calldata contribution, bytes calldata signature) external {
        bytes32 commitment = commitmentFor(contribution);
        bool signed = SignatureChecker.isValidSignatureNowCalldata(
            contribution.contributor, _digest(commitment), signature
        );
        if (!signed) revert BadContributorSignature(contribution.contributor);
        _reveal(contribution, commitment);
        Datanet storage datanet = _datanets[contribution.datanetId];
        uint128 fee = datanet.relayFee;
        if (datanet.payer != Payer.OWNER || fee == 0 || fee > datanet.budget) return;
        datanet.budget -= fee;
        emit Relayed(contribution.datanetId, msg.sender, fee);
        _send(msg.sender, fee);
    }

    /// @notice Lets `grantee` read private rows: the content `keyHash` is their key, encrypted to the grantee.
    /// @param keyHash zero takes the grant back, for who has not read yet
    function grant(uint256 datanetId, bytes32 rowsRoot, address grantee, bytes32 keyHash)
        external
    {
        Held storage held = _own(datanetId, rowsRoot);
        if (!held.isPrivate) revert NotPrivate(rowsRoot);
        if (held.isErased) revert IsErased(rowsRoot);
        grantOf[datanetId][rowsRoot][grantee] = keyHash;
        emit Granted(datanetId, rowsRoot, grantee, keyHash);
    }

    /// @notice The contributor takes the rows out of everything that is still to come.
    function erase(uint256 datanetId, bytes32 rowsRoot) external {
        Held storage held = _own(datanetId, rowsRoot);
        if (held.isErased) revert IsErased(rowsRoot);
        held.isErased = true;
        emit Erased(datanetId, rowsRoot, held.contentHash);
    }

    /// @notice A new version of accepted contributions; `manifestHash` names them with their files.
    function publish(uint256 datanetId, VersionParams calldata params)
        external
        onlyOwner(datanetId)
        returns (uint32 version)
    {
        uint256 count = params.contributions.length;
        if (params.rowsRoot == bytes32(0) || count == 0) revert EmptyVersion();
        if (count > VERSION_CONTRIBUTIONS_MAX) revert ContributionsOutOfBounds(count);
        if (versionOf[datanetId][params.rowsRoot] != 0) revert VersionExists(params.rowsRoot);
        Datanet storage datanet = _datanets[datanetId];
        bool parentKnown = datanet.versionCount == 0
            ? params.parent == bytes32(0)
            : versionOf[datanetId][params.parent] != 0;
        if (!parentKnown) revert UnknownParent(params.parent);
        uint32 rowCount = _countRows(datanetId, params.contributions);
        version = ++datanet.versionCount;
        versionOf[datanetId][params.rowsRoot] = version;
        uint32 licence = datanet.licenceCount;
        _versions[datanetId][version] = Version({
            parent: params.parent,
            rowsRoot: params.rowsRoot,
            manifestHash: params.manifestHash,
            groupsHash: params.groupsHash,
            rowCount: rowCount,
            contributionCount: uint32(count),
            licence: licence,
            publishedAt: uint64(block.timestamp)
        });
        emit VersionPublished(
            datanetId,
            version,
            params.rowsRoot,
            params.parent,
            params.manifestHash,
            params.groupsHash,
            rowCount,
            licence,
            params.contributions
        );
    }

    /// @notice What is committed to: the EIP-712 struct hash, so that the same words can be signed.
    function commitmentFor(Contribution calldata contribution) public pure returns (bytes32) {
        return keccak256(
            abi.encode(
                CONTRIBUTION_TYPEHASH,
                contribution.datanetId,
                contribution.contributor,
                contribution.rowsRoot,
                contribution.contentHash,
                contribution.rowCount,
                contribution.byteCount,
                contribution.isPrivate,
                contribution.salt
            )
        );
    }

    function getDatanet(uint256 datanetId) external view returns (Datanet memory) {
        return _datanet(datanetId);
    }

    function ownerOf(uint256 datanetId) external view returns (address) {
        return _datanet(datanetId).owner;
    }

    function treasuryOf(uint256 datanetId) external view returns (address) {
        return _datanet(datanetId).treasury;
    }

    /// @param version from 1 on
    function getVersion(uint256 datanetId, uint32 version)
        public
        view
        returns (Version memory)
    {
        if (version == 0 || version > _datanet(datanetId).versionCount) {
            revert UnknownVersion(datanetId, version);
        }
        return _versions[datanetId][version];
    }

    /// @notice The terms of a version and when they were revoked (seconds, 0: they were not).
    function licenceOf(uint256 datanetId, uint32 version)
        external
        view
        returns (Licence memory licence, uint64 revokedAt)
    {
        uint32 index = getVersion(datanetId, version).licence;
        return (_licences[datanetId][index], licenceRevokedAt[datanetId][index]);
    }

    /// @notice Terms by their place in the Datanet's list, from 1 on.
    function licenceAt(uint256 datanetId, uint32 licence) external view returns (Licence memory) {
        return _licences[datanetId][licence];
    }

    /// @notice Whether a use of a version is against its licence, and why: what ModelFactory asks.
    function violationOf(uint256 datanetId, uint32 version, LicenceUse calldata use)
        external
        view
        returns (LicenceViolation)
    {
        uint32 index = getVersion(datanetId, version).licence;
        return
            _licences[datanetId][index].violation(licenceRevokedAt[datanetId][index], use);
    }

    /// @notice Who owns these rows; all zero when nobody has revealed them.
    function getContribution(uint256 datanetId, bytes32 rowsRoot)
        external
        view
        returns (Held memory)
    {
        return _rows[datanetId][rowsRoot];
    }

    /// @notice A page of what `contributor` owns now, in no particular order.
    function contributionsOf(
        uint256 datanetId,
        address contributor,
        uint256 offset,
        uint256 limit
    ) external view returns (Held[] memory page) {
        bytes32[] memory roots = _rootsOf[datanetId][contributor].values(offset, offset + limit);
        page = new Held[](roots.length);
        for (uint256 i = 0; i < roots.length; ++i) {
            page[i] = _rows[datanetId][roots[i]];
        }
    }

    function contributorCount(uint256 datanetId) external view returns (uint256) {
        return _contributors[datanetId].length();
    }

    /// @notice A page of accounts that own rows now.
    function contributors(uint256 datanetId, uint256 offset, uint256 limit)
        external
        view
        returns (address[] memory)
    {
        return _contributors[datanetId].values(offset, offset + limit);
    }

    function _setLicence(uint256 datanetId, Licence calldata licence) private {
        licence.check();
        uint32 index = ++_datanets[datanetId].licenceCount;
        _licences[datanetId][index] = licence;
        emit LicenceSet(datanetId, index, licence);
    }

    function _reveal(Contribution calldata contribution, bytes32 commitment) private {
        (uint256 datanetId, bytes32 rowsRoot) = (contribution.datanetId, contribution.rowsRoot);
        _spend(contribution, _datanet(datanetId).limits);
        Commitment memory made = commitmentOf[datanetId][commitment];
        if (made.blockNumber == 0) revert NotCommitted(commitment);
        if (block.number <= made.blockNumber) revert RevealTooEarly(made.blockNumber);
        Held memory held = _rows[datanetId][rowsRoot];
        if (held.contributor != address(0)) {
            if (held.commitOrder <= made.order) {
                revert RowsAlreadyOwned(rowsRoot, held.contributor);
            }
            _release(datanetId, held);
            emit Reassigned(datanetId, rowsRoot, held.contributor, contribution.contributor);
        }
        _rows[datanetId][rowsRoot] = Held({
            contributor: contribution.contributor,
            rowCount: contribution.rowCount,
            commitBlock: made.blockNumber,
            commitOrder: made.order,
            byteCount: contribution.byteCount,
            revealedAt: uint64(block.timestamp),
            isPrivate: contribution.isPrivate,
            isErased: false,
            rowsRoot: rowsRoot,
            contentHash: contribution.contentHash
        });
        _rootsOf[datanetId][contribution.contributor].add(rowsRoot);
        _contributors[datanetId].add(contribution.contributor);
        emit Revealed(
            datanetId,
            contribution.contributor,
            rowsRoot,
            contribution.contentHash,
            contribution.rowCount,
            contribution.byteCount,
            made.order,
            contribution.isPrivate
        );
    }

    /// Counts a reveal against the limits of the Datanet.
    function _spend(Contribution calldata contribution, Limits memory limits) private {
        uint32 rowCount = contribution.rowCount;
        if (rowCount == 0 || rowCount > limits.rowsMax) {
            revert RowCountOutOfBounds(rowCount, limits.rowsMax);
        }
        Used storage used = usedOn[contribution.datanetId][contribution.contributor][block.timestamp
            / 1 days];
        used.rowCount += rowCount;
        used.byteCount += contribution.byteCount;
        bool within = (limits.rowsPerDayMax == 0 || used.rowCount <= limits.rowsPerDayMax)
            && (limits.bytesPerDayMax == 0 || used.byteCount <= limits.bytesPerDayMax);
        if (!within) {
            revert DayLimitReached(contribution.contributor, used.rowCount, used.byteCount);
        }
    }

    /// Rows of all; each must be there, accepted, and later committed than the one before it.
    function _countRows(uint256 datanetId, bytes32[] calldata roots)
        private
        view
        returns (uint32 rowCount)
    {
        uint64 order = 0;
        for (uint256 i = 0; i < roots.length; ++i) {
            Held storage held = _rows[datanetId][roots[i]];
            if (held.contributor == address(0)) revert UnknownContribution(datanetId, roots[i]);
            if (held.commitOrder <= order) revert OutOfOrder(roots[i]);
            if (held.isErased) revert IsErased(roots[i]);
            if (!VALIDATION.isAccepted(datanetId, roots[i])) revert NotAccepted(roots[i]);
            order = held.commitOrder;
            rowCount += held.rowCount;
        }
    }

    function _release(uint256 datanetId, Held memory held) private {
        EnumerableSet.Bytes32Set storage roots = _rootsOf[datanetId][held.contributor];
        roots.remove(held.rowsRoot);
        if (roots.length() == 0) _contributors[datanetId].remove(held.contributor);
    }

    function _own(uint256 datanetId, bytes32 rowsRoot) private view returns (Held storage held) {
        held = _rows[datanetId][rowsRoot];
        if (held.contributor == address(0)) revert UnknownContribution(datanetId, rowsRoot);
        if (held.contributor != msg.sender) revert NotContributor(rowsRoot, msg.sender);
    }

    function _datanet(uint256 datanetId) private view returns (Datanet storage datanet) {
        datanet = _datanets[datanetId];
        if (datanet.owner == address(0)) revert UnknownDatanet(datanetId);
    }

    function _send(address to, uint256 amount) private {
        (bool ok,) = to.call{value: amount}("");
        if (!ok) revert PaymentFailed(to);
    }
}
