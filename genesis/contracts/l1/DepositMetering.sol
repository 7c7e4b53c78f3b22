// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title DepositMetering
/// @notice Deposits bypass the L2 fee market, so the L2 gas that one L1 block can force onto the L2 is bounded, and
/// bought at a price of its own that follows demand as EIP-1559's does (OP Stack specs: guaranteed gas market).
/// It is paid by burning L1 gas: what the deposit spends anyway counts, so a small one in quiet times pays nothing more.
abstract contract DepositMetering {
    /// @notice The deposits of this L1 block already ask for `DEPOSIT_GAS_PER_BLOCK_MAX`; try the next one.
    error OutOfGas();

    /// @notice One storage word. `prevBaseFee` is wei per L2 gas, and holds for L1 block `prevBlockNum`.
    struct ResourceParams {
        uint128 prevBaseFee;
        uint64 prevBoughtGas;
        uint64 prevBlockNum;
    }

    /// @notice L2 gas that the deposits of one L1 block may ask for in all.
    uint64 public constant DEPOSIT_GAS_PER_BLOCK_MAX = 20_000_000;
    /// Above a tenth of the most the price rises, below it falls.
    uint64 private constant TARGET = DEPOSIT_GAS_PER_BLOCK_MAX / 10;
    uint256 private constant CHANGE_DENOMINATOR = 8;
    uint256 private constant BASE_FEE_MIN = 1 gwei;

    ResourceParams public params;

    constructor() {
        params = ResourceParams(uint128(BASE_FEE_MIN), 0, uint64(block.number));
    }

    /// @param amount L2 gas bought
    /// @param gasBefore `gasleft()` where the deposit began
    function _buy(uint64 amount, uint256 gasBefore) internal {
        ResourceParams memory p = params;
        if (p.prevBlockNum != block.number) {
            p.prevBaseFee = uint128(_nextBaseFee(p, block.number - p.prevBlockNum));
            p.prevBoughtGas = 0;
            p.prevBlockNum = uint64(block.number);
        }
        if (amount > DEPOSIT_GAS_PER_BLOCK_MAX - p.prevBoughtGas) revert OutOfGas();
        p.prevBoughtGas += amount;
        params = p;
        // On an L1 whose gas is nearly free a wei price would burn without end.
        uint256 l1BaseFee = block.basefee > 1 gwei ? block.basefee : 1 gwei;
        uint256 cost = uint256(amount) * p.prevBaseFee / l1BaseFee;
        while (gasBefore - gasleft() < cost) {}
    }

    /// One step for the gas bought in the last block that had deposits, and one down for each that had none.
    function _nextBaseFee(ResourceParams memory p, uint256 blocks) private pure returns (uint256 fee) {
        fee = p.prevBaseFee;
        if (p.prevBoughtGas > TARGET) {
            fee += fee * (p.prevBoughtGas - TARGET) / TARGET / CHANGE_DENOMINATOR;
            if (fee > type(uint128).max) fee = type(uint128).max;
        } else {
            fee -= fee * (TARGET - p.prevBoughtGas) / TARGET / CHANGE_DENOMINATOR;
        }
        // At most some 460 rounds, from the highest price to the lowest.
        for (uint256 i = 1; i < blocks && fee > BASE_FEE_MIN; i++) {
            fee -= fee / CHANGE_DENOMINATOR;
        }
        if (fee < BASE_FEE_MIN) fee = BASE_FEE_MIN;
    }
}
