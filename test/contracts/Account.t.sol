// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AgentAccount} from "genesis/contracts/l2/agents/AgentAccount.sol";
import {AgentAccounts} from "genesis/contracts/l2/agents/AgentAccounts.sol";
import {PayableWOPEN} from "genesis/contracts/l2/open/PayableWOPEN.sol";
import {Predeploys} from "genesis/contracts/l2/Predeploys.sol";
import {Genesis} from "./Genesis.sol";

/// @notice A key that tries to spend in every way it has been allowed, while time passes and caps change.
contract AccountHandler is Genesis {
    PayableWOPEN private constant WOPEN = PayableWOPEN(payable(0x4200000000000000000000000000000000000006));
    address private constant PAYEE = address(0x9a9ee);
    uint64 private constant PERIOD = 1_000;
    uint128 private constant ACTION = 3 ether;
    uint128 private constant IN_PERIOD = 5 ether;
    AgentAccount public account;
    uint256 public spent;
    /// A key has spent what it may not, or a stranger has.
    bool public broken;
    mapping(uint256 period => uint256) public spentIn;

    constructor() {
        _fundPeople();
        account = AgentAccount(payable(AgentAccounts(Predeploys.AGENT_ACCOUNTS).create(address(this), 0)));
        vm.deal(address(account), 1_000 ether);
        account.executeAsOwner(address(WOPEN), 500 ether, abi.encodeWithSelector(WOPEN.deposit.selector));
        address key = _who(0);
        account.setKey(key, type(uint64).max, 10);
        account.allow(key, PAYEE, bytes4(0), true);
        account.allow(key, address(WOPEN), WOPEN.transfer.selector, true);
        account.setCap(key, address(0), ACTION, IN_PERIOD, PERIOD, 2 ether);
    }

    function pay(uint256 amount, bool wrapped) external {
        amount = bound(amount, 0, 4 ether);
        (address to, uint256 value, bytes memory data) = _payment(amount, wrapped);
        vm.prank(_who(0));
        account.execute(to, value, data);
        if (amount > 2 ether) broken = true;
        _count(amount);
    }

    function propose(uint256 amount, bool wrapped, uint256 wait) external {
        amount = bound(amount, 0, 4 ether);
        (address to, uint256 value, bytes memory data) = _payment(amount, wrapped);
        vm.prank(_who(0));
        uint64 id = account.propose(to, value, data);
        vm.warp(block.timestamp + bound(wait, 0, 30));
        vm.prank(_who(0));
        account.executeProposed(id, to, value, data);
        _count(amount);
    }

    function stranger(uint256 amount) external {
        (address to, uint256 value, bytes memory data) = _payment(bound(amount, 0, 1 ether), false);
        vm.prank(_who(1));
        account.execute(to, value, data);
        broken = true;
    }

    function pass(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 1, 700));
    }

    function left() external view returns (uint256) {
        return address(account).balance + WOPEN.balanceOf(address(account));
    }

    function _payment(uint256 amount, bool wrapped) private pure returns (address, uint256, bytes memory) {
        if (!wrapped) return (PAYEE, amount, "");
        return (address(WOPEN), 0, abi.encodeWithSelector(WOPEN.transfer.selector, PAYEE, amount));
    }

    function _count(uint256 amount) private {
        if (amount > ACTION) broken = true;
        spent += amount;
        spentIn[block.timestamp / PERIOD] += amount;
        if (spentIn[block.timestamp / PERIOD] > IN_PERIOD) broken = true;
    }
}

contract AccountTest is Genesis {
    AccountHandler private handler;

    function setUp() external {
        _genesis();
        handler = new AccountHandler();
    }

    function targetContracts() external view returns (address[] memory) {
        return _only(address(handler));
    }

    /// What left the account is what its key spent within its caps.
    function invariant_only_what_caps_allow_leaves() external view {
        require(!handler.broken(), "a cap was passed");
        assertEq(handler.left(), 1_000 ether - handler.spent(), "left");
    }
}
