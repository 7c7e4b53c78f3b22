// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title ExactSplit
/// @notice Cuts an amount by weights without losing a wei: everybody gets the floor of their part, and
/// what is left goes, one wei each, to the largest remainders (ties: the lower position).
library ExactSplit {
    /// @notice Weights are parts of this.
    uint256 internal constant WHOLE = 2 ** 32;

    /// @notice The weights do not sum to `WHOLE`.
    error WeightsNotWhole(uint256 sum);

    /// @param rank position i yields to j on equal remainders when rank[i] > rank[j]
    /// @return parts sum(parts) == amount, always
    function split(uint256 amount, uint64[] memory weights, uint32[] memory rank)
        internal
        pure
        returns (uint256[] memory parts)
    {
        uint256 count = weights.length;
        parts = new uint256[](count);
        uint256[] memory remainders = new uint256[](count);
        uint256 sum = 0;
        uint256 left = amount;
        for (uint256 i = 0; i < count; ++i) {
            sum += weights[i];
            (parts[i], remainders[i]) = _mulDiv(amount, weights[i]);
            left -= parts[i];
        }
        if (sum != WHOLE) revert WeightsNotWhole(sum);
        // `left` < count: the sum of count remainders, each below WHOLE, over WHOLE.
        for (; left > 0; --left) {
            uint256 best = 0;
            for (uint256 i = 1; i < count; ++i) {
                if (
                    remainders[i] > remainders[best]
                        || (remainders[i] == remainders[best] && rank[i] < rank[best])
                ) best = i;
            }
            ++parts[best];
            remainders[best] = 0;
        }
    }

    /// Quotient and remainder of amount * weight / 2^32 for any amount: high and low part apart.
    function _mulDiv(uint256 amount, uint256 weight)
        private
        pure
        returns (uint256 quotient, uint256 remainder)
    {
        uint256 low = (amount % WHOLE) * weight;
        quotient = (amount / WHOLE) * weight + low / WHOLE;
        remainder = low % WHOLE;
    }
}
