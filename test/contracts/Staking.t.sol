// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Staking} from "genesis/contracts/l2/open/Staking.sol";
import {Predeploys} from "genesis/contracts/l2/Predeploys.sol";
import {Genesis} from "./Genesis.sol";

/// @notice Bonds, delegates, unbonds, withdraws, collects, slashes and pays fees in, in any order.
contract StakingHandler is Genesis {
    Staking public constant STAKING = Staking(payable(Predeploys.STAKING));
    Staking.Role private constant ROLE = Staking.Role.VALIDATOR;

    uint256 public paidIn;
    uint256 public paidOut;

    constructor() {
        _fundPeople();
    }

    function open(uint256 who, uint256 amount, uint16 commission) external {
        amount = bound(amount, 1, 1e24);
        vm.prank(_who(who));
        STAKING.open{value: amount}(ROLE, uint16(bound(commission, 0, 5_000)));
        paidIn += amount;
    }

    function delegate(uint256 who, uint256 operator, uint256 amount) external {
        amount = bound(amount, 1, 1e24);
        vm.prank(_who(who));
        STAKING.delegate{value: amount}(ROLE, _who(operator));
        paidIn += amount;
    }

    function unbond(uint256 who, uint256 operator, uint256 part) external {
        (uint256 shares,,) = STAKING.positionOf(ROLE, _who(operator), _who(who));
        vm.prank(_who(who));
        STAKING.unbond(ROLE, _who(operator), bound(part, 1, shares == 0 ? 1 : shares));
    }

    function withdraw(uint256 who, uint256 operator) external {
        vm.prank(_who(who));
        paidOut += STAKING.withdraw(ROLE, _who(operator));
    }

    function collect(uint256 who, uint256 operator) external {
        vm.prank(_who(who));
        paidOut += STAKING.collect(ROLE, _who(operator));
    }

    function slash(uint256 operator, uint256 part) external {
        Staking.Pool memory pool = STAKING.poolOf(ROLE, _who(operator));
        uint256 all = pool.bonded + pool.unbonding;
        uint256 amount = bound(part, 1, all == 0 ? 1 : all);
        vm.prank(Predeploys.OPEN_TIMELOCK);
        STAKING.slash(ROLE, _who(operator), amount, payable(address(0xdead)), "verdict");
        paidOut += amount;
    }

    function fees(uint256 amount) external {
        amount = bound(amount, 1, 1e24);
        (bool ok,) = address(STAKING).call{value: amount}("");
        require(ok, "fees");
        paidIn += amount;
    }

    function pass(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 1, 300));
    }

    /// What all positions are worth and could collect, and what is on its way out.
    function claims() external view returns (uint256 bonded, uint256 rewards) {
        for (uint256 o = 0; o < PEOPLE; ++o) {
            for (uint256 w = 0; w < PEOPLE; ++w) {
                (, uint256 amount, uint256 earned) = STAKING.positionOf(ROLE, _who(o), _who(w));
                bonded += amount;
                rewards += earned;
            }
        }
    }
}

contract StakingTest is Genesis {
    StakingHandler private handler;

    function setUp() external {
        _genesis();
        handler = new StakingHandler();
    }

    function targetContracts() external view returns (address[] memory) {
        return _only(address(handler));
    }

    /// It holds what it says it holds, which is what came in less what went out.
    function invariant_solvent() external view {
        Staking s = handler.STAKING();
        uint256 owed = s.totalBonded() + s.totalUnbonding() + s.totalRewards();
        assertEq(address(s).balance, owed, "balance and books");
        assertEq(address(s).balance, handler.paidIn() - handler.paidOut(), "balance and what moved");
    }

    /// Nobody's claims together are above what is there for them.
    function invariant_claims_are_covered() external view {
        (uint256 bonded, uint256 rewards) = handler.claims();
        assertLe(bonded, handler.STAKING().totalBonded(), "bonded");
        assertLe(rewards, handler.STAKING().totalRewards(), "rewards");
    }
}
