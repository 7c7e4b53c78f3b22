// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {VestingWallet} from "@openzeppelin/contracts/finance/VestingWallet.sol";

/// @title Vesting
/// @notice OpenZeppelin's wallet: what lies in it belongs to its owner linearly over `duration` from `start` on. A cliff
/// before which nothing vests is a later start, as in the published schedule (OpenSupply on L2 counts the same).
///
/// A part of the supply may lie in several wallets, one for each beneficiary. Each vests what its part has vested up to
/// its own end, less what it has up to its beginning: so the wallets of a part always sum to what one wallet would have
/// vested, to the wei, and none is more than a wei from its own straight line.
///
///     |--- wallet 1 ---|------- wallet 2 -------|-- 3 --|     a part of the supply
///                      ^ `before` of wallet 2
contract Vesting is VestingWallet {
    /// @notice wei that the wallets of the same part before this one hold.
    uint256 public immutable before;

    constructor(address beneficiary, uint64 start, uint64 duration, uint256 before_)
        VestingWallet(beneficiary, start, duration)
    {
        before = before_;
    }

    function _vestingSchedule(uint256 totalAllocation, uint64 timestamp) internal view override returns (uint256) {
        return super._vestingSchedule(before + totalAllocation, timestamp) - super._vestingSchedule(before, timestamp);
    }
}
