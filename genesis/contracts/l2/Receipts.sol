// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice One answer: what was asked of which model, by whom, what came out, what it costs and whose data
/// shaped it. EIP-712 data, signed by the provider; `node/attribution/receipt.ts` is the same type.
struct InferenceReceipt {
    bytes32 requestId;
    address payer;
    address provider;
    bytes32 modelId;
    bytes32 baseHash;
    bytes32 adapterHash;
    bytes32 tokenizerHash;
    bytes32 promptCommit;
    bytes32 outputCommit;
    uint32 tokensIn;
    uint32 tokensOut;
    uint64 seed;
    bytes32 samplerHash;
    bytes32 traceRoot;
    uint32 policyId;
    bytes32 sketchHash;
    bytes32 claimsHash;
    bytes32 attributionRoot;
    uint256 fee;
    uint64 startedAt;
    uint64 finishedAt;
    bytes32 parentAction;
}

/// @title Receipts
/// @notice The struct hash of a receipt.
library Receipts {
    bytes32 internal constant TYPEHASH = keccak256(
        "InferenceReceipt(bytes32 requestId,address payer,address provider,bytes32 modelId,bytes32 baseHash,bytes32 adapterHash,bytes32 tokenizerHash,bytes32 promptCommit,bytes32 outputCommit,uint32 tokensIn,uint32 tokensOut,uint64 seed,bytes32 samplerHash,bytes32 traceRoot,uint32 policyId,bytes32 sketchHash,bytes32 claimsHash,bytes32 attributionRoot,uint256 fee,uint64 startedAt,uint64 finishedAt,bytes32 parentAction)"
    );

    /// @dev Every field is static, so ABI encoding and EIP-712's encodeData are the same bytes.
    function structHash(InferenceReceipt calldata receipt) internal pure returns (bytes32) {
        return keccak256(abi.encode(TYPEHASH, receipt));
    }
}
