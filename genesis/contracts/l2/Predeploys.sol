// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Addresses of the payable-AI predeploys and precompiles; the same as `genesis/addresses.ts`
library Predeploys {
    address internal constant DATANET_REGISTRY = 0x4F50454E00000000000000000000000000000001;
    address internal constant MODEL_REGISTRY = 0x4f50454E00000000000000000000000000000002;
    address internal constant INFERENCE_ESCROW = 0x4F50454E00000000000000000000000000000005;
    address internal constant RECEIPT_REGISTRY = 0x4F50454e00000000000000000000000000000006;
    address internal constant REWARD_DISTRIBUTOR = 0x4f50454E00000000000000000000000000000007;
    address internal constant SPLIT_POLICY = 0x4F50454e00000000000000000000000000000008;
    address internal constant MODEL = 0x0000000000000000000000000000000000000a01;
    address internal constant ATTRIBUTE = 0x0000000000000000000000000000000000000a02;
    address internal constant SPAN = 0x0000000000000000000000000000000000000a04;
}
