// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Predeploys} from "../Predeploys.sol";

/// @title Staking
/// @notice OPEN bonded behind those whom others must trust: providers, validators and challengers, each with a
/// pool that anyone may delegate to. Its only yield is the stakers' part of fees; nothing is minted.
///
///     open (own bond) / delegate -> [fees arrive] -> collect
///     unbond -> (delay, longer than any challenge) -> withdraw
///     a verdict -> slash: everything in the pool, what is unbonding as well
///
/// Fees are shared by all bonded wei alike; an operator keeps a commission of what its delegators earn. A pool's
/// bonded and unbonding wei are kept as shares, so a slash costs everyone in it the same part. What the contract
/// owes is at most `totalBonded + totalUnbonding + totalRewards`, and it holds exactly that.
contract Staking {
    enum Role {
        PROVIDER,
        VALIDATOR,
        CHALLENGER
    }

    struct Pool {
        /// Parts of `WHOLE` of what delegators earn.
        uint16 commission;
        bool opened;
        uint256 bonded;
        uint256 bondedShares;
        uint256 unbonding;
        uint256 unbondingShares;
        /// Of the operator's own, so that others see what it has at stake.
        uint256 operatorShares;
        /// `feesPerWei` when this pool was last settled.
        uint256 feesPerWeiPaid;
        /// Scaled by `SCALE`.
        uint256 rewardPerShare;
    }

    struct Position {
        uint256 shares;
        uint256 rewardPerSharePaid;
        uint256 rewards;
    }

    struct Unbonding {
        uint256 shares;
        uint256 availableAt;
    }

    event PoolOpened(Role indexed role, address indexed operator, uint16 commission);
    event Bonded(Role indexed role, address indexed operator, address indexed account, uint256 amount);
    event UnbondingStarted(
        Role indexed role, address indexed operator, address indexed account, uint256 amount, uint256 availableAt
    );
    event Withdrawn(Role indexed role, address indexed operator, address indexed account, uint256 amount);
    event FeesReceived(uint256 amount);
    event Collected(Role indexed role, address indexed operator, address indexed account, uint256 amount);
    event Slashed(
        Role indexed role, address indexed operator, uint256 amount, address indexed beneficiary, bytes32 verdict
    );
    event SlasherSet(address indexed slasher, bool allowed);

    error NotTimelock(address caller);
    error NotSlasher(address caller);
    error PoolExists(Role role, address operator);
    error NoPool(Role role, address operator);
    /// @notice Its shares are worth nothing and new ones cannot be priced; bond under another operator.
    error PoolSlashedToNothing();
    error CommissionOutOfBounds(uint16 commission);
    error NothingToBond();
    /// @notice More than there is, or nothing.
    error SharesOutOfBounds(uint256 shares, uint256 available);
    error TooManyUnbondings(uint256 max);
    /// @notice Available from this time on, seconds.
    error NotYetAvailable(uint256 availableAt);
    error NothingToCollect();
    error AmountOutOfBounds(uint256 amount, uint256 available);
    error ZeroAddress();
    error TransferFailed();
    error DelayNotLonger(uint256 unbondingSeconds, uint256 challengeSeconds);

    uint256 public constant WHOLE = 10_000;
    uint16 public constant COMMISSION_MAX = 5_000;
    /// @notice Open unbondings of one account in one pool.
    uint256 public constant UNBONDINGS_MAX = 16;
    uint256 private constant SCALE = 1e27;
    /// Shares a wei buys in an empty pool; keeps rounding far below a wei's worth after any slash.
    uint256 private constant SHARES_PER_WEI = 1e6;

    /// @notice Seconds between `unbond` and `withdraw`; above the longest challenge, so no verdict comes too late.
    uint256 public immutable unbondingSeconds;

    uint256 public totalBonded;
    uint256 public totalUnbonding;
    /// @notice Fees not yet collected, wei; what came while nothing was bonded is shared with the next.
    uint256 public totalRewards;
    uint256 private _waiting;
    /// Scaled by `SCALE`.
    uint256 private _feesPerWei;
    mapping(address slasher => bool) public isSlasher;
    mapping(Role role => mapping(address operator => Pool)) private _pools;
    mapping(Role role => mapping(address operator => mapping(address account => Position))) private _positions;
    mapping(Role role => mapping(address operator => mapping(address account => Unbonding[]))) private _unbondings;

    constructor(uint256 unbondingSeconds_, uint256 challengeSeconds) {
        if (unbondingSeconds_ <= challengeSeconds) revert DelayNotLonger(unbondingSeconds_, challengeSeconds);
        unbondingSeconds = unbondingSeconds_;
    }

    /// @notice Fees for stakers, from whoever sends them; `RewardDistributor.claimFor` does.
    receive() external payable {
        totalRewards += msg.value;
        uint256 amount = msg.value + _waiting;
        if (totalBonded == 0) {
            _waiting = amount;
        } else {
            _waiting = 0;
            _feesPerWei += Math.mulDiv(amount, SCALE, totalBonded);
        }
        emit FeesReceived(msg.value);
    }

    /// @notice Opens the caller's pool with its own bond.
    /// @param commission parts of `WHOLE`, fixed for good: delegators know what they agreed to
    function open(Role role, uint16 commission) external payable {
        Pool storage pool = _pools[role][msg.sender];
        if (pool.opened) revert PoolExists(role, msg.sender);
        if (commission > COMMISSION_MAX) revert CommissionOutOfBounds(commission);
        pool.opened = true;
        pool.commission = commission;
        pool.feesPerWeiPaid = _feesPerWei;
        emit PoolOpened(role, msg.sender, commission);
        _bond(role, msg.sender);
    }

    /// @notice Adds to a pool, one's own or another's.
    function delegate(Role role, address operator) external payable {
        if (!_pools[role][operator].opened) revert NoPool(role, operator);
        _bond(role, operator);
    }

    /// @notice Starts to take out; it earns nothing from now on and can still be slashed until it is withdrawn.
    function unbond(Role role, address operator, uint256 shares) external returns (uint256 amount) {
        Pool storage pool = _settlePool(role, operator);
        Position storage position = _settle(role, operator, msg.sender);
        if (shares == 0 || shares > position.shares) revert SharesOutOfBounds(shares, position.shares);
        Unbonding[] storage open_ = _unbondings[role][operator][msg.sender];
        if (open_.length == UNBONDINGS_MAX) revert TooManyUnbondings(UNBONDINGS_MAX);
        amount = Math.mulDiv(shares, pool.bonded, pool.bondedShares);
        if (amount == 0) revert SharesOutOfBounds(shares, position.shares);
        position.shares -= shares;
        if (msg.sender == operator) pool.operatorShares -= shares;
        pool.bondedShares -= shares;
        pool.bonded -= amount;
        uint256 moved = _sharesFor(amount, pool.unbonding, pool.unbondingShares);
        pool.unbondingShares += moved;
        pool.unbonding += amount;
        totalBonded -= amount;
        totalUnbonding += amount;
        uint256 availableAt = block.timestamp + unbondingSeconds;
        open_.push(Unbonding(moved, availableAt));
        emit UnbondingStarted(role, operator, msg.sender, amount, availableAt);
    }

    /// @notice Pays out the caller's unbondings of this pool that are due.
    function withdraw(Role role, address operator) external returns (uint256 amount) {
        Pool storage pool = _pools[role][operator];
        Unbonding[] storage open_ = _unbondings[role][operator][msg.sender];
        uint256 due = 0;
        while (due < open_.length && open_[due].availableAt <= block.timestamp) {
            uint256 shares = open_[due].shares;
            uint256 part = shares == 0 ? 0 : Math.mulDiv(shares, pool.unbonding, pool.unbondingShares);
            pool.unbondingShares -= shares;
            pool.unbonding -= part;
            amount += part;
            ++due;
        }
        if (due == 0) revert NotYetAvailable(open_.length == 0 ? type(uint256).max : open_[0].availableAt);
        for (uint256 i = due; i < open_.length; ++i) open_[i - due] = open_[i];
        for (uint256 i = 0; i < due; ++i) open_.pop();
        totalUnbonding -= amount;
        emit Withdrawn(role, operator, msg.sender, amount);
        _pay(msg.sender, amount);
    }

    /// @notice Pays the caller what it earned in this pool; an operator's commission with it.
    function collect(Role role, address operator) external returns (uint256 amount) {
        _settlePool(role, operator);
        Position storage position = _settle(role, operator, msg.sender);
        amount = position.rewards;
        if (amount == 0) revert NothingToCollect();
        position.rewards = 0;
        totalRewards -= amount;
        emit Collected(role, operator, msg.sender, amount);
        _pay(msg.sender, amount);
    }

    /// @notice Takes from a pool by a verdict.
    /// @param verdict what says so, for the record: the hash of a game, a report or a proposal
    function slash(Role role, address operator, uint256 amount, address payable beneficiary, bytes32 verdict)
        external
    {
        if (!isSlasher[msg.sender] && msg.sender != Predeploys.OPEN_TIMELOCK) revert NotSlasher(msg.sender);
        if (beneficiary == address(0)) revert ZeroAddress();
        Pool storage pool = _settlePool(role, operator);
        uint256 all = pool.bonded + pool.unbonding;
        if (amount == 0 || amount > all) revert AmountOutOfBounds(amount, all);
        uint256 fromUnbonding = Math.mulDiv(amount, pool.unbonding, all);
        pool.unbonding -= fromUnbonding;
        pool.bonded -= amount - fromUnbonding;
        totalUnbonding -= fromUnbonding;
        totalBonded -= amount - fromUnbonding;
        emit Slashed(role, operator, amount, beneficiary, verdict);
        _pay(beneficiary, amount);
    }

    /// @notice Contracts whose verdicts count, by governance.
    function setSlasher(address slasher, bool allowed) external {
        if (msg.sender != Predeploys.OPEN_TIMELOCK) revert NotTimelock(msg.sender);
        isSlasher[slasher] = allowed;
        emit SlasherSet(slasher, allowed);
    }

    function poolOf(Role role, address operator) external view returns (Pool memory) {
        return _pools[role][operator];
    }

    /// @notice wei at stake behind an operator, by itself and by all; what is unbonding does not count.
    function bondOf(Role role, address operator) external view returns (uint256 own, uint256 all) {
        Pool storage pool = _pools[role][operator];
        all = pool.bonded;
        own = pool.bondedShares == 0 ? 0 : Math.mulDiv(pool.operatorShares, all, pool.bondedShares);
    }

    /// @notice An account's shares of a pool, what they are worth, and what it could collect, wei.
    function positionOf(Role role, address operator, address account)
        external
        view
        returns (uint256 shares, uint256 amount, uint256 rewards)
    {
        Pool memory pool = _pools[role][operator];
        Position memory position = _positions[role][operator][account];
        shares = position.shares;
        amount = pool.bondedShares == 0 ? 0 : Math.mulDiv(shares, pool.bonded, pool.bondedShares);
        (uint256 commission, uint256 perShare) = _earned(pool);
        uint256 grown = pool.rewardPerShare + perShare - position.rewardPerSharePaid;
        rewards = position.rewards + Math.mulDiv(shares, grown, SCALE);
        if (account == operator) rewards += commission;
    }

    function unbondingsOf(Role role, address operator, address account) external view returns (Unbonding[] memory) {
        return _unbondings[role][operator][account];
    }

    function _bond(Role role, address operator) private {
        if (msg.value == 0) revert NothingToBond();
        Pool storage pool = _settlePool(role, operator);
        Position storage position = _settle(role, operator, msg.sender);
        uint256 shares = _sharesFor(msg.value, pool.bonded, pool.bondedShares);
        position.shares += shares;
        if (msg.sender == operator) pool.operatorShares += shares;
        pool.bondedShares += shares;
        pool.bonded += msg.value;
        totalBonded += msg.value;
        emit Bonded(role, operator, msg.sender, msg.value);
    }

    /// Books what the pool earned since it was last settled: the operator's commission, and the rest by share.
    function _settlePool(Role role, address operator) private returns (Pool storage pool) {
        pool = _pools[role][operator];
        (uint256 commission, uint256 perShare) = _earned(pool);
        pool.rewardPerShare += perShare;
        pool.feesPerWeiPaid = _feesPerWei;
        if (commission > 0) _positions[role][operator][operator].rewards += commission;
    }

    function _earned(Pool memory pool) private view returns (uint256 commission, uint256 perShare) {
        uint256 grown = _feesPerWei - pool.feesPerWeiPaid;
        if (grown == 0 || pool.bondedShares == 0) return (0, 0);
        uint256 earned = Math.mulDiv(pool.bonded, grown, SCALE);
        // On the operator's own part as well: it pays that to itself.
        commission = (earned * pool.commission) / WHOLE;
        perShare = Math.mulDiv(earned - commission, SCALE, pool.bondedShares);
    }

    function _settle(Role role, address operator, address account) private returns (Position storage position) {
        uint256 rewardPerShare = _pools[role][operator].rewardPerShare;
        position = _positions[role][operator][account];
        uint256 grown = rewardPerShare - position.rewardPerSharePaid;
        if (grown > 0) position.rewards += Math.mulDiv(position.shares, grown, SCALE);
        position.rewardPerSharePaid = rewardPerShare;
    }

    function _sharesFor(uint256 amount, uint256 all, uint256 allShares) private pure returns (uint256) {
        if (allShares == 0) return amount * SHARES_PER_WEI;
        if (all == 0) revert PoolSlashedToNothing();
        return Math.mulDiv(amount, allShares, all);
    }

    function _pay(address to, uint256 amount) private {
        (bool paid,) = to.call{value: amount}("");
        if (!paid) revert TransferFailed();
    }
}
