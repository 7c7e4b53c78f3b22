// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title Wrapped OPEN
/// @notice The native token as an ERC-20, with WETH9's functions and events at the OP Stack's address. There is
/// no fallback function: a call of something that does not exist here, such as `permit`, reverts.
contract WOPEN is ERC20 {
    event Deposit(address indexed dst, uint256 wad);
    event Withdrawal(address indexed src, uint256 wad);

    error TransferFailed();

    constructor() ERC20("", "") {}

    receive() external payable {
        deposit();
    }

    function deposit() public payable {
        _mint(msg.sender, msg.value);
        emit Deposit(msg.sender, msg.value);
    }

    function withdraw(uint256 wad) external {
        _burn(msg.sender, wad);
        emit Withdrawal(msg.sender, wad);
        (bool paid,) = msg.sender.call{value: wad}("");
        if (!paid) revert TransferFailed();
    }

    function name() public pure override returns (string memory) {
        return "Wrapped OPEN";
    }

    function symbol() public pure override returns (string memory) {
        return "WOPEN";
    }
}
