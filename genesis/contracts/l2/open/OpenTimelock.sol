// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Predeploys} from "../Predeploys.sol";

/// @title OpenTimelock
/// @notice What a passed proposal acts as, after a delay in which whoever disagrees can leave: the delay can be
/// made longer but never shorter than a withdrawal to L1 takes. Only the Governor may queue and cancel, anybody
/// may execute, and there is no administrator beside the timelock itself.
contract OpenTimelock is TimelockController {
    /// @notice Seconds.
    error DelayBelowExitWindow(uint256 delay, uint256 exitWindow);

    /// @notice What the delay may not go below, seconds.
    uint256 public immutable exitWindow;

    constructor(uint256 exitWindow_)
        TimelockController(exitWindow_, _only(Predeploys.OPEN_GOVERNOR), _only(address(0)), address(0))
    {
        exitWindow = exitWindow_;
    }

    function updateDelay(uint256 newDelay) public override {
        if (newDelay < exitWindow) revert DelayBelowExitWindow(newDelay, exitWindow);
        super.updateDelay(newDelay);
    }

    function _only(address account) private pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = account;
    }
}
