# SPDX-License-Identifier: Apache-2.0
"""deleverage: by anyone, only in need, only up to the target, first with what the wallet holds."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offchain.route.leg import LendingAction
from tests.support.evm import reverts
from tests.support.lending import DISCOUNT, TARGET, TRIGGER, Lending
from tests.support.world import usdc

USDC, WETH, WBTC = 0, 1, 2
HEALTH_FACTOR = 4
"""Reason of the breaker."""
PLENTY = usdc(400_000)


@pytest.fixture
def strained(lending: Lending) -> Lending:
    """350,000 dollars owed, none in the wallet, and ether fallen until health is below the trigger."""
    lending.open(usdc(350_000))
    world = lending.world
    # All dollars into ether, at pools where the sandbox left them.
    world.settle([world.leg("USDC", "LINK", world.vault.holdings()[0], 3000)])
    world.set_feed("ETH/USD", 2600)
    world.set_feed("BTC/USD", 47_000)
    assert lending.health() * 10_000 < TRIGGER
    lending.bring("attacker", "USDC", PLENTY)
    return lending


def rescue(lender: Lending, amount: int = PLENTY, collateral: int = WETH) -> tuple[int, int]:
    taken, paid = lender.world.vault.deleverage(0, USDC, collateral, amount, sender="attacker")
    return taken, paid


def wait_on_record(lender: Lending, minutes: int) -> None:
    """Somebody records the low health factor now and every five minutes."""
    world = lender.world
    world.alarms.poke(world.mandate, sender="bob")
    for _ in range(minutes // 5):
        world.evm.mine(300)
        world.alarms.poke(world.mandate, sender="bob")


def test_not_while_healthy(lending: Lending) -> None:
    lending.open()
    with reverts("deleverage: not allowed"):
        rescue(lending)


def test_brings_health_to_the_target_and_no_further(strained: Lending) -> None:
    rescue(strained)
    assert float(strained.health()) == pytest.approx(TARGET / 10_000, rel=3e-4)
    assert strained.health() * 10_000 <= TARGET + 5
    with reverts("deleverage: not allowed"):
        rescue(strained)


@pytest.mark.parametrize(("minutes", "discount"), [(0, 0), (15, DISCOUNT // 2), (30, DISCOUNT), (45, DISCOUNT)])
def test_pays_collateral_at_the_oracles_price_and_a_discount_that_grows(
    strained: Lending, minutes: int, discount: int
) -> None:
    wait_on_record(strained, minutes)
    world, prices = strained.world, strained.world.prices()
    before = world.vault.value()
    taken, paid = rescue(strained)
    repaid, given = taken * prices[USDC], paid * prices[WETH]
    assert given == pytest.approx(repaid * (10_000 + discount) / 10_000, rel=1e-9)
    assert given <= repaid * (10_000 + discount) // 10_000
    assert strained.token("WETH").balanceOf("attacker") == pytest.approx(paid, abs=1)
    # All that those who stay lose is the discount.
    assert before - world.vault.value() <= repaid * discount // 10_000 // 10**18 + 10**13
    assert world.tokens[USDC].allowance(world.vault, strained.pool) == 0


def test_the_wallet_pays_first(strained: Lending) -> None:
    world = strained.world
    world.give("USDC", world.vault, usdc(1_000_000))
    _, owed = strained.position()
    taken, paid = rescue(strained)
    assert (taken, paid) == (0, 0)
    assert strained.position()[1][USDC] < owed[USDC]
    assert float(strained.health()) == pytest.approx(TARGET / 10_000, rel=3e-4)


def test_the_wallet_pays_whatever_it_owes(lending: Lending) -> None:
    """Ether held beside ether owed repays it, though the caller named the dollars and brought none."""
    lending.open(usdc(280_000))
    world, ether = lending.world, 20 * 10**18
    world.settle([lending.leg(LendingAction.BORROW, "WETH", ether)])
    world.settle([world.leg("USDC", "LINK", world.vault.holdings()[USDC], 3000)])
    world.set_feed("ETH/USD", 2600)
    world.set_feed("BTC/USD", 47_000)
    before, (_, owed) = lending.health(), lending.position()
    assert world.vault.holdings()[WETH] == ether
    assert before * 10_000 < TRIGGER
    assert rescue(lending, 0, WBTC) == (0, 0)
    repaid = world.vault.event("WalletRepaid")
    assert (repaid["venue"], repaid["debt"]) == (0, WETH)
    assert lending.position()[1][WETH] == pytest.approx(owed[WETH] - repaid["amount"], abs=2)
    assert world.vault.holdings()[WETH] == ether - repaid["amount"]
    assert before < lending.health() <= Fraction(TARGET + 5, 10_000)
    assert world.tokens[WETH].allowance(world.vault, lending.pool) == 0


def test_brought_to_health_the_discount_starts_over(strained: Lending) -> None:
    world = strained.world
    wait_on_record(strained, 30)
    rescue(strained)
    world.alarms.poke(world.mandate, sender="bob")
    world.set_feed("ETH/USD", 2000)
    assert world.mandate.deleverage_terms(world.vault.health())[2] == 0


def test_takes_only_what_is_offered(strained: Lending) -> None:
    before = strained.health()
    assert rescue(strained, usdc(1000))[0] == usdc(1000)
    assert strained.health() > before


def test_pays_no_more_collateral_than_there_is(strained: Lending) -> None:
    strained.world.set_feed("ETH/USD", 2300)
    held = strained.position()[0][WETH]
    _, paid = rescue(strained)
    assert held - 10**10 <= paid <= held


def test_works_when_halted_below_the_target(lending: Lending) -> None:
    lending.open(usdc(280_000))
    world = lending.world
    world.settle([world.leg("USDC", "LINK", world.vault.holdings()[0], 3000)])
    lending.bring("attacker", "USDC", PLENTY)
    world.set_feed("ETH/USD", 2500)
    world.set_feed("BTC/USD", 48_000)
    assert TRIGGER < lending.health() * 10_000 < TARGET
    with reverts("deleverage: not allowed"):
        rescue(lending)
    world.mandate.guardian_trip(2, sender="guardian")
    assert rescue(lending)[0] > 0


def test_a_low_health_factor_trips_though_every_feed_is_dead(strained: Lending) -> None:
    world = strained.world
    world.evm.mine(30 * 86_400)
    with reverts("oracle: stale"):
        world.vault.value_per_share()
    assert world.mandate.trip(sender="attacker") == 1
    assert world.mandate.breaker_reason() == HEALTH_FACTOR


def test_needs_live_prices(strained: Lending) -> None:
    strained.world.evm.mine(2 * 86_400)
    with reverts("oracle: stale"):
        rescue(strained)


def test_unknown_places(strained: Lending) -> None:
    for places in ((4, USDC, WETH), (0, 5, WETH), (0, USDC, 5)):
        with reverts("positions: unknown venue"):
            strained.world.vault.deleverage(*places, usdc(1), sender="attacker")
    with reverts("deleverage: nothing to do"):
        strained.world.vault.deleverage(0, WBTC, WETH, 10**8, sender="attacker")


@given(offers=st.lists(st.tuples(st.integers(1, usdc(120_000)), st.sampled_from([WETH, WBTC])), max_size=5))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_health_only_rises_and_never_past_the_target(strained: Lending, offers: list[tuple[int, int]]) -> None:
    with strained.world.evm.rolled_back():
        for amount, collateral in offers:
            before = strained.health()
            if before * 10_000 >= TRIGGER:
                break
            rescue(strained, amount, collateral)
            assert before < strained.health()
            assert strained.health() * 10_000 <= TARGET + 5
