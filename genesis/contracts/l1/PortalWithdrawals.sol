// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TrieProof} from "@openzeppelin/contracts/utils/cryptography/TrieProof.sol";
import {AnchorStateRegistry} from "./AnchorStateRegistry.sol";
import {DisputeGameFactory} from "./DisputeGameFactory.sol";
import {IDisputeGame} from "./IDisputeGame.sol";
import {GameStatus, OutputRootProof, WithdrawalTransaction} from "./Types.sol";

/// @title The way out: prove, wait, finalize
/// @notice OptimismPortal's withdrawals on the fault-proof path, with its names, errors and events, so that
/// viem's op-stack actions work. A withdrawal is proven against the output a game claims, by anyone, once
/// per game and submitter; it is paid once, when the proof has matured and the game's claim is valid.
abstract contract PortalWithdrawals {
    struct ProvenWithdrawal {
        address disputeGameProxy;
        uint64 timestamp;
    }

    event WithdrawalProven(
        bytes32 indexed withdrawalHash, address indexed from, address indexed to
    );
    event WithdrawalProvenExtension1(
        bytes32 indexed withdrawalHash, address indexed proofSubmitter
    );
    event WithdrawalFinalized(bytes32 indexed withdrawalHash, bool success);

    /// @notice The portal and the token cannot be called by the portal; a contract creation has no target.
    error BadTarget();
    /// @notice The game has been lost.
    error InvalidDisputeGame();
    /// @notice The game was not of the respected type when it was made.
    error InvalidGameType();
    /// @notice The parts do not hash to the root the game claims.
    error InvalidProof();
    error InvalidMerkleProof();
    /// @notice This submitter has proven this withdrawal against this game before.
    error AlreadyProven();
    /// @notice A withdrawal's target tried to finalize another one.
    error NonReentrant();
    /// @notice Too little gas to give the target what the withdrawal promises it.
    error InsufficientGas();
    /// @notice The call failed, and this is a wallet finding out how much gas to send.
    error GasEstimation();
    error OptimismPortal_AlreadyFinalized();
    error OptimismPortal_Unproven();
    error OptimismPortal_InvalidProofTimestamp();
    error OptimismPortal_ProofNotOldEnough();
    error OptimismPortal_InvalidRootClaim();

    address private constant NO_SENDER = 0x000000000000000000000000000000000000dEaD;
    /// A transaction from here is a wallet's gas estimation.
    address private constant ESTIMATION_ADDRESS = address(1);
    /// What the CALL itself may cost beside the gas it hands on.
    uint256 private constant CALL_GAS_RESERVE = 40_000;
    bytes private constant TRUE_RLP = hex"01";

    AnchorStateRegistry public immutable anchorStateRegistry;
    /// @notice Seconds between proof and payment.
    uint256 public immutable proofMaturityDelaySeconds;

    /// @notice Who sent the withdrawal that is being finalized; `0x…dEaD` when none is.
    address public l2Sender = NO_SENDER;
    mapping(bytes32 withdrawalHash => bool) public finalizedWithdrawals;
    mapping(bytes32 withdrawalHash => mapping(address submitter => ProvenWithdrawal)) public
        provenWithdrawals;
    /// @notice Everyone who has proven it, in order of time.
    mapping(bytes32 withdrawalHash => address[]) public proofSubmitters;

    constructor(AnchorStateRegistry registry, uint256 maturityDelaySeconds) {
        anchorStateRegistry = registry;
        proofMaturityDelaySeconds = maturityDelaySeconds;
    }

    /// @notice Shows that the L2 holds the mark of this withdrawal in the output that a game claims.
    /// @param withdrawalProof of the mark's slot, from the storage root of L2ToL1MessagePasser down
    function proveWithdrawalTransaction(
        WithdrawalTransaction calldata tx_,
        uint256 disputeGameIndex,
        OutputRootProof calldata outputRootProof,
        bytes[] calldata withdrawalProof
    ) external {
        if (_isBadTarget(tx_.target)) revert BadTarget();
        address game = _provableGame(disputeGameIndex);
        bytes32 root = keccak256(abi.encode(outputRootProof));
        if (root != IDisputeGame(game).rootClaim()) revert InvalidProof();

        bytes32 hash = hashWithdrawal(tx_);
        bytes32 slot = keccak256(abi.encode(hash, uint256(0)));
        bytes memory key = abi.encodePacked(keccak256(abi.encode(slot)));
        bytes32 storageRoot = outputRootProof.messagePasserStorageRoot;
        if (!TrieProof.verify(TRUE_RLP, storageRoot, key, withdrawalProof)) {
            revert InvalidMerkleProof();
        }

        ProvenWithdrawal storage proven = provenWithdrawals[hash][msg.sender];
        if (proven.disputeGameProxy == game) revert AlreadyProven();
        provenWithdrawals[hash][msg.sender] = ProvenWithdrawal(game, uint64(block.timestamp));
        proofSubmitters[hash].push(msg.sender);
        emit WithdrawalProven(hash, tx_.sender, tx_.target);
        emit WithdrawalProvenExtension1(hash, msg.sender);
    }

    /// @notice Pays a withdrawal the caller has proven.
    function finalizeWithdrawalTransaction(WithdrawalTransaction calldata tx_) external {
        finalizeWithdrawalTransactionExternalProof(tx_, msg.sender);
    }

    /// @notice Pays a withdrawal that `proofSubmitter` has proven: OPEN to the target, then a call with the
    /// data, if there is any. A call that fails does not undo the payment: it is logged and over.
    function finalizeWithdrawalTransactionExternalProof(
        WithdrawalTransaction calldata tx_,
        address proofSubmitter
    ) public {
        if (l2Sender != NO_SENDER) revert NonReentrant();
        if (_isBadTarget(tx_.target)) revert BadTarget();
        bytes32 hash = hashWithdrawal(tx_);
        checkWithdrawal(hash, proofSubmitter);
        finalizedWithdrawals[hash] = true;

        l2Sender = tx_.sender;
        if (tx_.value != 0) _unlock(tx_.target, tx_.value);
        bool success = tx_.data.length == 0 || _callWithMinGas(tx_.target, tx_.gasLimit, tx_.data);
        l2Sender = NO_SENDER;

        emit WithdrawalFinalized(hash, success);
        if (!success && tx.origin == ESTIMATION_ADDRESS) revert GasEstimation();
    }

    /// @notice Reverts unless the withdrawal can be finalized now; the error says what is missing.
    function checkWithdrawal(bytes32 withdrawalHash, address proofSubmitter) public view {
        if (finalizedWithdrawals[withdrawalHash]) revert OptimismPortal_AlreadyFinalized();
        ProvenWithdrawal memory proven = provenWithdrawals[withdrawalHash][proofSubmitter];
        if (proven.timestamp == 0) revert OptimismPortal_Unproven();
        if (proven.timestamp < IDisputeGame(proven.disputeGameProxy).createdAt()) {
            revert OptimismPortal_InvalidProofTimestamp();
        }
        if (block.timestamp - proven.timestamp <= proofMaturityDelaySeconds) {
            revert OptimismPortal_ProofNotOldEnough();
        }
        if (!anchorStateRegistry.isGameClaimValid(proven.disputeGameProxy)) {
            revert OptimismPortal_InvalidRootClaim();
        }
    }

    function numProofSubmitters(bytes32 withdrawalHash) external view returns (uint256) {
        return proofSubmitters[withdrawalHash].length;
    }

    function disputeGameFactory() public view returns (DisputeGameFactory) {
        return anchorStateRegistry.disputeGameFactory();
    }

    function disputeGameFinalityDelaySeconds() external view returns (uint256) {
        return anchorStateRegistry.disputeGameFinalityDelaySeconds();
    }

    function respectedGameType() external view returns (uint32) {
        return anchorStateRegistry.respectedGameType();
    }

    function respectedGameTypeUpdatedAt() external view returns (uint64) {
        return anchorStateRegistry.respectedGameTypeUpdatedAt();
    }

    /// @notice Nobody can pause the portal, blacklist a game or retire one.
    function paused() external pure returns (bool) {
        return false;
    }

    function guardian() external pure returns (address) {
        return address(0);
    }

    function disputeGameBlacklist(address) external pure returns (bool) {
        return false;
    }

    /// @notice The name of a withdrawal on both layers.
    function hashWithdrawal(WithdrawalTransaction calldata tx_) public pure returns (bytes32) {
        return keccak256(
            abi.encode(tx_.nonce, tx_.sender, tx_.target, tx_.value, tx_.gasLimit, tx_.data)
        );
    }

    /// Pays `value` out of what is locked; reverts unless exactly that leaves.
    function _unlock(address target, uint256 value) internal virtual;

    function _isBadTarget(address target) internal view virtual returns (bool);

    /// A game of the respected type that has not been lost. It may be of this very block (the OP Stack wants a
    /// later one, which fails wallets that estimate on the newest block); the proof has to mature all the same.
    function _provableGame(uint256 index) private view returns (address) {
        (,, address proxy) = disputeGameFactory().gameAtIndex(index);
        IDisputeGame game = IDisputeGame(proxy);
        if (!game.wasRespectedGameTypeWhenCreated()) revert InvalidGameType();
        if (game.status() == GameStatus.CHALLENGER_WINS) revert InvalidDisputeGame();
        return proxy;
    }

    /// Hands on all gas but what EIP-150 keeps back, at least `minGas`: whoever finalizes cannot make the
    /// call fail by giving too little. Nothing is copied back, however much the target returns.
    function _callWithMinGas(address target, uint256 minGas, bytes memory data)
        private
        returns (bool success)
    {
        if (gasleft() * 63 < (minGas + CALL_GAS_RESERVE) * 64) revert InsufficientGas();
        assembly ("memory-safe") {
            success := call(gas(), target, 0, add(data, 32), mload(data), 0, 0)
        }
    }
}
