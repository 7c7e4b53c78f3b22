// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Predeploys} from "../Predeploys.sol";
import {InferenceReceipt} from "../Receipts.sol";
import {ReceiptRegistry} from "../ReceiptRegistry.sol";
import {IdentityRegistry} from "./IdentityRegistry.sol";

/// @title ERC-8004 Reputation Registry
/// @notice Feedback of clients about agents. Anyone but those who act for the agent may give it, so what it is
/// worth depends on whom one asks about: every summary names its clients. Ours on top: feedback *backed by a
/// settled receipt*, given once by who paid for the answer, which costs a false witness the fee.
contract ReputationRegistry {
    struct Feedback {
        int128 value;
        uint8 valueDecimals;
        bool isRevoked;
        string tag1;
        string tag2;
    }

    /// @notice What one says, in one piece: `giveFeedback` has it spread out as the ERC does.
    struct Opinion {
        int128 value;
        uint8 valueDecimals;
        string tag1;
        string tag2;
        string endpoint;
        string feedbackURI;
        bytes32 feedbackHash;
    }

    event NewFeedback(
        uint256 indexed agentId,
        address indexed clientAddress,
        uint64 feedbackIndex,
        int128 value,
        uint8 valueDecimals,
        string indexed indexedTag1,
        string tag1,
        string tag2,
        string endpoint,
        string feedbackURI,
        bytes32 feedbackHash
    );
    event FeedbackRevoked(
        uint256 indexed agentId, address indexed clientAddress, uint64 indexed feedbackIndex
    );
    event ResponseAppended(
        uint256 indexed agentId,
        address indexed clientAddress,
        uint64 feedbackIndex,
        address indexed responder,
        string responseURI,
        bytes32 responseHash
    );
    /// @notice This feedback's author paid for this settled answer of the agent.
    event FeedbackBacked(
        uint256 indexed agentId, address indexed clientAddress, uint64 feedbackIndex, bytes32 indexed receiptHash
    );

    /// @notice Owner and operators may not judge their own agent.
    error SelfFeedback(uint256 agentId, address caller);
    error DecimalsOutOfBounds(uint8 valueDecimals);
    error ValueOutOfBounds(int128 value);
    error TextTooLong(uint256 bytesMax);
    error UnknownFeedback(uint256 agentId, address clientAddress, uint64 feedbackIndex);
    error AlreadyRevoked(uint64 feedbackIndex);
    error EmptyURI();
    /// @notice Name whose feedback counts; that of anybody is worth nothing.
    error NoClients();
    error NotSettled(bytes32 receiptHash);
    error NotPayer(bytes32 receiptHash, address caller);
    /// @notice Neither the agent's wallet answered nor its model (metadata `model`, 32 bytes).
    error NotOfAgent(bytes32 receiptHash, uint256 agentId);
    error ReceiptUsed(bytes32 receiptHash);

    uint8 public constant DECIMALS_MAX = 18;
    /// @notice Keeps every sum of 2^60 values, scaled to 18 decimals, inside an int256.
    int128 public constant VALUE_MAX = 1e36;
    uint256 public constant TEXT_BYTES_MAX = 2_048;

    IdentityRegistry private constant IDENTITY = IdentityRegistry(Predeploys.IDENTITY_REGISTRY);
    ReceiptRegistry private constant RECEIPTS = ReceiptRegistry(Predeploys.RECEIPT_REGISTRY);

    mapping(uint256 agentId => address[]) private _clients; // slot 0
    mapping(uint256 agentId => mapping(address client => Feedback[])) private _feedback; // slot 1
    mapping(bytes32 feedback => mapping(address responder => uint64)) private _responses; // slot 2
    mapping(bytes32 feedback => address[]) private _responders; // slot 3
    /// @notice The receipt behind a feedback; zero when there is none.
    mapping(uint256 agentId => mapping(address client => mapping(uint64 index => bytes32))) public receiptOf; // slot 4
    /// @notice One feedback a receipt.
    mapping(bytes32 receiptHash => bool) public isUsed; // slot 5

    function getIdentityRegistry() external pure returns (address) {
        return Predeploys.IDENTITY_REGISTRY;
    }

    function giveFeedback(
        uint256 agentId,
        int128 value,
        uint8 valueDecimals,
        string calldata tag1,
        string calldata tag2,
        string calldata endpoint,
        string calldata feedbackURI,
        bytes32 feedbackHash
    ) external {
        _give(agentId, Opinion(value, valueDecimals, tag1, tag2, endpoint, feedbackURI, feedbackHash));
    }

    /// @notice Feedback by who paid for a settled answer of this agent, once for each receipt. Who paid by x402 is
    /// not the receipt's payer (the provider's till is) but stands in `parentAction`, see `x402Action`.
    /// @param nonce of the x402 payment; zero when the caller is the receipt's payer
    /// @param parent what the caller gave as its own parent action with that payment
    function giveFeedbackForReceipt(
        uint256 agentId,
        Opinion calldata opinion,
        InferenceReceipt calldata receipt,
        bytes32 nonce,
        bytes32 parent
    ) external {
        bytes32 hash = RECEIPTS.receiptHash(receipt);
        if (!RECEIPTS.isSettled(hash)) revert NotSettled(hash);
        bool paid = receipt.payer == msg.sender || receipt.parentAction == x402Action(msg.sender, nonce, parent);
        if (!paid) revert NotPayer(hash, msg.sender);
        if (isUsed[hash]) revert ReceiptUsed(hash);
        if (!_isOfAgent(agentId, receipt)) revert NotOfAgent(hash, agentId);
        isUsed[hash] = true;
        uint64 index = _give(agentId, opinion);
        receiptOf[agentId][msg.sender][index] = hash;
        emit FeedbackBacked(agentId, msg.sender, index, hash);
    }

    /// @notice `parentAction` of a receipt that was paid by x402: binds the real payer without naming it.
    function x402Action(address payer, bytes32 nonce, bytes32 parent) public pure returns (bytes32) {
        return keccak256(abi.encode(payer, nonce, parent));
    }

    function revokeFeedback(uint256 agentId, uint64 feedbackIndex) external {
        Feedback storage feedback = _at(agentId, msg.sender, feedbackIndex);
        if (feedback.isRevoked) revert AlreadyRevoked(feedbackIndex);
        feedback.isRevoked = true;
        emit FeedbackRevoked(agentId, msg.sender, feedbackIndex);
    }

    function appendResponse(
        uint256 agentId,
        address clientAddress,
        uint64 feedbackIndex,
        string calldata responseURI,
        bytes32 responseHash
    ) external {
        _at(agentId, clientAddress, feedbackIndex);
        if (bytes(responseURI).length == 0) revert EmptyURI();
        _checkText(responseURI);
        bytes32 key = _key(agentId, clientAddress, feedbackIndex);
        if (_responses[key][msg.sender]++ == 0) _responders[key].push(msg.sender);
        emit ResponseAppended(agentId, clientAddress, feedbackIndex, msg.sender, responseURI, responseHash);
    }

    /// @notice The mean of what these clients said and did not revoke, rounded towards zero, in the most decimals
    /// any of them used (fewer when it would not fit).
    /// @param tag1 only feedback with this tag; empty: any
    function getSummary(
        uint256 agentId,
        address[] calldata clientAddresses,
        string calldata tag1,
        string calldata tag2
    ) external view returns (uint64 count, int128 summaryValue, uint8 summaryValueDecimals) {
        if (clientAddresses.length == 0) revert NoClients();
        int256 sum = 0;
        for (uint256 i = 0; i < clientAddresses.length; ++i) {
            Feedback[] storage given = _feedback[agentId][clientAddresses[i]];
            for (uint256 j = 0; j < given.length; ++j) {
                if (given[j].isRevoked || !_matches(given[j], tag1, tag2)) continue;
                uint8 decimals = given[j].valueDecimals;
                sum += int256(given[j].value) * int256(10 ** (DECIMALS_MAX - decimals));
                if (decimals > summaryValueDecimals) summaryValueDecimals = decimals;
                ++count;
            }
        }
        if (count == 0) return (0, 0, 0);
        int256 mean = sum / int256(uint256(count)) / int256(10 ** (DECIMALS_MAX - summaryValueDecimals));
        while (mean > type(int128).max || mean < type(int128).min) {
            mean /= 10;
            --summaryValueDecimals;
        }
        summaryValue = int128(mean);
    }

    function readFeedback(uint256 agentId, address clientAddress, uint64 feedbackIndex)
        external
        view
        returns (int128 value, uint8 valueDecimals, string memory tag1, string memory tag2, bool isRevoked)
    {
        Feedback storage f = _at(agentId, clientAddress, feedbackIndex);
        return (f.value, f.valueDecimals, f.tag1, f.tag2, f.isRevoked);
    }

    /// @param clientAddresses empty: everybody's
    function readAllFeedback(
        uint256 agentId,
        address[] calldata clientAddresses,
        string calldata tag1,
        string calldata tag2,
        bool includeRevoked
    )
        external
        view
        returns (
            address[] memory clients,
            uint64[] memory feedbackIndexes,
            int128[] memory values,
            uint8[] memory valueDecimals,
            string[] memory tag1s,
            string[] memory tag2s,
            bool[] memory revokedStatuses
        )
    {
        address[] memory asked = clientAddresses;
        if (asked.length == 0) asked = _clients[agentId];
        uint256 count = 0;
        for (uint256 i = 0; i < asked.length; ++i) {
            Feedback[] storage given = _feedback[agentId][asked[i]];
            for (uint256 j = 0; j < given.length; ++j) {
                if (_isWanted(given[j], tag1, tag2, includeRevoked)) ++count;
            }
        }
        clients = new address[](count);
        feedbackIndexes = new uint64[](count);
        values = new int128[](count);
        valueDecimals = new uint8[](count);
        tag1s = new string[](count);
        tag2s = new string[](count);
        revokedStatuses = new bool[](count);
        uint256 next = 0;
        for (uint256 i = 0; i < asked.length; ++i) {
            Feedback[] storage given = _feedback[agentId][asked[i]];
            for (uint256 j = 0; j < given.length; ++j) {
                Feedback storage f = given[j];
                if (!_isWanted(f, tag1, tag2, includeRevoked)) continue;
                clients[next] = asked[i];
                feedbackIndexes[next] = uint64(j + 1);
                values[next] = f.value;
                valueDecimals[next] = f.valueDecimals;
                tag1s[next] = f.tag1;
                tag2s[next] = f.tag2;
                revokedStatuses[next] = f.isRevoked;
                ++next;
            }
        }
    }

    /// @param clientAddress zero: responses to everybody's feedback
    /// @param feedbackIndex 0: to all of this client's
    /// @param responders empty: by anybody
    function getResponseCount(
        uint256 agentId,
        address clientAddress,
        uint64 feedbackIndex,
        address[] calldata responders
    ) external view returns (uint64 count) {
        if (clientAddress != address(0)) {
            return _responsesTo(agentId, clientAddress, feedbackIndex, responders);
        }
        address[] storage clients = _clients[agentId];
        for (uint256 i = 0; i < clients.length; ++i) {
            count += _responsesTo(agentId, clients[i], feedbackIndex, responders);
        }
    }

    function getClients(uint256 agentId) external view returns (address[] memory) {
        return _clients[agentId];
    }

    /// @notice Feedback this client has given this agent; indices count from 1.
    function getLastIndex(uint256 agentId, address clientAddress) external view returns (uint64) {
        return uint64(_feedback[agentId][clientAddress].length);
    }

    function _give(uint256 agentId, Opinion memory opinion) private returns (uint64 index) {
        if (IDENTITY.isAuthorizedOrOwner(msg.sender, agentId)) revert SelfFeedback(agentId, msg.sender);
        if (opinion.valueDecimals > DECIMALS_MAX) revert DecimalsOutOfBounds(opinion.valueDecimals);
        if (opinion.value > VALUE_MAX || opinion.value < -VALUE_MAX) revert ValueOutOfBounds(opinion.value);
        _checkText(opinion.tag1);
        _checkText(opinion.tag2);
        _checkText(opinion.endpoint);
        _checkText(opinion.feedbackURI);
        Feedback[] storage given = _feedback[agentId][msg.sender];
        if (given.length == 0) _clients[agentId].push(msg.sender);
        given.push(Feedback(opinion.value, opinion.valueDecimals, false, opinion.tag1, opinion.tag2));
        index = uint64(given.length);
        emit NewFeedback(
            agentId,
            msg.sender,
            index,
            opinion.value,
            opinion.valueDecimals,
            opinion.tag1,
            opinion.tag1,
            opinion.tag2,
            opinion.endpoint,
            opinion.feedbackURI,
            opinion.feedbackHash
        );
    }

    function _isOfAgent(uint256 agentId, InferenceReceipt calldata receipt) private view returns (bool) {
        if (receipt.provider == IDENTITY.getAgentWallet(agentId)) return true;
        bytes memory model = IDENTITY.getMetadata(agentId, "model");
        return model.length == 32 && bytes32(model) == receipt.modelId;
    }

    function _responsesTo(uint256 agentId, address client, uint64 index, address[] calldata responders)
        private
        view
        returns (uint64 count)
    {
        uint64 last = uint64(_feedback[agentId][client].length);
        if (index > last) return 0;
        for (uint64 i = index == 0 ? 1 : index; i <= (index == 0 ? last : index); ++i) {
            bytes32 key = _key(agentId, client, i);
            address[] memory asked = responders;
            if (asked.length == 0) asked = _responders[key];
            for (uint256 j = 0; j < asked.length; ++j) {
                count += _responses[key][asked[j]];
            }
        }
    }

    function _isWanted(Feedback storage f, string calldata tag1, string calldata tag2, bool includeRevoked)
        private
        view
        returns (bool)
    {
        return (includeRevoked || !f.isRevoked) && _matches(f, tag1, tag2);
    }

    function _matches(Feedback storage f, string calldata tag1, string calldata tag2) private view returns (bool) {
        return (bytes(tag1).length == 0 || keccak256(bytes(tag1)) == keccak256(bytes(f.tag1)))
            && (bytes(tag2).length == 0 || keccak256(bytes(tag2)) == keccak256(bytes(f.tag2)));
    }

    function _at(uint256 agentId, address client, uint64 index) private view returns (Feedback storage) {
        Feedback[] storage given = _feedback[agentId][client];
        if (index == 0 || index > given.length) revert UnknownFeedback(agentId, client, index);
        return given[index - 1];
    }

    function _key(uint256 agentId, address client, uint64 index) private pure returns (bytes32) {
        return keccak256(abi.encode(agentId, client, index));
    }

    function _checkText(string memory text) private pure {
        if (bytes(text).length > TEXT_BYTES_MAX) revert TextTooLong(TEXT_BYTES_MAX);
    }
}
