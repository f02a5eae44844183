# SPDX-License-Identifier: Apache-2.0
"""Who can stop a settlement, a deposit or an exit, and what it costs him."""

from __future__ import annotations

from typing import Any

import pytest

from offchain.route.leg import Venue
from tests.support.evm import reverts
from tests.support.hostile import Hostile
from tests.support.thief import worth
from tests.support.world import ONE, Order, World, head_prices, usdc


def keeper_order(world: World, legs: list[Any], slippage_bps: int = 30, **changes: Any) -> Order:
    """What an honest keeper signs: minimums and value per share as quoted, less its slippage."""
    with world.evm.rolled_back():
        settled = world.settle(legs)
    kept = 10_000 - slippage_bps
    guarded = [
        leg._replace(min_amount_out=out * kept // 10_000) for leg, out in zip(legs, settled["amounts_out"], strict=True)
    ]
    return world.order(guarded, min_value_per_share=settled["value_per_share"] * kept // 10_000, **changes)


def rebalance(world: World) -> Order:
    return keeper_order(
        world, [world.leg("WETH", "USDC", 10 * 10**18, 500), world.leg("USDC", "WBTC", usdc(20_000), 3000)]
    )


# ---------------------------------------------------------------- entries and exits just before


@pytest.mark.parametrize("shares", [1, ONE, 1000 * ONE, 300_000 * ONE])
def test_griefing_a_settlement_by_a_redemption_in_kind(invested: World, shares: int) -> None:
    """Weights stay, amounts clamp, minimums shrink with them: the order settles."""
    order = rebalance(invested)
    invested.leave_in_kind("alice", shares)
    invested.settle(order)


@pytest.mark.parametrize("dollars", [1, 1000, 50_000])
def test_griefing_a_settlement_by_a_priced_redemption(invested: World, dollars: int) -> None:
    order = rebalance(invested)
    invested.vault.withdraw(usdc(dollars), "alice", "alice", sender="alice")
    invested.settle(order)


@pytest.mark.parametrize("dollars", [0.00001, 1, 10_000, 300_000])
def test_griefing_a_settlement_by_a_deposit(invested: World, dollars: float) -> None:
    """Entries and exits only raise value per share, so the order's minimum is not voided either."""
    order = rebalance(invested)
    invested.deposit("attacker", usdc(dollars))
    invested.settle(order)


def test_redeeming_what_an_order_wants_to_spend(hostile: Hostile) -> None:
    """The leg clamps to what is left, and is skipped when nothing is."""
    world = hostile.world
    order = keeper_order(world, [world.leg(0, 1, usdc(8000))])
    with world.evm.rolled_back():
        world.leave_in_kind("alice", world.vault.balanceOf("alice") * 9995 // 10_000)
        assert 0 < world.settle(order)["amounts_in"][0] < usdc(8000)
    world.leave_in_kind("alice")
    world.tokens[0].burn(world.vault, world.tokens[0].balanceOf(world.vault), sender="market")
    world.give(1, world.vault, ONE)
    assert world.settle(order)["amounts_in"] == (0,)


def test_redeeming_the_dollars_away_makes_an_order_that_spends_them_wait(invested: World) -> None:
    """Below its minimum weight the base asset may not be spent: the keeper plans again. It cost the exit fee on all."""
    order = keeper_order(invested, [invested.leg("USDC", "WBTC", usdc(10_000), 3000)])
    before = invested.vault.convertToAssets(invested.vault.balanceOf("alice"))
    taken = invested.vault.holdings()[0] * 9 // 10
    invested.vault.withdraw(taken, "alice", "alice", sender="alice")
    with reverts("limits: weight"):
        invested.settle(order)
    invested.settle(keeper_order(invested, [invested.leg("WETH", "USDC", 10**19, 500)]))
    left = invested.vault.convertToAssets(invested.vault.balanceOf("alice"))
    # She is the only holder, so her fee is hers; with others there it would be theirs.
    assert left + taken <= before


def test_a_deposit_that_pushes_a_settlement_over_the_edge_costs_its_fees(invested: World) -> None:
    """An order that ends just inside a bound can be blocked; the attacker pays both fees on what that takes.

    The keeper's remedy is to stay off the edge: against a margin m of the vault's value it takes a deposit of
    more than m, and entering and leaving costs one per cent of it.
    """
    invested.mandate.set_limits(invested.limits(max_weights_bps=(3000, 4500, 4500, 1500, 3000)), sender="curator")
    margin = 0.001
    dollars = int((0.3 - margin) * invested.vault.value() / 1e12) - invested.vault.holdings()[0]
    order = keeper_order(invested, [invested.leg("WETH", "USDC", dollars * 10**12 // 3000, 500)])
    with invested.evm.rolled_back():
        invested.settle(order)
    before = invested.balances("attacker")
    deposit = 5000
    invested.deposit("attacker", usdc(deposit))
    with reverts("limits: weight"):
        invested.settle(order)
    invested.leave_in_kind("attacker")
    taken = [now - was for now, was in zip(invested.balances("attacker"), before, strict=True)]
    cost = 1 - worth(taken, invested, head_prices()) / deposit
    assert cost > 0.0095


# ---------------------------------------------------------------- donations of a wei


@pytest.mark.parametrize("symbol", ["USDC", "WETH", "WBTC", "LINK", "wstETH"])
def test_a_wei_donated_just_before(invested: World, symbol: str) -> None:
    order = rebalance(invested)
    invested.give(symbol, invested.vault, 1)
    invested.settle(order)


def test_a_wei_donated_is_not_what_rose(invested: World) -> None:
    """Only reducing, no balance but the base asset's may rise: what was donated before counts as held before."""
    order = keeper_order(invested, [invested.leg("WETH", "USDC", 10**18, 500)])
    invested.mandate.guardian_trip(1, sender="guardian")
    for symbol in ("WETH", "WBTC", "LINK", "wstETH"):
        invested.give(symbol, invested.vault, 1)
    invested.settle(order)


def test_a_wei_donated_to_a_pool(invested: World) -> None:
    """The pair's surplus is nobody's until somebody skims it; it cannot make the swap fail."""
    order = keeper_order(invested, [invested.leg("WETH", "USDC", 10**18, 0, venue=Venue.UNISWAP_V2)])
    for pool in invested.pools():
        for symbol in pool.symbols:
            invested.give(symbol, pool.address, 1)
    invested.settle(order)


def test_a_wei_in_a_leg_that_would_be_skipped(hostile: Hostile) -> None:
    """An order sells an asset that is gone by then; a wei of it, donated, brings the leg back and nothing can satisfy
    its minimum. Found, stated: such a leg in an order is the keeper's mistake, and the next order leaves it out."""
    world = hostile.world
    order = world.order([world.leg(1, 0, 10**18, min_amount_out=usdc(99))])
    with world.evm.rolled_back():
        world.settle(order)
    world.give(1, world.vault, 1)
    with reverts("orders: amount out below minimum"):
        world.settle(order)


def test_only_reducing_in_two_hops_can_be_stopped_by_improving_the_first(invested: World) -> None:
    """The first pool pays a little more than quoted, the rest of it stays as ether, and ether rose.

    Whoever signs such an order sells a little more in the second hop than the first brings: amounts clamp.
    """
    invested.mandate.guardian_trip(1, sender="guardian")
    first = invested.leg("LINK", "WETH", 500 * 10**18, 3000)
    with invested.evm.rolled_back():
        (out,) = _quote(invested, first)
    exact = invested.order([first, invested.leg("WETH", "USDC", out, 500)])
    with_slack = invested.order([first, invested.leg("WETH", "USDC", out * 101 // 100, 500)])
    with invested.evm.rolled_back():
        invested.settle(exact)
    maker = invested.deploy_maker("attacker", {"WETH": 10})
    pool = next(pool for pool in invested.pools() if pool.name == "LINK/WETH v3 3000")
    maker.make([], [(pool.address, int(pool.venue), pool.symbols[0] == "WETH", 10**16)], sender="attacker")
    with reverts("limits: risk increased"):
        invested.settle(exact)
    invested.settle(with_slack)


def _quote(world: World, leg: Any) -> tuple[int]:
    """What the first hop pays, seen by settling it together with a generous second one."""
    settled = world.settle([leg, world.leg("WETH", "USDC", 10 * 10**18, 500)])
    return (settled["amounts_out"][0],)


def test_a_wei_of_what_the_curator_closed(invested: World) -> None:
    """It breaks no maximum of nothing, and no order has to sell what cannot be sold; a dollar of it has to go."""
    world = invested
    world.loosen(world.limits(min_weights_bps=(0,) * 5))
    world.refresh_feeds()
    while world.vault.holdings()[world.index("LINK")]:
        world.settle([world.leg("LINK", "WETH", 2**127)])
    most = world.limits().max_weights_bps
    world.mandate.set_limits(world.limits(max_weights_bps=(*most[:3], 0, most[4])), sender="curator")
    order = keeper_order(world, [world.leg("USDC", "WETH", usdc(1000), 500)])
    world.give("LINK", world.vault, 1)
    with world.evm.rolled_back():
        world.settle(order)
    world.give("LINK", world.vault, 10**17)
    with reverts("limits: weight"):
        world.settle(order)
    world.settle([world.leg("USDC", "WETH", usdc(1000), 500), world.leg("LINK", "WETH", 2**127)])


# ---------------------------------------------------------------- claims


def test_claims_left_lying_make_valuation_a_little_dearer(invested: World, record_property: Any) -> None:
    """A unit of each asset, never claimed: one more word to read for each asset, for ever. Bounded, and cheap."""
    invested.vault.value(sender="keeper")
    before = invested.evm.gas_used
    invested.leave_in_kind("alice", 10**20, skip=0b11111)
    invested.vault.value(sender="keeper")
    dearer = invested.evm.gas_used - before
    record_property("gas of five claims left, warm", dearer)
    # Cold, each is 2,100 at most: sixteen make 33,600 of gas.
    assert dearer < 5 * 2_600


def test_nobody_stops_somebody_elses_exit(hostile: Hostile) -> None:
    """Every token frozen, breaker halted, oracle dead, signers gone: claims to everything."""
    world = hostile.world
    world.give(1, world.vault, 10**20)
    for asset in range(3):
        hostile.misbehave(asset, frozen=True)
    world.mandate.guardian_trip(2, sender="guardian")
    world.mandate.remove_signer("optimizer", sender="guardian")
    world.evm.mine(365 * 86_400)
    amounts = world.leave_in_kind("alice", skip=0b111)
    assert [world.vault.claims("alice", i) for i in range(3)] == list(amounts)
    for asset in range(3):
        hostile.misbehave(asset)
        if amounts[asset]:
            assert world.vault.claim(asset, "alice", sender="alice") == amounts[asset]


# ---------------------------------------------------------------- breaker


def test_a_donation_against_a_trip_costs_what_it_hides(invested: World) -> None:
    """To hold off a trip somebody must give the holders what they lost."""
    for feed, price in (("ETH/USD", 2100), ("BTC/USD", 42_000)):
        invested.set_feed(feed, price)
    missing = invested.mandate.peak() * 8 // 10 - invested.vault.value_per_share()
    assert missing > 0
    gift = missing * invested.vault.totalSupply() // ONE
    with invested.evm.rolled_back():
        invested.give("USDC", invested.vault, gift * 9 // 10 // 10**12)
        invested.mandate.trip(sender="bob")
    invested.give("USDC", invested.vault, gift * 11 // 10 // 10**12)
    with reverts("breaker: no condition"):
        invested.mandate.trip(sender="bob")


def test_no_deposit_moves_the_peak_of_others_by_more_than_its_fee(invested: World) -> None:
    """A high-water mark cannot be pumped: only fees and gifts raise value per share."""
    peak = invested.mandate.peak()
    invested.deposit("attacker", usdc(40_000_000))
    invested.leave_in_kind("attacker")
    raised = invested.vault.value_per_share() - peak
    paid = 40_000_000 * 0.01
    assert raised * invested.vault.totalSupply() / ONE / ONE <= paid


@pytest.mark.parametrize("cycle", [1, 5])
def test_peak_manipulation_at_tiny_supply(world: World, cycle: int) -> None:
    """Dust holders pump the peak with donations and leave: later depositors stand at no drawdown and trip nothing."""
    for _ in range(cycle):
        world.give(0, "attacker", 2)
        world.approve("attacker")
        if world.vault.previewDeposit(2) > 0:
            world.vault.deposit(2, "attacker", sender="attacker")
        else:
            world.deposit("attacker", usdc(1_000_000))
        world.give(0, world.vault, usdc(100))
        if world.vault.previewDeposit(usdc(1)) > 0:
            world.deposit("attacker", usdc(1))
        world.leave_in_kind("attacker", world.vault.balanceOf("attacker") - 1)
    before = usdc(1_000_000)
    world.deposit("alice", before)
    with reverts("breaker: no condition"):
        world.mandate.trip(sender="attacker")
    assert world.vault.maxDeposit("bob") > 0
    assert world.vault.convertToAssets(world.vault.balanceOf("alice")) > before * 994 // 1000
    world.invest()
    assert world.mandate.breaker_state() == 0


def test_a_pumped_peak_does_not_block_the_breaker(world: World) -> None:
    """After any pumping the drawdown is measured from where the depositors came in, or higher: it trips no later."""
    world.give(0, "attacker", 2)
    world.approve("attacker")
    world.vault.deposit(2, "attacker", sender="attacker")
    world.give(0, world.vault, usdc(1000))
    world.deposit("alice", usdc(1_000_000))
    world.invest()
    for feed, price in (("ETH/USD", 2050), ("BTC/USD", 41_000), ("LINK/USD", 10)):
        world.set_feed(feed, price)
    assert world.vault.value_per_share() * 10 <= world.mandate.peak() * 8
    assert world.mandate.trip(sender="bob") == 1
