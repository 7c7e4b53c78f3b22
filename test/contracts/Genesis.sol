// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Vm} from "./Vm.sol";

/// @title The chain's own genesis inside Foundry
/// @notice Every predeploy with the code of the committed artefact, at its address, with its first storage; those with
/// constructors are constructed as block 0 does it (node/chain/genesis.ts). `run.ts` writes the files. The chain's
/// precompiles are TypeScript and not here: a test that needs one says what stands in for it.
abstract contract Genesis {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    string private constant FOLDER = "node_modules/.cache/openledger-contracts/";
    uint256 internal constant GENESIS_TIME = 1_700_000_000;
    uint256 internal constant CHAIN_ID = 90_210;
    uint256 internal constant PEOPLE = 4;

    /// Of the tests' economy (test/support/economy.ts).
    address internal constant OPERATOR = 0xd09Ad14080d4b257a819a4f579b8485Be88f086c;

    function _genesis() internal {
        vm.chainId(CHAIN_ID);
        vm.warp(GENESIS_TIME);
        vm.loadAllocs(string.concat(FOLDER, "alloc.json"));
        string memory json = vm.readFile(string.concat(FOLDER, "constructed.json"));
        address[] memory where = vm.parseJsonAddressArray(json, ".at");
        bytes[] memory code = vm.parseJsonBytesArray(json, ".code");
        for (uint256 i = 0; i < where.length; ++i) vm.etch(where[i], code[i]);
        for (uint256 i = 0; i < where.length; ++i) vm.etch(where[i], _run(where[i], ""));
        string memory deployments = vm.readFile(string.concat(FOLDER, "deployments.json"));
        address[] memory factories = vm.parseJsonAddressArray(deployments, ".factory");
        bytes[] memory data = vm.parseJsonBytesArray(deployments, ".data");
        for (uint256 i = 0; i < factories.length; ++i) _run(factories[i], data[i]);
    }

    function _run(address target, bytes memory data) private returns (bytes memory output) {
        bool ok;
        vm.prank(address(0));
        (ok, output) = target.call(data);
        require(ok, "genesis");
    }

    /// @notice A contract of L1, created with the artefact's code.
    function _deploy(string memory name, bytes memory args) internal returns (address created) {
        string memory json = vm.readFile(string.concat(FOLDER, "l1.json"));
        bytes memory code = abi.encodePacked(vm.parseJsonBytes(json, string.concat(".", name)), args);
        assembly ("memory-safe") {
            created := create(0, add(code, 32), mload(code))
        }
        require(created != address(0), name);
    }

    /// One of few people, so that they meet.
    function _who(uint256 i) internal pure returns (address) {
        return vm.addr(_key(i));
    }

    function _key(uint256 i) internal pure returns (uint256) {
        return 0xa11ce + i % PEOPLE;
    }

    function _fundPeople() internal {
        for (uint256 i = 0; i < PEOPLE; ++i) vm.deal(_who(i), 1e30);
        vm.deal(address(this), 1e30);
    }

    function _sign(uint256 who, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_key(who), digest);
        return abi.encodePacked(r, s, v);
    }

    function _only(address target) internal pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = target;
    }

    function assertEq(uint256 a, uint256 b, string memory what) internal pure {
        require(a == b, string.concat(what, ": ", _text(a), " is not ", _text(b)));
    }

    function assertLe(uint256 a, uint256 b, string memory what) internal pure {
        require(a <= b, string.concat(what, ": ", _text(a), " is above ", _text(b)));
    }

    function bound(uint256 value, uint256 least, uint256 most) internal pure returns (uint256) {
        return least + (most == type(uint256).max && least == 0 ? value : value % (most - least + 1));
    }

    function _text(uint256 value) private pure returns (string memory) {
        if (value == 0) return "0";
        bytes memory digits = "";
        for (; value > 0; value /= 10) digits = abi.encodePacked(uint8(48 + value % 10), digits);
        return string(digits);
    }
}
