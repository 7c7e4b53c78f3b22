// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AnchorStateRegistry} from "genesis/contracts/l1/AnchorStateRegistry.sol";
import {AttestationVerifier} from "genesis/contracts/l1/AttestationVerifier.sol";
import {DisputeGameFactory} from "genesis/contracts/l1/DisputeGameFactory.sol";
import {OpenToken} from "genesis/contracts/l1/OpenToken.sol";
import {OutputGame} from "genesis/contracts/l1/OutputGame.sol";
import {Portal} from "genesis/contracts/l1/Portal.sol";
import {PortalWithdrawals} from "genesis/contracts/l1/PortalWithdrawals.sol";
import {WithdrawalTransaction} from "genesis/contracts/l1/Types.sol";
import {Vesting} from "genesis/contracts/l1/Vesting.sol";
import {Genesis} from "./Genesis.sol";

/// @notice What a withdrawal may call: it takes the money, refuses it, or tries to be paid twice.
contract Target {
    Portal private immutable _portal;
    bytes private _again;

    constructor(Portal portal) {
        _portal = portal;
    }

    function arm(bytes calldata again) external {
        _again = again;
    }

    function reenter() external {
        (bool ok,) = address(_portal).call(_again);
        require(!ok, "finalized within");
    }

    function refuse() external pure {
        revert("no");
    }
}

