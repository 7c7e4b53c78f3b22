// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice The terms of a Datanet in a form that a contract can check. All the bits are in `Licences`.
struct Licence {
    /// What may be done with the rows.
    uint32 permissions;
    /// What for; 0 means for anything.
    uint32 purposes;
    /// Least part of a fee, in 10,000ths, that must go to contributors.
    uint16 contributorsMin;
    /// Seconds; 0 means never.
    uint64 expiresAt;
    /// keccak256 of the prose, kept as content; zero when there is none.
    bytes32 textHash;
    /// Base models that may be trained on the rows, by content hash; none named means any.
    bytes32[] bases;
}

/// @notice What somebody means to do with a Datanet version.
struct LicenceUse {
    /// Every action of the use: `TRAIN`, `COMMERCIAL` and so on.
    uint32 permissions;
    uint32 purposes;
    uint16 contributorsPart;
    /// Zero when no base model takes part (retrieval).
    bytes32 base;
}

/// @notice Why a use is against a licence; NONE when it is not.
enum LicenceViolation {
    NONE,
    REVOKED,
    EXPIRED,
    PERMISSION,
    PURPOSE,
    CONTRIBUTORS_PART,
    BASE
}

/// @title Licences
/// @notice The bits of licence terms and the one rule that compares a use with them.
library Licences {
    /// Fine-tune a model on the rows.
    uint32 internal constant TRAIN = 1 << 0;
    /// Put rows before a model as context.
    uint32 internal constant RETRIEVE = 1 << 1;
    /// Take money for what comes of it.
    uint32 internal constant COMMERCIAL = 1 << 2;
    /// Go on from the adapter: continue, merge, quantise.
    uint32 internal constant DERIVATIVES = 1 << 3;
    /// Give the adapter's weights to others.
    uint32 internal constant REDISTRIBUTE = 1 << 4;
    /// Serve without saying whose rows shaped the answer. Not given: attribution is a duty.
    uint32 internal constant UNATTRIBUTED = 1 << 5;
    /// License what comes of it differently. Not given: share alike.
    uint32 internal constant RELICENSE = 1 << 6;
    uint32 internal constant PERMISSIONS_ALL = (1 << 7) - 1;

    uint32 internal constant GENERAL = 1 << 0;
    uint32 internal constant RESEARCH = 1 << 1;
    uint32 internal constant EDUCATION = 1 << 2;
    uint32 internal constant HEALTH = 1 << 3;
    uint32 internal constant LAW = 1 << 4;
    uint32 internal constant FINANCE = 1 << 5;
    uint32 internal constant GOVERNMENT = 1 << 6;
    uint32 internal constant ADVERTISING = 1 << 7;
    uint32 internal constant SURVEILLANCE = 1 << 8;
    uint32 internal constant MILITARY = 1 << 9;
    uint32 internal constant PURPOSES_ALL = (1 << 10) - 1;

    uint256 internal constant BASES_MAX = 16;
    uint16 internal constant PARTS = 10_000;

    error BadLicence(string what);

    /// @notice Unknown bits are refused: a use must never be allowed by a bit nobody understood.
    function check(Licence calldata licence) internal view {
        if (licence.permissions == 0 || licence.permissions > PERMISSIONS_ALL) {
            revert BadLicence("permissions");
        }
        if (licence.purposes > PURPOSES_ALL) revert BadLicence("purposes");
        if (licence.contributorsMin > PARTS) revert BadLicence("contributorsMin");
        if (licence.expiresAt != 0 && licence.expiresAt <= block.timestamp) {
            revert BadLicence("expiresAt");
        }
        if (licence.bases.length > BASES_MAX) revert BadLicence("bases");
    }

    /// @param revokedAt seconds; 0 when the licence stands
    function violation(Licence storage licence, uint64 revokedAt, LicenceUse memory use)
        internal
        view
        returns (LicenceViolation)
    {
        if (revokedAt != 0) return LicenceViolation.REVOKED;
        if (licence.expiresAt != 0 && block.timestamp >= licence.expiresAt) {
            return LicenceViolation.EXPIRED;
        }
        if (use.permissions == 0 || use.permissions & ~licence.permissions != 0) {
            return LicenceViolation.PERMISSION;
        }
        if (licence.purposes != 0) {
            if (use.purposes == 0 || use.purposes & ~licence.purposes != 0) {
                return LicenceViolation.PURPOSE;
            }
        }
        if (use.contributorsPart < licence.contributorsMin) {
            return LicenceViolation.CONTRIBUTORS_PART;
        }
        if (use.base != bytes32(0) && !_allows(licence.bases, use.base)) {
            return LicenceViolation.BASE;
        }
        return LicenceViolation.NONE;
    }

    function _allows(bytes32[] storage bases, bytes32 base) private view returns (bool) {
        uint256 count = bases.length;
        for (uint256 i = 0; i < count; ++i) {
            if (bases[i] == base) return true;
        }
        return count == 0;
    }
}
