// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {AnchorStateRegistry} from "./AnchorStateRegistry.sol";
import {DepositMetering} from "./DepositMetering.sol";
import {PortalWithdrawals} from "./PortalWithdrawals.sol";

/// @title Portal
/// @notice The door between L1 and the L2 (OP Stack, custom gas token). In: locks OPEN and logs
/// `TransactionDeposited`, the one event that L2 derivation reads. Out: PortalWithdrawals. The chain's rule
/// is "locked here = minted there - withdrawn from here", so `balance()` counts only what went through the
/// door. Nobody owns it.
contract Portal is PortalWithdrawals, DepositMetering {
    using SafeERC20 for IERC20;

    /// @notice A deposit. `opaqueData` = mint 32 || value 32 || gasLimit 8 || isCreation 1 || data.
    event TransactionDeposited(
        address indexed from, address indexed to, uint256 indexed version, bytes opaqueData
    );

    /// @notice The native token of the L2 is OPEN: ether cannot be deposited.
    error NoValue();
    /// @notice Less gas than the L2 charges for the transaction's bytes alone.
    error SmallGasLimit();
    /// @notice More than `CALLDATA_BYTES_MAX`: such a deposit could not be gossiped.
    error LargeCalldata();
    /// @notice The token moved another amount than asked for.
    error TransferFailed();

    uint256 public constant CALLDATA_BYTES_MAX = 120_000;
    /// Of a deposit made by sending nothing to the portal.
    uint64 private constant RECEIVE_GAS_LIMIT = 100_000;

    uint256 private constant DEPOSIT_VERSION = 0;
    /// Added to the address of a contract that deposits, so that it cannot pose as its L2 namesake.
    uint160 private constant ALIAS_OFFSET = uint160(0x1111000000000000000000000000000000001111);

    /// @notice OPEN.
    IERC20 public immutable token;

    uint256 private _balance;

    constructor(IERC20 token_, AnchorStateRegistry registry, uint256 maturityDelaySeconds)
        PortalWithdrawals(registry, maturityDelaySeconds)
    {
        token = token_;
    }

    /// @notice Locks `mint` wei of OPEN (approve it first) and sends a transaction to the L2, where
    /// `mint` is minted to the sender and `value` sent along.
    function depositERC20Transaction(
        address to,
        uint256 mint,
        uint256 value,
        uint64 gasLimit,
        bool isCreation,
        bytes calldata data
    ) external {
        uint256 gasBefore = gasleft();
        if (mint != 0) {
            uint256 before = token.balanceOf(address(this));
            _balance += mint;
            token.safeTransferFrom(msg.sender, address(this), mint);
            if (token.balanceOf(address(this)) != before + mint) revert TransferFailed();
        }
        _deposit(gasBefore, to, mint, value, gasLimit, isCreation, data);
    }

    /// @notice Sends a transaction to the L2 that spends OPEN the sender already has there.
    function depositTransaction(
        address to,
        uint256 value,
        uint64 gasLimit,
        bool isCreation,
        bytes calldata data
    ) external payable {
        uint256 gasBefore = gasleft();
        if (msg.value != 0) revert NoValue();
        _deposit(gasBefore, to, 0, value, gasLimit, isCreation, data);
    }

    /// @notice A bare call is a deposit without value to the sender. It brings no ether in: that is no money on the L2.
    receive() external payable {
        uint256 gasBefore = gasleft();
        if (msg.value != 0) revert NoValue();
        _deposit(gasBefore, msg.sender, 0, 0, RECEIVE_GAS_LIMIT, false, "");
    }

    /// @notice Takes ether and deposits nothing. Nobody can take it out again.
    function donateETH() external payable {}

    /// @notice OPEN locked through deposits; tokens sent here by mistake do not count.
    function balance() external view returns (uint256) {
        return _balance;
    }

    function gasPayingToken() external view returns (address addr, uint8 decimals) {
        return (address(token), 18);
    }

    /// @notice Least `gasLimit` of a deposit with `byteCount` bytes of data: EIP-7623's floor.
    function minimumGasLimit(uint64 byteCount) public pure returns (uint64) {
        return byteCount * 40 + 21_000;
    }

    function version() external pure returns (string memory) {
        return "3.1.0-openledger.2";
    }

    function _unlock(address target, uint256 value) internal override {
        uint256 before = token.balanceOf(address(this));
        _balance -= value;
        token.safeTransfer(target, value);
        if (token.balanceOf(address(this)) != before - value) revert TransferFailed();
    }

    /// As the portal, the token would pay out everything.
    function _isBadTarget(address target) internal view override returns (bool) {
        return target == address(this) || target == address(token);
    }

    function _deposit(
        uint256 gasBefore,
        address to,
        uint256 mint,
        uint256 value,
        uint64 gasLimit,
        bool isCreation,
        bytes memory data
    ) private {
        if (isCreation && to != address(0)) revert BadTarget();
        if (data.length > CALLDATA_BYTES_MAX) revert LargeCalldata();
        if (gasLimit < minimumGasLimit(uint64(data.length))) revert SmallGasLimit();
        address from = msg.sender;
        if (from != tx.origin) {
            unchecked {
                from = address(uint160(from) + ALIAS_OFFSET);
            }
        }
        emit TransactionDeposited(
            from, to, DEPOSIT_VERSION, abi.encodePacked(mint, value, gasLimit, isCreation, data)
        );
        _buy(gasLimit, gasBefore);
    }
}
