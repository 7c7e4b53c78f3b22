// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {DatanetRegistry} from "./DatanetRegistry.sol";
import {Eip712} from "./Eip712.sol";
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
///     check receipt -> charge the payer -> score sketch and claims -> split -> accrue
///
/// Anyone may settle; a batch settles whole or not at all.
///
/// What consensus cannot recompute, that tokens, sketch and claims came from this model, is optimistic: until a
/// receipt is final, whoever found it wrong reports it with a bond, and its payouts are held.
///
///     settled --report--> reported --resolve: upheld--> payer refunded, reporter has its bond back
///                                  \--resolve: dismissed, or nobody resolves--> paid after all, bond to the platform
contract ReceiptRegistry is Eip712 {
    struct Settlement {
        InferenceReceipt receipt;
        bytes providerSignature;
        /// Zero, or the payer's session key that signed the voucher for this provider.
        address session;
        uint256 cumulative;
        bytes payerSignature;
        /// int8 entries.
        bytes sketch;
        /// Spans and retrieved rows, 17 bytes each; may be empty.
        bytes claims;
    }

    struct Report {
        address reporter;
        uint64 reportedAt;
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
    /// @notice Everything a receipt pays, as it is booked: platform, model owner, stakers, the owners of the
    /// model's ancestors, then contributors in payout order (or treasuries). What `report` and `resolve` are shown.
    event Booked(bytes32 indexed receiptHash, address[] accounts, uint256[] amounts);
    /// @notice No contributor scored above zero: the part went to a Datanet's treasury.
    event Unattributed(
        bytes32 indexed receiptHash,
        uint256 indexed datanetId,
        address indexed treasury,
        uint256 amount
    );

    /// @param stage what of the receipt is wrong: tokens, trace, sketch, claims, table, payout ...
    /// @param difference the first difference, for people and for the game to come
    event ReceiptReported(
        bytes32 indexed receiptHash, address indexed reporter, string stage, string difference
    );
    event ReportResolved(bytes32 indexed receiptHash, bool upheld);

    error BatchOutOfBounds(uint256 count);
    error AlreadySettled(bytes32 receiptHash);
    error WrongSketch(bytes32 expected, bytes32 got);
    error WrongModelHashes(bytes32 modelId);
    error WrongFee(uint256 expected, uint256 got);
    error BadProviderSignature(address provider);
    error WrongAttribution(bytes32 expected, bytes32 got);
    /// @notice The model's manifest promises its contributors more than the policy gives.
    error PolicyBelowTerms(uint32 policyId, uint16 contributorsPart);
    error WrongClaims(bytes32 expected, bytes32 got);
    error NotSettled(bytes32 receiptHash);
    error AlreadyFinal(bytes32 receiptHash);
    error AlreadyReported(bytes32 receiptHash);
    error NotReported(bytes32 receiptHash);
    error WrongBond(uint256 expected, uint256 got);
    /// @notice These are not the accounts and amounts that settlement booked, in its order.
    error WrongPayouts(bytes32 expected, bytes32 got);
    error DifferenceTooLong(uint256 bytesMax);
    error NotArbiter(address caller);
    error StillOpen(uint256 until);
    error TransferFailed();
    /// @notice ATTRIBUTE refused the sketch, say for its length.
    error AttributionFailed(bytes32 modelId, uint256 sketchBytes);

    uint256 public constant SETTLEMENTS_MAX = 64;
    uint256 public constant REPORT_BOND = 1 ether;
    uint256 public constant DIFFERENCE_BYTES_MAX = 512;
    /// @notice After this time anyone may dismiss a report that nobody has resolved.
    uint256 public constant RESOLVE_SECONDS = 7 days;

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
    /// @notice keccak256(abi.encode(payer, accounts, amounts)) as settlement booked them.
    mapping(bytes32 receiptHash => bytes32) public payoutsOf; // slot 2
    mapping(bytes32 receiptHash => Report) public reportOf; // slot 3
    /// @notice A report on it was right, and its fee went back.
    mapping(bytes32 receiptHash => bool) public isUpheld; // slot 4

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

    /// @notice Says that a receipt is wrong, with a bond; holds what it paid. `payer`, `accounts` and `amounts` are
    /// those that settlement booked: platform, owner, stakers, then the contributors.
    function report(
        bytes32 hash,
        address payer,
        address[] calldata accounts,
        uint256[] calldata amounts,
        string calldata stage,
        string calldata difference
    ) external payable {
        uint64 time = settledAt[hash];
        if (time == 0) revert NotSettled(hash);
        if (block.timestamp >= finalAt(hash)) revert AlreadyFinal(hash);
        if (reportOf[hash].reporter != address(0)) revert AlreadyReported(hash);
        if (msg.value != REPORT_BOND) revert WrongBond(REPORT_BOND, msg.value);
        if (bytes(stage).length + bytes(difference).length > DIFFERENCE_BYTES_MAX) {
            revert DifferenceTooLong(DIFFERENCE_BYTES_MAX);
        }
        _checkPayouts(hash, payer, accounts, amounts);
        reportOf[hash] = Report(msg.sender, uint64(block.timestamp));
        REWARDS.hold(REWARDS.epochOf(time), accounts, amounts);
        emit ReceiptReported(hash, msg.sender, stage, difference);
    }

    /// @notice Ends a report. Until the game on traces stands, the arbiter of SplitPolicy decides; after
    /// `RESOLVE_SECONDS` without a decision anyone may dismiss it.
    function resolve(
        bytes32 hash,
        address payer,
        address[] calldata accounts,
        uint256[] calldata amounts,
        bool upheld
    ) external {
        Report memory found = reportOf[hash];
        if (found.reporter == address(0) || payoutsOf[hash] == 0) revert NotReported(hash);
        if (msg.sender != POLICY.arbiter()) {
            uint256 until = found.reportedAt + RESOLVE_SECONDS;
            if (upheld) revert NotArbiter(msg.sender);
            if (block.timestamp < until) revert StillOpen(until);
        }
        _checkPayouts(hash, payer, accounts, amounts);
        delete payoutsOf[hash];
        if (upheld) {
            isUpheld[hash] = true;
            uint256 sum = 0;
            for (uint256 i = 0; i < amounts.length; ++i) {
                sum += amounts[i];
            }
            REWARDS.refund(payer, sum);
        } else {
            REWARDS.restore(accounts, amounts);
        }
        emit ReportResolved(hash, upheld);
        // A reporter that takes no money must not keep its own report from being upheld.
        if (upheld && _send(found.reporter, REPORT_BOND)) return;
        if (!_send(POLICY.platformTreasury(), REPORT_BOND)) revert TransferFailed();
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

    function _send(address to, uint256 amount) private returns (bool ok) {
        (ok,) = to.call{value: amount}("");
    }

    function _settle(Settlement calldata settlement) private {
        InferenceReceipt calldata receipt = settlement.receipt;
        bytes32 hash = receiptHash(receipt);
        if (settledAt[hash] != 0) revert AlreadySettled(hash);
        settledAt[hash] = uint64(block.timestamp);

        ModelRegistry.Terms memory terms = MODELS.termsOf(receipt.modelId);
        _check(settlement, terms, hash);
        ESCROW.charge(
            InferenceEscrow.Voucher(
                receipt.payer,
                settlement.session,
                receipt.provider,
                settlement.cumulative,
                settlement.payerSignature
            ),
            receipt.modelId,
            receipt.fee
        );
        emit ReceiptSettled(hash, receipt.modelId, receipt.payer, receipt.provider, receipt.fee);
        _pay(settlement, hash);
    }

    function _check(
        Settlement calldata settlement,
        ModelRegistry.Terms memory terms,
        bytes32 hash
    ) private view {
        InferenceReceipt calldata receipt = settlement.receipt;
        bytes32 sketchHash = keccak256(settlement.sketch);
        if (sketchHash != receipt.sketchHash) revert WrongSketch(receipt.sketchHash, sketchHash);
        bytes32 claimsHash = keccak256(settlement.claims);
        if (claimsHash != receipt.claimsHash) revert WrongClaims(receipt.claimsHash, claimsHash);
        if (receipt.baseHash != terms.baseHash || receipt.adapterHash != terms.adapterHash) {
            revert WrongModelHashes(receipt.modelId);
        }
        if (!MODELS.isFee(receipt.modelId, receipt.tokensIn, receipt.tokensOut, receipt.fee)) {
            uint256 expected =
                MODELS.feeOf(receipt.modelId, receipt.tokensIn, receipt.tokensOut);
            revert WrongFee(expected, receipt.fee);
        }
        if (POLICY.policyOf(receipt.policyId).contributors < terms.contributorsPart) {
            revert PolicyBelowTerms(receipt.policyId, terms.contributorsPart);
        }
        bool signed = SignatureChecker.isValidSignatureNowCalldata(
            receipt.provider, hash, settlement.providerSignature
        );
        if (!signed) revert BadProviderSignature(receipt.provider);
    }

    /// Scores, splits and books one fee. The first three accounts are platform, owner and stakers; a model
    /// that descends from others passes a part of its owner's income on (Lineage).
    function _pay(Settlement calldata settlement, bytes32 hash) private {
        InferenceReceipt calldata receipt = settlement.receipt;
        SplitPolicy.Shares memory shares = POLICY.split(receipt.policyId, receipt.fee);
        emit FeeSplit(
            hash, shares.platform, shares.modelOwner, shares.stakers, shares.contributors
        );
        (address[] memory paid, uint256[] memory parts) =
            _attribute(settlement, shares.contributors, hash);
        (address[] memory owners, uint256[] memory royalties) =
            MODELS.splitRoyalties(receipt.modelId, shares.modelOwner);
        uint256 first = owners.length + 2;
        address[] memory accounts = new address[](first + paid.length);
        uint256[] memory amounts = new uint256[](first + paid.length);
        (accounts[0], amounts[0]) = (POLICY.platformTreasury(), shares.platform);
        (accounts[1], amounts[1]) = (owners[0], royalties[0]);
        (accounts[2], amounts[2]) = (POLICY.stakersPool(), shares.stakers);
        _fill(accounts, amounts, owners, royalties, 1, 3);
        _fill(accounts, amounts, paid, parts, 0, first);
        _book(hash, receipt.payer, accounts, amounts);
    }

    function _book(
        bytes32 hash,
        address payer,
        address[] memory accounts,
        uint256[] memory amounts
    ) private {
        payoutsOf[hash] = keccak256(abi.encode(payer, accounts, amounts));
        emit Booked(hash, accounts, amounts);
        REWARDS.accrue(accounts, amounts);
    }

    /// Copies both lists, from `from` on, to place `to`.
    function _fill(
        address[] memory accounts,
        uint256[] memory amounts,
        address[] memory names,
        uint256[] memory parts,
        uint256 from,
        uint256 to
    ) private pure {
        for (uint256 i = from; i < names.length; ++i) {
            (accounts[to + i - from], amounts[to + i - from]) = (names[i], parts[i]);
        }
    }

    function _attribute(Settlement calldata settlement, uint256 amount, bytes32 hash)
        private
        returns (address[] memory accounts, uint256[] memory parts)
    {
        InferenceReceipt calldata receipt = settlement.receipt;
        uint32[] memory indices;
        uint64[] memory weights;
        bytes32 root;
        (accounts, indices, weights, parts, root) = _share(settlement, amount);
        if (root != receipt.attributionRoot) {
            revert WrongAttribution(receipt.attributionRoot, root);
        }
        if (accounts.length == 0) return _toTreasuries(receipt.modelId, amount, hash);
        for (uint256 i = 0; i < accounts.length; ++i) {
            emit Attributed(hash, accounts[i], indices[i], weights[i], parts[i]);
        }
    }

    function _share(Settlement calldata settlement, uint256 amount)
        private
        view
        returns (
            address[] memory,
            uint32[] memory,
            uint64[] memory,
            uint256[] memory,
            bytes32
        )
    {
        InferenceReceipt calldata receipt = settlement.receipt;
        SplitPolicy.Channels memory channels = POLICY.channelsOf(receipt.policyId);
        (bool ok, bytes memory output) = address(ATTRIBUTE)
            .staticcall(
                abi.encodeCall(
                    IAttributePrecompile.share,
                    (
                        receipt.modelId,
                        settlement.sketch,
                        settlement.claims,
                        [channels.gradient, channels.span, channels.retrieval],
                        amount
                    )
                )
            );
        if (!ok || output.length == 0) {
            revert AttributionFailed(receipt.modelId, settlement.sketch.length);
        }
        return abi.decode(output, (address[], uint32[], uint64[], uint256[], bytes32));
    }

    function _checkPayouts(
        bytes32 hash,
        address payer,
        address[] calldata accounts,
        uint256[] calldata amounts
    ) private view {
        bytes32 got = keccak256(abi.encode(payer, accounts, amounts));
        if (payoutsOf[hash] != got) revert WrongPayouts(payoutsOf[hash], got);
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
