// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Predeploys} from "../Predeploys.sol";
import {InferenceReceipt} from "../Receipts.sol";
import {ReceiptRegistry} from "../ReceiptRegistry.sol";
import {IdentityRegistry} from "./IdentityRegistry.sol";

/// @title ERC-8004 Validation Registry
/// @notice Requests to judge an agent's work, and validators' answers (0 failed ... 100 passed). Ours on top, and
/// the default: a *receipt* of the agent is judged by what the chain itself knows of it. ReceiptRegistry is the
/// validator then, anyone may file it and bring it up to date, and nobody can answer otherwise:
///
///     fileReceipt -> 0 "upheld"    a report on it was upheld: the answer, its sketch or its payouts were wrong
///                    50 "settled"  paid, and still open to a report (or under one)
///                    100 "final"   every validator could re-run it, and no report stands
contract ValidationRegistry {
    struct Status {
        address validatorAddress;
        uint8 response;
        bool hasResponse;
        uint64 lastUpdate;
        uint256 agentId;
        bytes32 responseHash;
        string tag;
    }

    event ValidationRequest(
        address indexed validatorAddress, uint256 indexed agentId, string requestURI, bytes32 indexed requestHash
    );
    event ValidationResponse(
        address indexed validatorAddress,
        uint256 indexed agentId,
        bytes32 indexed requestHash,
        uint8 response,
        string responseURI,
        bytes32 responseHash,
        string tag
    );

    error NotAuthorized(uint256 agentId, address caller);
    error ZeroValidator();
    /// @notice File receipts with `fileReceipt`.
    error ReceiptsAreFiled();
    error RequestExists(bytes32 requestHash);
    error UnknownRequest(bytes32 requestHash);
    error NotValidator(bytes32 requestHash, address caller);
    error ResponseOutOfBounds(uint8 response);
    error TextTooLong(uint256 bytesMax);
    error NotSettled(bytes32 receiptHash);
    /// @notice The agent's wallet neither paid for this answer nor gave it.
    error NotOfAgent(bytes32 receiptHash, uint256 agentId);

    uint8 public constant RESPONSE_MAX = 100;
    uint256 public constant TEXT_BYTES_MAX = 2_048;

    IdentityRegistry private constant IDENTITY = IdentityRegistry(Predeploys.IDENTITY_REGISTRY);
    ReceiptRegistry private constant RECEIPTS = ReceiptRegistry(Predeploys.RECEIPT_REGISTRY);

    mapping(bytes32 requestHash => Status) private _status; // slot 0
    mapping(uint256 agentId => bytes32[]) private _ofAgent; // slot 1
    mapping(address validator => bytes32[]) private _ofValidator; // slot 2
    /// @notice The receipt that a filed request is about.
    mapping(bytes32 requestHash => bytes32) public receiptOf; // slot 3

    function getIdentityRegistry() external pure returns (address) {
        return Predeploys.IDENTITY_REGISTRY;
    }

    function validationRequest(
        address validatorAddress,
        uint256 agentId,
        string calldata requestURI,
        bytes32 requestHash
    ) external {
        if (validatorAddress == Predeploys.RECEIPT_REGISTRY) revert ReceiptsAreFiled();
        if (!IDENTITY.isAuthorizedOrOwner(msg.sender, agentId)) revert NotAuthorized(agentId, msg.sender);
        _checkText(requestURI);
        _request(validatorAddress, agentId, requestURI, requestHash);
    }

    function validationResponse(
        bytes32 requestHash,
        uint8 response,
        string calldata responseURI,
        bytes32 responseHash,
        string calldata tag
    ) external {
        Status storage status = _known(requestHash);
        if (status.validatorAddress != msg.sender) revert NotValidator(requestHash, msg.sender);
        _checkText(responseURI);
        _checkText(tag);
        _respond(requestHash, response, responseURI, responseHash, tag);
    }

    /// @notice Files a settled receipt that the agent's wallet paid for or answered, and judges it. Anyone may.
    function fileReceipt(uint256 agentId, InferenceReceipt calldata receipt) external returns (bytes32 requestHash) {
        bytes32 hash = RECEIPTS.receiptHash(receipt);
        if (!RECEIPTS.isSettled(hash)) revert NotSettled(hash);
        address wallet = IDENTITY.getAgentWallet(agentId);
        if (wallet == address(0) || (receipt.payer != wallet && receipt.provider != wallet)) {
            revert NotOfAgent(hash, agentId);
        }
        requestHash = requestHashOf(agentId, hash);
        _request(Predeploys.RECEIPT_REGISTRY, agentId, "", requestHash);
        receiptOf[requestHash] = hash;
        refresh(requestHash);
    }

    /// @notice Judges a filed receipt anew, by what has become of it. Anyone may.
    function refresh(bytes32 requestHash) public {
        bytes32 hash = receiptOf[requestHash];
        if (hash == 0) revert UnknownRequest(requestHash);
        (uint8 response, string memory tag) = verdictOf(hash);
        _respond(requestHash, response, "", hash, tag);
    }

    /// @notice What the chain knows of a settled receipt.
    function verdictOf(bytes32 receiptHash) public view returns (uint8 response, string memory tag) {
        if (RECEIPTS.isUpheld(receiptHash)) return (0, "upheld");
        (address reporter,) = RECEIPTS.reportOf(receiptHash);
        // A report that was dismissed leaves its reporter, and no payouts.
        bool isOpen = reporter != address(0) && RECEIPTS.payoutsOf(receiptHash) != 0;
        if (isOpen || !RECEIPTS.isFinal(receiptHash)) return (RESPONSE_MAX / 2, "settled");
        return (RESPONSE_MAX, "final");
    }

    /// @notice An agent's own name for a receipt, so that nobody else can take it first.
    function requestHashOf(uint256 agentId, bytes32 receiptHash) public pure returns (bytes32) {
        return keccak256(abi.encode(agentId, receiptHash));
    }

    function getValidationStatus(bytes32 requestHash)
        external
        view
        returns (
            address validatorAddress,
            uint256 agentId,
            uint8 response,
            bytes32 responseHash,
            string memory tag,
            uint256 lastUpdate
        )
    {
        Status storage s = _known(requestHash);
        return (s.validatorAddress, s.agentId, s.response, s.responseHash, s.tag, s.lastUpdate);
    }

    /// @param validatorAddresses empty: all
    /// @param tag empty: any
    function getSummary(uint256 agentId, address[] calldata validatorAddresses, string calldata tag)
        external
        view
        returns (uint64 count, uint8 averageResponse)
    {
        bytes32[] storage requests = _ofAgent[agentId];
        uint256 sum = 0;
        for (uint256 i = 0; i < requests.length; ++i) {
            Status storage s = _status[requests[i]];
            bool wanted = s.hasResponse && (bytes(tag).length == 0 || keccak256(bytes(tag)) == keccak256(bytes(s.tag)));
            if (!wanted || !_isAmong(s.validatorAddress, validatorAddresses)) continue;
            sum += s.response;
            ++count;
        }
        if (count > 0) averageResponse = uint8(sum / count);
    }

    function getAgentValidations(uint256 agentId) external view returns (bytes32[] memory) {
        return _ofAgent[agentId];
    }

    function getValidatorRequests(address validatorAddress) external view returns (bytes32[] memory) {
        return _ofValidator[validatorAddress];
    }

    function _request(address validator, uint256 agentId, string memory requestURI, bytes32 requestHash) private {
        if (validator == address(0)) revert ZeroValidator();
        Status storage status = _status[requestHash];
        if (status.validatorAddress != address(0)) revert RequestExists(requestHash);
        status.validatorAddress = validator;
        status.agentId = agentId;
        status.lastUpdate = uint64(block.timestamp);
        _ofAgent[agentId].push(requestHash);
        _ofValidator[validator].push(requestHash);
        emit ValidationRequest(validator, agentId, requestURI, requestHash);
    }

    function _respond(
        bytes32 requestHash,
        uint8 response,
        string memory responseURI,
        bytes32 responseHash,
        string memory tag
    ) private {
        if (response > RESPONSE_MAX) revert ResponseOutOfBounds(response);
        Status storage s = _status[requestHash];
        s.response = response;
        s.hasResponse = true;
        s.lastUpdate = uint64(block.timestamp);
        s.responseHash = responseHash;
        s.tag = tag;
        emit ValidationResponse(
            s.validatorAddress, s.agentId, requestHash, response, responseURI, responseHash, tag
        );
    }

    function _known(bytes32 requestHash) private view returns (Status storage status) {
        status = _status[requestHash];
        if (status.validatorAddress == address(0)) revert UnknownRequest(requestHash);
    }

    function _isAmong(address validator, address[] calldata validators) private pure returns (bool) {
        if (validators.length == 0) return true;
        for (uint256 i = 0; i < validators.length; ++i) {
            if (validators[i] == validator) return true;
        }
        return false;
    }

    function _checkText(string calldata text) private pure {
        if (bytes(text).length > TEXT_BYTES_MAX) revert TextTooLong(TEXT_BYTES_MAX);
    }
}
