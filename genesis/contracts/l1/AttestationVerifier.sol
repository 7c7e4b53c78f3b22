// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IVerifier} from "./IVerifier.sol";
import {OutputClaim} from "./Types.sol";

/// @title AttestationVerifier
/// @notice Takes `threshold` signatures of bonded validators for a proof. Each of them has derived the L2
/// from L1 and executed it. **This is a quorum, not a proof of validity**: enough validators who lie
/// together can settle a wrong output, and if too few sign, a right one can be lost to a challenger.
///
/// The set is fixed; a validator counts while its bond of OPEN is here. Two signatures by one validator for
/// different outputs of one block cost it the bond: half to whoever shows them, half locked for ever.
contract AttestationVerifier is IVerifier, EIP712 {
    using SafeERC20 for IERC20;

    enum Standing {
        NONE,
        NAMED,
        BONDED,
        LEAVING,
        SLASHED
    }

    struct Validator {
        Standing standing;
        /// When a leaving validator may take its bond, seconds.
        uint64 exitAt;
    }

    event Bonded(address indexed validator);
    event ExitRequested(address indexed validator, uint64 exitAt);
    event Exited(address indexed validator);
    event Slashed(address indexed validator, address indexed reporter);

    error BadSet();
    error WrongStanding(address validator, Standing standing);
    error TooEarly(uint64 exitAt);
    error NoEquivocation();

    bytes32 public constant OUTPUT_TYPEHASH =
        keccak256("Output(uint256 l2ChainId,uint256 l2BlockNumber,bytes32 outputRoot)");

    IERC20 public immutable token;
    uint256 public immutable l2ChainId;
    /// @notice Signatures that make a proof.
    uint256 public immutable threshold;
    /// @notice wei of OPEN.
    uint256 public immutable bondAmount;
    /// @notice Seconds between leaving and the bond's return; longer than any game.
    uint64 public immutable exitDelaySeconds;

    mapping(address => Validator) public validators;

    constructor(
        IERC20 token_,
        uint256 l2ChainId_,
        address[] memory set,
        uint256 threshold_,
        uint256 bondAmount_,
        uint64 exitDelaySeconds_
    ) EIP712("OpenLedger AttestationVerifier", "1") {
        if (threshold_ == 0 || threshold_ > set.length) revert BadSet();
        token = token_;
        l2ChainId = l2ChainId_;
        threshold = threshold_;
        bondAmount = bondAmount_;
        exitDelaySeconds = exitDelaySeconds_;
        for (uint256 i; i < set.length; ++i) {
            if (validators[set[i]].standing != Standing.NONE) revert BadSet();
            validators[set[i]].standing = Standing.NAMED;
        }
    }

    /// @notice Puts up the bond of a named validator; anyone may pay it (approve OPEN first).
    function bond(address validator) external {
        _require(validator, Standing.NAMED);
        validators[validator].standing = Standing.BONDED;
        token.safeTransferFrom(msg.sender, address(this), bondAmount);
        emit Bonded(validator);
    }

    /// @notice From now on the caller's signatures do not count.
    function requestExit() external {
        _require(msg.sender, Standing.BONDED);
        uint64 exitAt = uint64(block.timestamp) + exitDelaySeconds;
        validators[msg.sender] = Validator(Standing.LEAVING, exitAt);
        emit ExitRequested(msg.sender, exitAt);
    }

    /// @notice Takes the bond back; the caller may bond again later.
    function exit() external {
        _require(msg.sender, Standing.LEAVING);
        uint64 exitAt = validators[msg.sender].exitAt;
        if (block.timestamp < exitAt) revert TooEarly(exitAt);
        validators[msg.sender] = Validator(Standing.NAMED, 0);
        token.safeTransfer(msg.sender, bondAmount);
        emit Exited(msg.sender);
    }

    /// @notice Shows that a validator signed two outputs of one block.
    function slash(
        uint256 l2BlockNumber,
        bytes32 rootA,
        bytes calldata signatureA,
        bytes32 rootB,
        bytes calldata signatureB
    ) external {
        address validator = ECDSA.recover(hashOutput(l2BlockNumber, rootA), signatureA);
        if (rootA == rootB) revert NoEquivocation();
        if (ECDSA.recover(hashOutput(l2BlockNumber, rootB), signatureB) != validator) {
            revert NoEquivocation();
        }
        Standing standing = validators[validator].standing;
        if (standing != Standing.BONDED && standing != Standing.LEAVING) {
            revert WrongStanding(validator, standing);
        }
        validators[validator] = Validator(Standing.SLASHED, 0);
        token.safeTransfer(msg.sender, bondAmount / 2);
        emit Slashed(validator, msg.sender);
    }

    /// @param proof `abi.encode(bytes[] signatures)`, in ascending order of their signers
    function verify(OutputClaim calldata claim, bytes calldata proof) external view returns (bool) {
        bytes[] memory signatures = abi.decode(proof, (bytes[]));
        bytes32 digest = hashOutput(claim.l2BlockNumber, claim.outputRoot);
        address last;
        uint256 count;
        for (uint256 i; i < signatures.length; ++i) {
            (address signer, ECDSA.RecoverError fault,) = ECDSA.tryRecover(digest, signatures[i]);
            if (fault != ECDSA.RecoverError.NoError || signer <= last) return false;
            last = signer;
            if (validators[signer].standing == Standing.BONDED) ++count;
        }
        return count >= threshold;
    }

    /// @notice What a validator signs (EIP-712).
    function hashOutput(uint256 l2BlockNumber, bytes32 outputRoot) public view returns (bytes32) {
        return _hashTypedDataV4(
            keccak256(abi.encode(OUTPUT_TYPEHASH, l2ChainId, l2BlockNumber, outputRoot))
        );
    }

    function _require(address validator, Standing standing) private view {
        Standing actual = validators[validator].standing;
        if (actual != standing) revert WrongStanding(validator, actual);
    }
}
