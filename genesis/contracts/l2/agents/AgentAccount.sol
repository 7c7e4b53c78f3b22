// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IAccount, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ERC4337Utils} from "@openzeppelin/contracts/account/utils/ERC4337Utils.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Eip712} from "../Eip712.sol";
import {Predeploys} from "../Predeploys.sol";

/// @title AgentAccount
/// @notice Money that an agent may spend within limits its owner sets, kept by the chain whatever the agent is made
/// to do. The owner gives keys; a key may call the functions it was allowed, for so much of each asset at a time and
/// in a period, until it expires. Larger amounts wait, and the owner can cancel them; `stop` ends all spending.
///
///     key: execute(call) -----------------------------> [allowed? within the caps? not above the delay?] -> call
///          propose(call) -> wait delaySeconds, or the owner's cancel -> executeProposed -> [the same, but the delay]
///     owner: executeAsOwner, setKey, allow, setCap, cancel, stop, resume, removeKey
///
/// One code for three lives: behind a clone made by AgentAccounts (owner given), as an ERC-4337 account (EntryPoint
/// v0.8; owner and keys sign user operations), and as what an EOA delegates to by EIP-7702: such an account is its
/// own owner, and its keys are session keys. State lies at one ERC-7201 slot, away from other delegates'.
///
/// An asset is an ERC-20 token; zero is OPEN, wrapped or not. Amounts are the value of a call and the arguments of
/// `transfer`, `approve` and `transferFrom`; other functions of a token that move money are for the owner not to allow.
/// Periods are fixed windows of time, so two of them can be spent around the turn of a period.
contract AgentAccount is IAccount, IERC1271, Eip712 {
    struct Key {
        /// Seconds; 0: no such key.
        uint64 validUntil;
        uint64 delaySeconds;
        /// Goes up when the key is set or removed, so that nothing of an earlier life counts.
        uint64 generation;
    }

    struct Cap {
        uint128 actionMax;
        uint128 periodMax;
        /// Amounts above wait `delaySeconds`.
        uint128 delayAbove;
        uint64 periodSeconds;
        uint64 period;
        uint128 spent;
    }

    struct Proposal {
        address key;
        uint64 readyAt;
        uint64 generation;
        bytes32 callHash;
    }

    /// @custom:storage-location erc7201:openledger.agent-account
    struct State {
        address owner;
        bool isStopped;
        uint32 openProposals;
        uint64 proposalCount;
        mapping(address key => Key) keys;
        mapping(bytes32 keyGeneration => mapping(address target => mapping(bytes4 selector => bool))) allowed;
        mapping(bytes32 keyGeneration => mapping(address asset => Cap)) caps;
        mapping(uint64 id => Proposal) proposals;
    }

    event KeySet(address indexed key, uint64 validUntil, uint64 delaySeconds);
    event KeyRemoved(address indexed key);
    event Allowed(address indexed key, address indexed target, bytes4 indexed selector, bool allowed);
    event CapSet(
        address indexed key,
        address indexed asset,
        uint128 actionMax,
        uint128 periodMax,
        uint64 periodSeconds,
        uint128 delayAbove
    );
    event Proposed(uint64 indexed id, address indexed key, uint64 readyAt, address target, uint256 value, bytes data);
    event ProposalCancelled(uint64 indexed id);
    event Executed(address indexed key, address indexed target, uint256 value, bytes4 selector);
    event Stopped();
    event Resumed();

    error NotOwner(address caller);
    error NotEntryPoint(address caller);
    error NotFactory(address caller);
    error IsStopped();
    /// @notice Unknown, removed, or expired.
    error KeyNotValid(address key, uint64 validUntil);
    error NotAllowed(address target, bytes4 selector);
    error AboveActionCap(address asset, uint256 amount, uint256 max);
    error AbovePeriodCap(address asset, uint256 amount, uint256 left);
    /// @notice Propose it, and execute it `delaySeconds` later.
    error NeedsDelay(address asset, uint256 amount, uint256 delayAbove);
    error NotReady(uint64 readyAt);
    error UnknownProposal(uint64 id);
    error WrongCall(bytes32 expected, bytes32 got);
    error TooManyProposals(uint256 max);
    error BadPeriod();
    error BadKey(address key);
    /// @notice A key's user operation needs a paymaster, or a deposit in EntryPoint: gas is no hole in the caps.
    error KeyPaysNoGas(address key);

    uint256 public constant PROPOSALS_MAX = 16;
    bytes32 private constant STATE_SLOT =
        keccak256(abi.encode(uint256(keccak256("openledger.agent-account")) - 1)) & ~bytes32(uint256(0xff));
    bytes32 public constant MESSAGE_TYPEHASH = keccak256("AgentAccountMessage(bytes32 hash)");
    address private constant WOPEN = 0x4200000000000000000000000000000000000006;
    address private constant ENTRY_POINT = address(ERC4337Utils.ENTRYPOINT_V08);

    modifier onlyOwner() {
        if (msg.sender != owner() && msg.sender != address(this)) revert NotOwner(msg.sender);
        _;
    }

    receive() external payable {}

    /// @notice Once, by the factory, in the transaction that makes the clone.
    function initialize(address owner_) external {
        if (msg.sender != Predeploys.AGENT_ACCOUNTS) revert NotFactory(msg.sender);
        _state().owner = owner_;
    }

    /// @notice The account itself where it is an EOA's delegate (EIP-7702).
    function owner() public view returns (address) {
        address owner_ = _state().owner;
        return owner_ == address(0) ? address(this) : owner_;
    }

    function isStopped() external view returns (bool) {
        return _state().isStopped;
    }

    // --- the owner

    /// @notice Gives or renews a key; what an earlier key of this address was allowed is gone.
    /// @param validUntil seconds
    /// @param delaySeconds that amounts above a cap's `delayAbove` wait
    function setKey(address key, uint64 validUntil, uint64 delaySeconds) external onlyOwner {
        if (key == address(0) || key == address(this)) revert BadKey(key);
        Key storage k = _state().keys[key];
        (k.validUntil, k.delaySeconds, k.generation) = (validUntil, delaySeconds, k.generation + 1);
        emit KeySet(key, validUntil, delaySeconds);
    }

    function removeKey(address key) external onlyOwner {
        Key storage k = _state().keys[key];
        (k.validUntil, k.generation) = (0, k.generation + 1);
        emit KeyRemoved(key);
    }

    /// @param selector of the function; zero: a plain transfer of OPEN, without data
    function allow(address key, address target, bytes4 selector, bool allowed) external onlyOwner {
        _state().allowed[_scope(key)][target][selector] = allowed;
        emit Allowed(key, target, selector, allowed);
    }

    /// @notice Without a cap a key can spend nothing of an asset. What it has spent in a running period counts on.
    function setCap(
        address key,
        address asset,
        uint128 actionMax,
        uint128 periodMax,
        uint64 periodSeconds,
        uint128 delayAbove
    ) external onlyOwner {
        if (periodSeconds == 0) revert BadPeriod();
        Cap storage cap = _state().caps[_scope(key)][asset];
        // Counted in other windows now: what the old one held is spent in the new one.
        bool isCurrent = cap.periodSeconds != 0 && cap.period == block.timestamp / cap.periodSeconds;
        if (!isCurrent) cap.spent = 0;
        cap.period = uint64(block.timestamp / periodSeconds);
        (cap.actionMax, cap.periodMax, cap.periodSeconds, cap.delayAbove) =
            (actionMax, periodMax, periodSeconds, delayAbove);
        emit CapSet(key, asset, actionMax, periodMax, periodSeconds, delayAbove);
    }

    function cancel(uint64 id) external onlyOwner {
        _close(id);
        emit ProposalCancelled(id);
    }

    /// @notice No key spends anything until `resume`.
    function stop() external onlyOwner {
        _state().isStopped = true;
        emit Stopped();
    }

    function resume() external onlyOwner {
        _state().isStopped = false;
        emit Resumed();
    }

    /// @notice Anything, at any time; EntryPoint when the owner signed the operation.
    function executeAsOwner(address target, uint256 value, bytes calldata data) external returns (bytes memory) {
        if (msg.sender != owner() && msg.sender != address(this) && msg.sender != ENTRY_POINT) {
            revert NotOwner(msg.sender);
        }
        return _call(target, value, data);
    }

    // --- keys

    function execute(address target, uint256 value, bytes calldata data) external returns (bytes memory) {
        return _execute(msg.sender, target, value, data);
    }

    /// @notice The same by EntryPoint, which has had `key`'s signature checked by `validateUserOp`.
    function executeFor(address key, address target, uint256 value, bytes calldata data)
        external
        returns (bytes memory)
    {
        if (msg.sender != ENTRY_POINT) revert NotEntryPoint(msg.sender);
        return _execute(key, target, value, data);
    }

    /// @notice Announces a call whose amount is above the delay; the caps are checked when it is carried out.
    function propose(address target, uint256 value, bytes calldata data) external returns (uint64 id) {
        State storage state = _state();
        Key storage key = _checkKey(msg.sender);
        _checkAllowed(msg.sender, target, data);
        if (state.openProposals == PROPOSALS_MAX) revert TooManyProposals(PROPOSALS_MAX);
        ++state.openProposals;
        id = ++state.proposalCount;
        uint64 readyAt = uint64(block.timestamp) + key.delaySeconds;
        bytes32 callHash = keccak256(abi.encode(target, value, data));
        state.proposals[id] = Proposal(msg.sender, readyAt, key.generation, callHash);
        emit Proposed(id, msg.sender, readyAt, target, value, data);
    }

    /// @notice Carries out what was proposed, by the key that proposed it.
    function executeProposed(uint64 id, address target, uint256 value, bytes calldata data)
        external
        returns (bytes memory)
    {
        Proposal memory proposal = _state().proposals[id];
        Key storage key = _checkKey(msg.sender);
        if (proposal.key != msg.sender || proposal.generation != key.generation) revert UnknownProposal(id);
        if (block.timestamp < proposal.readyAt) revert NotReady(proposal.readyAt);
        bytes32 callHash = keccak256(abi.encode(target, value, data));
        if (callHash != proposal.callHash) revert WrongCall(proposal.callHash, callHash);
        _close(id);
        _checkAllowed(msg.sender, target, data);
        _spend(msg.sender, target, value, data, false);
        emit Executed(msg.sender, target, value, _selectorOf(data));
        return _call(target, value, data);
    }

    // --- signatures

    /// @inheritdoc IAccount
    /// @dev The owner may have any function called; a key `executeFor` in its own name. The time is checked by
    /// EntryPoint (ERC-7562 forbids looking at the clock here), and again when the call runs.
    function validateUserOp(PackedUserOperation calldata op, bytes32 opHash, uint256 missingFunds)
        external
        returns (uint256)
    {
        if (msg.sender != ENTRY_POINT) revert NotEntryPoint(msg.sender);
        (address signer, ECDSA.RecoverError fault,) = ECDSA.tryRecoverCalldata(opHash, op.signature);
        bool isOwner = fault == ECDSA.RecoverError.NoError && signer == owner();
        if (!isOwner && owner().code.length > 0 && owner() != address(this)) {
            isOwner = SignatureChecker.isValidSignatureNowCalldata(owner(), opHash, op.signature);
        }
        if (isOwner) {
            if (bytes4(op.callData) != this.executeAsOwner.selector) return ERC4337Utils.SIG_VALIDATION_FAILED;
            if (missingFunds != 0) {
                (bool paid,) = ENTRY_POINT.call{value: missingFunds}("");
                // EntryPoint itself refuses the operation when it was not paid.
                paid;
            }
            return ERC4337Utils.SIG_VALIDATION_SUCCESS;
        }
        Key storage key = _state().keys[signer];
        bool isKey = fault == ECDSA.RecoverError.NoError && key.validUntil != 0
            && bytes4(op.callData) == this.executeFor.selector && op.callData.length >= 36
            && address(uint160(uint256(bytes32(op.callData[4:36])))) == signer;
        if (!isKey) return ERC4337Utils.SIG_VALIDATION_FAILED;
        if (missingFunds != 0) revert KeyPaysNoGas(signer);
        uint48 until = key.validUntil > type(uint48).max ? type(uint48).max : uint48(key.validUntil);
        return ERC4337Utils.packValidationData(true, 0, until);
    }

    /// @inheritdoc IERC1271
    /// @dev The owner alone, over `AgentAccountMessage(hash)` in this account's domain, so that what it signs for one
    /// account is good for no other. Keys sign nothing for the account: a signature could not be counted.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        address owner_ = owner();
        bytes32 digest = _digest(keccak256(abi.encode(MESSAGE_TYPEHASH, hash)));
        bool isValid;
        if (owner_ == address(this)) {
            (address signer, ECDSA.RecoverError fault,) = ECDSA.tryRecoverCalldata(digest, signature);
            isValid = fault == ECDSA.RecoverError.NoError && signer == owner_;
        } else {
            isValid = SignatureChecker.isValidSignatureNowCalldata(owner_, digest, signature);
        }
        return isValid ? this.isValidSignature.selector : bytes4(0xffffffff);
    }

    // --- reads

    function keyOf(address key) external view returns (Key memory) {
        return _state().keys[key];
    }

    function capOf(address key, address asset) external view returns (Cap memory) {
        return _state().caps[_scope(key)][asset];
    }

    function isAllowed(address key, address target, bytes4 selector) external view returns (bool) {
        return _state().allowed[_scope(key)][target][selector];
    }

    function proposalOf(uint64 id) external view returns (Proposal memory) {
        return _state().proposals[id];
    }

    /// @notice What the key could spend of an asset now, in all.
    function leftOf(address key, address asset) external view returns (uint256) {
        return _left(_state().caps[_scope(key)][asset]);
    }

    // --- within

    function _execute(address key, address target, uint256 value, bytes calldata data)
        private
        returns (bytes memory)
    {
        _checkKey(key);
        _checkAllowed(key, target, data);
        _spend(key, target, value, data, true);
        emit Executed(key, target, value, _selectorOf(data));
        return _call(target, value, data);
    }

    function _checkKey(address key) private view returns (Key storage k) {
        if (_state().isStopped) revert IsStopped();
        k = _state().keys[key];
        if (k.validUntil == 0 || block.timestamp > k.validUntil) revert KeyNotValid(key, k.validUntil);
    }

    function _checkAllowed(address key, address target, bytes calldata data) private view {
        bytes4 selector = _selectorOf(data);
        // A call of the account to itself would be the owner's.
        bool isAllowed_ = target != address(this) && _state().allowed[_scope(key)][target][selector];
        if (!isAllowed_) revert NotAllowed(target, selector);
    }

    function _spend(address key, address target, uint256 value, bytes calldata data, bool withDelay) private {
        uint256 moved = _movedBy(data);
        if (target == WOPEN) {
            _count(key, address(0), value + moved, withDelay);
        } else {
            if (value > 0) _count(key, address(0), value, withDelay);
            if (moved > 0) _count(key, target, moved, withDelay);
        }
    }

    function _count(address key, address asset, uint256 amount, bool withDelay) private {
        if (amount == 0) return;
        Cap storage cap = _state().caps[_scope(key)][asset];
        if (amount > cap.actionMax) revert AboveActionCap(asset, amount, cap.actionMax);
        if (withDelay && amount > cap.delayAbove) revert NeedsDelay(asset, amount, cap.delayAbove);
        uint256 left = _left(cap);
        if (amount > left) revert AbovePeriodCap(asset, amount, left);
        uint64 period = uint64(block.timestamp / cap.periodSeconds);
        if (period != cap.period) (cap.period, cap.spent) = (period, 0);
        cap.spent += uint128(amount);
    }

    function _left(Cap storage cap) private view returns (uint256) {
        if (cap.periodSeconds == 0) return 0;
        uint256 spent = cap.period == block.timestamp / cap.periodSeconds ? cap.spent : 0;
        return spent < cap.periodMax ? cap.periodMax - spent : 0;
    }

    /// Tokens that a call moves, or lets another move.
    function _movedBy(bytes calldata data) private pure returns (uint256) {
        bytes4 selector = _selectorOf(data);
        bool isTransfer = selector == IERC20.transfer.selector || selector == IERC20.approve.selector;
        if (isTransfer && data.length >= 68) return uint256(bytes32(data[36:68]));
        if (selector == IERC20.transferFrom.selector && data.length >= 100) return uint256(bytes32(data[68:100]));
        return 0;
    }

    function _selectorOf(bytes calldata data) private pure returns (bytes4) {
        return data.length == 0 ? bytes4(0) : bytes4(data);
    }

    function _close(uint64 id) private {
        State storage state = _state();
        if (state.proposals[id].callHash == 0) revert UnknownProposal(id);
        delete state.proposals[id];
        --state.openProposals;
    }

    function _scope(address key) private view returns (bytes32) {
        return keccak256(abi.encode(key, _state().keys[key].generation));
    }

    function _call(address target, uint256 value, bytes calldata data) private returns (bytes memory output) {
        bool ok;
        (ok, output) = target.call{value: value}(data);
        if (ok) return output;
        assembly ("memory-safe") {
            revert(add(output, 32), mload(output))
        }
    }

    function _state() private pure returns (State storage state) {
        bytes32 slot = STATE_SLOT;
        assembly ("memory-safe") {
            state.slot := slot
        }
    }
}
