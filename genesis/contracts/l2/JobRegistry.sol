// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Eip712} from "./Eip712.sol";
import {ModelRegistry} from "./ModelRegistry.sol";
import {Predeploys} from "./Predeploys.sol";
import {SplitPolicy} from "./SplitPolicy.sol";

/// @title JobRegistry
/// @notice ModelFactory's jobs. A job commits a training manifest before anything is trained, holds the
/// fee, and ends in a registered model, or in a refund.
///
///     submit -> QUEUED --start--> RUNNING --complete--> DONE --challenge time--> the worker is paid
///                 ^  \             |    ^
///                 |   \--pause--> PAUSED |        fail, expire -> FAILED     (fee back)
///                 +-----resume-----/     |        cancel -> CANCELLED  (fee back, but for the steps shown)
///        a lease that ran out: somebody else may start it
///
/// A job's id is its manifest hash. Training is deterministic, so what a worker delivers can be computed
/// again by anybody; until a game decides that on chain, the governor rules over disputes.
contract JobRegistry is Eip712 {
    enum State {
        NONE,
        QUEUED,
        RUNNING,
        PAUSED,
        DONE,
        FAILED,
        CANCELLED
    }

    enum Action {
        PAUSE,
        RESUME,
        CANCEL
    }

    /// @notice What the manifest says, as far as the chain can hold somebody to it.
    struct Terms {
        ModelRegistry.ManifestTerms manifest;
        /// Hash of LoRA config, hyper-parameters, attribution and evaluation settings.
        bytes32 configHash;
        /// Merkle root over the training rows in the order in which the seed permutes them.
        bytes32 orderRoot;
        uint32 seed;
        uint32 kernelSet;
        /// Zero: any worker.
        address worker;
        /// Seconds. Not done by then: whoever asks ends it and the fee goes back.
        uint64 deadline;
    }

    struct Job {
        address owner;
        State state;
        uint64 submittedAt;
        /// Whoever has it now; zero while nobody has.
        address worker;
        uint64 leaseUntil;
        uint32 step;
        /// The only one who may take it; zero: any.
        address assigned;
        uint64 deadline;
        uint32 steps;
        uint128 fee;
        /// What the worker has earned and not drawn yet.
        uint128 earned;
        uint32 seed;
        uint32 kernelSet;
        uint64 payableAt;
        uint64 controls;
        bytes32 configHash;
        bytes32 orderRoot;
        bytes32 checkpointRoot;
        bytes32 resultHash;
        bytes32 modelId;
    }

    struct Dispute {
        address challenger;
        uint64 openedAt;
        uint128 bond;
    }

    event JobSubmitted(
        bytes32 indexed jobId,
        address indexed owner,
        address indexed worker,
        uint256 fee,
        uint64 deadline
    );
    event JobStarted(bytes32 indexed jobId, address indexed worker, uint64 leaseUntil);
    event JobCheckpoint(bytes32 indexed jobId, uint32 step, uint32 steps, bytes32 root);
    event JobPaused(bytes32 indexed jobId);
    event JobResumed(bytes32 indexed jobId);
    event JobDone(
        bytes32 indexed jobId, bytes32 indexed modelId, bytes32 resultHash, uint64 payableAt
    );
    event JobEnded(bytes32 indexed jobId, State state, string reason, uint256 refund);
    event JobPaid(bytes32 indexed jobId, address indexed worker, uint256 amount);
    event JobDisputed(bytes32 indexed jobId, address indexed challenger, uint256 bond);
    event DisputeClosed(bytes32 indexed jobId, bool workerWasRight);
    event Credited(address indexed account, uint256 amount);

    error UnknownJob(bytes32 jobId);
    error WrongState(bytes32 jobId, State state);
    error NotJobOwner(bytes32 jobId, address caller);
    error NotWorker(bytes32 jobId, address caller);
    /// @notice Seconds from now; between the two bounds.
    error DeadlineOutOfBounds(uint256 least, uint256 most);
    error FeeTooLarge(uint256 fee);
    /// @notice Somebody has the job until then, seconds.
    error Leased(address worker, uint64 leaseUntil);
    error DeadlinePassed(uint64 deadline);
    error DeadlineNotPassed(uint64 deadline);
    error StepsOutOfBounds(uint32 step, uint32 steps);
    error BadControlSignature(address owner);
    error NothingToPay(bytes32 jobId);
    error NotPayableYet(uint64 payableAt);
    error ChallengeOver(uint64 payableAt);
    error AlreadyDisputed(address challenger);
    error NotDisputed(bytes32 jobId);
    error BondTooSmall(uint256 least);
    error NotGovernor(address caller);
    error ReasonTooLong(uint256 bytesMax);
    error TransferFailed();

    uint256 public constant LEASE_SECONDS = 10 minutes;
    uint256 public constant DEADLINE_SECONDS_MIN = 1 minutes;
    uint256 public constant DEADLINE_SECONDS_MAX = 90 days;
    uint256 public constant CHALLENGE_SECONDS = 1 hours;
    /// @notice A dispute nobody rules over for so long ends for the worker; the bond goes back.
    uint256 public constant RULING_SECONDS = 14 days;
    uint256 public constant REASON_BYTES_MAX = 256;
    bytes32 public constant CONTROL_TYPEHASH =
        keccak256("JobControl(bytes32 jobId,uint8 action,uint64 nonce)");

    ModelRegistry private constant MODELS = ModelRegistry(Predeploys.MODEL_REGISTRY);
    SplitPolicy private constant POLICY = SplitPolicy(Predeploys.SPLIT_POLICY);

    mapping(bytes32 jobId => Job) private _jobs; // slot 0
    mapping(bytes32 jobId => Dispute) public disputeOf; // slot 1
    /// @notice What could not be sent to an account and waits for its `withdraw`, wei.
    mapping(address account => uint256) public creditOf; // slot 2
    /// @notice All that is owed to somebody; never more than this contract's balance.
    uint256 public held; // slot 3
    bytes32[] private _jobIds; // slot 4

    /// @notice Commits the manifest in ModelRegistry, which refuses what licences forbid, and locks the fee.
    function submit(Terms calldata terms) external payable returns (bytes32 jobId) {
        jobId = terms.manifest.manifestHash;
        if (msg.value > type(uint128).max) revert FeeTooLarge(msg.value);
        if (
            terms.deadline < block.timestamp + DEADLINE_SECONDS_MIN
                || terms.deadline > block.timestamp + DEADLINE_SECONDS_MAX
        ) revert DeadlineOutOfBounds(DEADLINE_SECONDS_MIN, DEADLINE_SECONDS_MAX);
        MODELS.commitManifestFor(msg.sender, terms.manifest); // reverts when it was committed before
        Job storage job = _jobs[jobId];
        job.owner = msg.sender;
        job.state = State.QUEUED;
        job.submittedAt = uint64(block.timestamp);
        job.assigned = terms.worker;
        job.deadline = terms.deadline;
        job.fee = uint128(msg.value);
        job.seed = terms.seed;
        job.kernelSet = terms.kernelSet;
        job.configHash = terms.configHash;
        job.orderRoot = terms.orderRoot;
        _jobIds.push(jobId);
        held += msg.value;
        emit JobSubmitted(jobId, msg.sender, terms.worker, msg.value, terms.deadline);
    }

    /// @notice Takes a job: one that waits, or one whose worker has let its lease run out.
    function start(bytes32 jobId) external {
        Job storage job = _job(jobId);
        if (job.assigned != address(0) && job.assigned != msg.sender) {
            revert NotWorker(jobId, msg.sender);
        }
        if (block.timestamp >= job.deadline) revert DeadlinePassed(job.deadline);
        if (job.state == State.RUNNING) {
            bool isFree = job.worker == msg.sender || block.timestamp >= job.leaseUntil;
            if (!isFree) revert Leased(job.worker, job.leaseUntil);
        } else if (job.state != State.QUEUED) {
            revert WrongState(jobId, job.state);
        }
        // Steps that somebody else has shown are not this worker's.
        if (job.worker != msg.sender) (job.step, job.steps) = (0, 0);
        job.state = State.RUNNING;
        job.worker = msg.sender;
        job.leaseUntil = uint64(block.timestamp + LEASE_SECONDS);
        emit JobStarted(jobId, msg.sender, job.leaseUntil);
    }

    /// @notice Shows how far a job is and renews the lease.
    /// @param root hash of the checkpoint: parameters, optimiser and the losses up to it
    function checkpoint(bytes32 jobId, uint32 step, uint32 steps, bytes32 root) external {
        Job storage job = _running(jobId);
        if (step < job.step || step > steps || steps == 0) revert StepsOutOfBounds(step, steps);
        job.step = step;
        job.steps = steps;
        job.checkpointRoot = root;
        job.leaseUntil = uint64(block.timestamp + LEASE_SECONDS);
        emit JobCheckpoint(jobId, step, steps, root);
    }

    /// @notice Delivers: the model is registered in the name of the job's owner.
    /// @param resultHash hash of the result's content: losses, checkpoints, evaluation
    function complete(
        bytes32 jobId,
        ModelRegistry.RegisterParams calldata params,
        bytes32 resultHash
    ) external returns (bytes32 modelId) {
        Job storage job = _running(jobId);
        if (params.manifestHash != jobId) revert UnknownJob(params.manifestHash);
        job.state = State.DONE;
        job.resultHash = resultHash;
        job.earned = job.fee;
        job.payableAt = uint64(block.timestamp + CHALLENGE_SECONDS);
        modelId = MODELS.registerModelFor(job.owner, params);
        job.modelId = modelId;
        emit JobDone(jobId, modelId, resultHash, job.payableAt);
    }

    /// @notice The worker gives up and earns nothing.
    function fail(bytes32 jobId, string calldata reason) external {
        Job storage job = _running(jobId);
        if (bytes(reason).length > REASON_BYTES_MAX) revert ReasonTooLong(REASON_BYTES_MAX);
        _end(jobId, job, State.FAILED, reason, 0);
    }

    /// @notice Ends a job that is past its deadline. Anyone may.
    function expire(bytes32 jobId) external {
        Job storage job = _job(jobId);
        if (job.state != State.QUEUED && job.state != State.RUNNING && job.state != State.PAUSED) {
            revert WrongState(jobId, job.state);
        }
        if (block.timestamp < job.deadline) revert DeadlineNotPassed(job.deadline);
        _end(jobId, job, State.FAILED, "deadline passed", 0);
    }

    /// @notice Pauses, resumes or cancels one's own job.
    function control(bytes32 jobId, Action action) external {
        Job storage job = _job(jobId);
        if (job.owner != msg.sender) revert NotJobOwner(jobId, msg.sender);
        _control(jobId, job, action);
    }

    /// @notice The same for an owner who has signed it and has no gas.
    function controlFor(bytes32 jobId, Action action, bytes calldata signature) external {
        Job storage job = _job(jobId);
        bytes32 digest =
            _digest(keccak256(abi.encode(CONTROL_TYPEHASH, jobId, action, job.controls)));
        if (!SignatureChecker.isValidSignatureNowCalldata(job.owner, digest, signature)) {
            revert BadControlSignature(job.owner);
        }
        _control(jobId, job, action);
    }

    /// @notice Pays the worker what it earned, once nobody may dispute it any more. Anyone may ask for it.
    function pay(bytes32 jobId) external {
        Job storage job = _job(jobId);
        if (job.earned == 0) revert NothingToPay(jobId);
        if (block.timestamp < job.payableAt) revert NotPayableYet(job.payableAt);
        if (disputeOf[jobId].challenger != address(0)) {
            revert AlreadyDisputed(disputeOf[jobId].challenger);
        }
        _payWorker(jobId, job);
    }

    /// @notice Says that a worker's result (or the checkpoint it was paid for) is not what the manifest
    /// gives. Locks the payment and a bond as large.
    function dispute(bytes32 jobId) external payable {
        Job storage job = _job(jobId);
        if (job.earned == 0) revert NothingToPay(jobId);
        if (block.timestamp >= job.payableAt) revert ChallengeOver(job.payableAt);
        Dispute storage open = disputeOf[jobId];
        if (open.challenger != address(0)) revert AlreadyDisputed(open.challenger);
        if (msg.value < job.earned) revert BondTooSmall(job.earned);
        if (msg.value > type(uint128).max) revert FeeTooLarge(msg.value);
        (open.challenger, open.openedAt, open.bond) =
        (msg.sender, uint64(block.timestamp), uint128(msg.value));
        held += msg.value;
        emit JobDisputed(jobId, msg.sender, msg.value);
    }

    /// @notice The governor has computed it again. Wrong worker: its payment goes back to the job's owner and
    /// the bond to the challenger. Right worker: it gets both.
    function rule(bytes32 jobId, bool workerWasRight) external {
        if (msg.sender != POLICY.governor()) revert NotGovernor(msg.sender);
        _close(jobId, workerWasRight, workerWasRight);
    }

    /// @notice Nobody has ruled: the worker is paid and the bond goes back. Anyone may ask for it.
    function closeUnruled(bytes32 jobId) external {
        uint256 from = disputeOf[jobId].openedAt + RULING_SECONDS;
        if (block.timestamp < from) revert NotPayableYet(uint64(from));
        _close(jobId, true, false);
    }

    function withdraw() external {
        uint256 amount = creditOf[msg.sender];
        creditOf[msg.sender] = 0;
        held -= amount;
        (bool ok,) = msg.sender.call{value: amount}("");
        if (!ok) revert TransferFailed();
    }

    function getJob(bytes32 jobId) external view returns (Job memory) {
        return _job(jobId);
    }

    function jobCount() external view returns (uint256) {
        return _jobIds.length;
    }

    function jobAt(uint256 index) external view returns (bytes32) {
        return _jobIds[index];
    }

    function _control(bytes32 jobId, Job storage job, Action action) private {
        ++job.controls;
        if (action == Action.PAUSE) {
            if (job.state != State.QUEUED && job.state != State.RUNNING) {
                revert WrongState(jobId, job.state);
            }
            job.state = State.PAUSED;
            emit JobPaused(jobId);
        } else if (action == Action.RESUME) {
            if (job.state != State.PAUSED) revert WrongState(jobId, job.state);
            job.state = State.QUEUED;
            emit JobResumed(jobId);
        } else {
            if (
                job.state != State.QUEUED && job.state != State.RUNNING
                    && job.state != State.PAUSED
            ) revert WrongState(jobId, job.state);
            uint256 earned = job.steps == 0 ? 0 : (uint256(job.fee) * job.step) / job.steps;
            _end(jobId, job, State.CANCELLED, "cancelled by its owner", earned);
        }
    }

    /// The fee goes back but for what was earned, which stays until it can no longer be disputed.
    function _end(
        bytes32 jobId,
        Job storage job,
        State state,
        string memory reason,
        uint256 earned
    ) private {
        uint256 refund = job.fee - earned;
        job.state = state;
        job.earned = uint128(earned);
        job.payableAt = uint64(block.timestamp + CHALLENGE_SECONDS);
        emit JobEnded(jobId, state, reason, refund);
        _send(job.owner, refund);
    }

    function _close(bytes32 jobId, bool payWorker, bool takesBond) private {
        Job storage job = _job(jobId);
        Dispute memory open = disputeOf[jobId];
        if (open.challenger == address(0)) revert NotDisputed(jobId);
        delete disputeOf[jobId];
        emit DisputeClosed(jobId, payWorker);
        if (payWorker) {
            job.payableAt = uint64(block.timestamp);
            _payWorker(jobId, job);
        } else {
            uint256 amount = job.earned;
            job.earned = 0;
            job.state = State.FAILED;
            emit JobEnded(jobId, State.FAILED, "refuted", amount);
            _send(job.owner, amount);
        }
        _send(takesBond ? job.worker : open.challenger, open.bond);
    }

    function _payWorker(bytes32 jobId, Job storage job) private {
        uint256 amount = job.earned;
        job.earned = 0;
        emit JobPaid(jobId, job.worker, amount);
        _send(job.worker, amount);
    }

    /// An account that refuses money must not hold up the others: it can fetch it later.
    function _send(address to, uint256 amount) private {
        if (amount == 0) return;
        held -= amount;
        (bool ok,) = to.call{value: amount, gas: 30_000}("");
        if (ok) return;
        held += amount;
        creditOf[to] += amount;
        emit Credited(to, amount);
    }

    function _running(bytes32 jobId) private view returns (Job storage job) {
        job = _job(jobId);
        if (job.state != State.RUNNING) revert WrongState(jobId, job.state);
        if (job.worker != msg.sender) revert NotWorker(jobId, msg.sender);
    }

    function _job(bytes32 jobId) private view returns (Job storage job) {
        job = _jobs[jobId];
        if (job.state == State.NONE) revert UnknownJob(jobId);
    }
}
