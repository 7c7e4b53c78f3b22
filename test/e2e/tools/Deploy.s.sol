// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

interface Vm {
    function startBroadcast(uint256 privateKey) external;
    function envUint(string calldata name) external view returns (uint256);
}

contract Counter {
    uint256 public number = 42;

    function increment() external {
        ++number;
    }
}

/// @notice A forge script that deploys with a salt, so through the CREATE2 deployer, and sends a call.
contract Deploy {
    bool public constant IS_SCRIPT = true;
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function run() external returns (address counter) {
        vm.startBroadcast(vm.envUint("KEY"));
        Counter made = new Counter{salt: bytes32(uint256(7))}();
        made.increment();
        return address(made);
    }
}
