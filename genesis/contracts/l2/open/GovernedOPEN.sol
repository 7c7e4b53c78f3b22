// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {WrappedOPEN} from "./WrappedOPEN.sol";

/// @title Governed OPEN
/// @notice Native OPEN wrapped 1:1 so that it votes (ERC-5805). Only delegated votes count; delegate to oneself
/// to vote oneself. The clock is the timestamp (ERC-6372): blocks may change their pace, time does not.
contract GovernedOPEN is WrappedOPEN, ERC20Votes {
    constructor() ERC20("Governed OPEN", "gOPEN") ERC20Permit("Governed OPEN") {}

    function clock() public view override returns (uint48) {
        return uint48(block.timestamp);
    }

    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }
}
