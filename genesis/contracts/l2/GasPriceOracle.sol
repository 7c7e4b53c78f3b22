// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FastLZ} from "./FastLZ.sol";
import {L1Block} from "./L1Block.sol";

/// @title GasPriceOracle
/// @notice What a transaction pays for its place on L1, for wallets to ask before they sign (OP Stack,
/// Fjord formula; amounts are OPEN wei). The charge itself is the node's, from the signed transaction;
/// here the bytes are unsigned and 68 stand in for the signature.
contract GasPriceOracle {
    /// @notice Those numbers ended with Ecotone.
    error DeprecatedSinceEcotone();

    uint256 public constant DECIMALS = 6;

    L1Block private constant L1_BLOCK = L1Block(0x4200000000000000000000000000000000000015);
    uint256 private constant SIGNATURE_BYTES = 68;
    uint256 private constant MIN_SIZE_SCALED = 100e6;
    uint256 private constant COST_INTERCEPT = 42_585_600; // subtracted
    uint256 private constant COST_PER_BYTE = 836_500;

    function getL1Fee(bytes memory unsignedTx) external view returns (uint256) {
        return _fee(FastLZ.length(unsignedTx) + SIGNATURE_BYTES);
    }

    /// @notice No transaction of this many unsigned bytes pays more.
    function getL1FeeUpperBound(uint256 unsignedTxSize) external view returns (uint256) {
        uint256 size = unsignedTxSize + SIGNATURE_BYTES;
        return _fee(size + size / 255 + 16);
    }

    function getL1GasUsed(bytes memory unsignedTx) external pure returns (uint256) {
        return (_sizeScaled(FastLZ.length(unsignedTx) + SIGNATURE_BYTES) * 16) / 1e6;
    }

    /// @notice This chain charges no operator fee.
    function getOperatorFee(uint256) external pure returns (uint256) {
        return 0;
    }

    function l1BaseFee() external view returns (uint256) {
        return L1_BLOCK.basefee();
    }

    function blobBaseFee() external view returns (uint256) {
        return L1_BLOCK.blobBaseFee();
    }

    function baseFeeScalar() external view returns (uint32) {
        return L1_BLOCK.baseFeeScalar();
    }

    function blobBaseFeeScalar() external view returns (uint32) {
        return L1_BLOCK.blobBaseFeeScalar();
    }

    function gasPrice() external view returns (uint256) {
        return block.basefee;
    }

    function baseFee() external view returns (uint256) {
        return block.basefee;
    }

    function decimals() external pure returns (uint256) {
        return DECIMALS;
    }

    function overhead() external pure returns (uint256) {
        revert DeprecatedSinceEcotone();
    }

    function scalar() external pure returns (uint256) {
        revert DeprecatedSinceEcotone();
    }

    function isEcotone() external pure returns (bool) {
        return true;
    }

    function isFjord() external pure returns (bool) {
        return true;
    }

    function isIsthmus() external pure returns (bool) {
        return true;
    }

    function isJovian() external pure returns (bool) {
        return false;
    }

    function version() external pure returns (string memory) {
        return "1.5.0-openledger.1";
    }

    function _fee(uint256 fastLzSize) private view returns (uint256) {
        uint256 feeScaled = 16 * uint256(L1_BLOCK.baseFeeScalar()) * L1_BLOCK.basefee()
            + uint256(L1_BLOCK.blobBaseFeeScalar()) * L1_BLOCK.blobBaseFee();
        return (_sizeScaled(fastLzSize) * feeScaled) / 1e12;
    }

    /// Estimated bytes in a batch, parts of 1e6.
    function _sizeScaled(uint256 fastLzSize) private pure returns (uint256) {
        uint256 linear = COST_PER_BYTE * fastLzSize;
        return linear < MIN_SIZE_SCALED + COST_INTERCEPT ? MIN_SIZE_SCALED : linear - COST_INTERCEPT;
    }
}
