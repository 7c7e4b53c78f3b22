// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DatanetParams, DatanetRegistry} from "genesis/contracts/l2/DatanetRegistry.sol";
import {InferenceEscrow} from "genesis/contracts/l2/InferenceEscrow.sol";
import {Predeploys} from "genesis/contracts/l2/Predeploys.sol";
import {AgentBonds} from "genesis/contracts/l2/agents/AgentBonds.sol";
import {IdentityRegistry} from "genesis/contracts/l2/agents/IdentityRegistry.sol";
import {Market} from "genesis/contracts/l2/agents/Market.sol";
import {OpenPaymaster} from "genesis/contracts/l2/agents/OpenPaymaster.sol";
import {GovernedOPEN} from "genesis/contracts/l2/open/GovernedOPEN.sol";
import {ModelFunding} from "genesis/contracts/l2/open/ModelFunding.sol";
import {PayableWOPEN} from "genesis/contracts/l2/open/PayableWOPEN.sol";
import {Staking} from "genesis/contracts/l2/open/Staking.sol";
import {Genesis} from "./Genesis.sol";

/// @notice An account that, when it is paid, asks to be paid again from within, three times over.
contract Thief {
    address private _target;
    bytes private _data;
    uint256 public tries;

    function act(address target, bytes calldata data, uint256 value) external {
        (bool ok,) = target.call{value: value}(data);
        require(ok, "refused");
    }

    function arm(address target, bytes calldata data) external {
        (_target, _data, tries) = (target, data, 0);
    }

    receive() external payable {
        if (_target == address(0) || tries == 3) return;
        ++tries;
        // Whatever comes of it: a thief that gives up would be paid in peace.
        (bool ok,) = _target.call(_data);
        ok;
    }

    function onERC721Received(address, address, uint256, bytes calldata) external pure returns (bytes4) {
        return this.onERC721Received.selector;
    }
}

