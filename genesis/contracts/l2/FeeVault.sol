// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title FeeVault
/// @notice Gathers one kind of chain fee (the code stands at the sequencer, base and L1 fee vaults). The
/// node credits it directly; anyone may send what it holds on to the recipient named in genesis.
contract FeeVault {
    event Withdrawal(address indexed recipient, uint256 value);

    /// @notice Genesis named nobody to receive these fees.
    error NoRecipient();
    /// @notice The recipient did not take the payment.
    error TransferFailed();

    address public recipient; // slot 0, set in the genesis alloc
    uint256 public totalProcessed; // slot 1

    receive() external payable {}

    function withdraw() external {
        if (recipient == address(0)) revert NoRecipient();
        uint256 value = address(this).balance;
        totalProcessed += value;
        emit Withdrawal(recipient, value);
        (bool ok,) = recipient.call{value: value}("");
        if (!ok) revert TransferFailed();
    }
}
