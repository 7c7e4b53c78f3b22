// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title L2ToL1MessagePasser
/// @notice Where withdrawals start (OP Stack). A withdrawal is a mark in slot 0 that L1 can prove; the
/// storage root of this account stands in every block header. OPEN sent along stays here until `burn`.
contract L2ToL1MessagePasser {
    event MessagePassed(
        uint256 indexed nonce,
        address indexed sender,
        address indexed target,
        uint256 value,
        uint256 gasLimit,
        bytes data,
        bytes32 withdrawalHash
    );

    event WithdrawerBalanceBurnt(uint256 indexed amount);

    uint16 public constant MESSAGE_VERSION = 1;

    uint256 private constant RECEIVE_GAS_LIMIT = 100_000;

    mapping(bytes32 withdrawalHash => bool) public sentMessages; // slot 0
    uint240 private _nonce; // slot 1

    /// @notice Withdraws to the sender itself.
    receive() external payable {
        _initiate(msg.sender, RECEIVE_GAS_LIMIT, "");
    }

    /// @notice Asks L1 to pay `msg.value` OPEN to `target` and to call it with `data`.
    function initiateWithdrawal(address target, uint256 gasLimit, bytes calldata data)
        external
        payable
    {
        _initiate(target, gasLimit, data);
    }

    /// @notice Destroys what was withdrawn: from here on it exists on L1 only. Anyone may call.
    function burn() external {
        uint256 amount = address(this).balance;
        new Burner{value: amount}();
        emit WithdrawerBalanceBurnt(amount);
    }

    /// @notice The next nonce; its upper 16 bits are the message version.
    function messageNonce() public view returns (uint256) {
        return (uint256(MESSAGE_VERSION) << 240) | _nonce;
    }

    function version() external pure returns (string memory) {
        return "1.1.1-openledger.1";
    }

    function _initiate(address target, uint256 gasLimit, bytes memory data) private {
        uint256 nonce = messageNonce();
        bytes32 withdrawalHash =
            keccak256(abi.encode(nonce, msg.sender, target, msg.value, gasLimit, data));
        sentMessages[withdrawalHash] = true;
        emit MessagePassed(nonce, msg.sender, target, msg.value, gasLimit, data, withdrawalHash);
        unchecked {
            ++_nonce;
        }
    }
}

/// @notice Takes its balance out of existence: a contract destroyed in the transaction that made it, with
/// itself as heir (EIP-6780).
contract Burner {
    constructor() payable {
        selfdestruct(payable(address(this)));
    }
}