/// @notice Every way in which OPEN is paid out to who asks for it, asked for again from within: it is paid once, and
/// what belongs to others stays.
contract ReentrancyTest is Genesis {
    Thief private thief;
    uint256 private constant OWN = 1e18;
    uint256 private constant OTHERS = 10e18;

    function setUp() external {
        _genesis();
        _fundPeople();
        thief = new Thief();
        vm.deal(address(thief), 100e18);
    }

    function test_wrapped_open() external {
        PayableWOPEN token = PayableWOPEN(payable(0x4200000000000000000000000000000000000006));
        token.deposit{value: OTHERS}();
        thief.act(address(token), abi.encodeCall(token.deposit, ()), OWN);
        _isPaidOnce(address(token), abi.encodeCall(token.withdraw, (OWN)), OWN);
    }

    function test_governed_open() external {
        GovernedOPEN token = GovernedOPEN(payable(Predeploys.GOVERNED_OPEN));
        token.deposit{value: OTHERS}();
        thief.act(address(token), abi.encodeCall(token.deposit, ()), OWN);
        _isPaidOnce(address(token), abi.encodeCall(token.withdraw, (OWN)), OWN);
    }

    function test_stake_and_its_rewards() external {
        Staking staking = Staking(payable(Predeploys.STAKING));
        staking.open{value: OTHERS}(Staking.Role.VALIDATOR, 0);
        bytes memory delegate = abi.encodeCall(staking.delegate, (Staking.Role.VALIDATOR, address(this)));
        thief.act(address(staking), delegate, OTHERS);
        (bool ok,) = address(staking).call{value: 2 * OWN}("");
        require(ok, "fees");
        bytes memory collect = abi.encodeCall(staking.collect, (Staking.Role.VALIDATOR, address(this)));
        _isPaidOnce(address(staking), collect, OWN);

        (uint256 shares,,) = staking.positionOf(Staking.Role.VALIDATOR, address(this), address(thief));
        thief.act(
            address(staking), abi.encodeCall(staking.unbond, (Staking.Role.VALIDATOR, address(this), shares)), 0
        );
        vm.warp(block.timestamp + staking.unbondingSeconds() + 1);
        bytes memory withdraw = abi.encodeCall(staking.withdraw, (Staking.Role.VALIDATOR, address(this)));
        _isPaidOnce(address(staking), withdraw, OTHERS);
    }

    function test_prepaid_inference() external {
        InferenceEscrow escrow = InferenceEscrow(Predeploys.INFERENCE_ESCROW);
        escrow.deposit{value: OTHERS}();
        thief.act(address(escrow), abi.encodeCall(escrow.deposit, ()), OWN);
        thief.act(address(escrow), abi.encodeCall(escrow.requestWithdrawal, (OWN)), 0);
        vm.warp(block.timestamp + escrow.WITHDRAWAL_DELAY_SECONDS() + 1);
        _isPaidOnce(address(escrow), abi.encodeCall(escrow.executeWithdrawal, ()), OWN);
    }

    function test_an_agents_bond() external {
        AgentBonds bonds = AgentBonds(Predeploys.AGENT_BONDS);
        (uint256 own, uint256 other) = (_agentOf(thief), _agentOf(new Thief()));
        bonds.bond{value: OTHERS}(other);
        bonds.bond{value: OWN}(own);
        thief.act(address(bonds), abi.encodeCall(bonds.requestExit, (own, uint128(OWN))), 0);
        vm.warp(block.timestamp + Staking(payable(Predeploys.STAKING)).unbondingSeconds() + 1);
        _isPaidOnce(address(bonds), abi.encodeCall(bonds.withdraw, (own)), OWN);
    }

    function test_proceeds_of_a_sale() external {
        Market market = Market(Predeploys.MARKET);
        IdentityRegistry agents = IdentityRegistry(Predeploys.IDENTITY_REGISTRY);
        Thief other = new Thief();
        _sell(market, other, agents, OTHERS);
        _sell(market, thief, agents, OWN);
        _isPaidOnce(address(market), abi.encodeCall(market.withdraw, (address(thief))), OWN);
    }

    function test_a_grant_that_comes_back() external {
        ModelFunding funding = ModelFunding(Predeploys.MODEL_FUNDING);
        ModelFunding.Milestone[] memory milestones = new ModelFunding.Milestone[](1);
        milestones[0] = ModelFunding.Milestone(uint128(OTHERS), 1, uint64(block.timestamp + 1), false);
        address[] memory evaluators = _only(address(0xe7a1));
        funding.fund{value: OTHERS}(address(0xbe), "evaluation", milestones, evaluators);
        milestones[0].amount = uint128(OWN);
        bytes memory fund = abi.encodeCall(funding.fund, (address(0xbe), "evaluation", milestones, evaluators));
        thief.act(address(funding), fund, OWN);
        vm.warp(block.timestamp + funding.PAY_GRACE_SECONDS() + 2);
        _isPaidOnce(address(funding), abi.encodeCall(funding.refund, (2, 0)), OWN);
    }

    function test_a_datanets_budget() external {
        DatanetRegistry datanets = DatanetRegistry(Predeploys.DATANET_REGISTRY);
        DatanetParams memory params;
        (params.name, params.schema, params.licence.permissions) = ("net", "text", 1);
        (params.limits.rowsMax, params.limits.rowBytesMax) = (10, 100);
        datanets.fund{value: OTHERS}(datanets.create(params));
        thief.act(address(datanets), abi.encodeCall(datanets.create, (params)), 0);
        datanets.fund{value: OWN}(2);
        _isPaidOnce(address(datanets), abi.encodeCall(datanets.withdraw, (2, uint128(OWN))), OWN);
    }

    function test_a_sponsors_money() external {
        OpenPaymaster paymaster = OpenPaymaster(payable(Predeploys.OPEN_PAYMASTER));
        OpenPaymaster.Caps memory caps;
        (caps.perOperation, caps.perAccountDay, caps.perDay) = (1e18, 1e18, 1e18);
        paymaster.open{value: OTHERS}(0, caps);
        thief.act(address(paymaster), abi.encodeCall(paymaster.open, (0, caps)), OWN);
        bytes memory withdraw = abi.encodeCall(paymaster.withdraw, (2, payable(address(thief)), OWN));
        _isPaidOnce(address(paymaster), withdraw, OWN);
    }

    function _isPaidOnce(address target, bytes memory data, uint256 due) private {
        uint256 before = address(thief).balance;
        thief.arm(target, data);
        thief.act(target, data, 0);
        require(thief.tries() > 0, "it did not try");
        assertEq(address(thief).balance - before, due, "paid");
        thief.arm(address(0), "");
    }

    function _agentOf(Thief owner) private returns (uint256 id) {
        IdentityRegistry agents = IdentityRegistry(Predeploys.IDENTITY_REGISTRY);
        owner.act(address(agents), abi.encodeWithSignature("register()"), 0);
        return agents.agentCount();
    }

    function _sell(Market market, Thief seller, IdentityRegistry agents, uint256 price) private {
        bytes32 id = bytes32(_agentOf(seller));
        Market.Offer memory offer = Market.Offer(uint128(price), 0, 1 days, uint64(block.timestamp + 1 days), "");
        seller.act(address(agents), abi.encodeCall(agents.setApprovalForAll, (address(market), true)), 0);
        seller.act(address(market), abi.encodeCall(market.list, (Market.Kind.AGENT, id, offer)), 0);
        vm.prank(_who(0));
        market.buy{value: price}(Market.Kind.AGENT, id);
    }

    receive() external payable {}
}
