// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title OPEN on L1
/// @notice The whole supply exists from the first block on; there is no way to make more. Locked in
/// the Portal it becomes the native token of the L2. Permit (EIP-2612) lets a holder approve by signature.
contract OpenToken is ERC20, ERC20Permit {
    uint256 public constant SUPPLY = 1_000_000_000e18;

    /// @param holder receives all of it
    constructor(address holder) ERC20("OpenLedger", "OPEN") ERC20Permit("OpenLedger") {
        _mint(holder, SUPPLY);
    }
}
