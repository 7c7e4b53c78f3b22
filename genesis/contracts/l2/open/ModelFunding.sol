// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title ModelFunding
/// @notice Money for making a model, paid by what the model can do: each milestone has an amount, the score it
/// takes and a deadline. The evaluators whom the grant names score a model; the median decides once a majority
/// of them has spoken. What was not earned by its deadline goes back to the funder.
///
///     fund (a proposal of the Governor, or anybody) -> score ... score -> pay | refund
contract ModelFunding {
    struct Milestone {
        uint128 amount;
        /// On the evaluation named by the grant, parts per million.
        uint32 scoreMin;
        /// Seconds; scores given later do not count.
        uint64 deadline;
        bool closed;
    }

    struct Grant {
        address funder;
        address recipient;
        /// What is measured and on which data: the hash of its description.
        bytes32 evaluation;
        Milestone[] milestones;
        address[] evaluators;
    }

    event Funded(
        uint256 indexed grantId, address indexed funder, address indexed recipient, bytes32 evaluation, uint256 amount
    );
    event Scored(
        uint256 indexed grantId, uint256 indexed milestone, address indexed evaluator, bytes32 modelId, uint32 score
    );
    event Paid(uint256 indexed grantId, uint256 indexed milestone, address indexed recipient, uint256 amount);
    event Refunded(uint256 indexed grantId, uint256 indexed milestone, address indexed funder, uint256 amount);

    error UnknownGrant(uint256 grantId);
    error UnknownMilestone(uint256 milestone);
    error MilestonesOutOfBounds(uint256 count);
    /// @notice Evaluators are 1 to `EVALUATORS_MAX`, each once, and not the recipient.
    error BadEvaluators();
    error NotExact(uint256 value, uint256 amounts);
    error DeadlinePassed(uint64 deadline);
    error DeadlineTooFar(uint64 deadline);
    error DeadlineNotPassed(uint64 deadline);
    error NotEvaluator(address caller);
    error ScoreOutOfBounds(uint32 score);
    error Closed(uint256 milestone);
    /// @notice Fewer than a majority have scored this model.
    error TooFewScores(uint256 scores, uint256 needed);
    error ScoreTooLow(uint32 median, uint32 scoreMin);
    error ZeroAddress();
    error TransferFailed();

    uint256 public constant MILESTONES_MAX = 16;
    uint256 public constant EVALUATORS_MAX = 15;
    uint32 public constant SCORE_WHOLE = 1_000_000;
    /// @notice Time to have an earned milestone paid before it can be refunded.
    uint64 public constant PAY_GRACE_SECONDS = 7 days;
    /// @notice From funding to the last deadline, at most.
    uint256 public constant DEADLINE_SECONDS_MAX = 3_650 days;

    uint256 public grantCount;
    /// @notice Not yet paid nor refunded, wei; the contract holds exactly that.
    uint256 public totalHeld;
    mapping(uint256 grantId => Grant) private _grants;
    /// Score + 1; 0 is none.
    mapping(bytes32 key => mapping(address evaluator => uint32)) private _scores;

    /// @notice The value sent must be the sum of the milestones.
    function fund(address recipient, bytes32 evaluation, Milestone[] calldata milestones, address[] calldata evaluators)
        external
        payable
        returns (uint256 grantId)
    {
        if (recipient == address(0)) revert ZeroAddress();
        if (milestones.length == 0 || milestones.length > MILESTONES_MAX) {
            revert MilestonesOutOfBounds(milestones.length);
        }
        grantId = ++grantCount;
        Grant storage grant = _grants[grantId];
        grant.funder = msg.sender;
        grant.recipient = recipient;
        grant.evaluation = evaluation;
        uint256 sum = 0;
        for (uint256 i = 0; i < milestones.length; ++i) {
            Milestone calldata milestone = milestones[i];
            if (milestone.deadline <= block.timestamp) revert DeadlinePassed(milestone.deadline);
            if (milestone.deadline > block.timestamp + DEADLINE_SECONDS_MAX) {
                revert DeadlineTooFar(milestone.deadline);
            }
            if (milestone.scoreMin > SCORE_WHOLE) revert ScoreOutOfBounds(milestone.scoreMin);
            sum += milestone.amount;
            grant.milestones.push(Milestone(milestone.amount, milestone.scoreMin, milestone.deadline, false));
        }
        if (sum != msg.value) revert NotExact(msg.value, sum);
        _setEvaluators(grant, evaluators);
        totalHeld += sum;
        emit Funded(grantId, msg.sender, recipient, evaluation, sum);
    }

    /// @notice An evaluator's score of a model for a milestone, parts per million; it may be corrected until paid.
    function score(uint256 grantId, uint256 index, bytes32 modelId, uint32 value) external {
        (Grant storage grant, Milestone storage milestone) = _open(grantId, index);
        if (block.timestamp > milestone.deadline) revert DeadlinePassed(milestone.deadline);
        if (value > SCORE_WHOLE) revert ScoreOutOfBounds(value);
        bool known = false;
        for (uint256 i = 0; i < grant.evaluators.length; ++i) known = known || grant.evaluators[i] == msg.sender;
        if (!known) revert NotEvaluator(msg.sender);
        _scores[_key(grantId, index, modelId)][msg.sender] = value + 1;
        emit Scored(grantId, index, msg.sender, modelId, value);
    }

    /// @notice Pays a milestone that a model has reached; anybody may call. What was scored in time can be paid later.
    function pay(uint256 grantId, uint256 index, bytes32 modelId) external {
        (Grant storage grant, Milestone storage milestone) = _open(grantId, index);
        (uint256 count, uint32 median) = medianOf(grantId, index, modelId);
        uint256 needed = grant.evaluators.length / 2 + 1;
        if (count < needed) revert TooFewScores(count, needed);
        if (median < milestone.scoreMin) revert ScoreTooLow(median, milestone.scoreMin);
        emit Paid(grantId, index, grant.recipient, milestone.amount);
        _close(milestone, grant.recipient);
    }

    /// @notice Returns a milestone to the funder; `PAY_GRACE_SECONDS` after its deadline.
    function refund(uint256 grantId, uint256 index) external {
        (Grant storage grant, Milestone storage milestone) = _open(grantId, index);
        if (block.timestamp <= milestone.deadline + PAY_GRACE_SECONDS) revert DeadlineNotPassed(milestone.deadline);
        emit Refunded(grantId, index, grant.funder, milestone.amount);
        _close(milestone, grant.funder);
    }

    function grantOf(uint256 grantId) external view returns (Grant memory) {
        if (grantId == 0 || grantId > grantCount) revert UnknownGrant(grantId);
        return _grants[grantId];
    }

    /// @notice How many have scored this model, and the lower median of their scores.
    function medianOf(uint256 grantId, uint256 index, bytes32 modelId)
        public
        view
        returns (uint256 count, uint32 median)
    {
        address[] storage evaluators = _grants[grantId].evaluators;
        mapping(address => uint32) storage given = _scores[_key(grantId, index, modelId)];
        uint32[] memory sorted = new uint32[](evaluators.length);
        for (uint256 i = 0; i < evaluators.length; ++i) {
            uint32 stored = given[evaluators[i]];
            if (stored == 0) continue;
            uint256 place = count++;
            for (; place > 0 && sorted[place - 1] > stored - 1; --place) sorted[place] = sorted[place - 1];
            sorted[place] = stored - 1;
        }
        if (count > 0) median = sorted[(count - 1) / 2];
    }

    function _open(uint256 grantId, uint256 index) private view returns (Grant storage grant, Milestone storage milestone) {
        if (grantId == 0 || grantId > grantCount) revert UnknownGrant(grantId);
        grant = _grants[grantId];
        if (index >= grant.milestones.length) revert UnknownMilestone(index);
        milestone = grant.milestones[index];
        if (milestone.closed) revert Closed(index);
    }

    function _setEvaluators(Grant storage grant, address[] calldata evaluators) private {
        if (evaluators.length == 0 || evaluators.length > EVALUATORS_MAX) revert BadEvaluators();
        for (uint256 i = 0; i < evaluators.length; ++i) {
            bool bad = evaluators[i] == grant.recipient || evaluators[i] == address(0);
            for (uint256 j = 0; j < i; ++j) bad = bad || evaluators[i] == evaluators[j];
            if (bad) revert BadEvaluators();
            grant.evaluators.push(evaluators[i]);
        }
    }

    function _close(Milestone storage milestone, address to) private {
        milestone.closed = true;
        totalHeld -= milestone.amount;
        (bool paid,) = to.call{value: milestone.amount}("");
        if (!paid) revert TransferFailed();
    }

    function _key(uint256 grantId, uint256 index, bytes32 modelId) private pure returns (bytes32) {
        return keccak256(abi.encode(grantId, index, modelId));
    }
}
