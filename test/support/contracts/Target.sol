// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

interface IPortal {
    struct WithdrawalTransaction {
        uint256 nonce;
        address sender;
        address target;
        uint256 value;
        uint256 gasLimit;
        bytes data;
    }

    function l2Sender() external view returns (address);
    function finalizeWithdrawalTransactionExternalProof(WithdrawalTransaction calldata, address)
        external;
}

/// @notice What a withdrawal may call: a good receiver and several bad ones.
contract Target {
    address public sender;
    uint256 public gasSeen;
    bool public reentered;

    function receiveMessage() external {
        sender = IPortal(msg.sender).l2Sender();
        gasSeen = gasleft();
    }

    function fail() external pure {
        revert("no");
    }

    function burnAllGas() external pure {
        while (true) {}
    }

    /// Returns a megabyte.
    function returnBomb() external pure {
        assembly {
            return(0, 1000000)
        }
    }

    /// Finalizes another withdrawal from within.
    function reenter(IPortal.WithdrawalTransaction calldata other, address submitter) external {
        try IPortal(msg.sender).finalizeWithdrawalTransactionExternalProof(other, submitter) {
            reentered = true;
        } catch {}
    }
}
