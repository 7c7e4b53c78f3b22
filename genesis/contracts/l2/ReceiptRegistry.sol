// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {DatanetRegistry} from "./DatanetRegistry.sol";
import {Eip712} from "./Eip712.sol";
import {ExactSplit} from "./ExactSplit.sol";
import {InferenceEscrow} from "./InferenceEscrow.sol";
import {IAttributePrecompile} from "./IPrecompiles.sol";
import {ModelRegistry} from "./ModelRegistry.sol";
import {Predeploys} from "./Predeploys.sol";
import {InferenceReceipt, Receipts} from "./Receipts.sol";
import {RewardDistributor} from "./RewardDistributor.sol";
import {SplitPolicy} from "./SplitPolicy.sol";

/// @title ReceiptRegistry
/// @notice Settles receipts: once each, at the model's price, signed by who answered and paid by who
/// asked. The sketch rides in the calldata, so ATTRIBUTE recomputes every weight here, in consensus, and
/// the fee is split to the wei between platform, model owner, stakers and the contributors whose data
/// shaped the answer.
///
///     check receipt -> charge the payer -> score the sketch -> split -> accrue
///
/// Anyone may settle; a batch settles whole or not at all.
contract ReceiptRegistry is Eip712 {
    struct Settlement {
        InferenceReceipt receipt;
        bytes providerSignature;
        /// The payer's voucher for this provider.
        uint256 cumulative;
        bytes payerSignature;
        /// int8 entries.
        bytes sketch;
    }

    event ReceiptSettled(
        bytes32 indexed receiptHash,
        bytes32 indexed modelId,
        address indexed payer,
        address provider,
        uint256 fee
    );
    event FeeSplit(
        bytes32 indexed receiptHash,
        uint256 platform,
        uint256 modelOwner,
        uint256 stakers,
        uint256 contributors
    );
    /// @param index the contributor's row in the attribution table
    /// @param weight part of 2^32
    event Attributed(
        bytes32 indexed receiptHash,
        address indexed account,
        uint32 index,
        uint64 weight,
        uint256 amount
    );
    /// @notice No contributor scored above zero: the part went to a Datanet's treasury.
    event Unattributed(
        bytes32 indexed receiptHash,
        uint256 indexed datanetId,
        address indexed treasury,
        uint256 amount
    );

    error BatchOutOfBounds(uint256 count);
    error AlreadySettled(bytes32 receiptHash);
    error WrongSketch(bytes32 expected, bytes32 got);
    error WrongModelHashes(bytes32 modelId);
    error WrongFee(uint256 expected, uint256 got);
    error BadProviderSignature(address provider);
    error WrongAttribution(bytes32 expected, bytes32 got);
    /// @notice ATTRIBUTE refused the sketch, say for its length.
    error AttributionFailed(bytes32 modelId, uint256 sketchBytes);

    uint256 public constant SETTLEMENTS_MAX = 64;

    InferenceEscrow private constant ESCROW = InferenceEscrow(Predeploys.INFERENCE_ESCROW);
    ModelRegistry private constant MODELS = ModelRegistry(Predeploys.MODEL_REGISTRY);
    DatanetRegistry private constant DATANETS = DatanetRegistry(Predeploys.DATANET_REGISTRY);
    SplitPolicy private constant POLICY = SplitPolicy(Predeploys.SPLIT_POLICY);
    RewardDistributor private constant REWARDS =
        RewardDistributor(Predeploys.REWARD_DISTRIBUTOR);
    IAttributePrecompile private constant ATTRIBUTE = IAttributePrecompile(Predeploys.ATTRIBUTE);

    /// @notice Seconds; 0 when not settled.
    mapping(bytes32 receiptHash => uint64 timestamp) public settledAt; // slot 0
    uint256 public settledCount; // slot 1

    /// @notice Settles up to `SETTLEMENTS_MAX` receipts.
    function settle(Settlement[] calldata batch) external {
        if (batch.length == 0 || batch.length > SETTLEMENTS_MAX) {
            revert BatchOutOfBounds(batch.length);
        }
        for (uint256 i = 0; i < batch.length; ++i) {
            _settle(batch[i]);
        }
        settledCount += batch.length;
    }

    /// @notice What the provider signs (EIP-712), and a receipt's name everywhere.
    function receiptHash(InferenceReceipt calldata receipt) public view returns (bytes32) {
        return _digest(Receipts.structHash(receipt));
    }

    function isSettled(bytes32 hash) external view returns (bool) {
        return settledAt[hash] != 0;
    }

    /// @notice When what the receipt paid can be claimed, seconds; 0 when it is not settled.
    function finalAt(bytes32 hash) public view returns (uint256) {
        uint64 time = settledAt[hash];
        return time == 0 ? 0 : REWARDS.claimableFrom(REWARDS.epochOf(time));
    }

    function isFinal(bytes32 hash) external view returns (bool) {
        uint256 time = finalAt(hash);
        return time != 0 && block.timestamp >= time;
    }

    function _settle(Settlement calldata settlement) private {
        InferenceReceipt calldata receipt = settlement.receipt;
        bytes32 hash = receiptHash(receipt);
        if (settledAt[hash] != 0) revert AlreadySettled(hash);
        settledAt[hash] = uint64(block.timestamp);

        ModelRegistry.Terms memory terms = MODELS.termsOf(receipt.modelId);
        _check(settlement, terms, hash);
        ESCROW.charge(
            receipt.payer,
            receipt.provider,
            settlement.cumulative,
            settlement.payerSignature,
            receipt.fee
        );
        emit ReceiptSettled(hash, receipt.modelId, receipt.payer, receipt.provider, receipt.fee);
        _pay(receipt, settlement.sketch, terms.owner, hash);
    }

    function _check(
        Settlement calldata settlement,
        ModelRegistry.Terms memory terms,
        bytes32 hash
    ) private view {
        InferenceReceipt calldata receipt = settlement.receipt;
        bytes32 sketchHash = keccak256(settlement.sketch);
        if (sketchHash != receipt.sketchHash) revert WrongSketch(receipt.sketchHash, sketchHash);
        if (receipt.baseHash != terms.baseHash || receipt.adapterHash != terms.adapterHash) {
            revert WrongModelHashes(receipt.modelId);
        }
        if (!MODELS.isFee(receipt.modelId, receipt.tokensIn, receipt.tokensOut, receipt.fee)) {
            uint256 expected =
                MODELS.feeOf(receipt.modelId, receipt.tokensIn, receipt.tokensOut);
            revert WrongFee(expected, receipt.fee);
        }
        bool signed = SignatureChecker.isValidSignatureNowCalldata(
            receipt.provider, hash, settlement.providerSignature
        );
        if (!signed) revert BadProviderSignature(receipt.provider);
    }

    /// Scores, splits and books one fee. The first three accounts are platform, owner and stakers.
    function _pay(
        InferenceReceipt calldata receipt,
        bytes calldata sketch,
        address owner,
        bytes32 hash
    ) private {
        SplitPolicy.Shares memory shares = POLICY.split(receipt.policyId, receipt.fee);
        emit FeeSplit(
            hash, shares.platform, shares.modelOwner, shares.stakers, shares.contributors
        );
        (address[] memory paid, uint256[] memory parts) =
            _attribute(receipt, sketch, shares.contributors, hash);
        address[] memory accounts = new address[](paid.length + 3);
        uint256[] memory amounts = new uint256[](paid.length + 3);
        (accounts[0], amounts[0]) = (POLICY.platformTreasury(), shares.platform);
        (accounts[1], amounts[1]) = (owner, shares.modelOwner);
        (accounts[2], amounts[2]) = (POLICY.stakersPool(), shares.stakers);
        for (uint256 i = 0; i < paid.length; ++i) {
            (accounts[i + 3], amounts[i + 3]) = (paid[i], parts[i]);
        }
        REWARDS.accrue(accounts, amounts);
    }

    function _attribute(
        InferenceReceipt calldata receipt,
        bytes calldata sketch,
        uint256 amount,
        bytes32 hash
    ) private returns (address[] memory accounts, uint256[] memory parts) {
        uint32[] memory indices;
        uint64[] memory weights;
        bytes32 root;
        (accounts, indices, weights, root) = _score(receipt.modelId, sketch);
        if (root != receipt.attributionRoot) {
            revert WrongAttribution(receipt.attributionRoot, root);
        }
        if (accounts.length == 0) return _toTreasuries(receipt.modelId, amount, hash);
        parts = ExactSplit.split(amount, weights, indices);
        for (uint256 i = 0; i < accounts.length; ++i) {
            emit Attributed(hash, accounts[i], indices[i], weights[i], parts[i]);
        }
    }

    function _score(bytes32 modelId, bytes calldata sketch)
        private
        view
        returns (address[] memory, uint32[] memory, uint64[] memory, bytes32)
    {
        (bool ok, bytes memory output) = address(ATTRIBUTE)
            .staticcall(abi.encodeCall(IAttributePrecompile.score, (modelId, sketch)));
        if (!ok || output.length == 0) revert AttributionFailed(modelId, sketch.length);
        return abi.decode(output, (address[], uint32[], uint64[], bytes32));
    }

    /// Nobody's data can be named: the treasuries of the model's Datanets share evenly, the first of
    /// them one wei more each until nothing is left.
    function _toTreasuries(bytes32 modelId, uint256 amount, bytes32 hash)
        private
        returns (address[] memory accounts, uint256[] memory parts)
    {
        uint256[] memory datanetIds = MODELS.datanetsOf(modelId);
        uint256 count = datanetIds.length;
        accounts = new address[](count);
        parts = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            accounts[i] = DATANETS.treasuryOf(datanetIds[i]);
            parts[i] = amount / count + (i < amount % count ? 1 : 0);
            emit Unattributed(hash, datanetIds[i], accounts[i], parts[i]);
        }
    }
}
