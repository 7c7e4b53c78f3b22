// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Predeploys} from "../Predeploys.sol";
import {SplitPolicy} from "../SplitPolicy.sol";
import {Staking} from "../open/Staking.sol";
import {IdentityRegistry} from "./IdentityRegistry.sol";

/// @title AgentBonds
/// @notice OPEN that stands behind an agent's promises. It belongs to the agent: who owns the agent owns the bond,
/// also after a sale. Taking it out waits as long as Staking's unbonding, during which it can still be slashed.
/// Slashed it is by governance, its slashers (Staking keeps the list) or the arbiter, always with the hash of a
/// verdict; bonded and leaving wei are both within reach. The contract holds exactly `totalHeld`.
contract AgentBonds {
    struct Bond {
        uint128 bonded;
        uint128 leaving;
        /// Seconds; when `leaving` can be taken out.
        uint64 availableAt;
    }

    event Bonded(uint256 indexed agentId, address indexed from, uint256 amount);
    event ExitRequested(uint256 indexed agentId, uint256 amount, uint256 availableAt);
    event Withdrawn(uint256 indexed agentId, address indexed to, uint256 amount);
    event Slashed(uint256 indexed agentId, uint256 amount, address indexed beneficiary, bytes32 indexed verdict);

    error NotOwner(uint256 agentId, address caller);
    error NotSlasher(address caller);
    error AmountOutOfBounds(uint256 amount, uint256 available);
    error NotYetAvailable(uint256 availableAt);
    error NoVerdict();
    error TransferFailed();

    IdentityRegistry private constant IDENTITY = IdentityRegistry(Predeploys.IDENTITY_REGISTRY);
    Staking private constant STAKING = Staking(payable(Predeploys.STAKING));

    mapping(uint256 agentId => Bond) public bondOf; // slot 0
    uint256 public totalHeld; // slot 1

    /// @notice Adds to an agent's bond; anyone may, and it is the agent's from then on.
    function bond(uint256 agentId) external payable {
        IDENTITY.ownerOf(agentId);
        if (msg.value == 0 || msg.value > type(uint96).max) revert AmountOutOfBounds(msg.value, type(uint96).max);
        bondOf[agentId].bonded += uint128(msg.value);
        totalHeld += msg.value;
        emit Bonded(agentId, msg.sender, msg.value);
    }

    /// @notice Starts to take out; asked again while some is leaving, all of it waits anew.
    function requestExit(uint256 agentId, uint128 amount) external {
        _onlyOwner(agentId);
        Bond storage b = bondOf[agentId];
        if (amount == 0 || amount > b.bonded) revert AmountOutOfBounds(amount, b.bonded);
        b.bonded -= amount;
        b.leaving += amount;
        b.availableAt = uint64(block.timestamp + STAKING.unbondingSeconds());
        emit ExitRequested(agentId, amount, b.availableAt);
    }

    function withdraw(uint256 agentId) external returns (uint256 amount) {
        _onlyOwner(agentId);
        Bond storage b = bondOf[agentId];
        amount = b.leaving;
        if (amount == 0) revert AmountOutOfBounds(0, 0);
        if (block.timestamp < b.availableAt) revert NotYetAvailable(b.availableAt);
        b.leaving = 0;
        totalHeld -= amount;
        emit Withdrawn(agentId, msg.sender, amount);
        _send(msg.sender, amount);
    }

    /// @param verdict what it was found guilty by: the hash of a receipt, a request, a proposal
    function slash(uint256 agentId, uint128 amount, address beneficiary, bytes32 verdict) external {
        bool isSlasher = msg.sender == Predeploys.OPEN_TIMELOCK || STAKING.isSlasher(msg.sender)
            || msg.sender == SplitPolicy(Predeploys.SPLIT_POLICY).arbiter();
        if (!isSlasher) revert NotSlasher(msg.sender);
        if (verdict == 0) revert NoVerdict();
        Bond storage b = bondOf[agentId];
        uint256 available = uint256(b.bonded) + b.leaving;
        if (amount == 0 || amount > available) revert AmountOutOfBounds(amount, available);
        uint128 fromBonded = amount < b.bonded ? amount : b.bonded;
        b.bonded -= fromBonded;
        b.leaving -= amount - fromBonded;
        totalHeld -= amount;
        emit Slashed(agentId, amount, beneficiary, verdict);
        _send(beneficiary, amount);
    }

    function _onlyOwner(uint256 agentId) private view {
        if (IDENTITY.ownerOf(agentId) != msg.sender) revert NotOwner(agentId, msg.sender);
    }

    function _send(address to, uint256 amount) private {
        (bool ok,) = to.call{value: amount}("");
        if (!ok) revert TransferFailed();
    }
}
