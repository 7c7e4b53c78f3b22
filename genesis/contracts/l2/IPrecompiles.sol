// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title MODEL, 0x0a01: committed artefacts as content-addressed code. ModelRegistry alone may call it.
interface IModelPrecompile {
    /// @param chunk `00 01 || payload`, stored as the code of the returned account
    function put(bytes calldata chunk) external returns (address account);

    /// @param manifest `00 02 || ...`: see genesis/README.md, "Precompiles"
    function seal(bytes calldata manifest) external returns (bytes32 modelId);
}

/// @title ATTRIBUTE, 0x0a02: scores of a query sketch against a sealed table, exact integers
interface IAttributePrecompile {
    /// @return accounts contributors paid, best score first
    /// @return indices their rows in the table
    /// @return weights parts of 2^32 that sum to 2^32; all arrays are empty when every score is zero
    /// @return attributionRoot Merkle-sum root over them: see genesis/README.md, "Precompiles"
    function score(bytes32 modelId, bytes calldata sketch)
        external
        view
        returns (
            address[] memory accounts,
            uint32[] memory indices,
            uint64[] memory weights,
            bytes32 attributionRoot
        );

    /// @param claims spans and retrieved rows, 17 bytes each
    /// @param channels parts of 10,000: gradient, span, retrieval
    /// @dev returns as `score`, with amounts of the same order, wei; they sum to `amount`, or nobody is named
    function share(
        bytes32 modelId,
        bytes calldata sketch,
        bytes calldata claims,
        uint16[3] calldata channels,
        uint256 amount
    )
        external
        view
        returns (
            address[] memory accounts,
            uint32[] memory indices,
            uint64[] memory weights,
            uint256[] memory amounts,
            bytes32 attributionRoot
        );

    /// @return accounts contributors paid by any of the sketches, ascending by row, each once
    /// @return payouts wei
    /// @return unattributed wei of sketches whose every score is zero
    function scoreBatch(bytes32 modelId, bytes[] calldata sketches, uint256[] calldata amounts)
        external
        view
        returns (
            address[] memory accounts,
            uint256[] memory payouts,
            uint256 unattributed,
            bytes32[] memory attributionRoots
        );
}

/// @title SPAN, 0x0a04: a longest match in a corpus, proved by suffix-array entries
interface ISpanPrecompile {
    /// @param span tokens, u32 big-endian
    /// @param next the token after it in the answer; 0xffffffff at its end
    /// @param low first suffix-array entry that begins with the span
    /// @param high one after the last
    /// @param at the entry whose row is named
    /// @return count occurrences; all zero when the proof shows nothing
    /// @return bits worth, eighths of a bit
    /// @return position in the stream
    /// @return row of the corpus
    /// @return contributor row of the attribution table
    /// @return group of near duplicates
    function verify(
        bytes32 corpus,
        bytes calldata span,
        uint32 next,
        uint32 low,
        uint32 high,
        uint32 at,
        bytes calldata proof
    )
        external
        view
        returns (
            uint32 count,
            uint32 bits,
            uint32 position,
            uint32 row,
            uint32 contributor,
            uint32 group
        );
}
