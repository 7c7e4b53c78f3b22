// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {VestingWallet} from "@openzeppelin/contracts/finance/VestingWallet.sol";

/// @title Vesting
/// @notice OpenZeppelin's wallet: what lies in it belongs to its owner linearly over `duration` from `start` on. A cliff
/// before which nothing vests is a later start, as in the published schedule (OpenSupply on L2 counts the same).
contract Vesting is VestingWallet {
    constructor(address beneficiary, uint64 start, uint64 duration) VestingWallet(beneficiary, start, duration) {}
}
