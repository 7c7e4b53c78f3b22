// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PaymasterERC20} from "@openzeppelin/contracts/account/paymaster/extensions/PaymasterERC20.sol";
import {EIP7702Utils} from "@openzeppelin/contracts/account/utils/EIP7702Utils.sol";
import {ERC4337Utils} from "@openzeppelin/contracts/account/utils/ERC4337Utils.sol";
import {IEntryPoint, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {DatanetRegistry} from "../DatanetRegistry.sol";
import {PayableWOPEN} from "../open/PayableWOPEN.sol";
import {Predeploys} from "../Predeploys.sol";
import {AgentAccount} from "./AgentAccount.sol";

/// @title OpenPaymaster
/// @notice Gas of user operations (EntryPoint v0.8) for accounts without native OPEN. `paymasterData` says how:
///
///     00                          in PayableWOPEN, wei for wei, by an allowance of the account
///     00 ‖ abi(value, validAfter, validBefore, nonce, signature)
///                                 the same by EIP-3009: nothing has to be approved first; what is over comes back
///     01 ‖ sponsor id 32 ‖ day 4  by a sponsor: whoever pays for others within limits, or a Datanet's owner
///
/// A sponsor lists what it pays for, (target, function), and caps an operation, an account's day and its own day.
/// Since it pays for what a call burns, it pays for accounts whose code is known to make that call alone: AgentAccounts
/// and EOAs that delegate to it. The day (UTC, since 1970) stands in the data because validation may not look at the
/// clock (ERC-7562); EntryPoint checks it.
///
/// All money lies in EntryPoint as one deposit, what tokens brought in until `replenish` here: together never less
/// than `totalSponsored`. What the roundings and margins leave above `FLOAT_MAX` is the stakers' (`sweep`).
contract OpenPaymaster is PaymasterERC20 {
    using ERC4337Utils for PackedUserOperation;

    /// @notice wei of gas, at most.
    struct Caps {
        uint128 perOperation;
        uint128 perAccountDay;
        uint128 perDay;
    }

    struct Sponsor {
        /// Of a sponsor without a Datanet.
        address owner;
        /// Whoever owns this Datanet owns the sponsor; 0: none.
        uint256 datanetId;
        uint256 balance;
        Caps caps;
    }

    event SponsorOpened(uint256 indexed sponsorId, address indexed owner, uint256 indexed datanetId);
    event Funded(uint256 indexed sponsorId, address indexed from, uint256 amount);
    event Withdrawn(uint256 indexed sponsorId, address indexed to, uint256 amount);
    event CapsSet(uint256 indexed sponsorId, Caps caps);
    event Allowed(uint256 indexed sponsorId, address indexed target, bytes4 indexed selector, bool allowed);
    event Sponsored(uint256 indexed sponsorId, address indexed account, uint256 amount);

    error UnknownSponsor(uint256 sponsorId);
    error NotSponsor(uint256 sponsorId, address caller);
    error BadPaymasterData();
    /// @notice Too little for `postOp` to end.
    error PostOpGasTooLow(uint256 gas, uint256 least);
    error NotAgentAccount(address account);
    error NotSponsored(address target, bytes4 selector);
    error AboveCap(string cap, uint256 amount, uint256 max);
    error InsufficientBalance(uint256 sponsorId, uint256 balance, uint256 needed);
    /// @notice Signed for less than the operation may cost.
    error AuthorizationTooSmall(uint256 value, uint256 needed);

    uint256 public constant POST_OP_GAS_MIN = 90_000;
    /// @notice Kept for operations paid in tokens, whose money comes in after it has gone out.
    uint256 public constant FLOAT_MAX = 10 ether;
    bytes1 private constant IN_TOKENS = 0x00;
    bytes1 private constant BY_SPONSOR = 0x01;
    uint256 private constant SPONSOR_DATA_BYTES = 37;
    uint256 private constant ANY_DATA_BYTES = 68;
    PayableWOPEN private constant WOPEN = PayableWOPEN(payable(0x4200000000000000000000000000000000000006));
    DatanetRegistry private constant DATANETS = DatanetRegistry(Predeploys.DATANET_REGISTRY);

    uint256 public sponsorCount; // slot 0
    /// @notice All sponsors' balances, with what is charged in advance for operations that run: else a sweep from
    /// within one would take it.
    uint256 public totalSponsored; // slot 1
    /// @notice Taken in advance for operations that run; the tokens are their accounts' until these have ended.
    uint256 public tokensInFlight; // slot 2
    mapping(uint256 sponsorId => Sponsor) private _sponsors; // slot 3
    mapping(uint256 sponsorId => mapping(address target => mapping(bytes4 selector => bool))) public isAllowed; // slot 4
    mapping(uint256 sponsorId => mapping(uint32 day => uint256)) public spentInDay; // slot 5
    mapping(uint256 sponsorId => mapping(address account => mapping(uint32 day => uint256))) public spentBy; // slot 6

    receive() external payable {}

    function entryPoint() public pure override returns (IEntryPoint) {
        return ERC4337Utils.ENTRYPOINT_V08;
    }

    // --- sponsors

    /// @param datanetId the caller's Datanet, to which the sponsor belongs from then on; 0: the caller's own
    function open(uint256 datanetId, Caps calldata caps) external payable returns (uint256 sponsorId) {
        if (datanetId != 0 && DATANETS.ownerOf(datanetId) != msg.sender) revert NotSponsor(0, msg.sender);
        sponsorId = ++sponsorCount;
        Sponsor storage sponsor = _sponsors[sponsorId];
        (sponsor.owner, sponsor.datanetId, sponsor.caps) = (msg.sender, datanetId, caps);
        emit SponsorOpened(sponsorId, msg.sender, datanetId);
        emit CapsSet(sponsorId, caps);
        if (msg.value > 0) _fund(sponsorId);
    }

    /// @notice Adds to what a sponsor can pay; anyone may.
    function fund(uint256 sponsorId) external payable {
        ownerOf(sponsorId);
        _fund(sponsorId);
    }

    function withdraw(uint256 sponsorId, address payable to, uint256 amount) external {
        Sponsor storage sponsor = _own(sponsorId);
        if (amount > sponsor.balance) revert InsufficientBalance(sponsorId, sponsor.balance, amount);
        sponsor.balance -= amount;
        totalSponsored -= amount;
        replenish();
        emit Withdrawn(sponsorId, to, amount);
        _withdraw(to, amount);
    }

    function setCaps(uint256 sponsorId, Caps calldata caps) external {
        _own(sponsorId).caps = caps;
        emit CapsSet(sponsorId, caps);
    }

    /// @param selector zero: a plain transfer, without data
    function allow(uint256 sponsorId, address target, bytes4 selector, bool allowed) external {
        _own(sponsorId);
        isAllowed[sponsorId][target][selector] = allowed;
        emit Allowed(sponsorId, target, selector, allowed);
    }

    function ownerOf(uint256 sponsorId) public view returns (address) {
        Sponsor storage sponsor = _sponsors[sponsorId];
        if (sponsor.owner == address(0)) revert UnknownSponsor(sponsorId);
        return sponsor.datanetId == 0 ? sponsor.owner : DATANETS.ownerOf(sponsor.datanetId);
    }

    function sponsorOf(uint256 sponsorId) external view returns (Sponsor memory) {
        return _sponsors[sponsorId];
    }

    // --- the money as a whole

    /// @notice Turns earned tokens into deposit; anyone may, at any time.
    function replenish() public {
        uint256 tokens = WOPEN.balanceOf(address(this)) - tokensInFlight;
        if (tokens > 0) WOPEN.withdraw(tokens);
        if (address(this).balance > 0) _deposit(address(this).balance);
    }

    /// @notice Gives stakers what is above sponsors' balances and `FLOAT_MAX`.
    function sweep() external returns (uint256 amount) {
        replenish();
        uint256 deposit = entryPoint().balanceOf(address(this));
        uint256 kept = totalSponsored + FLOAT_MAX;
        if (deposit <= kept) return 0;
        amount = deposit - kept;
        _withdraw(payable(Predeploys.STAKING), amount);
    }

    // --- EntryPoint

    function _validatePaymasterUserOp(PackedUserOperation calldata op, bytes32 opHash, uint256 maxCost)
        internal
        override
        returns (bytes memory context, uint256 validationData)
    {
        uint256 postOpGas = op.paymasterPostOpGasLimit();
        if (postOpGas < POST_OP_GAS_MIN) revert PostOpGasTooLow(postOpGas, POST_OP_GAS_MIN);
        bytes calldata data = op.paymasterData();
        if (data.length > 0 && data[0] == IN_TOKENS) {
            (context, validationData) = super._validatePaymasterUserOp(op, opHash, maxCost);
            if (context.length > 0) context = abi.encodePacked(IN_TOKENS, context);
        } else if (data.length == SPONSOR_DATA_BYTES && data[0] == BY_SPONSOR) {
            (context, validationData) = _charge(op, data, maxCost);
        } else {
            revert BadPaymasterData();
        }
    }

    function _postOp(PostOpMode mode, bytes calldata context, uint256 actualGasCost, uint256 feePerGas) internal override {
        if (context[0] == IN_TOKENS) return super._postOp(mode, context[1:], actualGasCost, feePerGas);
        (uint256 sponsorId, address account, uint32 day, uint256 charged, uint256 penaltyGas) =
            abi.decode(context[1:], (uint256, address, uint32, uint256, uint256));
        uint256 cost = actualGasCost + (_postOpCost() + penaltyGas) * feePerGas;
        uint256 back = charged > cost ? charged - cost : 0;
        _sponsors[sponsorId].balance += back;
        totalSponsored -= charged - back;
        spentInDay[sponsorId][day] -= back;
        spentBy[sponsorId][account][day] -= back;
        emit Sponsored(sponsorId, account, charged - back);
    }

    /// Takes the most it can cost from the sponsor, within its caps.
    function _charge(PackedUserOperation calldata op, bytes calldata data, uint256 maxCost)
        private
        returns (bytes memory context, uint256 validationData)
    {
        uint256 sponsorId = uint256(bytes32(data[1:33]));
        uint32 day = uint32(bytes4(data[33:37]));
        _checkCall(sponsorId, op);
        uint256 penaltyGas = _postOpGasPenalty(op.paymasterPostOpGasLimit());
        uint256 amount = maxCost + (_postOpCost() + penaltyGas) * op.maxFeePerGas();
        _count(sponsorId, op.sender, day, amount);
        uint48 from = uint48(day) * 1 days;
        context = abi.encodePacked(BY_SPONSOR, abi.encode(sponsorId, op.sender, day, amount, penaltyGas));
        validationData = ERC4337Utils.packValidationData(true, from, from + 1 days - 1);
    }

    function _count(uint256 sponsorId, address account, uint32 day, uint256 amount) private {
        Sponsor storage sponsor = _sponsors[sponsorId];
        Caps memory caps = sponsor.caps;
        uint256 ofAccount = spentBy[sponsorId][account][day] + amount;
        uint256 ofDay = spentInDay[sponsorId][day] + amount;
        if (amount > caps.perOperation) revert AboveCap("operation", amount, caps.perOperation);
        if (ofAccount > caps.perAccountDay) revert AboveCap("account", ofAccount, caps.perAccountDay);
        if (ofDay > caps.perDay) revert AboveCap("day", ofDay, caps.perDay);
        if (amount > sponsor.balance) revert InsufficientBalance(sponsorId, sponsor.balance, amount);
        sponsor.balance -= amount;
        spentBy[sponsorId][account][day] = ofAccount;
        spentInDay[sponsorId][day] = ofDay;
    }

    /// The one call that the operation makes, by an account known to make it.
    function _checkCall(uint256 sponsorId, PackedUserOperation calldata op) private view {
        if (!_isAgentAccount(op.sender)) revert NotAgentAccount(op.sender);
        bytes4 name = bytes4(op.callData);
        address target;
        bytes memory data;
        if (name == AgentAccount.executeAsOwner.selector) {
            (target,, data) = abi.decode(op.callData[4:], (address, uint256, bytes));
        } else if (name == AgentAccount.executeFor.selector) {
            (, target,, data) = abi.decode(op.callData[4:], (address, address, uint256, bytes));
        } else {
            revert NotSponsored(op.sender, name);
        }
        bytes4 selector = data.length == 0 ? bytes4(0) : bytes4(data);
        if (!isAllowed[sponsorId][target][selector]) revert NotSponsored(target, selector);
    }

    function _isAgentAccount(address account) private view returns (bool) {
        if (EIP7702Utils.fetchDelegate(account) == Predeploys.AGENT_ACCOUNT) return true;
        // EIP-1167.
        return keccak256(account.code)
            == keccak256(
                abi.encodePacked(
                    hex"363d3d373d3d3d363d73", Predeploys.AGENT_ACCOUNT, hex"5af43d82803e903d91602b57fd5bf3"
                )
            );
    }

    // --- tokens

    function _fetchDetails(PackedUserOperation calldata, bytes32)
        internal
        pure
        override
        returns (uint256 validationData, IERC20 token, uint256 tokenPerNative)
    {
        return (ERC4337Utils.SIG_VALIDATION_SUCCESS, IERC20(address(WOPEN)), 1e18);
    }

    function _prefund(
        PackedUserOperation calldata op,
        bytes32 opHash,
        IERC20 token,
        uint256 tokenPerNative,
        address prefunder_,
        uint256 needed
    ) internal override returns (bool success, address prefunder, uint256 amount, bytes memory prefundContext) {
        bytes calldata data = op.paymasterData();
        if (data.length == 1) {
            (success, prefunder, amount, prefundContext) =
                super._prefund(op, opHash, token, tokenPerNative, prefunder_, needed);
        } else {
            (success, prefunder, amount) = (true, prefunder_, _pull(prefunder_, data[1:], needed));
        }
        if (success) tokensInFlight += amount;
    }

    function _pull(address from, bytes calldata data, uint256 needed) private returns (uint256 value) {
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
        bytes memory signature;
        (value, validAfter, validBefore, nonce, signature) =
            abi.decode(data, (uint256, uint256, uint256, bytes32, bytes));
        if (value < needed) revert AuthorizationTooSmall(value, needed);
        WOPEN.receiveWithAuthorization(from, address(this), value, validAfter, validBefore, nonce, signature);
    }

    function _refund(
        IERC20 token,
        uint256 tokenPerNative,
        uint256 actualAmount,
        uint256 feePerGas,
        address prefunder,
        uint256 prefundAmount,
        bytes calldata prefundContext
    ) internal override returns (bool, uint256) {
        tokensInFlight -= prefundAmount;
        return super._refund(token, tokenPerNative, actualAmount, feePerGas, prefunder, prefundAmount, prefundContext);
    }

    /// Of `postOp` with all that EntryPoint does around it; the invariant tests hold it to that.
    function _postOpCost() internal pure override returns (uint256) {
        return 60_000;
    }

    function _own(uint256 sponsorId) private view returns (Sponsor storage) {
        if (ownerOf(sponsorId) != msg.sender) revert NotSponsor(sponsorId, msg.sender);
        return _sponsors[sponsorId];
    }

    function _fund(uint256 sponsorId) private {
        _sponsors[sponsorId].balance += msg.value;
        totalSponsored += msg.value;
        emit Funded(sponsorId, msg.sender, msg.value);
        _deposit(msg.value);
    }
}