/// @notice The L1 side: OPEN locked and paid out, validators' bonds, games with their ether, vesting. A proof of a
/// withdrawal needs a state of the L2; its record is written to the portal's storage, and the registry answers that its
/// game is valid.
contract SettlementHandler is Genesis {
    OpenToken public token;
    Portal public portal;
    AttestationVerifier public verifier;
    DisputeGameFactory public factory;
    Vesting public vesting;
    Target private _target;
    OutputGame[] public games;
    uint256 public locked;
    uint256 public paid;
    uint256 public bonded;
    uint256 public keptBySlash;
    uint256 private _nonce;
    uint256 private constant BOND = 1e20;

    constructor() {
        _fundPeople();
        vm.fee(1 gwei);
        token = OpenToken(_deploy("OpenToken", abi.encode(address(this))));
        factory = DisputeGameFactory(_deploy("DisputeGameFactory", abi.encode(address(this))));
        address registry =
            _deploy("AnchorStateRegistry", abi.encode(factory, uint32(100), uint256(20), uint256(1_000), address(this)));
        address[] memory set = new address[](PEOPLE);
        for (uint256 i = 0; i < PEOPLE; ++i) {
            set[i] = _who(i);
            token.transfer(_who(i), 1e25);
        }
        verifier = AttestationVerifier(
            _deploy("AttestationVerifier", abi.encode(token, CHAIN_ID, set, uint256(2), BOND, uint64(500)))
        );
        OutputGame.Settings memory settings =
            OutputGame.Settings(100, AnchorStateRegistry(registry), verifier, 100, 50, 3 ether);
        factory.addGameType(100, _deploy("OutputGame", abi.encode(settings)), 2 ether + 1);
        portal = Portal(payable(_deploy("Portal", abi.encode(token, registry, uint256(30)))));
        _target = new Target(portal);
        uint64 start = uint64(block.timestamp + 1_000);
        vesting = Vesting(payable(_deploy("Vesting", abi.encode(address(0xbe), start, uint64(100_000), uint256(7)))));
        token.transfer(address(vesting), 1e25);
        for (uint256 i = 0; i < PEOPLE; ++i) {
            vm.prank(_who(i));
            token.approve(address(portal), type(uint256).max);
            vm.prank(_who(i));
            token.approve(address(verifier), type(uint256).max);
        }
        vm.mockCall(registry, abi.encodePacked(AnchorStateRegistry.isGameClaimValid.selector), abi.encode(true));
        vm.mockCall(address(0x9a3e), "", abi.encode(uint256(1)));
    }

    // --- the bridge

    function deposit(uint256 who, uint256 amount, uint64 gas) external {
        amount = bound(amount, 0, 1e23);
        vm.prank(_who(who), _who(who));
        portal.depositERC20Transaction(_who(who), amount, amount, uint64(bound(gas, 21_000, 100_000)), false, "");
        locked += amount;
    }

    /// Tokens sent by mistake are nobody's to withdraw.
    function stray(uint256 who, uint256 amount) external {
        vm.prank(_who(who));
        token.transfer(address(portal), bound(amount, 0, 1e18));
    }

    function finalize(uint256 who, uint256 value, uint8 kind) external {
        WithdrawalTransaction memory w;
        w.nonce = ++_nonce;
        w.sender = _who(who);
        w.target = kind % 3 == 0 ? _who(who) : address(_target);
        w.value = bound(value, 0, portal.balance());
        w.gasLimit = 100_000;
        if (kind % 3 == 1) w.data = abi.encodeCall(Target.reenter, ());
        if (kind % 3 == 2) w.data = abi.encodeCall(Target.refuse, ());
        _prove(w);
        WithdrawalTransaction memory other = w;
        _target.arm(abi.encodeCall(PortalWithdrawals.finalizeWithdrawalTransactionExternalProof, (other, address(this))));
        uint256 before = token.balanceOf(w.target);
        portal.finalizeWithdrawalTransaction{gas: 2_000_000}(w);
        paid += w.value;
        require(token.balanceOf(w.target) == before + w.value, "paid another amount");
        try portal.finalizeWithdrawalTransaction(w) {
            revert("paid twice");
        } catch {}
    }

    // --- validators

    function bondFor(uint256 who) external {
        vm.prank(_who(who));
        verifier.bond(_who(who));
        bonded += BOND;
    }

    function requestExit(uint256 who) external {
        vm.prank(_who(who));
        verifier.requestExit();
    }

    function exit(uint256 who) external {
        vm.prank(_who(who));
        verifier.exit();
        bonded -= BOND;
    }

    function slash(uint256 who, uint256 number) external {
        bytes memory a = _sign(who, verifier.hashOutput(number, "a"));
        bytes memory b = _sign(who, verifier.hashOutput(number, "b"));
        verifier.slash(number, "a", a, "b", b);
        bonded -= BOND;
        keptBySlash += BOND / 2;
    }

    // --- games

    function propose(uint256 who, uint256 number) external {
        vm.prank(_who(who));
        games.push(OutputGame(address(factory.create{value: 2 ether + 1}(100, bytes32(number), abi.encode(1 + number % 1e9)))));
    }

    function challenge(uint256 who, uint256 game) external {
        vm.prank(_who(who));
        _game(game).challenge{value: 3 ether}();
    }

    function prove(uint256 who, uint256 game) external {
        OutputGame g = _game(game);
        bytes32 digest = verifier.hashOutput(g.l2SequenceNumber(), g.rootClaim());
        bytes[] memory signatures = new bytes[](2);
        (uint256 low, uint256 high) = _who(0) < _who(1) ? (0, 1) : (1, 0);
        (signatures[0], signatures[1]) = (_sign(low, digest), _sign(high, digest));
        vm.prank(_who(who));
        g.prove(abi.encode(signatures));
    }

    function resolve(uint256 game) external {
        _game(game).resolve();
    }

    function claimCredit(uint256 game, uint256 who) external {
        _game(game).claimCredit(_who(who));
    }

    function release() external {
        vesting.release(address(token));
    }

    function pass(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 1, 400));
    }

    function gameCount() external view returns (uint256) {
        return games.length;
    }

    /// What a game owes, and half a bond once a challenger has won.
    function owedBy(OutputGame game) external view returns (uint256 owed) {
        for (uint256 i = 0; i < PEOPLE; ++i) owed += game.credit(_who(i));
        if (game.proposalStatus() != OutputGame.ProposalStatus.RESOLVED) {
            owed += game.proposerBond() + (game.challenger() == address(0) ? 0 : game.challengerBond());
        } else if (game.proposalStatus() == OutputGame.ProposalStatus.RESOLVED && game.prover() == address(0)) {
            if (game.challenger() != address(0)) owed += game.proposerBond() - game.proposerBond() / 2;
        }
    }

    function _prove(WithdrawalTransaction memory w) private {
        bytes32 hash = portal.hashWithdrawal(w);
        bytes32 slot = keccak256(abi.encode(address(this), keccak256(abi.encode(hash, PROVEN_SLOT))));
        vm.store(address(portal), slot, bytes32((uint256(1) << 160) | uint160(0x9a3e)));
    }

    function _game(uint256 i) private view returns (OutputGame) {
        return games[i % games.length];
    }

    /// `provenWithdrawals` of the portal.
    uint256 private constant PROVEN_SLOT = 2;
}

