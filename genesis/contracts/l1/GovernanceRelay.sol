// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Portal} from "./Portal.sol";

/// @title GovernanceRelay
/// @notice The hand of the L2's governance on L1: owns SystemConfig and whatever else is given to it, and does what
/// OpenTimelock has sent through the bridge, in the order anybody likes.
///
///     proposal -> OpenTimelock (exit window) -> L2ToL1MessagePasser -> Portal (a withdrawal's time) -> approve
///         -> execute, by anybody, until it has been done or `EXPIRY_SECONDS` have passed
///
/// Two steps, because a message that fails is over and a vote takes weeks: what is approved can be tried again.
contract GovernanceRelay {
    struct Call {
        address target;
        uint256 value;
        bytes data;
    }

    event Approved(uint256 indexed id, bytes32 indexed callsHash, uint256 expiresAt);
    event Executed(uint256 indexed id);

    error NotGovernance(address caller, address l2Sender);
    error NotApproved(uint256 id, bytes32 callsHash);
    error Expired(uint256 id, uint256 expiredAt);

    /// @notice What nobody has carried out by then needs a new vote.
    uint256 public constant EXPIRY_SECONDS = 30 days;

    Portal public immutable portal;
    /// @notice OpenTimelock's address on L2.
    address public immutable governance;

    uint256 public approvedCount;
    mapping(uint256 id => bytes32) public callsOf;
    mapping(uint256 id => uint256) public expiresAt;

    constructor(Portal portal_, address governance_) {
        portal = portal_;
        governance = governance_;
    }

    receive() external payable {}

    /// @notice Takes note of calls; by the portal, while it finalizes a message of governance.
    function approve(Call[] calldata calls) external returns (uint256 id) {
        address l2Sender = msg.sender == address(portal) ? portal.l2Sender() : address(0);
        if (l2Sender != governance) revert NotGovernance(msg.sender, l2Sender);
        id = ++approvedCount;
        callsOf[id] = keccak256(abi.encode(calls));
        expiresAt[id] = block.timestamp + EXPIRY_SECONDS;
        emit Approved(id, callsOf[id], expiresAt[id]);
    }

    /// @notice Does them, all or none, once.
    function execute(uint256 id, Call[] calldata calls) external payable {
        bytes32 callsHash = keccak256(abi.encode(calls));
        if (callsOf[id] == 0 || callsOf[id] != callsHash) revert NotApproved(id, callsHash);
        if (block.timestamp > expiresAt[id]) revert Expired(id, expiresAt[id]);
        delete callsOf[id];
        for (uint256 i = 0; i < calls.length; ++i) {
            Address.functionCallWithValue(calls[i].target, calls[i].data, calls[i].value);
        }
        emit Executed(id);
    }

    /// @notice Accepts a contract that its owner has handed to this one (Ownable2Step). Anyone may ask for it.
    function acceptOwnership(Ownable2Step target) external {
        target.acceptOwnership();
    }
}
