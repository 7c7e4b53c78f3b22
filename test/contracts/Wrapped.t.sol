// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC3009} from "genesis/contracts/l2/open/ERC3009.sol";
import {GovernedOPEN} from "genesis/contracts/l2/open/GovernedOPEN.sol";
import {PayableWOPEN} from "genesis/contracts/l2/open/PayableWOPEN.sol";
import {Predeploys} from "genesis/contracts/l2/Predeploys.sol";
import {Genesis} from "./Genesis.sol";

/// @notice Both wrappers: wrapped, unwrapped, moved by hand and by signature, delegated.
contract WrappedHandler is Genesis {
    PayableWOPEN public constant WOPEN = PayableWOPEN(payable(0x4200000000000000000000000000000000000006));
    GovernedOPEN public constant VOTES = GovernedOPEN(payable(Predeploys.GOVERNED_OPEN));
    uint256 private _nonce;

    constructor() {
        _fundPeople();
    }

    function wrap(uint256 who, uint256 amount, bool governed) external {
        vm.prank(_who(who));
        if (governed) VOTES.deposit{value: bound(amount, 0, 1e26)}();
        else WOPEN.deposit{value: bound(amount, 0, 1e26)}();
    }

    function unwrap(uint256 who, uint256 amount, bool governed) external {
        uint256 balance = governed ? VOTES.balanceOf(_who(who)) : WOPEN.balanceOf(_who(who));
        vm.prank(_who(who));
        if (governed) VOTES.withdraw(bound(amount, 0, balance));
        else WOPEN.withdraw(bound(amount, 0, balance));
    }

    function transfer(uint256 from, uint256 to, uint256 amount, bool governed) external {
        uint256 balance = governed ? VOTES.balanceOf(_who(from)) : WOPEN.balanceOf(_who(from));
        vm.prank(_who(from));
        if (governed) VOTES.transfer(_who(to), bound(amount, 0, balance));
        else WOPEN.transfer(_who(to), bound(amount, 0, balance));
    }

    function pay(uint256 from, uint256 to, uint256 amount) external {
        amount = bound(amount, 0, WOPEN.balanceOf(_who(from)));
        bytes32 nonce = bytes32(++_nonce);
        bytes32 hash = keccak256(
            abi.encode(
                WOPEN.TRANSFER_WITH_AUTHORIZATION_TYPEHASH(), _who(from), _who(to), amount, 0, type(uint256).max, nonce
            )
        );
        bytes memory signature = _sign(from, keccak256(abi.encodePacked("\x19\x01", WOPEN.DOMAIN_SEPARATOR(), hash)));
        WOPEN.transferWithAuthorization(_who(from), _who(to), amount, 0, type(uint256).max, nonce, signature);
        try WOPEN.transferWithAuthorization(_who(from), _who(to), amount, 0, type(uint256).max, nonce, signature) {
            revert("paid twice");
        } catch (bytes memory reason) {
            require(bytes4(reason) == ERC3009.AuthorizationSpent.selector, "another reason");
        }
    }

    function delegate(uint256 who, uint256 to) external {
        vm.prank(_who(who));
        VOTES.delegate(_who(to));
    }

    function pass(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 1, 1_000));
    }

    function votes() external view returns (uint256 sum, uint256 delegated) {
        for (uint256 i = 0; i < PEOPLE; ++i) {
            sum += VOTES.getVotes(_who(i));
            if (VOTES.delegates(_who(i)) != address(0)) delegated += VOTES.balanceOf(_who(i));
        }
    }
}

contract WrappedTest is Genesis {
    WrappedHandler private handler;

    function setUp() external {
        _genesis();
        handler = new WrappedHandler();
    }

    function targetContracts() external view returns (address[] memory) {
        return _only(address(handler));
    }

    function invariant_each_token_is_a_coin() external view {
        assertEq(address(handler.WOPEN()).balance, handler.WOPEN().totalSupply(), "WOPEN");
        assertEq(address(handler.VOTES()).balance, handler.VOTES().totalSupply(), "gOPEN");
    }

    /// Votes are neither made nor lost: they are the delegated coins.
    function invariant_votes_are_conserved() external view {
        (uint256 votes, uint256 delegated) = handler.votes();
        assertEq(votes, delegated, "votes");
        assertLe(votes, handler.VOTES().totalSupply(), "votes and supply");
    }

    /// An authorization moves nothing outside of its time, nor for somebody else's signature.
    function testFuzz_an_authorization_has_its_time(uint64 validAfter, uint64 validBefore, uint64 time, bool forged)
        external
    {
        PayableWOPEN wopen = handler.WOPEN();
        vm.prank(_who(0));
        wopen.deposit{value: 1 ether}();
        bytes32 kind = wopen.TRANSFER_WITH_AUTHORIZATION_TYPEHASH();
        bytes32 hash = keccak256(abi.encode(kind, _who(0), _who(1), 1 ether, validAfter, validBefore, bytes32(0)));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", wopen.DOMAIN_SEPARATOR(), hash));
        bytes memory signature = _sign(forged ? 1 : 0, digest);
        vm.warp(time);
        bool isGood = !forged && time > validAfter && time < validBefore;
        try wopen.transferWithAuthorization(_who(0), _who(1), 1 ether, validAfter, validBefore, 0, signature) {
            require(isGood, "moved");
        } catch {
            require(!isGood, "refused");
        }
    }
}
