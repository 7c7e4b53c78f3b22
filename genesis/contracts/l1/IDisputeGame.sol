// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {GameStatus} from "./Types.sol";

/// @title What the factory, the registry and the portal need of a game (OP Stack, stage one)
interface IDisputeGame {
    function initialize() external payable;
    function gameType() external view returns (uint32);
    function rootClaim() external view returns (bytes32);
    function extraData() external view returns (bytes memory);
    function gameData() external view returns (uint32, bytes32, bytes memory);
    function l2SequenceNumber() external view returns (uint256);
    function createdAt() external view returns (uint64);
    function resolvedAt() external view returns (uint64);
    function status() external view returns (GameStatus);
    function wasRespectedGameTypeWhenCreated() external view returns (bool);
}
