// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title SealManifest
/// @notice Reads the hashes out of the bytes that MODEL seals. Layout (big-endian):
///
///     00 02 | version 2 | k 4 | contributors 4 | top 2 | chunks 2 | base 32 | adapter 32 | artefact 32
///     | leaves root 32 | training manifest 32 | corpus 32 | kernel set 4 | chunk hashes 32 each
///
/// MODEL itself judges the rest: bounds, chunks, lengths.
library SealManifest {
    struct Hashes {
        bytes32 base;
        bytes32 adapter;
        bytes32 artefact;
        bytes32 leavesRoot;
        bytes32 manifest;
        /// Zero: no verbatim channel.
        bytes32 corpus;
    }

    /// @notice Shorter than its fixed part.
    error SealManifestTooShort(uint256 length);

    uint256 private constant HASHES_AT = 15;
    uint256 private constant FIXED_BYTES = 211;

    function hashes(bytes calldata seal) internal pure returns (Hashes memory) {
        if (seal.length < FIXED_BYTES) revert SealManifestTooShort(seal.length);
        return Hashes(
            _word(seal, 0),
            _word(seal, 1),
            _word(seal, 2),
            _word(seal, 3),
            _word(seal, 4),
            _word(seal, 5)
        );
    }

    function _word(bytes calldata seal, uint256 index) private pure returns (bytes32) {
        uint256 pos = HASHES_AT + index * 32;
        return bytes32(seal[pos:pos + 32]);
    }
}
