// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Predeploys} from "../Predeploys.sol";

/// @title PrecompileGas
/// @notice What the chain's own precompiles cost, in per cent of the prices of the protocol's specification, by vote.
/// The machine reads the storage itself: the slot of a precompile is its address. So this is chain state, the same
/// for whoever executes a block, and holds from the next call on.
contract PrecompileGas {
    event PercentSet(address indexed precompile, uint256 percent);

    error NotTimelock(address caller);
    error NotOurs(address precompile);
    error PercentOutOfBounds(uint256 percent);

    /// @notice Not below half: prices are measured on the slowest allowed verifier.
    uint256 public constant PERCENT_MIN = 50;
    uint256 public constant PERCENT_MAX = 2_000;
    uint256 public constant PERCENT_DEFAULT = 100;
    uint160 private constant FIRST = 0x0a01;
    uint160 private constant LAST = 0x0aff;

    function setPercent(address precompile, uint256 percent) external {
        if (msg.sender != Predeploys.OPEN_TIMELOCK) revert NotTimelock(msg.sender);
        if (uint160(precompile) < FIRST || uint160(precompile) > LAST) revert NotOurs(precompile);
        if (percent < PERCENT_MIN || percent > PERCENT_MAX) revert PercentOutOfBounds(percent);
        assembly ("memory-safe") {
            sstore(precompile, percent)
        }
        emit PercentSet(precompile, percent);
    }

    function percentOf(address precompile) external view returns (uint256 percent) {
        assembly ("memory-safe") {
            percent := sload(precompile)
        }
        if (percent == 0) percent = PERCENT_DEFAULT;
    }
}