contract SettlementTest is Genesis {
    SettlementHandler private handler;

    function setUp() external {
        vm.warp(GENESIS_TIME);
        handler = new SettlementHandler();
    }

    function targetContracts() external view returns (address[] memory) {
        return _only(address(handler));
    }

    function invariant_the_portal_holds_what_is_locked() external view {
        assertEq(handler.portal().balance(), handler.locked() - handler.paid(), "locked");
        assertLe(handler.portal().balance(), handler.token().balanceOf(address(handler.portal())), "held");
    }

    function invariant_validators_bonds_are_there() external view {
        uint256 held = handler.token().balanceOf(address(handler.verifier()));
        assertEq(held, handler.bonded() + handler.keptBySlash(), "bonds");
    }

    function invariant_games_hold_their_bonds() external view {
        for (uint256 i = 0; i < handler.gameCount(); ++i) {
            OutputGame game = handler.games(i);
            assertEq(address(game).balance, handler.owedBy(game), "game");
        }
        assertEq(address(handler.factory()).balance, 0, "factory");
    }

    function invariant_supply_never_changes() external view {
        assertEq(handler.token().totalSupply(), 1_000_000_000e18, "supply");
    }

    function invariant_vested_and_locked_are_all() external view {
        Vesting v = handler.vesting();
        OpenToken token = handler.token();
        uint256 left = token.balanceOf(address(v));
        assertEq(left + v.released(address(token)), 1e25, "vesting");
        assertLe(v.released(address(token)), v.vestedAmount(address(token), uint64(block.timestamp)), "too early");
    }

    /// What several beneficiaries have vested is what one wallet of them all would have, at every second, and nobody's
    /// ever shrinks.
    function testFuzz_wallets_of_a_part_vest_as_one(uint96 a, uint96 b, uint96 c, uint32 after_) external {
        OpenToken token = new OpenToken(address(this));
        uint256[3] memory amounts = [bound(a, 1e18, 1e26), bound(b, 1e18, 1e26), bound(c, 1e18, 1e26)];
        uint64 start = uint64(block.timestamp);
        uint64 time = start + uint64(bound(after_, 0, 2 * DURATION));
        (uint256 before, uint256 sum, uint256 next) = (0, 0, 0);
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory args = abi.encode(address(0xbe), start, DURATION, before);
            Vesting wallet = Vesting(payable(_deploy("Vesting", args)));
            token.transfer(address(wallet), amounts[i]);
            uint256 vested = wallet.vestedAmount(address(token), time);
            next = wallet.vestedAmount(address(token), time + 1);
            assertLe(vested, next, "shrinks");
            uint256 line = _line(amounts[i], time - start);
            assertLe(vested, line + 1, "above its line");
            assertLe(line, vested + 1, "below its line");
            before += amounts[i];
            sum += vested;
        }
        assertEq(sum, _line(before, time - start), "as one");
    }

    function _line(uint256 amount, uint256 elapsed) private pure returns (uint256) {
        return elapsed >= DURATION ? amount : (amount * elapsed) / DURATION;
    }

    /// 48 months.
    uint64 private constant DURATION = 48 * 2_628_000;
}
