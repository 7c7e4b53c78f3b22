// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Predeploys} from "../Predeploys.sol";
import {AgentAccount} from "./AgentAccount.sol";

/// @title AgentAccounts
/// @notice Makes accounts of agents: clones of AgentAccount at addresses that follow from owner and salt, so that
/// one can be paid before it stands. Also a factory in the sense of ERC-4337: asked twice, it gives the same account.
contract AgentAccounts {
    event AccountCreated(address indexed account, address indexed owner, bytes32 salt);

    error ZeroOwner();

    function create(address owner, bytes32 salt) external returns (address account) {
        if (owner == address(0)) revert ZeroOwner();
        account = addressOf(owner, salt);
        if (account.code.length > 0) return account;
        Clones.cloneDeterministic(Predeploys.AGENT_ACCOUNT, _salt(owner, salt));
        AgentAccount(payable(account)).initialize(owner);
        emit AccountCreated(account, owner, salt);
    }

    function addressOf(address owner, bytes32 salt) public view returns (address) {
        return Clones.predictDeterministicAddress(Predeploys.AGENT_ACCOUNT, _salt(owner, salt));
    }

    function _salt(address owner, bytes32 salt) private pure returns (bytes32) {
        return keccak256(abi.encode(owner, salt));
    }
}
