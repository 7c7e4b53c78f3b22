// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IdentityRegistry} from "genesis/contracts/l2/agents/IdentityRegistry.sol";
import {Market} from "genesis/contracts/l2/agents/Market.sol";
import {DatanetParams, DatanetRegistry} from "genesis/contracts/l2/DatanetRegistry.sol";
import {Predeploys} from "genesis/contracts/l2/Predeploys.sol";
import {Genesis} from "./Genesis.sol";

/// @notice Agents and Datanets, offered, sold, licensed, given away and fallen out of date; a Datanet's budget too.
contract MarketHandler is Genesis {
    Market public constant MARKET = Market(Predeploys.MARKET);
    IdentityRegistry private constant AGENTS = IdentityRegistry(Predeploys.IDENTITY_REGISTRY);
    DatanetRegistry public constant DATANETS = DatanetRegistry(Predeploys.DATANET_REGISTRY);
    uint256 private constant THINGS = 3;

    constructor() {
        _fundPeople();
        for (uint256 i = 0; i < THINGS; ++i) {
            vm.prank(_who(i));
            AGENTS.register();
            vm.prank(_who(i));
            DatanetParams memory params;
            (params.name, params.schema, params.licence.permissions) = ("net", "text", 1);
            (params.limits.rowsMax, params.limits.rowBytesMax) = (10, 100);
            DATANETS.create(params);
        }
        for (uint256 i = 0; i < PEOPLE; ++i) {
            vm.prank(_who(i));
            AGENTS.setApprovalForAll(address(MARKET), true);
        }
    }

    function list(uint256 thing, uint128 price, uint128 licencePrice, uint64 seconds_) external {
        (Market.Kind kind, bytes32 id) = _thing(thing);
        Market.Offer memory offer = Market.Offer(
            uint128(bound(price, 0, 1e22)),
            uint128(bound(licencePrice, 0, 1e20)),
            1 days,
            uint64(block.timestamp + bound(seconds_, 1, 30 days)),
            ""
        );
        vm.prank(MARKET.ownerOf(kind, id));
        MARKET.list(kind, id, offer);
    }

    function unlist(uint256 who, uint256 thing) external {
        (Market.Kind kind, bytes32 id) = _thing(thing);
        vm.prank(_who(who));
        MARKET.unlist(kind, id);
    }

    function buy(uint256 who, uint256 thing) external {
        (Market.Kind kind, bytes32 id) = _thing(thing);
        uint128 price = MARKET.listingOf(kind, id).offer.price;
        vm.prank(_who(who));
        MARKET.buy{value: price}(kind, id);
        require(MARKET.ownerOf(kind, id) == _who(who), "not handed over");
    }

    function license(uint256 who, uint256 thing) external {
        (Market.Kind kind, bytes32 id) = _thing(thing);
        Market.Offer memory offer = MARKET.listingOf(kind, id).offer;
        MARKET.license{value: offer.licencePrice}(kind, id, _who(who), offer.licenceSeconds, offer.termsHash);
    }

    function give(uint256 to, uint256 thing) external {
        (Market.Kind kind, bytes32 id) = _thing(thing);
        address owner = MARKET.ownerOf(kind, id);
        vm.prank(owner);
        if (kind == Market.Kind.AGENT) AGENTS.transferFrom(owner, _who(to), uint256(id));
        else DATANETS.transferDatanet(uint256(id), _who(to));
    }

    function withdraw(uint256 who) external {
        MARKET.withdraw(_who(who));
    }

    function fund(uint256 datanet, uint256 amount) external {
        DATANETS.fund{value: bound(amount, 0, 1e22)}(1 + datanet % THINGS);
    }

    function takeBudget(uint256 datanet, uint256 amount) external {
        uint256 id = 1 + datanet % THINGS;
        uint256 budget = DATANETS.getDatanet(id).budget;
        vm.prank(DATANETS.ownerOf(id));
        DATANETS.withdraw(id, uint128(bound(amount, 0, budget)));
    }

    function pass(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 1, 5 days));
    }

    function credit() external view returns (uint256 sum) {
        for (uint256 i = 0; i < PEOPLE; ++i) sum += MARKET.creditOf(_who(i));
    }

    function budgets() external view returns (uint256 sum) {
        for (uint256 i = 1; i <= THINGS; ++i) sum += DATANETS.getDatanet(i).budget;
    }

    function _thing(uint256 i) private pure returns (Market.Kind kind, bytes32 id) {
        kind = i % 2 == 0 ? Market.Kind.AGENT : Market.Kind.DATANET;
        id = bytes32(1 + (i / 2) % THINGS);
    }
}

contract MarketTest is Genesis {
    MarketHandler private handler;

    function setUp() external {
        _genesis();
        handler = new MarketHandler();
    }

    function targetContracts() external view returns (address[] memory) {
        return _only(address(handler));
    }

    function invariant_what_was_paid_is_booked() external view {
        assertEq(address(handler.MARKET()).balance, handler.MARKET().totalCredit(), "balance");
        assertEq(handler.credit(), handler.MARKET().totalCredit(), "books");
    }

    function invariant_budgets_are_there() external view {
        assertEq(address(handler.DATANETS()).balance, handler.budgets(), "budgets");
    }

    /// Whatever an amount is, the parts are all of it.
    function testFuzz_royalties_sum_to_the_price(uint128 amount) external view {
        (, uint256[] memory amounts) = handler.MARKET().royaltyInfo(Market.Kind.AGENT, bytes32(uint256(1)), amount);
        uint256 sum = 0;
        for (uint256 i = 0; i < amounts.length; ++i) sum += amounts[i];
        assertEq(sum, amount, "parts");
    }
}
