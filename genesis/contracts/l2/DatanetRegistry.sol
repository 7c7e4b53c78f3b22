// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";

/// @title DatanetRegistry
/// @notice Datanets, who contributed which rows to them, and their published versions.
///
/// A contribution is committed before it is shown: the commitment hides the rows and binds the
/// contributor, so nobody who sees it, the sequencer included, can claim the rows. Rows belong to whoever
/// committed to them *first*, whenever they reveal: holding back a reveal and copying it wins nothing.
///
///     commit(h) in block n  ->  reveal in block > n  ->  publish a version made of contributions
contract DatanetRegistry {
    using EnumerableSet for EnumerableSet.AddressSet;
    using EnumerableSet for EnumerableSet.Bytes32Set;

    struct Datanet {
        address owner;
        /// Paid when nobody's data can be named for an answer.
        address treasury;
        /// Largest contribution, rows.
        uint32 rowsMax;
        uint32 versionCount;
        bytes32 licenceHash;
        string name;
        string schema;
        address[] validators;
    }

    struct Contribution {
        address contributor;
        uint32 rowCount;
        uint64 commitBlock;
        /// Place of the commitment among all: earlier wins.
        uint64 commitOrder;
        bytes32 rowsRoot;
    }

    struct Version {
        bytes32 parent;
        bytes32 rowsRoot;
        uint32 rowCount;
        bytes32 manifestHash;
        uint64 publishedAt;
    }

    struct Commitment {
        uint64 blockNumber;
        uint64 order;
    }

    event DatanetCreated(
        uint256 indexed datanetId,
        address indexed owner,
        string name,
        string schema,
        bytes32 licenceHash,
        uint32 rowsMax,
        address treasury,
        address[] validators
    );
    event TreasurySet(uint256 indexed datanetId, address treasury);
    event ValidatorsSet(uint256 indexed datanetId, address[] validators);
    event Committed(uint256 indexed datanetId, bytes32 indexed commitment, uint64 order);
    event Revealed(
        uint256 indexed datanetId,
        address indexed contributor,
        bytes32 indexed rowsRoot,
        uint32 rowCount
    );
    /// @notice Somebody with an earlier commitment has revealed the same rows.
    event Reassigned(
        uint256 indexed datanetId, bytes32 indexed rowsRoot, address from, address indexed to
    );
    event VersionPublished(
        uint256 indexed datanetId,
        uint32 indexed version,
        bytes32 rowsRoot,
        uint32 rowCount,
        bytes32 parent,
        bytes32 manifestHash
    );

    error UnknownDatanet(uint256 datanetId);
    error UnknownVersion(uint256 datanetId, uint32 version);
    error NotOwner(uint256 datanetId, address caller);
    error BadText(uint256 bytesMax);
    error ZeroAddress();
    error ZeroRowsMax();
    error TooManyValidators(uint256 count);
    error AlreadyCommitted(bytes32 commitment);
    error NotCommitted(bytes32 commitment);
    /// @notice Reveal in a block after the commitment's.
    error RevealTooEarly(uint64 commitBlock);
    error RowCountOutOfBounds(uint32 rowCount, uint32 rowsMax);
    /// @notice These rows belong to a commitment that is not later than this one.
    error RowsAlreadyOwned(bytes32 rowsRoot, address contributor);
    error VersionExists(bytes32 rowsRoot);
    /// @notice The parent is zero for the first version, the rows root of an earlier one after it.
    error UnknownParent(bytes32 parent);
    error EmptyVersion();

    uint256 public constant NAME_BYTES_MAX = 64;
    uint256 public constant SCHEMA_BYTES_MAX = 1_024;
    uint256 public constant VALIDATORS_MAX = 32;

    uint256 public datanetCount; // slot 0; ids start at 1
    uint64 private _commitCount; // slot 1
    mapping(uint256 datanetId => Datanet) private _datanets; // slot 2
    mapping(uint256 datanetId => mapping(bytes32 commitment => Commitment)) public commitmentOf; // slot 3
    mapping(uint256 datanetId => mapping(bytes32 rowsRoot => Contribution)) private _rows; // slot 4
    mapping(uint256 datanetId => EnumerableSet.AddressSet) private _contributors; // slot 5
    mapping(uint256 datanetId => mapping(address account => EnumerableSet.Bytes32Set)) private
        _rootsOf; // slot 6
    mapping(uint256 datanetId => mapping(uint32 version => Version)) private _versions; // slot 7
    mapping(uint256 datanetId => mapping(bytes32 rowsRoot => uint32 version)) public versionOf; // slot 8

    modifier onlyOwner(uint256 datanetId) {
        if (_datanet(datanetId).owner != msg.sender) revert NotOwner(datanetId, msg.sender);
        _;
    }

    /// @param rowsMax largest contribution, rows
    /// @param treasury zero means the owner
    /// @param validators who will judge contributions; may be empty
    function create(
        string calldata name,
        string calldata schema,
        bytes32 licenceHash,
        uint32 rowsMax,
        address treasury,
        address[] calldata validators
    ) external returns (uint256 datanetId) {
        if (bytes(name).length == 0 || bytes(name).length > NAME_BYTES_MAX) {
            revert BadText(NAME_BYTES_MAX);
        }
        if (bytes(schema).length > SCHEMA_BYTES_MAX) revert BadText(SCHEMA_BYTES_MAX);
        if (rowsMax == 0) revert ZeroRowsMax();
        if (validators.length > VALIDATORS_MAX) revert TooManyValidators(validators.length);
        datanetId = ++datanetCount;
        Datanet storage datanet = _datanets[datanetId];
        datanet.owner = msg.sender;
        datanet.treasury = treasury == address(0) ? msg.sender : treasury;
        datanet.rowsMax = rowsMax;
        datanet.licenceHash = licenceHash;
        datanet.name = name;
        datanet.schema = schema;
        datanet.validators = validators;
        emit DatanetCreated(
            datanetId,
            msg.sender,
            name,
            schema,
            licenceHash,
            rowsMax,
            datanet.treasury,
            validators
        );
    }

    function setTreasury(uint256 datanetId, address treasury) external onlyOwner(datanetId) {
        if (treasury == address(0)) revert ZeroAddress();
        _datanets[datanetId].treasury = treasury;
        emit TreasurySet(datanetId, treasury);
    }

    function setValidators(uint256 datanetId, address[] calldata validators)
        external
        onlyOwner(datanetId)
    {
        if (validators.length > VALIDATORS_MAX) revert TooManyValidators(validators.length);
        _datanets[datanetId].validators = validators;
        emit ValidatorsSet(datanetId, validators);
    }

    /// @notice Records a commitment made with `commitmentFor`. It names its contributor, so anyone may send it.
    function commit(uint256 datanetId, bytes32 commitment) external {
        _datanet(datanetId);
        if (commitmentOf[datanetId][commitment].blockNumber != 0) {
            revert AlreadyCommitted(commitment);
        }
        uint64 order = ++_commitCount;
        commitmentOf[datanetId][commitment] = Commitment(uint64(block.number), order);
        emit Committed(datanetId, commitment, order);
    }

    function reveal(uint256 datanetId, bytes32 rowsRoot, uint32 rowCount, bytes32 salt) external {
        _reveal(datanetId, msg.sender, rowsRoot, rowCount, salt);
    }

    /// @notice Reveals for a contributor who has no gas; the commitment already says whose rows they are.
    function revealFor(
        address contributor,
        uint256 datanetId,
        bytes32 rowsRoot,
        uint32 rowCount,
        bytes32 salt
    ) external {
        _reveal(datanetId, contributor, rowsRoot, rowCount, salt);
    }

    /// @notice A new version; what it is made of stands in the manifest behind `manifestHash`.
    function publish(
        uint256 datanetId,
        bytes32 rowsRoot,
        uint32 rowCount,
        bytes32 parent,
        bytes32 manifestHash
    ) external onlyOwner(datanetId) returns (uint32 version) {
        if (rowsRoot == bytes32(0) || rowCount == 0) revert EmptyVersion();
        if (versionOf[datanetId][rowsRoot] != 0) revert VersionExists(rowsRoot);
        Datanet storage datanet = _datanets[datanetId];
        bool parentKnown = datanet.versionCount == 0
            ? parent == bytes32(0)
            : versionOf[datanetId][parent] != 0;
        if (!parentKnown) revert UnknownParent(parent);
        version = ++datanet.versionCount;
        versionOf[datanetId][rowsRoot] = version;
        _versions[datanetId][version] =
            Version(parent, rowsRoot, rowCount, manifestHash, uint64(block.timestamp));
        emit VersionPublished(datanetId, version, rowsRoot, rowCount, parent, manifestHash);
    }

    function commitmentFor(
        uint256 datanetId,
        address contributor,
        bytes32 rowsRoot,
        uint32 rowCount,
        bytes32 salt
    ) public pure returns (bytes32) {
        return keccak256(abi.encode(datanetId, contributor, rowsRoot, rowCount, salt));
    }

    function getDatanet(uint256 datanetId) external view returns (Datanet memory) {
        return _datanet(datanetId);
    }

    function treasuryOf(uint256 datanetId) external view returns (address) {
        return _datanet(datanetId).treasury;
    }

    /// @param version from 1 on
    function getVersion(uint256 datanetId, uint32 version) external view returns (Version memory) {
        if (version == 0 || version > _datanet(datanetId).versionCount) {
            revert UnknownVersion(datanetId, version);
        }
        return _versions[datanetId][version];
    }

    /// @notice Who owns these rows; all zero when nobody has revealed them.
    function getContribution(uint256 datanetId, bytes32 rowsRoot)
        external
        view
        returns (Contribution memory)
    {
        return _rows[datanetId][rowsRoot];
    }

    /// @notice A page of what `contributor` owns now, in no particular order.
    function contributionsOf(
        uint256 datanetId,
        address contributor,
        uint256 offset,
        uint256 limit
    ) external view returns (Contribution[] memory page) {
        bytes32[] memory roots = _rootsOf[datanetId][contributor].values(offset, offset + limit);
        page = new Contribution[](roots.length);
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

    function _reveal(
        uint256 datanetId,
        address contributor,
        bytes32 rowsRoot,
        uint32 rowCount,
        bytes32 salt
    ) private {
        uint32 rowsMax = _datanet(datanetId).rowsMax;
        if (rowCount == 0 || rowCount > rowsMax) revert RowCountOutOfBounds(rowCount, rowsMax);
        bytes32 commitment = commitmentFor(datanetId, contributor, rowsRoot, rowCount, salt);
        Commitment memory made = commitmentOf[datanetId][commitment];
        if (made.blockNumber == 0) revert NotCommitted(commitment);
        if (block.number <= made.blockNumber) revert RevealTooEarly(made.blockNumber);
        Contribution memory held = _rows[datanetId][rowsRoot];
        if (held.contributor != address(0)) {
            if (held.commitOrder <= made.order) {
                revert RowsAlreadyOwned(rowsRoot, held.contributor);
            }
            _release(datanetId, held);
            emit Reassigned(datanetId, rowsRoot, held.contributor, contributor);
        }
        _rows[datanetId][rowsRoot] =
            Contribution(contributor, rowCount, made.blockNumber, made.order, rowsRoot);
        _rootsOf[datanetId][contributor].add(rowsRoot);
        _contributors[datanetId].add(contributor);
        emit Revealed(datanetId, contributor, rowsRoot, rowCount);
    }

    function _release(uint256 datanetId, Contribution memory held) private {
        EnumerableSet.Bytes32Set storage roots = _rootsOf[datanetId][held.contributor];
        roots.remove(held.rowsRoot);
        if (roots.length() == 0) _contributors[datanetId].remove(held.contributor);
    }

    function _datanet(uint256 datanetId) private view returns (Datanet storage datanet) {
        datanet = _datanets[datanetId];
        if (datanet.owner == address(0)) revert UnknownDatanet(datanetId);
    }
}
