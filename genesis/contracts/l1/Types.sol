// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A message from L2 to L1, as L2ToL1MessagePasser hashes it.
struct WithdrawalTransaction {
    uint256 nonce;
    address sender;
    address target;
    uint256 value;
    uint256 gasLimit;
    bytes data;
}

/// @notice What an output root (version 0) is the hash of.
struct OutputRootProof {
    bytes32 version;
    bytes32 stateRoot;
    bytes32 messagePasserStorageRoot;
    bytes32 latestBlockhash;
}

/// @notice How a game stands (numbers of the OP Stack).
enum GameStatus {
    IN_PROGRESS,
    CHALLENGER_WINS,
    DEFENDER_WINS
}

/// @notice What a game claims and what it starts from.
struct OutputClaim {
    /// Output root of the anchor when the game was created; zero for the L2's genesis.
    bytes32 startingRoot;
    uint256 startingBlock;
    bytes32 outputRoot;
    uint256 l2BlockNumber;
    /// Hash of the L1 block before the one that created the game: what the claim is derived from.
    bytes32 l1Head;
}
