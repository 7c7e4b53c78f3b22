// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {GovernorCountingSimple} from "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import {GovernorSettings} from "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import {GovernorTimelockControl} from "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {GovernorVotes} from "@openzeppelin/contracts/governance/extensions/GovernorVotes.sol";
import {GovernorVotesQuorumFraction} from "@openzeppelin/contracts/governance/extensions/GovernorVotesQuorumFraction.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {OpenSupply} from "./OpenSupply.sol";
import {Predeploys} from "../Predeploys.sol";

/// @title OpenGovernor
/// @notice Proposals by holders of GovernedOPEN, decided by their votes, carried out by OpenTimelock.
///
///     propose -> (delay) vote -> (period) queue -> (exit window) execute
///
/// Votes count as they were when voting began, so what is borrowed for one transaction decides nothing. The
/// quorum is a part of all OPEN in circulation at that moment, wrapped or not: a few who wrapped a little cannot
/// pass what nobody saw. One proposal at a time for each proposer.
contract OpenGovernor is
    GovernorSettings,
    GovernorCountingSimple,
    GovernorVotesQuorumFraction,
    GovernorTimelockControl
{
    /// @notice Of genesis; proposals may change each of them. Seconds, wei, per cent.
    struct Settings {
        uint48 votingDelay;
        uint32 votingPeriod;
        uint256 proposalThreshold;
        uint256 quorumPercent;
    }

    /// @notice Its earlier proposal has not been decided.
    error ProposalUnderWay(address proposer, uint256 proposalId);

    mapping(address proposer => uint256 proposalId) public latestProposalOf;

    constructor(Settings memory settings)
        Governor("OpenLedger Governor")
        GovernorSettings(settings.votingDelay, settings.votingPeriod, settings.proposalThreshold)
        GovernorVotes(IVotes(Predeploys.GOVERNED_OPEN))
        GovernorVotesQuorumFraction(settings.quorumPercent)
        GovernorTimelockControl(TimelockController(payable(Predeploys.OPEN_TIMELOCK)))
    {}

    /// @notice Votes for and abstaining that a proposal needs, wei.
    /// @param timepoint when voting begins, seconds
    function quorum(uint256 timepoint) public view override(Governor, GovernorVotesQuorumFraction) returns (uint256) {
        uint256 circulating = OpenSupply(Predeploys.OPEN_SUPPLY).circulatingAt(timepoint);
        return (circulating * quorumNumerator(timepoint)) / quorumDenominator();
    }

    function _propose(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        address proposer
    ) internal override returns (uint256 proposalId) {
        uint256 latest = latestProposalOf[proposer];
        if (latest != 0) {
            ProposalState latestState = state(latest);
            if (latestState == ProposalState.Pending || latestState == ProposalState.Active) {
                revert ProposalUnderWay(proposer, latest);
            }
        }
        proposalId = super._propose(targets, values, calldatas, description, proposer);
        latestProposalOf[proposer] = proposalId;
    }

    // What follows only says which of two ancestors is meant.

    function proposalThreshold() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.proposalThreshold();
    }

    function state(uint256 proposalId) public view override(Governor, GovernorTimelockControl) returns (ProposalState) {
        return super.state(proposalId);
    }

    function proposalNeedsQueuing(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (bool)
    {
        return super.proposalNeedsQueuing(proposalId);
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _executor() internal view override(Governor, GovernorTimelockControl) returns (address) {
        return super._executor();
    }
}
