// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Predeploys} from "genesis/contracts/l2/Predeploys.sol";
import {SplitPolicy} from "genesis/contracts/l2/SplitPolicy.sol";
import {Genesis} from "./Genesis.sol";

/// @notice A receipt's fee, cut as settlement cuts it: into the four shares of a policy, then the contributors' share by
/// the weights that ATTRIBUTE gives, which is not here: any weights that sum to 2^32 stand in for it.
contract SplitTest is Genesis {
    SplitPolicy private constant POLICY = SplitPolicy(Predeploys.SPLIT_POLICY);
    uint256 private constant WHOLE = 2 ** 32;
    uint256 private constant CONTRIBUTORS_MAX = 32;
    /// Of one run: the fuzzer's own work is more than a receipt's.
    uint256 private constant RECEIPTS = 20;

    function setUp() external {
        _genesis();
    }

    /// Sum of payouts = fee. README.md says how it is asked of a million random receipts.
    function testFuzz_payouts_sum_to_the_fee(uint256 seed) external view {
        for (uint256 i = 0; i < RECEIPTS; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, "receipt", i)));
            // Fees of a few wei, where everything is remainder, as often as large ones.
            _check(uint256(keccak256(abi.encode(random))) >> (random % 256), random >> 8);
        }
    }

    function _check(uint256 fee, uint256 random) private view {
        (uint64[] memory weights, uint32[] memory indices) = _weights(random);
        SplitPolicy.Shares memory shares = POLICY.split(1, fee);
        uint256[] memory parts = POLICY.splitByWeights(shares.contributors, weights, indices);
        uint256 left = fee - shares.platform - shares.modelOwner - shares.stakers;
        require(left == shares.contributors, "shares");
        for (uint256 i = 0; i < parts.length; ++i) {
            uint256 least = _floor(shares.contributors, weights[i]);
            require(parts[i] == least || parts[i] == least + 1, "more than a wei from the exact part");
            // Reverts below zero.
            left -= parts[i];
        }
        require(left == 0, "wei are lost");
    }

    /// 1 to 32 parts of 2^32; a third of them equal, so that remainders tie.
    function _weights(uint256 seed) private pure returns (uint64[] memory weights, uint32[] memory indices) {
        uint256 count = 1 + seed % CONTRIBUTORS_MAX;
        weights = new uint64[](count);
        indices = new uint32[](count);
        uint256 left = WHOLE;
        for (uint256 i = 0; i < count; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            bool isLast = i == count - 1;
            uint256 weight = seed % 3 == 0 ? WHOLE / count : random % (left + 1);
            weights[i] = uint64(isLast ? left : weight);
            indices[i] = uint32(seed % 2 == 0 ? i : count - i);
            left -= weights[i];
        }
    }

    /// amount * weight / 2^32, by words, as no contract of ours does it.
    function _floor(uint256 amount, uint256 weight) private pure returns (uint256) {
        uint256 high = amount >> 32;
        return high * weight + (((amount & (WHOLE - 1)) * weight) >> 32);
    }
}
