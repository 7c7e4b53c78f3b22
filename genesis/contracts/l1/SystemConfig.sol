// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

/// @title SystemConfig
/// @notice The part of the chain configuration that may change while the chain runs (OP Stack ABI). The
/// L2 reads its `ConfigUpdate` logs, never its storage: each holds from the L1 block that contains it
/// on. The bounds here are those of derivation, which skips what lies outside of them.
contract SystemConfig is Ownable2Step {
    /// @notice What a log changes; the number is `updateType`.
    enum UpdateType {
        BATCHER,
        FEE_SCALARS,
        GAS_LIMIT,
        UNSAFE_BLOCK_SIGNER,
        EIP_1559_PARAMS
    }

    struct Config {
        address batcher;
        uint64 gasLimit;
        uint32 basefeeScalar;
        uint32 blobbasefeeScalar;
        uint32 eip1559Denominator;
        uint32 eip1559Elasticity;
        address unsafeBlockSigner;
    }

    event ConfigUpdate(uint256 indexed version, UpdateType indexed updateType, bytes data);

    /// @notice Only version 0 of the batcher hash exists: twelve zero bytes and an address, not zero.
    error InvalidBatcherHash(bytes32 batcherHash);
    /// @notice Outside of `minimumGasLimit()` to `maximumGasLimit()`.
    error InvalidGasLimit(uint64 gasLimit);
    /// @notice The denominator must be above zero, the elasticity 1 to `ELASTICITY_MAX`.
    error InvalidEIP1559Params(uint32 denominator, uint32 elasticity);

    string public constant version = "3.0.0-openledger.1";
    uint256 public constant VERSION = 0;
    uint32 public constant ELASTICITY_MAX = 1_000;
    /// The deposits of one L1 block (`DepositMetering.DEPOSIT_GAS_PER_BLOCK_MAX`) and the L1 attributes fit in.
    uint64 private constant GAS_LIMIT_MIN = 21_000_000;
    uint64 private constant GAS_LIMIT_MAX = 200_000_000;
    /// Of the packed scalars (Ecotone).
    uint256 private constant SCALAR_VERSION = uint256(0x01) << 248;

    address public immutable batchInbox;
    /// @notice L1 block of the deployment.
    uint256 public immutable startBlock;

    bytes32 public batcherHash;
    uint64 public gasLimit;
    uint32 public basefeeScalar;
    uint32 public blobbasefeeScalar;
    uint32 public eip1559Denominator;
    uint32 public eip1559Elasticity;
    address public unsafeBlockSigner;

    constructor(address owner_, address batchInbox_, Config memory config) Ownable(owner_) {
        batchInbox = batchInbox_;
        startBlock = block.number;
        _setBatcherHash(bytes32(uint256(uint160(config.batcher))));
        _setGasConfig(config.basefeeScalar, config.blobbasefeeScalar);
        _setGasLimit(config.gasLimit);
        _setUnsafeBlockSigner(config.unsafeBlockSigner);
        _setEIP1559Params(config.eip1559Denominator, config.eip1559Elasticity);
    }

    function minimumGasLimit() external pure returns (uint64) {
        return GAS_LIMIT_MIN;
    }

    function maximumGasLimit() external pure returns (uint64) {
        return GAS_LIMIT_MAX;
    }

    /// @notice The packed fee scalars, as in the log.
    function scalar() external view returns (uint256) {
        return _packedScalars(basefeeScalar, blobbasefeeScalar);
    }

    function setBatcherHash(bytes32 batcherHash_) external onlyOwner {
        _setBatcherHash(batcherHash_);
    }

    function setGasConfigEcotone(uint32 basefeeScalar_, uint32 blobbasefeeScalar_) external onlyOwner {
        _setGasConfig(basefeeScalar_, blobbasefeeScalar_);
    }

    function setGasLimit(uint64 gasLimit_) external onlyOwner {
        _setGasLimit(gasLimit_);
    }

    function setUnsafeBlockSigner(address unsafeBlockSigner_) external onlyOwner {
        _setUnsafeBlockSigner(unsafeBlockSigner_);
    }

    function setEIP1559Params(uint32 denominator, uint32 elasticity) external onlyOwner {
        _setEIP1559Params(denominator, elasticity);
    }

    function _setBatcherHash(bytes32 batcherHash_) private {
        if (batcherHash_ == 0 || uint256(batcherHash_) >> 160 != 0) revert InvalidBatcherHash(batcherHash_);
        batcherHash = batcherHash_;
        emit ConfigUpdate(VERSION, UpdateType.BATCHER, abi.encode(batcherHash_));
    }

    function _setGasConfig(uint32 basefeeScalar_, uint32 blobbasefeeScalar_) private {
        basefeeScalar = basefeeScalar_;
        blobbasefeeScalar = blobbasefeeScalar_;
        bytes memory data = abi.encode(uint256(0), _packedScalars(basefeeScalar_, blobbasefeeScalar_));
        emit ConfigUpdate(VERSION, UpdateType.FEE_SCALARS, data);
    }

    function _setGasLimit(uint64 gasLimit_) private {
        if (gasLimit_ < GAS_LIMIT_MIN || gasLimit_ > GAS_LIMIT_MAX) revert InvalidGasLimit(gasLimit_);
        gasLimit = gasLimit_;
        emit ConfigUpdate(VERSION, UpdateType.GAS_LIMIT, abi.encode(gasLimit_));
    }

    function _setUnsafeBlockSigner(address unsafeBlockSigner_) private {
        unsafeBlockSigner = unsafeBlockSigner_;
        emit ConfigUpdate(VERSION, UpdateType.UNSAFE_BLOCK_SIGNER, abi.encode(unsafeBlockSigner_));
    }

    function _setEIP1559Params(uint32 denominator, uint32 elasticity) private {
        if (denominator == 0 || elasticity == 0 || elasticity > ELASTICITY_MAX) {
            revert InvalidEIP1559Params(denominator, elasticity);
        }
        eip1559Denominator = denominator;
        eip1559Elasticity = elasticity;
        bytes memory data = abi.encode((uint256(denominator) << 32) | elasticity);
        emit ConfigUpdate(VERSION, UpdateType.EIP_1559_PARAMS, data);
    }

    function _packedScalars(uint32 basefee, uint32 blobbasefee) private pure returns (uint256) {
        return SCALAR_VERSION | (uint256(blobbasefee) << 32) | basefee;
    }
}
