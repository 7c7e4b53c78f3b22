// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AgentBonds} from "genesis/contracts/l2/agents/AgentBonds.sol";
import {IdentityRegistry} from "genesis/contracts/l2/agents/IdentityRegistry.sol";
import {JobRegistry} from "genesis/contracts/l2/JobRegistry.sol";
import {ModelRegistry} from "genesis/contracts/l2/ModelRegistry.sol";
import {ModelFunding} from "genesis/contracts/l2/open/ModelFunding.sol";
import {Predeploys} from "genesis/contracts/l2/Predeploys.sol";
import {Genesis} from "./Genesis.sol";

/// @notice Money that waits for a verdict: agents' bonds, jobs' fees and disputes, grants. ModelRegistry's part of a
/// job is answered for it: its MODEL precompile is not here, and no money goes there.
contract BondsHandler is Genesis {
    AgentBonds public constant BONDS = AgentBonds(Predeploys.AGENT_BONDS);
    JobRegistry public constant JOBS = JobRegistry(Predeploys.JOB_REGISTRY);
    ModelFunding public constant FUNDING = ModelFunding(Predeploys.MODEL_FUNDING);
    IdentityRegistry private constant AGENTS = IdentityRegistry(Predeploys.IDENTITY_REGISTRY);
    uint256 private _jobs;

    constructor() {
        _fundPeople();
        for (uint256 i = 0; i < PEOPLE; ++i) {
            vm.prank(_who(i));
            AGENTS.register();
        }
        bytes4 commit = ModelRegistry.commitManifestFor.selector;
        bytes4 register = ModelRegistry.registerModelFor.selector;
        vm.mockCall(Predeploys.MODEL_REGISTRY, abi.encodePacked(commit), "");
        vm.mockCall(Predeploys.MODEL_REGISTRY, abi.encodePacked(register), abi.encode(bytes32("model")));
    }

    // --- agents

    function bond(uint256 agent, uint256 amount) external {
        BONDS.bond{value: bound(amount, 1, 1e24)}(_agent(agent));
    }

    function exit(uint256 agent, uint256 amount) external {
        (uint128 bonded,,) = BONDS.bondOf(_agent(agent));
        vm.prank(AGENTS.ownerOf(_agent(agent)));
        BONDS.requestExit(_agent(agent), uint128(bound(amount, 1, bonded)));
    }

    function takeOut(uint256 agent) external {
        vm.prank(AGENTS.ownerOf(_agent(agent)));
        BONDS.withdraw(_agent(agent));
    }

    function slash(uint256 agent, uint256 amount) external {
        (uint128 bonded, uint128 leaving,) = BONDS.bondOf(_agent(agent));
        vm.prank(OPERATOR);
        BONDS.slash(_agent(agent), uint128(bound(amount, 1, uint256(bonded) + leaving)), address(0xdead), "verdict");
    }

    function sell(uint256 agent, uint256 to) external {
        address owner = AGENTS.ownerOf(_agent(agent));
        vm.prank(owner);
        AGENTS.transferFrom(owner, _who(to), _agent(agent));
    }

    function bonds() external view returns (uint256 sum) {
        for (uint256 i = 0; i < PEOPLE; ++i) {
            (uint128 bonded, uint128 leaving,) = BONDS.bondOf(_agent(i));
            sum += uint256(bonded) + leaving;
        }
    }

    // --- jobs

    function submit(uint256 who, uint256 fee, uint256 seconds_) external {
        JobRegistry.Terms memory terms;
        terms.manifest.manifestHash = bytes32(++_jobs);
        terms.deadline = uint64(block.timestamp + bound(seconds_, 60, 1 days));
        vm.prank(_who(who));
        JOBS.submit{value: bound(fee, 0, 1e24)}(terms);
    }

    function start(uint256 who, uint256 job) external {
        vm.prank(_who(who));
        JOBS.start(_job(job));
    }

    function checkpoint(uint256 job, uint32 step) external {
        vm.prank(JOBS.getJob(_job(job)).worker);
        JOBS.checkpoint(_job(job), uint32(bound(step, 1, 100)), 100, "root");
    }

    function complete(uint256 job) external {
        ModelRegistry.RegisterParams memory params;
        params.manifestHash = _job(job);
        vm.prank(JOBS.getJob(_job(job)).worker);
        JOBS.complete(_job(job), params, "result");
    }

    function fail(uint256 job) external {
        vm.prank(JOBS.getJob(_job(job)).worker);
        JOBS.fail(_job(job), "no memory");
    }

    function control(uint256 job, uint8 action) external {
        vm.prank(JOBS.getJob(_job(job)).owner);
        JOBS.control(_job(job), JobRegistry.Action(action % 3));
    }

    function expire(uint256 job) external {
        JOBS.expire(_job(job));
    }

    function payWorker(uint256 job) external {
        JOBS.pay(_job(job));
    }

    function dispute(uint256 who, uint256 job, uint256 more) external {
        uint256 earned = JOBS.getJob(_job(job)).earned;
        vm.prank(_who(who));
        JOBS.dispute{value: earned + bound(more, 0, 1e18)}(_job(job));
    }

    function rule(uint256 job, bool workerWasRight) external {
        vm.prank(OPERATOR);
        JOBS.rule(_job(job), workerWasRight);
    }

    function closeUnruled(uint256 job) external {
        JOBS.closeUnruled(_job(job));
    }

    /// Fees of open jobs, what workers have earned, disputes' bonds, and what waits for its owner.
    function owedByJobs() external view returns (uint256 sum) {
        for (uint256 i = 1; i <= _jobs; ++i) {
            JobRegistry.Job memory job = JOBS.getJob(bytes32(i));
            bool isOpen = job.state == JobRegistry.State.QUEUED || job.state == JobRegistry.State.RUNNING
                || job.state == JobRegistry.State.PAUSED;
            (,, uint128 bond_) = JOBS.disputeOf(bytes32(i));
            sum += (isOpen ? job.fee : job.earned) + uint256(bond_);
        }
        for (uint256 i = 0; i < PEOPLE; ++i) sum += JOBS.creditOf(_who(i));
    }

    // --- grants

    function grant(uint256 who, uint256 a, uint256 b, uint256 seconds_) external {
        (a, b) = (bound(a, 0, 1e24), bound(b, 0, 1e24));
        uint64 deadline = uint64(block.timestamp + bound(seconds_, 1, 30 days));
        ModelFunding.Milestone[] memory milestones = new ModelFunding.Milestone[](2);
        milestones[0] = ModelFunding.Milestone(uint128(a), 400_000, deadline, false);
        milestones[1] = ModelFunding.Milestone(uint128(b), 800_000, deadline, false);
        address[] memory evaluators = new address[](2);
        (evaluators[0], evaluators[1]) = (_who(who + 1), _who(who + 2));
        FUNDING.fund{value: a + b}(_who(who), "evaluation", milestones, evaluators);
    }

    function score(uint256 id, uint256 index, uint256 who, uint256 value) external {
        vm.prank(_who(who));
        FUNDING.score(_grant(id), index % 2, "model", uint32(bound(value, 0, 1_000_000)));
    }

    function pay(uint256 id, uint256 index) external {
        FUNDING.pay(_grant(id), index % 2, "model");
    }

    function refund(uint256 id, uint256 index) external {
        FUNDING.refund(_grant(id), index % 2);
    }

    function owedToGrants() external view returns (uint256 sum) {
        for (uint256 i = 1; i <= FUNDING.grantCount(); ++i) {
            ModelFunding.Milestone[] memory milestones = FUNDING.grantOf(i).milestones;
            for (uint256 j = 0; j < milestones.length; ++j) if (!milestones[j].closed) sum += milestones[j].amount;
        }
    }

    function pass(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 1, 5 days));
    }

    receive() external payable {}

    function _agent(uint256 i) private pure returns (uint256) {
        return 1 + i % PEOPLE;
    }

    function _job(uint256 i) private view returns (bytes32) {
        return bytes32(1 + i % _jobs);
    }

    function _grant(uint256 i) private view returns (uint256) {
        return 1 + i % FUNDING.grantCount();
    }
}

contract BondsTest is Genesis {
    BondsHandler private handler;

    function setUp() external {
        _genesis();
        handler = new BondsHandler();
    }

    function targetContracts() external view returns (address[] memory) {
        return _only(address(handler));
    }

    function invariant_bonds_are_there() external view {
        assertEq(address(handler.BONDS()).balance, handler.BONDS().totalHeld(), "agents' balance");
        assertEq(handler.bonds(), handler.BONDS().totalHeld(), "agents' books");
    }

    function invariant_fees_of_jobs_are_there() external view {
        assertEq(address(handler.JOBS()).balance, handler.JOBS().held(), "jobs' balance");
        assertEq(handler.owedByJobs(), handler.JOBS().held(), "jobs' books");
    }

    function invariant_grants_are_there() external view {
        assertEq(address(handler.FUNDING()).balance, handler.FUNDING().totalHeld(), "grants' balance");
        assertEq(handler.owedToGrants(), handler.FUNDING().totalHeld(), "grants' books");
    }
}
