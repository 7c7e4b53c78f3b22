// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Eip712} from "./Eip712.sol";
import {Predeploys} from "./Predeploys.sol";
import {RewardDistributor} from "./RewardDistributor.sol";

/// @title InferenceEscrow
/// @notice Prepaid balances for inference. A payer signs cumulative vouchers, "this provider may have
/// charged me `cumulative` wei in all": a newer voucher replaces an older one and showing one twice
/// charges nothing twice. Taking money out waits `WITHDRAWAL_DELAY_SECONDS`, during which providers can
/// still settle what they answered.
contract InferenceEscrow is Eip712 {
    event Deposited(address indexed payer, address indexed from, uint256 amount);
    event WithdrawalRequested(address indexed payer, uint256 amount, uint256 availableAt);
    event Withdrawn(address indexed payer, uint256 amount);
    event Charged(
        address indexed payer, address indexed provider, uint256 fee, uint256 chargedInAll
    );

    error NotReceiptRegistry(address caller);
    error BadVoucherSignature(address payer);
    /// @notice The voucher's cap would be passed.
    error VoucherExceeded(uint256 cumulative, uint256 needed);
    error InsufficientBalance(address payer, uint256 balance, uint256 needed);
    error NoWithdrawalRequested();
    /// @notice Ready from this time on, seconds.
    error WithdrawalNotReady(uint256 availableAt);
    error TransferFailed();

    struct Withdrawal {
        uint256 amount;
        uint256 availableAt;
    }

    uint256 public constant WITHDRAWAL_DELAY_SECONDS = 1 hours;
    bytes32 public constant VOUCHER_TYPEHASH =
        keccak256("Voucher(address payer,address provider,uint256 cumulative)");

    mapping(address payer => uint256 wei_) public balanceOf; // slot 0
    mapping(address payer => mapping(address provider => uint256 wei_)) public charged; // slot 1
    mapping(address payer => Withdrawal) public withdrawalOf; // slot 2

    function deposit() external payable {
        _deposit(msg.sender);
    }

    function depositFor(address payer) external payable {
        _deposit(payer);
    }

    /// @notice Starts (or restarts, with a new amount) the delay.
    function requestWithdrawal(uint256 amount) external {
        if (amount > balanceOf[msg.sender]) {
            revert InsufficientBalance(msg.sender, balanceOf[msg.sender], amount);
        }
        uint256 availableAt = block.timestamp + WITHDRAWAL_DELAY_SECONDS;
        withdrawalOf[msg.sender] = Withdrawal(amount, availableAt);
        emit WithdrawalRequested(msg.sender, amount, availableAt);
    }

    /// @notice Pays out what was requested, or what charges have left of it.
    function executeWithdrawal() external returns (uint256 amount) {
        Withdrawal memory request = withdrawalOf[msg.sender];
        if (request.availableAt == 0) revert NoWithdrawalRequested();
        if (block.timestamp < request.availableAt) revert WithdrawalNotReady(request.availableAt);
        uint256 balance = balanceOf[msg.sender];
        amount = request.amount < balance ? request.amount : balance;
        delete withdrawalOf[msg.sender];
        balanceOf[msg.sender] = balance - amount;
        emit Withdrawn(msg.sender, amount);
        (bool ok,) = msg.sender.call{value: amount}("");
        if (!ok) revert TransferFailed();
    }

    /// @notice Moves one receipt's fee to the distributor, within what the payer signed for.
    /// @param signature of the payer: 65 bytes, or what its ERC-1271 contract accepts
    function charge(
        address payer,
        address provider,
        uint256 cumulative,
        bytes calldata signature,
        uint256 fee
    ) external {
        if (msg.sender != Predeploys.RECEIPT_REGISTRY) revert NotReceiptRegistry(msg.sender);
        uint256 inAll = charged[payer][provider] + fee;
        if (inAll > cumulative) revert VoucherExceeded(cumulative, inAll);
        uint256 balance = balanceOf[payer];
        if (balance < fee) revert InsufficientBalance(payer, balance, fee);
        bytes32 digest = voucherHash(payer, provider, cumulative);
        if (!SignatureChecker.isValidSignatureNowCalldata(payer, digest, signature)) {
            revert BadVoucherSignature(payer);
        }
        charged[payer][provider] = inAll;
        balanceOf[payer] = balance - fee;
        emit Charged(payer, provider, fee, inAll);
        RewardDistributor(Predeploys.REWARD_DISTRIBUTOR).fund{value: fee}();
    }

    /// @notice What the payer signs (EIP-712).
    function voucherHash(address payer, address provider, uint256 cumulative)
        public
        view
        returns (bytes32)
    {
        return _digest(keccak256(abi.encode(VOUCHER_TYPEHASH, payer, provider, cumulative)));
    }

    function _deposit(address payer) private {
        balanceOf[payer] += msg.value;
        emit Deposited(payer, msg.sender, msg.value);
    }
}
