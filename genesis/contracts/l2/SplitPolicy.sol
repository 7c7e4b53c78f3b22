// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ExactSplit} from "./ExactSplit.sol";

/// @title SplitPolicy
/// @notice Who gets which part of a fee. A policy, once added, never changes: a receipt names its policy,
/// so what a receipt pays is fixed when it is signed. Bounds hold for every policy, whoever governs.
contract SplitPolicy {
    /// @notice Parts of `WHOLE`.
    struct Policy {
        uint16 platform;
        uint16 modelOwner;
        uint16 stakers;
        uint16 contributors;
    }

    /// @notice Wei; the four sum to the fee.
    struct Shares {
        uint256 platform;
        uint256 modelOwner;
        uint256 stakers;
        uint256 contributors;
    }

    /// @notice How much each attribution channel counts, parts of `WHOLE`.
    struct Channels {
        uint16 gradient;
        uint16 span;
        uint16 retrieval;
    }

    event PolicyAdded(uint32 indexed policyId, Policy policy, Channels channels);
    event PoolsSet(address platformTreasury, address stakersPool);
    event GovernorSet(address indexed governor);

    error NotGovernor(address caller);
    error UnknownPolicy(uint32 policyId);
    /// @notice Parts must sum to `WHOLE`, within the bounds below.
    error PolicyOutOfBounds(Policy policy);
    /// @notice Parts must sum to `WHOLE`.
    error ChannelsOutOfBounds(Channels channels);
    error ZeroAddress();

    uint256 public constant WHOLE = 10_000;
    uint16 public constant PLATFORM_MAX = 2_000;
    uint16 public constant CONTRIBUTORS_MIN = 3_000;
    /// @notice Platform and stakers together: what makes paying oneself through fake use a loss.
    uint16 public constant COMMONS_MIN = 1_000;
    uint32 public constant DEFAULT_POLICY = 1;

    address public governor; // slot 0, set in the genesis alloc
    address public platformTreasury; // slot 1, set in the genesis alloc
    address public stakersPool; // slot 2, set in the genesis alloc
    uint32 private _added; // slot 3: policies beside the default one
    mapping(uint32 policyId => Policy) private _policies; // slot 4
    mapping(uint32 policyId => Channels) private _channels; // slot 5

    modifier onlyGovernor() {
        if (msg.sender != governor) revert NotGovernor(msg.sender);
        _;
    }

    function policyCount() public view returns (uint32) {
        return DEFAULT_POLICY + _added;
    }

    /// @notice 10 % platform, 20 % model owner, 20 % stakers, 50 % contributors by default.
    function policyOf(uint32 policyId) public view returns (Policy memory) {
        if (policyId == DEFAULT_POLICY) return Policy(1_000, 2_000, 2_000, 5_000);
        if (policyId == 0 || policyId > policyCount()) revert UnknownPolicy(policyId);
        return _policies[policyId];
    }

    /// @notice 60 % gradient, 30 % spans, 10 % retrieval by default; a channel that names nobody gives its part
    /// to the others.
    function channelsOf(uint32 policyId) public view returns (Channels memory) {
        if (policyId == DEFAULT_POLICY) return Channels(6_000, 3_000, 1_000);
        if (policyId == 0 || policyId > policyCount()) revert UnknownPolicy(policyId);
        return _channels[policyId];
    }

    /// @notice Floors for three; contributors take the rest, so the parts always sum to the fee.
    function split(uint32 policyId, uint256 fee) external view returns (Shares memory shares) {
        Policy memory policy = policyOf(policyId);
        shares.platform = _part(fee, policy.platform);
        shares.modelOwner = _part(fee, policy.modelOwner);
        shares.stakers = _part(fee, policy.stakers);
        shares.contributors = fee - shares.platform - shares.modelOwner - shares.stakers;
    }

    /// @notice The contributors' share by attribution weights, as settlement cuts it.
    /// @param weights parts of 2^32 that sum to it
    /// @param indices rows in the attribution table: lower wins a tie
    function splitByWeights(uint256 amount, uint64[] calldata weights, uint32[] calldata indices)
        external
        pure
        returns (uint256[] memory)
    {
        return ExactSplit.split(amount, weights, indices);
    }

    function addPolicy(Policy calldata policy, Channels calldata channels)
        external
        onlyGovernor
        returns (uint32 policyId)
    {
        uint256 sum = uint256(policy.platform) + policy.modelOwner + policy.stakers
            + policy.contributors;
        bool inBounds = sum == WHOLE && policy.platform <= PLATFORM_MAX
            && policy.contributors >= CONTRIBUTORS_MIN
            && policy.platform + policy.stakers >= COMMONS_MIN;
        if (!inBounds) revert PolicyOutOfBounds(policy);
        if (uint256(channels.gradient) + channels.span + channels.retrieval != WHOLE) {
            revert ChannelsOutOfBounds(channels);
        }
        ++_added;
        policyId = policyCount();
        _policies[policyId] = policy;
        _channels[policyId] = channels;
        emit PolicyAdded(policyId, policy, channels);
    }

    function setPools(address platformTreasury_, address stakersPool_) external onlyGovernor {
        if (platformTreasury_ == address(0) || stakersPool_ == address(0)) revert ZeroAddress();
        platformTreasury = platformTreasury_;
        stakersPool = stakersPool_;
        emit PoolsSet(platformTreasury_, stakersPool_);
    }

    function setGovernor(address governor_) external onlyGovernor {
        if (governor_ == address(0)) revert ZeroAddress();
        governor = governor_;
        emit GovernorSet(governor_);
    }

    /// floor(fee * part / WHOLE) for any fee.
    function _part(uint256 fee, uint256 part) private pure returns (uint256) {
        return (fee / WHOLE) * part + ((fee % WHOLE) * part) / WHOLE;
    }
}
