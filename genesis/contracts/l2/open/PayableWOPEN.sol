// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC3009} from "./ERC3009.sol";
import {WrappedOPEN} from "./WrappedOPEN.sol";

/// @title Wrapped OPEN
/// @notice At the OP Stack's address of wrapped native coin, with both ways of paying by signature: EIP-2612
/// (`permit`) and EIP-3009, which x402 pays by.
contract PayableWOPEN is WrappedOPEN, ERC3009 {
    constructor() ERC20("Wrapped OPEN", "WOPEN") ERC20Permit("Wrapped OPEN") {}
}
