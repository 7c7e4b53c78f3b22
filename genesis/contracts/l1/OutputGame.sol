// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {AnchorStateRegistry} from "./AnchorStateRegistry.sol";
import {IDisputeGame} from "./IDisputeGame.sol";
import {IVerifier} from "./IVerifier.sol";
import {GameStatus, OutputClaim} from "./Types.sol";

/// @title OutputGame
/// @notice One claim about the L2, decided in a single round (the shape of the OP Stack's ZKDisputeGame):
///
///   proposed with a bond -- nobody challenges in time -----------------> defender wins
///        |        `-------- proven ------------------------------------> defender wins
///        `-- challenged with a bond -- proven in time -----------------> defender wins
///                               `----- not proven in time -------------> challenger wins
///
/// Bonds are ether, so that they are worth the same whatever becomes of the token behind the bridge. When a
/// challenged claim is proven, the challenger's bond goes to whoever proved it. A challenger that wins has its
/// bond back and half of the proposer's; the other half stays here for ever, so that nobody can litter the
/// list with wrong claims for free by challenging themselves.
/// Each game starts at the anchor of its creation and stands alone: no game depends on another one's fate.
contract OutputGame is IDisputeGame {
    enum ProposalStatus {
        UNCHALLENGED,
        CHALLENGED,
        PROVEN,
        CHALLENGED_AND_PROVEN,
        RESOLVED
    }

    struct Settings {
        uint32 gameType;
        AnchorStateRegistry registry;
        IVerifier verifier;
        /// Seconds from creation in which anyone may challenge.
        uint64 challengeSeconds;
        /// Seconds from a challenge in which anyone may prove.
        uint64 proveSeconds;
        /// wei of ether.
        uint256 challengerBond;
    }

    event Challenged(address indexed challenger);
    event Proven(address indexed prover);
    event Resolved(uint8 indexed status);
    event BondPaid(address indexed recipient, uint256 amount);

    error AlreadyInitialized();
    error BadExtraData();
    error UnexpectedL2Block(uint256 l2BlockNumber);
    error ClaimAlreadyChallenged();
    error IncorrectBondAmount();
    error GameOver();
    error GameNotOver();
    error InvalidProof();
    error NoCredit();
    error BondTransferFailed();

    uint32 public immutable gameType;
    AnchorStateRegistry public immutable anchorStateRegistry;
    IVerifier public immutable verifier;
    uint64 public immutable challengeSeconds;
    uint64 public immutable proveSeconds;
    uint256 public immutable challengerBond;

    uint64 public createdAt;
    uint64 public resolvedAt;
    GameStatus public status;
    ProposalStatus public proposalStatus;
    bool public wasRespectedGameTypeWhenCreated;
    /// @notice Until when the next step may be made, seconds.
    uint64 public deadline;

    address public challenger;
    address public prover;
    uint256 public proposerBond;

    bytes32 public startingRoot;
    uint256 public startingBlock;

    /// @notice wei that `claimCredit` pays.
    mapping(address => uint256) public credit;

    constructor(Settings memory settings) {
        gameType = settings.gameType;
        anchorStateRegistry = settings.registry;
        verifier = settings.verifier;
        challengeSeconds = settings.challengeSeconds;
        proveSeconds = settings.proveSeconds;
        challengerBond = settings.challengerBond;
        // The original is never a game, only its copies are.
        createdAt = type(uint64).max;
    }

    /// @notice Called by the factory in the transaction that makes the copy; the value is the bond.
    function initialize() external payable {
        if (createdAt != 0) revert AlreadyInitialized();
        if (_args().length != 116) revert BadExtraData();
        createdAt = uint64(block.timestamp);
        deadline = createdAt + challengeSeconds;
        proposerBond = msg.value;
        wasRespectedGameTypeWhenCreated = anchorStateRegistry.respectedGameType() == gameType;
        (startingRoot, startingBlock) = anchorStateRegistry.getAnchorRoot();
        if (l2SequenceNumber() <= startingBlock) revert UnexpectedL2Block(l2SequenceNumber());
    }

    /// @notice Says the claim is wrong. The first to say so is the challenger.
    function challenge() external payable {
        if (proposalStatus != ProposalStatus.UNCHALLENGED) revert ClaimAlreadyChallenged();
        if (isOver()) revert GameOver();
        if (msg.value != challengerBond) revert IncorrectBondAmount();
        challenger = msg.sender;
        proposalStatus = ProposalStatus.CHALLENGED;
        deadline = uint64(block.timestamp) + proveSeconds;
        emit Challenged(msg.sender);
    }

    /// @notice Shows the claim is right, challenged or not. Anyone may.
    function prove(bytes calldata proof) external {
        if (isOver()) revert GameOver();
        if (!verifier.verify(claim(), proof)) revert InvalidProof();
        prover = msg.sender;
        proposalStatus = proposalStatus == ProposalStatus.CHALLENGED
            ? ProposalStatus.CHALLENGED_AND_PROVEN
            : ProposalStatus.PROVEN;
        emit Proven(msg.sender);
    }

    /// @notice Decides the game once it is over and credits the bonds. Anyone may call.
    function resolve() external returns (GameStatus) {
        if (!isOver() || proposalStatus == ProposalStatus.RESOLVED) revert GameNotOver();
        if (proposalStatus == ProposalStatus.CHALLENGED) {
            status = GameStatus.CHALLENGER_WINS;
            credit[challenger] += challengerBond + proposerBond / 2;
        } else {
            status = GameStatus.DEFENDER_WINS;
            credit[gameCreator()] += proposerBond;
            if (proposalStatus == ProposalStatus.CHALLENGED_AND_PROVEN) {
                credit[prover] += challengerBond;
            }
        }
        proposalStatus = ProposalStatus.RESOLVED;
        resolvedAt = uint64(block.timestamp);
        emit Resolved(uint8(status));
        return status;
    }

    /// @notice Pays what a resolved game owes to `recipient`. Anyone may call.
    function claimCredit(address recipient) external {
        uint256 amount = credit[recipient];
        if (amount == 0) revert NoCredit();
        credit[recipient] = 0;
        (bool paid,) = recipient.call{value: amount}("");
        if (!paid) revert BondTransferFailed();
        emit BondPaid(recipient, amount);
    }

    /// @notice All that changes, in one call.
    function state()
        external
        view
        returns (
            GameStatus status_,
            ProposalStatus proposalStatus_,
            uint64 deadline_,
            uint64 resolvedAt_,
            address challenger_,
            address prover_
        )
    {
        return (status, proposalStatus, deadline, resolvedAt, challenger, prover);
    }

    /// @notice Nothing but `resolve` can follow.
    function isOver() public view returns (bool) {
        return proposalStatus >= ProposalStatus.PROVEN || block.timestamp > deadline;
    }

    function claim() public view returns (OutputClaim memory) {
        return OutputClaim(startingRoot, startingBlock, rootClaim(), l2SequenceNumber(), l1Head());
    }

    function gameCreator() public view returns (address) {
        return address(bytes20(_word(0)));
    }

    function rootClaim() public view returns (bytes32) {
        return _word(20);
    }

    function l1Head() public view returns (bytes32) {
        return _word(52);
    }

    /// @notice The L2 block whose output is claimed.
    function l2SequenceNumber() public view returns (uint256) {
        return uint256(_word(84));
    }

    function l2BlockNumber() external view returns (uint256) {
        return l2SequenceNumber();
    }

    /// @notice The L2 block number, 32 bytes.
    function extraData() public view returns (bytes memory) {
        return abi.encode(l2SequenceNumber());
    }

    function gameData() external view returns (uint32, bytes32, bytes memory) {
        return (gameType, rootClaim(), extraData());
    }

    function version() external pure returns (string memory) {
        return "1.0.0-openledger.1";
    }

    /// creator 20 || root 32 || L1 head 32 || extra data 32
    function _args() private view returns (bytes memory) {
        return Clones.fetchCloneArgs(address(this));
    }

    function _word(uint256 offset) private view returns (bytes32 word) {
        bytes memory args = _args();
        assembly ("memory-safe") {
            word := mload(add(add(args, 32), offset))
        }
    }
}
