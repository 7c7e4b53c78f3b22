// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DatanetRegistry} from "./DatanetRegistry.sol";
import {Predeploys} from "./Predeploys.sol";

/// @notice Who judges the contributions to a Datanet, and when a judgement counts.
struct Quorum {
    address[] validators;
    /// Scores needed (k of n); 0: contributions need no judgement.
    uint8 threshold;
    /// Least median, in 10,000ths, of an accepted contribution.
    uint16 scoreMin;
    /// From the first committed score of a round on.
    uint32 commitSeconds;
    /// After that.
    uint32 revealSeconds;
    /// Least stake of a validator who scores, wei of OPEN.
    uint128 stakeMin;
}

/// @title DatanetValidation
/// @notice Judges contributions: validators commit to scores nobody can copy, reveal them, and the median,
/// weighted by stake, decides. Reputation follows, of contributors by what they got and of validators by
/// how near they were; it belongs to one Datanet, so that nobody earns it in a Datanet of their own.
///
///     first commitScore --commitSeconds--> revealScore --revealSeconds--> conclude: accepted | rejected
///                                                                          \-> too few: the round starts anew
contract DatanetValidation {
    enum Outcome {
        NONE,
        ACCEPTED,
        REJECTED
    }

    struct Round {
        /// Of the first committed score; 0: none yet.
        uint64 openedAt;
        uint32 number;
        Outcome outcome;
        /// The median, in 10,000ths.
        uint16 score;
    }

    struct Ballot {
        bytes32 commitment;
        /// Stake when it was committed.
        uint128 weight;
        uint16 score;
        bool isRevealed;
    }

    struct Reputation {
        /// In 10,000ths; moves an eighth of the way to each new score.
        uint16 score;
        uint32 count;
    }

    struct Stake {
        uint128 amount;
        uint128 leaving;
        /// Seconds; when `leaving` can be taken.
        uint64 leavesAt;
    }

    event QuorumSet(uint256 indexed datanetId, Quorum quorum);
    event Staked(address indexed validator, uint256 amount);
    event Unstaking(address indexed validator, uint256 amount, uint64 leavesAt);
    event Unstaked(address indexed validator, uint256 amount);
    event ScoreCommitted(
        uint256 indexed datanetId,
        bytes32 indexed rowsRoot,
        address indexed validator,
        uint32 round
    );
    event ScoreRevealed(
        uint256 indexed datanetId,
        bytes32 indexed rowsRoot,
        address indexed validator,
        uint32 round,
        uint16 score,
        uint128 weight
    );
    event Validated(
        uint256 indexed datanetId,
        bytes32 indexed rowsRoot,
        address indexed contributor,
        Outcome outcome,
        uint16 score,
        uint32 scores
    );
    event NoQuorum(
        uint256 indexed datanetId, bytes32 indexed rowsRoot, uint32 round, uint32 scores
    );
    event ReputationSet(
        uint256 indexed datanetId, address indexed account, uint16 score, uint32 count
    );

    error BadQuorum(string what);
    error NotOwner(uint256 datanetId, address caller);
    error NotValidator(uint256 datanetId, address caller);
    error StakeTooSmall(address validator, uint256 stake, uint256 stakeMin);
    error StillStaked(uint64 leavesAt);
    error NothingStaked(address validator);
    error UnknownContribution(uint256 datanetId, bytes32 rowsRoot);
    error AlreadyConcluded(bytes32 rowsRoot);
    error AlreadyVoted(bytes32 rowsRoot, address validator);
    error NotVoted(bytes32 rowsRoot, address validator);
    error WrongScore(bytes32 commitment, bytes32 got);
    error ScoreOutOfBounds(uint16 score);
    /// @notice Too late to commit: the scores are being revealed.
    error CommitWindowClosed(uint64 closedAt);
    error RevealWindowNotOpen(uint64 opensAt);
    error RevealWindowClosed(uint64 closedAt);
    error NotConcludable(uint64 concludableAt);
    error NoRound(bytes32 rowsRoot);
    error PaymentFailed(address to);

    uint256 public constant VALIDATORS_MAX = 32;
    uint32 public constant WINDOW_SECONDS_MAX = 7 days;
    /// @notice Longer than both windows together: what was weighed is still there at the end.
    uint64 public constant UNSTAKE_SECONDS = 14 days;
    uint16 public constant SCORE_MAX = 10_000;
    /// @notice Of an account nobody has judged yet.
    uint16 public constant REPUTATION_START = 5_000;
    DatanetRegistry private constant DATANETS = DatanetRegistry(Predeploys.DATANET_REGISTRY);

    mapping(uint256 datanetId => Quorum) private _quorums; // slot 0
    mapping(address validator => Stake) public stakeOf; // slot 1
    mapping(uint256 datanetId => mapping(bytes32 rowsRoot => Round)) public roundOf; // slot 2
    mapping(
        uint256 datanetId
            => mapping(bytes32 rowsRoot => mapping(uint32 round => mapping(address => Ballot)))
    ) public ballotOf; // slot 3
    mapping(uint256 datanetId => mapping(bytes32 rowsRoot => mapping(uint32 round => address[])))
        private _voters; // slot 4
    mapping(uint256 datanetId => mapping(address account => Reputation)) private _reputations; // slot 5

    /// @notice By the owner, or by the registry when the Datanet is created. A round under way goes on.
    function setQuorum(uint256 datanetId, Quorum calldata quorum) external {
        if (
            msg.sender != Predeploys.DATANET_REGISTRY
                && msg.sender != DATANETS.ownerOf(datanetId)
        ) revert NotOwner(datanetId, msg.sender);
        uint256 count = quorum.validators.length;
        if (count > VALIDATORS_MAX) revert BadQuorum("validators");
        if (quorum.threshold > count) revert BadQuorum("threshold");
        if (quorum.scoreMin > SCORE_MAX) revert BadQuorum("scoreMin");
        if (quorum.threshold > 0) {
            _checkWindow(quorum.commitSeconds, "commitSeconds");
            _checkWindow(quorum.revealSeconds, "revealSeconds");
        }
        for (uint256 i = 1; i < count; ++i) {
            // Ascending, so nobody stands in it twice.
            if (quorum.validators[i] <= quorum.validators[i - 1]) revert BadQuorum("order");
        }
        _quorums[datanetId] = quorum;
        emit QuorumSet(datanetId, quorum);
    }

    function stake() external payable {
        stakeOf[msg.sender].amount += uint128(msg.value);
        emit Staked(msg.sender, msg.value);
    }

    /// @notice The whole stake counts no more; `withdraw` gives it back `UNSTAKE_SECONDS` later.
    function unstake() external {
        Stake storage held = stakeOf[msg.sender];
        if (held.amount == 0) revert NothingStaked(msg.sender);
        held.leaving += held.amount;
        held.amount = 0;
        held.leavesAt = uint64(block.timestamp) + UNSTAKE_SECONDS;
        emit Unstaking(msg.sender, held.leaving, held.leavesAt);
    }

    function withdraw() external {
        Stake storage held = stakeOf[msg.sender];
        uint128 amount = held.leaving;
        if (amount == 0) revert NothingStaked(msg.sender);
        if (block.timestamp < held.leavesAt) revert StillStaked(held.leavesAt);
        held.leaving = 0;
        emit Unstaked(msg.sender, amount);
        (bool ok,) = msg.sender.call{value: amount}("");
        if (!ok) revert PaymentFailed(msg.sender);
    }

    /// @param commitment of `scoreCommitment`
    function commitScore(uint256 datanetId, bytes32 rowsRoot, bytes32 commitment) external {
        Quorum storage quorum = _quorums[datanetId];
        if (!_isValidator(quorum.validators, msg.sender)) {
            revert NotValidator(datanetId, msg.sender);
        }
        uint128 weight = stakeOf[msg.sender].amount;
        if (weight < quorum.stakeMin) revert StakeTooSmall(msg.sender, weight, quorum.stakeMin);
        if (DATANETS.getContribution(datanetId, rowsRoot).contributor == address(0)) {
            revert UnknownContribution(datanetId, rowsRoot);
        }
        Round storage round = roundOf[datanetId][rowsRoot];
        if (round.outcome != Outcome.NONE) revert AlreadyConcluded(rowsRoot);
        if (round.openedAt == 0) round.openedAt = uint64(block.timestamp);
        uint64 closesAt = round.openedAt + quorum.commitSeconds;
        if (block.timestamp >= closesAt) revert CommitWindowClosed(closesAt);
        Ballot storage ballot = ballotOf[datanetId][rowsRoot][round.number][msg.sender];
        if (ballot.commitment != bytes32(0)) revert AlreadyVoted(rowsRoot, msg.sender);
        // Without a least stake every validator weighs at least one wei.
        (ballot.commitment, ballot.weight) = (commitment, weight == 0 ? 1 : weight);
        _voters[datanetId][rowsRoot][round.number].push(msg.sender);
        emit ScoreCommitted(datanetId, rowsRoot, msg.sender, round.number);
    }

    function revealScore(uint256 datanetId, bytes32 rowsRoot, uint16 score, bytes32 salt)
        external
    {
        if (score > SCORE_MAX) revert ScoreOutOfBounds(score);
        Round storage round = roundOf[datanetId][rowsRoot];
        if (round.openedAt == 0) revert NoRound(rowsRoot);
        Quorum storage quorum = _quorums[datanetId];
        uint64 opensAt = round.openedAt + quorum.commitSeconds;
        if (block.timestamp < opensAt) revert RevealWindowNotOpen(opensAt);
        uint64 closesAt = opensAt + quorum.revealSeconds;
        if (block.timestamp >= closesAt) revert RevealWindowClosed(closesAt);
        Ballot storage ballot = ballotOf[datanetId][rowsRoot][round.number][msg.sender];
        if (ballot.commitment == bytes32(0)) revert NotVoted(rowsRoot, msg.sender);
        if (ballot.isRevealed) revert AlreadyVoted(rowsRoot, msg.sender);
        bytes32 got =
            scoreCommitment(datanetId, rowsRoot, round.number, msg.sender, score, salt);
        if (got != ballot.commitment) revert WrongScore(ballot.commitment, got);
        (ballot.score, ballot.isRevealed) = (score, true);
        emit ScoreRevealed(
            datanetId, rowsRoot, msg.sender, round.number, score, ballot.weight
        );
    }

    /// @notice Ends a round whose windows are over; anyone may.
    function conclude(uint256 datanetId, bytes32 rowsRoot) external {
        Round storage round = roundOf[datanetId][rowsRoot];
        if (round.outcome != Outcome.NONE) revert AlreadyConcluded(rowsRoot);
        if (round.openedAt == 0) revert NoRound(rowsRoot);
        Quorum storage quorum = _quorums[datanetId];
        uint64 endsAt = round.openedAt + quorum.commitSeconds + quorum.revealSeconds;
        if (block.timestamp < endsAt) revert NotConcludable(endsAt);
        address[] storage voters = _voters[datanetId][rowsRoot][round.number];
        (uint16[] memory scores, uint128[] memory weights, uint256 count) =
            _revealed(datanetId, rowsRoot, round.number, voters);
        if (count == 0 || count < quorum.threshold) {
            emit NoQuorum(datanetId, rowsRoot, round.number, uint32(count));
            for (uint256 i = 0; i < voters.length; ++i) {
                if (!ballotOf[datanetId][rowsRoot][round.number][voters[i]].isRevealed) {
                    _move(datanetId, voters[i], 0);
                }
            }
            (round.openedAt, round.number) = (0, round.number + 1);
            return;
        }
        uint16 median = weightedMedian(scores, weights, count);
        _judgeVoters(datanetId, rowsRoot, round.number, median);
        round.score = median;
        round.outcome = median >= quorum.scoreMin ? Outcome.ACCEPTED : Outcome.REJECTED;
        address contributor = DATANETS.getContribution(datanetId, rowsRoot).contributor;
        _move(datanetId, contributor, median);
        emit Validated(
            datanetId, rowsRoot, contributor, round.outcome, median, uint32(count)
        );
    }

    function isAccepted(uint256 datanetId, bytes32 rowsRoot) external view returns (bool) {
        return _quorums[datanetId].threshold == 0
            || roundOf[datanetId][rowsRoot].outcome == Outcome.ACCEPTED;
    }

    function getQuorum(uint256 datanetId) external view returns (Quorum memory) {
        return _quorums[datanetId];
    }

    function reputationOf(uint256 datanetId, address account)
        public
        view
        returns (Reputation memory reputation)
    {
        reputation = _reputations[datanetId][account];
        if (reputation.count == 0) reputation.score = REPUTATION_START;
    }

    function scoreCommitment(
        uint256 datanetId,
        bytes32 rowsRoot,
        uint32 round,
        address validator,
        uint16 score,
        bytes32 salt
    ) public pure returns (bytes32) {
        return keccak256(abi.encode(datanetId, rowsRoot, round, validator, score, salt));
    }

    /// @notice The least score at which half of the weight, or more, is reached. Sorts its arguments.
    function weightedMedian(uint16[] memory scores, uint128[] memory weights, uint256 count)
        public
        pure
        returns (uint16)
    {
        uint256 total = 0;
        for (uint256 i = 0; i < count; ++i) {
            (uint16 score, uint128 weight) = (scores[i], weights[i]);
            total += weight;
            uint256 j = i;
            for (; j > 0 && scores[j - 1] > score; --j) {
                (scores[j], weights[j]) = (scores[j - 1], weights[j - 1]);
            }
            (scores[j], weights[j]) = (score, weight);
        }
        uint256 reached = 0;
        for (uint256 i = 0; i < count; ++i) {
            reached += weights[i];
            if (2 * reached >= total) return scores[i];
        }
        return 0;
    }

    function _revealed(
        uint256 datanetId,
        bytes32 rowsRoot,
        uint32 round,
        address[] storage voters
    )
        private
        view
        returns (uint16[] memory scores, uint128[] memory weights, uint256 count)
    {
        scores = new uint16[](voters.length);
        weights = new uint128[](voters.length);
        for (uint256 i = 0; i < voters.length; ++i) {
            Ballot storage ballot = ballotOf[datanetId][rowsRoot][round][voters[i]];
            if (!ballot.isRevealed) continue;
            (scores[count], weights[count]) = (ballot.score, ballot.weight);
            ++count;
        }
    }

    /// Nearness to the median; who did not reveal is as far away as can be.
    function _judgeVoters(uint256 datanetId, bytes32 rowsRoot, uint32 round, uint16 median)
        private
    {
        address[] storage voters = _voters[datanetId][rowsRoot][round];
        for (uint256 i = 0; i < voters.length; ++i) {
            Ballot storage ballot = ballotOf[datanetId][rowsRoot][round][voters[i]];
            uint16 score = ballot.score;
            uint16 distance = score > median ? score - median : median - score;
            _move(datanetId, voters[i], ballot.isRevealed ? SCORE_MAX - distance : 0);
        }
    }

    function _move(uint256 datanetId, address account, uint16 score) private {
        Reputation memory before = reputationOf(datanetId, account);
        uint16 moved = uint16((7 * uint32(before.score) + score) / 8);
        _reputations[datanetId][account] = Reputation(moved, before.count + 1);
        emit ReputationSet(datanetId, account, moved, before.count + 1);
    }

    function _isValidator(address[] storage validators, address account)
        private
        view
        returns (bool)
    {
        for (uint256 i = 0; i < validators.length; ++i) {
            if (validators[i] == account) return true;
        }
        return false;
    }

    function _checkWindow(uint32 window, string memory what) private pure {
        if (window == 0 || window > WINDOW_SECONDS_MAX) revert BadQuorum(what);
    }
}
