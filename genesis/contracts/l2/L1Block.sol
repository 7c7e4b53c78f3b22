// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title L1Block
/// @notice What the L2 knows of its L1 origin. The first transaction of every block, sent by an account
/// without a key, writes it (OP Stack, Isthmus form). Storage layout is part of the protocol: the fee
/// code of the node reads these slots.
contract L1Block {
    /// @notice Only the L1 attributes deposit may write here.
    error NotDepositor();

    address public constant DEPOSITOR_ACCOUNT = 0xDeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001;

    uint64 public number; // slot 0, byte 0
    uint64 public timestamp; // slot 0, byte 8
    uint256 public basefee; // slot 1
    bytes32 public hash; // slot 2
    uint64 public sequenceNumber; // slot 3, byte 0
    uint32 public blobBaseFeeScalar; // slot 3, byte 8
    uint32 public baseFeeScalar; // slot 3, byte 12
    bytes32 public batcherHash; // slot 4
    uint256 public l1FeeOverhead; // slot 5, unused since Ecotone
    uint256 public l1FeeScalar; // slot 6, unused since Ecotone
    uint256 public blobBaseFee; // slot 7
    uint64 public operatorFeeConstant; // slot 8, byte 0
    uint32 public operatorFeeScalar; // slot 8, byte 8
    uint16 public daFootprintGasScalar; // slot 8, byte 12; used from Jovian on
    address private _gasToken; // slot 9, set in the genesis alloc: OPEN on L1

    /// @notice Packed calldata, 176 bytes big-endian: selector 4, baseFeeScalar 4, blobBaseFeeScalar 4,
    /// sequenceNumber 8, L1 timestamp 8, L1 number 8, L1 base fee 32, blob base fee 32, L1 hash 32,
    /// batcher hash 32, operatorFeeScalar 4, operatorFeeConstant 8.
    function setL1BlockValuesIsthmus() external {
        if (msg.sender != DEPOSITOR_ACCOUNT) revert NotDepositor();
        bytes calldata packed = msg.data;
        baseFeeScalar = uint32(bytes4(packed[4:8]));
        blobBaseFeeScalar = uint32(bytes4(packed[8:12]));
        sequenceNumber = uint64(bytes8(packed[12:20]));
        timestamp = uint64(bytes8(packed[20:28]));
        number = uint64(bytes8(packed[28:36]));
        basefee = uint256(bytes32(packed[36:68]));
        blobBaseFee = uint256(bytes32(packed[68:100]));
        hash = bytes32(packed[100:132]);
        batcherHash = bytes32(packed[132:164]);
        operatorFeeScalar = uint32(bytes4(packed[164:168]));
        operatorFeeConstant = uint64(bytes8(packed[168:176]));
    }

    function gasPayingToken() external view returns (address addr, uint8 decimals) {
        return (_gasToken, 18);
    }

    function gasPayingTokenName() external pure returns (string memory) {
        return "OpenLedger";
    }

    function gasPayingTokenSymbol() external pure returns (string memory) {
        return "OPEN";
    }

    function isCustomGasToken() external pure returns (bool) {
        return true;
    }

    function version() external pure returns (string memory) {
        return "1.6.0-openledger.1";
    }
}
