// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEntryPoint, IPaymaster, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {AgentAccount} from "genesis/contracts/l2/agents/AgentAccount.sol";
import {AgentAccounts} from "genesis/contracts/l2/agents/AgentAccounts.sol";
import {OpenPaymaster} from "genesis/contracts/l2/agents/OpenPaymaster.sol";
import {PayableWOPEN} from "genesis/contracts/l2/open/PayableWOPEN.sol";
import {Predeploys} from "genesis/contracts/l2/Predeploys.sol";
import {Genesis} from "./Genesis.sol";

interface IUserOpHash {
    function getUserOpHash(PackedUserOperation calldata op) external view returns (bytes32);
}

/// @notice Burns what it is given, so that operations cost from next to nothing to all they may.
contract Burner {
    function burn(uint256 gas_) external view {
        uint256 end = gasleft() > gas_ ? gasleft() - gas_ : 0;
        while (gasleft() > end) {}
    }
}

/// @notice User operations through the real EntryPoint, with whatever gas limits: by a sponsor, by tokens; sponsors
/// come, pay in and go, and anyone unwraps and sweeps in between.
contract PaymasterHandler is Genesis {
    OpenPaymaster public constant PAYMASTER = OpenPaymaster(payable(Predeploys.OPEN_PAYMASTER));
    IEntryPoint public constant ENTRY_POINT = IEntryPoint(0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108);
    PayableWOPEN public constant WOPEN = PayableWOPEN(payable(0x4200000000000000000000000000000000000006));
    AgentAccounts private constant ACCOUNTS = AgentAccounts(Predeploys.AGENT_ACCOUNTS);
    Burner private _burner;
    uint256 public bundled;

    constructor() {
        _fundPeople();
        _burner = new Burner();
        for (uint256 i = 0; i < PEOPLE; ++i) {
            address account = ACCOUNTS.create(_who(i), 0);
            vm.prank(_who(i));
            WOPEN.deposit{value: 1e21}();
            vm.prank(_who(i));
            WOPEN.transfer(account, 1e21);
            vm.prank(_who(i));
            AgentAccount(payable(account)).executeAsOwner(
                address(WOPEN), 0, abi.encodeWithSelector(WOPEN.approve.selector, address(PAYMASTER), type(uint256).max)
            );
        }
        vm.prank(_who(0));
        PAYMASTER.open{value: 1e21}(0, OpenPaymaster.Caps(1e21, 1e22, 1e24));
        vm.prank(_who(0));
        PAYMASTER.allow(1, address(_burner), Burner.burn.selector, true);
        vm.prank(_who(0));
        PAYMASTER.allow(1, address(PAYMASTER), PAYMASTER.sweep.selector, true);
    }

    function sponsored(uint256 who, uint256 gas_, uint256 limit, uint256 postOp, uint256 price) external {
        _bundle(who, _bySponsor(), bound(gas_, 0, 400_000), limit, postOp, price);
    }

    /// While it is under way, more is charged than it will cost: up to several times the float.
    function sweptWithin(uint256 who, uint256 price) external {
        bytes memory call = abi.encodeCall(
            AgentAccount.executeAsOwner, (address(PAYMASTER), 0, abi.encodeCall(PAYMASTER.sweep, ()))
        );
        uint128 most = uint128(bound(price, 1e14, 4e14));
        _bundle(who, _bySponsor(), call, 300_000, 90_000, bytes32((uint256(1) << 128) | most));
    }

    function inTokens(uint256 who, uint256 gas_, uint256 limit, uint256 postOp, uint256 price) external {
        _bundle(who, abi.encodePacked(bytes1(0x00)), bound(gas_, 0, 400_000), limit, postOp, price);
    }

    function fund(uint256 amount) external {
        PAYMASTER.fund{value: bound(amount, 0, 1e20)}(1);
    }

    function withdraw(uint256 amount) external {
        uint256 balance = PAYMASTER.sponsorOf(1).balance;
        vm.prank(_who(0));
        PAYMASTER.withdraw(1, payable(address(0xfee)), bound(amount, 0, balance / 4));
    }

    function replenish() external {
        PAYMASTER.replenish();
    }

    function sweep() external {
        PAYMASTER.sweep();
    }

    function pass(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 1, 2 days));
    }

    function _bySponsor() private view returns (bytes memory) {
        return abi.encodePacked(bytes1(0x01), uint256(1), uint32(block.timestamp / 1 days));
    }

    function _bundle(uint256 who, bytes memory data, uint256 burn, uint256 limit, uint256 postOp, uint256 price) private {
        bytes memory call = abi.encodeCall(
            AgentAccount.executeAsOwner, (address(_burner), 0, abi.encodeCall(Burner.burn, (burn)))
        );
        price = bound(price, 1, 1_000 gwei);
        bytes32 fees = bytes32((price << 128) | price);
        _bundle(who, data, call, bound(limit, 0, 1_000_000), bound(postOp, 80_000, 1_000_000), fees);
    }

    function _bundle(uint256 who, bytes memory data, bytes memory call, uint256 limit, uint256 postOp, bytes32 fees)
        private
    {
        PackedUserOperation memory op;
        op.sender = ACCOUNTS.addressOf(_who(who), 0);
        op.nonce = ENTRY_POINT.getNonce(op.sender, 0);
        op.callData = call;
        op.accountGasLimits = bytes32((uint256(300_000) << 128) | limit);
        op.preVerificationGas = 60_000;
        op.gasFees = fees;
        op.paymasterAndData = abi.encodePacked(address(PAYMASTER), uint128(400_000), uint128(postOp), data);
        op.signature = _sign(who, IUserOpHash(address(ENTRY_POINT)).getUserOpHash(op));
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = op;
        vm.prank(address(0xb0d1e), address(0xb0d1e));
        ENTRY_POINT.handleOps(ops, payable(address(0xb0d1e)));
        ++bundled;
    }
}

contract PaymasterTest is Genesis {
    PaymasterHandler private handler;

    function setUp() external {
        _genesis();
        handler = new PaymasterHandler();
    }

    function targetContracts() external view returns (address[] memory) {
        return _only(address(handler));
    }

    /// What sponsors own is there: in EntryPoint, or as tokens that anyone may turn into deposit.
    function invariant_sponsors_are_covered() external view {
        OpenPaymaster p = handler.PAYMASTER();
        uint256 held = handler.ENTRY_POINT().balanceOf(address(p)) + handler.WOPEN().balanceOf(address(p));
        assertLe(p.totalSponsored(), held + address(p).balance, "sponsored");
        assertEq(p.totalSponsored(), p.sponsorOf(1).balance, "books");
    }

    /// What never ran was not tested.
    function afterInvariant() external view {
        assertLe(1, handler.bundled(), "bundles");
    }

    /// Nothing is left hanging between two bundles.
    function invariant_nothing_is_in_flight() external view {
        assertEq(handler.PAYMASTER().tokensInFlight(), 0, "tokens");
    }
}
