// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {DisputeGameFactory} from "./DisputeGameFactory.sol";
import {IDisputeGame} from "./IDisputeGame.sol";
import {GameStatus} from "./Types.sol";

/// @title AnchorStateRegistry
/// @notice Says which games count (OP Stack, stage one) and keeps the newest settled output, where new
/// games start. There is no guardian: nothing here pauses, blacklists or retires a game.
///
/// The owner may announce another game type. It is respected `upgradeDelaySeconds` later, and games made
/// before that go on counting: an owner cannot stop a withdrawal, and whoever distrusts the new type has
/// the delay to leave. Renounce ownership to keep the type for good.
contract AnchorStateRegistry is Ownable {
    event AnchorUpdated(address indexed game);
    event GameTypeAnnounced(uint32 indexed gameType, uint64 respectedFrom);

    error InvalidAnchorGame();

    DisputeGameFactory public immutable disputeGameFactory;
    /// @notice The air gap: seconds that must pass after a game is resolved before it counts.
    uint256 public immutable disputeGameFinalityDelaySeconds;
    uint256 public immutable upgradeDelaySeconds;

    /// @notice The game whose claim is the anchor; zero while that is the L2's genesis.
    address public anchorGame;

    uint32 private _gameType;
    uint32 private _nextGameType;
    uint64 private _updatedAt;
    /// From when on `_nextGameType` is respected; zero when nothing was announced.
    uint64 private _nextFrom;

    constructor(
        DisputeGameFactory factory,
        uint32 gameType,
        uint256 finalityDelaySeconds,
        uint256 upgradeDelaySeconds_,
        address owner
    ) Ownable(owner) {
        disputeGameFactory = factory;
        disputeGameFinalityDelaySeconds = finalityDelaySeconds;
        upgradeDelaySeconds = upgradeDelaySeconds_;
        _gameType = gameType;
        _updatedAt = uint64(block.timestamp);
    }

    /// @notice Replaces an earlier announcement that is not in force yet.
    function announceGameType(uint32 gameType) external onlyOwner {
        (_gameType, _updatedAt) = (respectedGameType(), respectedGameTypeUpdatedAt());
        _nextGameType = gameType;
        _nextFrom = uint64(block.timestamp + upgradeDelaySeconds);
        emit GameTypeAnnounced(gameType, _nextFrom);
    }

    /// @notice Makes a game with a valid claim the anchor, when it is newer. Anyone may call.
    function setAnchorState(address game) external {
        (, uint256 anchored) = getAnchorRoot();
        if (!isGameClaimValid(game) || IDisputeGame(game).l2SequenceNumber() <= anchored) {
            revert InvalidAnchorGame();
        }
        anchorGame = game;
        emit AnchorUpdated(game);
    }

    /// @return root zero for the L2's genesis, which the rollup configuration names
    function getAnchorRoot() public view returns (bytes32 root, uint256 l2BlockNumber) {
        if (anchorGame == address(0)) return (bytes32(0), 0);
        IDisputeGame game = IDisputeGame(anchorGame);
        return (game.rootClaim(), game.l2SequenceNumber());
    }

    function anchors(uint32) external view returns (bytes32, uint256) {
        return getAnchorRoot();
    }

    function respectedGameType() public view returns (uint32) {
        return _isNextInForce() ? _nextGameType : _gameType;
    }

    function respectedGameTypeUpdatedAt() public view returns (uint64) {
        return _isNextInForce() ? _nextFrom : _updatedAt;
    }

    /// @notice Made by the factory, so that its code is known.
    function isGameRegistered(address game) public view returns (bool) {
        (uint32 gameType, bytes32 root, bytes memory extraData) = IDisputeGame(game).gameData();
        (address registered,) = disputeGameFactory.games(gameType, root, extraData);
        return registered == game;
    }

    /// @notice Nothing can make a registered game improper here.
    function isGameProper(address game) public view returns (bool) {
        return isGameRegistered(game);
    }

    function isGameRespected(address game) public view returns (bool) {
        return IDisputeGame(game).wasRespectedGameTypeWhenCreated();
    }

    function isGameResolved(address game) public view returns (bool) {
        return IDisputeGame(game).status() != GameStatus.IN_PROGRESS;
    }

    function isGameFinalized(address game) public view returns (bool) {
        return isGameResolved(game)
            && block.timestamp - IDisputeGame(game).resolvedAt() > disputeGameFinalityDelaySeconds;
    }

    function isGameBlacklisted(address) external pure returns (bool) {
        return false;
    }

    function isGameRetired(address) external pure returns (bool) {
        return false;
    }

    /// @notice A withdrawal may rest on the root this game claims.
    function isGameClaimValid(address game) public view returns (bool) {
        return isGameProper(game) && isGameRespected(game) && isGameFinalized(game)
            && IDisputeGame(game).status() == GameStatus.DEFENDER_WINS;
    }

    function version() external pure returns (string memory) {
        return "3.0.0-openledger.1";
    }

    function _isNextInForce() private view returns (bool) {
        return _nextFrom != 0 && block.timestamp >= _nextFrom;
    }
}
