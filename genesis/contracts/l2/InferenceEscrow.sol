// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Eip712} from "./Eip712.sol";
import {Predeploys} from "./Predeploys.sol";
import {RewardDistributor} from "./RewardDistributor.sol";

/// @title InferenceEscrow
/// @notice Prepaid balances for inference. A payer signs cumulative vouchers, "this provider may have
/// charged me `cumulative` wei in all": a newer voucher replaces an older one and showing one twice
/// charges nothing twice. Taking money out waits `WITHDRAWAL_DELAY_SECONDS`, during which providers can
/// still settle what they answered.
///
/// A payer may let another key sign in its stead, within limits: so many wei in all, until a time, for
/// certain models. Such a session key has counts of its own, so that two keys of one payer need not
/// know of each other. It ends by its time or by `closeSession`; what was answered until then can still
/// be settled for `WITHDRAWAL_DELAY_SECONDS`.
contract InferenceEscrow is Eip712 {
    event Deposited(address indexed payer, address indexed from, uint256 amount);
    event WithdrawalRequested(address indexed payer, uint256 amount, uint256 availableAt);
    event Withdrawn(address indexed payer, uint256 amount);
    /// @param session the key that signed, or zero
    /// @param chargedInAll by this provider, of the payer itself or of the session key
    event Charged(
        address indexed payer,
        address indexed provider,
        address indexed session,
        uint256 fee,
        uint256 chargedInAll
    );
    event SessionOpened(
        address indexed payer,
        address indexed key,
        uint256 limit,
        uint64 expiresAt,
        bytes32[] models
    );
    event SessionClosed(address indexed payer, address indexed key);

    error NotReceiptRegistry(address caller);
    error BadVoucherSignature(address payer);
    /// @notice The voucher's cap would be passed.
    error VoucherExceeded(uint256 cumulative, uint256 needed);
    error InsufficientBalance(address payer, uint256 balance, uint256 needed);
    /// @notice The limit would be passed.
    error SessionExhausted(address key, uint256 limit, uint256 needed);
    error SessionExpired(address key, uint64 expiresAt);
    error ModelNotAllowed(address key, bytes32 modelId);
    /// @notice Zero, the payer itself, an end that has passed, or too many models.
    error SessionOutOfBounds(address key, uint64 expiresAt, uint256 models);
    /// @notice The same key can be opened again after this time, seconds; another key at once.
    error SessionStillOpen(address key, uint256 until);
    error NoSession(address payer, address key);
    error BadSessionSignature(address payer);
    error NoWithdrawalRequested();
    /// @notice Ready from this time on, seconds.
    error WithdrawalNotReady(uint256 availableAt);
    error TransferFailed();

    struct Withdrawal {
        uint256 amount;
        uint256 availableAt;
    }

    struct Session {
        /// wei, over all providers.
        uint256 limit;
        uint256 spent;
        /// Seconds; from then on nothing new may be answered for it.
        uint64 expiresAt;
    }

    /// @notice What a receipt is paid with; `session` zero: the payer itself signed.
    struct Voucher {
        address payer;
        address session;
        address provider;
        uint256 cumulative;
        /// 65 bytes, or what the signer's ERC-1271 contract accepts.
        bytes signature;
    }

    uint256 public constant WITHDRAWAL_DELAY_SECONDS = 1 hours;
    uint256 public constant SESSION_MODELS_MAX = 16;
    bytes32 public constant VOUCHER_TYPEHASH =
        keccak256("Voucher(address payer,address provider,uint256 cumulative)");
    bytes32 public constant SESSION_VOUCHER_TYPEHASH = keccak256(
        "SessionVoucher(address payer,address session,address provider,uint256 cumulative)"
    );
    bytes32 public constant SESSION_TYPEHASH = keccak256(
        "Session(address payer,address key,uint256 limit,uint64 expiresAt,bytes32[] models,uint64 nonce)"
    );

    mapping(address payer => uint256 wei_) public balanceOf; // slot 0
    mapping(address payer => mapping(address provider => uint256 wei_)) public charged; // slot 1
    mapping(address payer => Withdrawal) public withdrawalOf; // slot 2
    mapping(address payer => mapping(address key => Session)) private _sessions; // slot 3
    /// The models a session may be spent on; none: all.
    mapping(address payer => mapping(address key => bytes32[])) private _models; // slot 4
    /// @notice Never reset, so a session opened anew does not bring old vouchers back.
    mapping(address payer => mapping(address key => mapping(address provider => uint256 wei_)))
        public sessionCharged; // slot 5
    /// @notice Sessions opened for a payer by its signature.
    mapping(address payer => uint64) public sessionNonce; // slot 6

    function deposit() external payable {
        _deposit(msg.sender);
    }

    function depositFor(address payer) external payable {
        _deposit(payer);
    }

    /// @notice Starts (or restarts, with a new amount) the delay.
    function requestWithdrawal(uint256 amount) external {
        if (amount > balanceOf[msg.sender]) {
            revert InsufficientBalance(msg.sender, balanceOf[msg.sender], amount);
        }
        uint256 availableAt = block.timestamp + WITHDRAWAL_DELAY_SECONDS;
        withdrawalOf[msg.sender] = Withdrawal(amount, availableAt);
        emit WithdrawalRequested(msg.sender, amount, availableAt);
    }

    /// @notice Pays out what was requested, or what charges have left of it.
    function executeWithdrawal() external returns (uint256 amount) {
        Withdrawal memory request = withdrawalOf[msg.sender];
        if (request.availableAt == 0) revert NoWithdrawalRequested();
        if (block.timestamp < request.availableAt) revert WithdrawalNotReady(request.availableAt);
        uint256 balance = balanceOf[msg.sender];
        amount = request.amount < balance ? request.amount : balance;
        delete withdrawalOf[msg.sender];
        balanceOf[msg.sender] = balance - amount;
        emit Withdrawn(msg.sender, amount);
        (bool ok,) = msg.sender.call{value: amount}("");
        if (!ok) revert TransferFailed();
    }

    /// @notice Lets `key` sign vouchers for the caller: up to `limit` wei, until `expiresAt`, for `models` (none:
    /// all). A key that has ended can be opened again, with a limit anew.
    function openSession(
        address key,
        uint256 limit,
        uint64 expiresAt,
        bytes32[] calldata models
    ) external {
        _openSession(msg.sender, key, limit, expiresAt, models);
    }

    /// @notice The same by the payer's signature, sent by anybody.
    function openSessionFor(
        address payer,
        address key,
        uint256 limit,
        uint64 expiresAt,
        bytes32[] calldata models,
        bytes calldata signature
    ) external {
        bytes32 digest = _digest(
            keccak256(
                abi.encode(
                    SESSION_TYPEHASH,
                    payer,
                    key,
                    limit,
                    expiresAt,
                    keccak256(abi.encodePacked(models)),
                    sessionNonce[payer]++
                )
            )
        );
        if (!SignatureChecker.isValidSignatureNowCalldata(payer, digest, signature)) {
            revert BadSessionSignature(payer);
        }
        _openSession(payer, key, limit, expiresAt, models);
    }

    /// @notice Ends it now.
    function closeSession(address key) external {
        Session storage session = _sessions[msg.sender][key];
        if (session.expiresAt == 0) revert NoSession(msg.sender, key);
        if (session.expiresAt > block.timestamp) session.expiresAt = uint64(block.timestamp);
        emit SessionClosed(msg.sender, key);
    }

    /// @notice A key's limits; all zero when the payer never named it.
    function sessionOf(address payer, address key)
        external
        view
        returns (Session memory session, bytes32[] memory models)
    {
        return (_sessions[payer][key], _models[payer][key]);
    }

    /// @notice Moves one receipt's fee to the distributor, within what the payer or its session key signed for.
    function charge(Voucher calldata voucher, bytes32 modelId, uint256 fee) external {
        if (msg.sender != Predeploys.RECEIPT_REGISTRY) revert NotReceiptRegistry(msg.sender);
        (address payer, address session) = (voucher.payer, voucher.session);
        uint256 inAll = session == address(0)
            ? _chargePayer(voucher, fee)
            : _chargeSession(voucher, modelId, fee);
        if (inAll > voucher.cumulative) revert VoucherExceeded(voucher.cumulative, inAll);
        uint256 balance = balanceOf[payer];
        if (balance < fee) revert InsufficientBalance(payer, balance, fee);
        balanceOf[payer] = balance - fee;
        emit Charged(payer, voucher.provider, session, fee, inAll);
        RewardDistributor(Predeploys.REWARD_DISTRIBUTOR).fund{value: fee}();
    }

    /// @notice What the payer signs (EIP-712).
    function voucherHash(address payer, address provider, uint256 cumulative)
        public
        view
        returns (bytes32)
    {
        return _digest(keccak256(abi.encode(VOUCHER_TYPEHASH, payer, provider, cumulative)));
    }

    /// @notice What a session key signs (EIP-712).
    function sessionVoucherHash(
        address payer,
        address session,
        address provider,
        uint256 cumulative
    ) public view returns (bytes32) {
        return _digest(
            keccak256(
                abi.encode(SESSION_VOUCHER_TYPEHASH, payer, session, provider, cumulative)
            )
        );
    }

    function _chargePayer(Voucher calldata voucher, uint256 fee) private returns (uint256 inAll) {
        (address payer, address provider) = (voucher.payer, voucher.provider);
        _checkSignature(payer, voucherHash(payer, provider, voucher.cumulative), voucher.signature);
        inAll = charged[payer][provider] + fee;
        charged[payer][provider] = inAll;
    }

    function _chargeSession(Voucher calldata voucher, bytes32 modelId, uint256 fee)
        private
        returns (uint256 inAll)
    {
        (address payer, address key, address provider) =
            (voucher.payer, voucher.session, voucher.provider);
        Session storage session = _sessions[payer][key];
        if (session.expiresAt == 0) revert NoSession(payer, key);
        if (block.timestamp > session.expiresAt + WITHDRAWAL_DELAY_SECONDS) {
            revert SessionExpired(key, session.expiresAt);
        }
        if (!_allows(_models[payer][key], modelId)) revert ModelNotAllowed(key, modelId);
        uint256 spent = session.spent + fee;
        if (spent > session.limit) revert SessionExhausted(key, session.limit, spent);
        bytes32 digest = sessionVoucherHash(payer, key, provider, voucher.cumulative);
        _checkSignature(key, digest, voucher.signature);
        session.spent = spent;
        inAll = sessionCharged[payer][key][provider] + fee;
        sessionCharged[payer][key][provider] = inAll;
    }

    /// A key's own signature stays good whatever code its account is given afterwards (EIP-7702): else a payer could
    /// take back, by a delegation, what a provider has answered in good faith.
    function _checkSignature(address signer, bytes32 digest, bytes calldata signature)
        private
        view
    {
        (address recovered, ECDSA.RecoverError fault,) =
            ECDSA.tryRecoverCalldata(digest, signature);
        if (fault == ECDSA.RecoverError.NoError && recovered == signer) return;
        if (!SignatureChecker.isValidSignatureNowCalldata(signer, digest, signature)) {
            revert BadVoucherSignature(signer);
        }
    }

    function _allows(bytes32[] storage models, bytes32 modelId) private view returns (bool) {
        uint256 count = models.length;
        for (uint256 i = 0; i < count; ++i) {
            if (models[i] == modelId) return true;
        }
        return count == 0;
    }

    function _openSession(
        address payer,
        address key,
        uint256 limit,
        uint64 expiresAt,
        bytes32[] calldata models
    ) private {
        bool inBounds = key != address(0) && key != payer && expiresAt > block.timestamp
            && expiresAt <= type(uint64).max >> 1 && models.length <= SESSION_MODELS_MAX;
        if (!inBounds) revert SessionOutOfBounds(key, expiresAt, models.length);
        // Else a payer could take back what a provider has answered in good faith and not yet settled.
        uint256 until = _sessions[payer][key].expiresAt + WITHDRAWAL_DELAY_SECONDS;
        if (block.timestamp <= until) revert SessionStillOpen(key, until);
        _sessions[payer][key] = Session(limit, 0, expiresAt);
        _models[payer][key] = models;
        emit SessionOpened(payer, key, limit, expiresAt, models);
    }

    function _deposit(address payer) private {
        balanceOf[payer] += msg.value;
        emit Deposited(payer, msg.sender, msg.value);
    }
}
