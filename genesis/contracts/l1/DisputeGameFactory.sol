// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IDisputeGame} from "./IDisputeGame.sol";

/// @title DisputeGameFactory
/// @notice Makes and lists games (OP Stack). Anyone may propose an output by creating a game with its
/// bond. The owner may add game types but never change one: what a type means is fixed for good, and
/// whether it counts is decided by AnchorStateRegistry, after a delay. Renounce ownership to freeze.
contract DisputeGameFactory is Ownable {
    /// @notice As `findLatestGames` gives it. `metadata` = game type u32 || created at u64 || address.
    struct GameSearchResult {
        uint256 index;
        bytes32 metadata;
        uint64 timestamp;
        bytes32 rootClaim;
        bytes extraData;
    }

    struct Game {
        uint32 gameType;
        uint64 timestamp;
        address proxy;
    }

    event DisputeGameCreated(
        address indexed disputeProxy, uint32 indexed gameType, bytes32 indexed rootClaim
    );
    event ImplementationSet(address indexed impl, uint32 indexed gameType);

    error NoImplementation(uint32 gameType);
    error ImplementationFixed(uint32 gameType);
    error IncorrectBondAmount();
    error GameAlreadyExists(bytes32 uuid);

    /// @notice What games of a type are copies of.
    mapping(uint32 gameType => address) public gameImpls;
    /// @notice wei of ether that a proposal of this type costs.
    mapping(uint32 gameType => uint256) public initBonds;

    mapping(bytes32 uuid => Game) private _byUuid;
    Game[] private _games;

    constructor(address owner) Ownable(owner) {}

    function addGameType(uint32 gameType, address impl, uint256 bond) external onlyOwner {
        if (gameImpls[gameType] != address(0)) revert ImplementationFixed(gameType);
        gameImpls[gameType] = impl;
        initBonds[gameType] = bond;
        emit ImplementationSet(impl, gameType);
    }

    /// @notice Proposes `rootClaim`; the game is an immutable copy whose code carries creator, root,
    /// L1 head and `extraData`. The same claim can be made once.
    function create(uint32 gameType, bytes32 rootClaim, bytes calldata extraData)
        external
        payable
        returns (address proxy)
    {
        address impl = gameImpls[gameType];
        if (impl == address(0)) revert NoImplementation(gameType);
        if (msg.value != initBonds[gameType]) revert IncorrectBondAmount();
        bytes32 uuid = getGameUUID(gameType, rootClaim, extraData);
        if (_byUuid[uuid].proxy != address(0)) revert GameAlreadyExists(uuid);
        bytes32 l1Head = blockhash(block.number - 1);
        proxy = Clones.cloneWithImmutableArgs(
            impl, abi.encodePacked(msg.sender, rootClaim, l1Head, extraData)
        );
        Game memory game = Game(gameType, uint64(block.timestamp), proxy);
        _byUuid[uuid] = game;
        _games.push(game);
        IDisputeGame(proxy).initialize{value: msg.value}();
        emit DisputeGameCreated(proxy, gameType, rootClaim);
    }

    function gameCount() external view returns (uint256) {
        return _games.length;
    }

    function gameAtIndex(uint256 index)
        external
        view
        returns (uint32 gameType, uint64 timestamp, address proxy)
    {
        Game storage game = _games[index];
        return (game.gameType, game.timestamp, game.proxy);
    }

    function games(uint32 gameType, bytes32 rootClaim, bytes calldata extraData)
        external
        view
        returns (address proxy, uint64 timestamp)
    {
        Game storage game = _byUuid[getGameUUID(gameType, rootClaim, extraData)];
        return (game.proxy, game.timestamp);
    }

    /// @notice Up to `n` games of a type, newest first, from index `start` down.
    function findLatestGames(uint32 gameType, uint256 start, uint256 n)
        external
        view
        returns (GameSearchResult[] memory found)
    {
        uint256 count = _games.length;
        if (start >= count || n == 0) return found;
        uint256 size = n < start + 1 ? n : start + 1;
        found = new GameSearchResult[](size);
        uint256 filled;
        for (uint256 i = start + 1; i > 0 && filled < size; --i) {
            Game storage game = _games[i - 1];
            if (game.gameType == gameType) found[filled++] = _result(i - 1, game);
        }
        assembly ("memory-safe") {
            mstore(found, filled)
        }
    }

    function getGameUUID(uint32 gameType, bytes32 rootClaim, bytes calldata extraData)
        public
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(gameType, rootClaim, extraData));
    }

    function version() external pure returns (string memory) {
        return "1.0.0-openledger.1";
    }

    function _result(uint256 index, Game storage game)
        private
        view
        returns (GameSearchResult memory)
    {
        bytes32 metadata = bytes32(
            (uint256(game.gameType) << 224) | (uint256(game.timestamp) << 160)
                | uint256(uint160(game.proxy))
        );
        IDisputeGame proxy = IDisputeGame(game.proxy);
        return GameSearchResult(
            index, metadata, game.timestamp, proxy.rootClaim(), proxy.extraData()
        );
    }
}
