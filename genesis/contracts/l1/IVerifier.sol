// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OutputClaim} from "./Types.sol";

/// @title The plug for proofs
/// @notice Decides a challenged claim. The first one counts signatures (AttestationVerifier); a proof of
/// execution can take its place in a new game type.
interface IVerifier {
    /// @return whether `proof` shows that `claim.outputRoot` is the output after `claim.l2BlockNumber`.
    function verify(OutputClaim calldata claim, bytes calldata proof) external view returns (bool);
}
