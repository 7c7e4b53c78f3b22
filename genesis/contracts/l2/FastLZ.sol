// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title FastLZ length
/// @notice How long FastLZ (level 1) would make some bytes: the size estimate of the Fjord data fee.
/// Only the length is computed. `node/chain/fastlz.ts` is the same algorithm and explains the stream;
/// memory is read by the word here, since a byte at a time costs about four times as much gas.
library FastLZ {
    uint256 private constant TABLE_SIZE = 8192;
    uint256 private constant DISTANCE_MAX = 8191;
    uint256 private constant HASH_FACTOR = 2654435769;
    uint256 private constant LOOKUP_MARGIN = 13;
    uint256 private constant MATCH_MARGIN = 4;

    function length(bytes memory data) internal pure returns (uint256 size) {
        unchecked {
            uint256[] memory table = new uint256[](TABLE_SIZE);
            uint256 end = data.length > LOOKUP_MARGIN ? data.length - LOOKUP_MARGIN : 0;
            uint256 literalsFrom = 0;
            uint256 pos = 2;
            while (pos < end) {
                uint256 group = _group(data, pos);
                uint256 candidate = _remember(table, group, pos);
                if (pos - candidate > DISTANCE_MAX || _group(data, candidate) != group) {
                    ++pos;
                    continue;
                }
                // The step past the group comes before the end check: a match on the last position is lost.
                if (pos + 1 >= end) break;
                size += _literals(pos - literalsFrom);
                uint256 matched = _matchLength(data, candidate + 3, pos + 3);
                size += _match(matched);
                pos += matched;
                _remember(table, _group(data, pos), pos);
                _remember(table, _group(data, pos + 1), pos + 1);
                pos += 2;
                literalsFrom = pos;
            }
            size += _literals(data.length - literalsFrom);
        }
    }

    /// Stores position `pos` under the hash of its group; returns what was there.
    function _remember(uint256[] memory table, uint256 group, uint256 pos)
        private
        pure
        returns (uint256 before)
    {
        unchecked {
            uint256 slot = ((HASH_FACTOR * group) >> 19) & (TABLE_SIZE - 1);
            assembly ("memory-safe") {
                let where := add(add(table, 32), shl(5, slot))
                before := mload(where)
                mstore(where, pos)
            }
        }
    }

    /// Three bytes, little-endian.
    function _group(bytes memory data, uint256 pos) private pure returns (uint256 group) {
        assembly ("memory-safe") {
            let word := mload(add(add(data, 32), pos))
            group := or(or(byte(0, word), shl(8, byte(1, word))), shl(16, byte(2, word)))
        }
    }

    /// Equal bytes from `a` and `b` on, plus one for the byte that ends them.
    function _matchLength(bytes memory data, uint256 a, uint256 b) private pure returns (uint256) {
        unchecked {
            uint256 max = data.length > MATCH_MARGIN + b ? data.length - MATCH_MARGIN - b : 0;
            for (uint256 n = 0; n < max; ++n) {
                bool differ;
                assembly ("memory-safe") {
                    let start := add(add(data, 32), n)
                    differ :=
                        iszero(eq(byte(0, mload(add(start, a))), byte(0, mload(add(start, b)))))
                }
                if (differ) return n + 1;
            }
            return max;
        }
    }

    function _literals(uint256 count) private pure returns (uint256) {
        unchecked {
            uint256 rest = count % 32;
            return 33 * (count / 32) + (rest == 0 ? 0 : rest + 1);
        }
    }

    function _match(uint256 matched) private pure returns (uint256) {
        unchecked {
            uint256 beyond = matched - 1;
            return 3 * (beyond / 262) + (beyond % 262 >= 6 ? 3 : 2);
        }
    }
}
