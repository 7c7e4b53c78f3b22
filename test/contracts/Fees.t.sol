// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {InferenceEscrow} from "genesis/contracts/l2/InferenceEscrow.sol";
import {Predeploys} from "genesis/contracts/l2/Predeploys.sol";
import {ReceiptRegistry} from "genesis/contracts/l2/ReceiptRegistry.sol";
import {RewardDistributor} from "genesis/contracts/l2/RewardDistributor.sol";
import {Genesis} from "./Genesis.sol";

/// @notice A fee's way, in any order: prepaid, charged by the payer's signed voucher, accrued, reported, resolved,
/// claimed, withdrawn. ReceiptRegistry's `settle` needs ATTRIBUTE, so its last two calls (charge, accrue) are made in
/// its name, with a split the fuzzer picks, and what it would remember is written to its storage; all else is called as
/// anybody does.
contract FeesHandler is Genesis {
    InferenceEscrow public constant ESCROW = InferenceEscrow(Predeploys.INFERENCE_ESCROW);
    RewardDistributor public constant REWARDS = RewardDistributor(Predeploys.REWARD_DISTRIBUTOR);
    ReceiptRegistry public constant RECEIPTS = ReceiptRegistry(Predeploys.RECEIPT_REGISTRY);
    uint256 private constant PAYEES = 5;

    struct Receipt {
        bytes32 hash;
        address payer;
        address[] accounts;
        uint256[] amounts;
        bool isReported;
        bool isResolved;
    }

    Receipt[] private _receipts;
    mapping(uint256 payer => mapping(uint256 provider => uint256)) private _signed;
    uint256 public openReports;

    constructor() {
        _fundPeople();
    }

    function deposit(uint256 who, uint256 payer, uint256 amount) external {
        vm.prank(_who(who));
        ESCROW.depositFor{value: bound(amount, 0, 1e24)}(_who(payer));
    }

    function requestWithdrawal(uint256 who, uint256 amount) external {
        vm.prank(_who(who));
        ESCROW.requestWithdrawal(bound(amount, 0, ESCROW.balanceOf(_who(who))));
    }

    function executeWithdrawal(uint256 who) external {
        vm.prank(_who(who));
        ESCROW.executeWithdrawal();
    }

    function settle(uint256 payer, uint256 provider, uint256 fee, uint256[4] calldata cuts) external {
        fee = bound(fee, 0, ESCROW.balanceOf(_who(payer)));
        uint256 cumulative = _signed[payer % PEOPLE][provider % PEOPLE] + fee;
        bytes32 digest = ESCROW.voucherHash(_who(payer), _who(provider), cumulative);
        InferenceEscrow.Voucher memory voucher =
            InferenceEscrow.Voucher(_who(payer), address(0), _who(provider), cumulative, _sign(payer, digest));
        vm.prank(address(RECEIPTS));
        ESCROW.charge(voucher, bytes32("model"), fee);
        _signed[payer % PEOPLE][provider % PEOPLE] = cumulative;
        _book(_who(payer), fee, cuts);
    }

    function report(uint256 index) external {
        Receipt storage r = _receipts[index % _receipts.length];
        vm.prank(_who(index));
        RECEIPTS.report{value: 1 ether}(r.hash, r.payer, r.accounts, r.amounts, "tokens", "1 is not 2");
        r.isReported = true;
        ++openReports;
    }

    function resolve(uint256 index, bool upheld) external {
        Receipt storage r = _receipts[index % _receipts.length];
        vm.prank(OPERATOR);
        RECEIPTS.resolve(r.hash, r.payer, r.accounts, r.amounts, upheld);
        r.isResolved = true;
        --openReports;
    }

    function claim(uint256 who, uint256 back) external {
        uint256[] memory epochs = new uint256[](1);
        epochs[0] = REWARDS.currentEpoch() - bound(back, 0, 8);
        REWARDS.claimFor(_payee(who), epochs);
    }

    function pass(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 1, 4_000));
    }

    function prepaid() external view returns (uint256 sum) {
        for (uint256 i = 0; i < PEOPLE; ++i) sum += ESCROW.balanceOf(_who(i));
    }

    function pending() external view returns (uint256 sum) {
        for (uint256 i = 0; i < PAYEES; ++i) sum += REWARDS.pending(_payee(i));
    }

    function _book(address payer, uint256 fee, uint256[4] calldata cuts) private {
        Receipt storage r = _receipts.push();
        r.hash = keccak256(abi.encode(_receipts.length));
        r.payer = payer;
        uint256 left = fee;
        for (uint256 i = 0; i < PAYEES; ++i) {
            uint256 part = i == PAYEES - 1 ? left : bound(cuts[i], 0, left);
            r.accounts.push(_payee(i));
            r.amounts.push(part);
            left -= part;
        }
        address[] memory accounts = r.accounts;
        uint256[] memory amounts = r.amounts;
        vm.prank(address(RECEIPTS));
        REWARDS.accrue(accounts, amounts);
        vm.store(address(RECEIPTS), keccak256(abi.encode(r.hash, 0)), bytes32(block.timestamp));
        vm.store(address(RECEIPTS), keccak256(abi.encode(r.hash, 2)), keccak256(abi.encode(payer, accounts, amounts)));
    }

    function _payee(uint256 i) private pure returns (address) {
        return address(uint160(0xbeef00 + i % PAYEES));
    }
}

contract FeesTest is Genesis {
    FeesHandler private handler;

    function setUp() external {
        _genesis();
        handler = new FeesHandler();
    }

    function targetContracts() external view returns (address[] memory) {
        return _only(address(handler));
    }

    /// Prepaid money is there to the wei.
    function invariant_escrow_holds_what_is_prepaid() external view {
        assertEq(address(handler.ESCROW()).balance, handler.prepaid(), "escrow");
    }

    /// What was charged and not claimed is there, whoever reported what.
    function invariant_rewards_are_covered() external view {
        RewardDistributor r = handler.REWARDS();
        assertEq(address(r).balance, r.totalAccrued() - r.totalClaimed() + r.totalHeld(), "distributor");
        assertEq(r.totalAccrued() - r.totalClaimed(), handler.pending(), "pending");
        assertEq(r.unaccrued(), 0, "unaccrued");
    }

    /// One bond lies with the registry for each report that is open.
    function invariant_reports_are_bonded() external view {
        assertEq(address(handler.RECEIPTS()).balance, handler.openReports() * 1 ether, "bonds");
    }

    /// A voucher charges up to what was signed and no more, whatever the fee.
    function testFuzz_a_charge_stays_within_its_voucher(uint96 prepaid, uint96 signed, uint96 fee) external {
        InferenceEscrow escrow = handler.ESCROW();
        address payer = _who(0);
        vm.deal(payer, prepaid);
        vm.prank(payer);
        escrow.deposit{value: prepaid}();
        bytes memory signature = _sign(0, escrow.voucherHash(payer, _who(1), signed));
        vm.prank(Predeploys.RECEIPT_REGISTRY);
        try escrow.charge(InferenceEscrow.Voucher(payer, address(0), _who(1), signed, signature), 0, fee) {
            require(fee <= signed && fee <= prepaid, "charged too much");
            assertEq(escrow.balanceOf(payer), prepaid - fee, "left");
        } catch {
            require(fee > signed || fee > prepaid, "refused a good charge");
        }
    }
}
