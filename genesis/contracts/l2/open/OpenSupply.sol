// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title OpenSupply
/// @notice How much OPEN is in circulation at a time: the fixed supply less what the vesting wallets on L1 still
/// lock. The schedule is published and cannot change, so this is a function of time alone, and a quorum over it
/// can be computed for any moment, past or future.
///
///     community and ecosystem  61.71 %   linear over 48 months
///     investors                18.29 %   nothing for 12 months, then linear over 36
///     team                     15.00 %   nothing for 12 months, then linear over 36
///     liquidity                 5.00 %   at once
///
/// The wallets (OpenZeppelin's VestingWallet) are deployed with the token, by the same numbers.
contract OpenSupply {
    uint256 public constant SUPPLY = 1_000_000_000e18;
    /// @notice A twelfth of 365 days.
    uint256 public constant MONTH = 2_628_000;
    uint256 public constant CLIFF = 12 * MONTH;
    uint256 public constant COMMUNITY = 617_100_000e18;
    uint256 public constant INVESTORS = 182_900_000e18;
    uint256 public constant TEAM = 150_000_000e18;
    uint256 public constant LIQUIDITY = 50_000_000e18;

    /// @notice When vesting began, seconds; 0 when nothing of this token vests.
    uint256 public immutable vestingStart;

    constructor(uint256 vestingStart_) {
        vestingStart = vestingStart_;
    }

    function circulatingAt(uint256 timestamp) public view returns (uint256) {
        return SUPPLY - lockedAt(timestamp);
    }

    /// @notice What has not vested yet; released or not makes no difference.
    function lockedAt(uint256 timestamp) public view returns (uint256) {
        if (vestingStart == 0) return 0;
        uint256 afterCliff = vestingStart + CLIFF;
        return _locked(COMMUNITY, vestingStart, 48 * MONTH, timestamp)
            + _locked(INVESTORS, afterCliff, 36 * MONTH, timestamp)
            + _locked(TEAM, afterCliff, 36 * MONTH, timestamp);
    }

    function circulating() external view returns (uint256) {
        return circulatingAt(block.timestamp);
    }

    /// Rounded as VestingWallet rounds what has vested.
    function _locked(uint256 amount, uint256 start, uint256 duration, uint256 timestamp)
        private
        pure
        returns (uint256)
    {
        if (timestamp < start) return amount;
        if (timestamp >= start + duration) return 0;
        return amount - (amount * (timestamp - start)) / duration;
    }
}
