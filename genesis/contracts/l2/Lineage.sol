// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Lineage
/// @notice What a model owes the models it descends from. A model that continues or merges others passes
/// `ROYALTY_PARTS` of its owner's income on to its parents, in equal parts; each parent passes the same
/// part of that on to its own. Hence with one parent a generation the shares are
///
///     owner 3/4, parent 3/16, grandparent 3/64, ...   (each a quarter of the one before, floors)
///
/// What would be less than `PART_MIN`, or one ancestor too many, stays with the descendant through which it
/// would have come. Parts of 10^9.
library Lineage {
    struct Share {
        bytes32 modelId;
        uint64 part;
    }

    uint256 internal constant WHOLE = 1e9;
    uint256 internal constant ROYALTY_PARTS = 250_000_000;
    uint256 internal constant PART_MIN = 100_000;
    uint256 internal constant ANCESTORS_MAX = 32;

    /// @notice The ancestors' shares of a new model: its parents', and of each what the parent owes.
    function inherit(
        mapping(bytes32 modelId => Share[]) storage shares,
        bytes32 modelId,
        bytes32[] storage parents
    ) internal {
        uint256 count = parents.length;
        if (count == 0) return;
        uint256 each = ROYALTY_PARTS / count;
        for (uint256 i = 0; i < count; ++i) {
            Share[] storage above = shares[parents[i]];
            uint256 own = each;
            for (uint256 j = 0; j < above.length; ++j) {
                uint256 part = (each * above[j].part) / WHOLE;
                if (part >= PART_MIN && _add(shares[modelId], above[j].modelId, part)) own -= part;
            }
            // Parents come after their ancestors and always have a place: at most 8 a model.
            _put(shares[modelId], parents[i], own);
        }
    }

    /// @notice Cuts `amount`: floors for the ancestors, the rest for the owner.
    function split(Share[] storage shares, uint256 amount)
        internal
        view
        returns (bytes32[] memory models, uint256[] memory parts, uint256 rest)
    {
        uint256 count = shares.length;
        models = new bytes32[](count);
        parts = new uint256[](count);
        rest = amount;
        for (uint256 i = 0; i < count; ++i) {
            Share memory share = shares[i];
            models[i] = share.modelId;
            parts[i] = (amount / WHOLE) * share.part + ((amount % WHOLE) * share.part) / WHOLE;
            rest -= parts[i];
        }
    }

    /// False when there is no place for one more.
    function _add(Share[] storage to, bytes32 modelId, uint256 part) private returns (bool) {
        if (_find(to, modelId) == to.length && to.length >= ANCESTORS_MAX) return false;
        _put(to, modelId, part);
        return true;
    }

    function _put(Share[] storage to, bytes32 modelId, uint256 part) private {
        uint256 index = _find(to, modelId);
        if (index == to.length) to.push(Share(modelId, uint64(part)));
        else to[index].part += uint64(part);
    }

    function _find(Share[] storage shares, bytes32 modelId) private view returns (uint256 index) {
        while (index < shares.length && shares[index].modelId != modelId) ++index;
    }
}
