# SPDX-License-Identifier: Apache-2.0
"""foreclose: an abandoned claim to a position gives those who stay its debt, and collateral that pays for it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offchain.route.leg import LendingAction
from offchain.settle.development import development_address
from tests.support.aave_account import Account
from tests.support.evm import reverts
from tests.support.lending import DISCOUNT, SKIP_AAVE, TRIGGER, Lending, lending_world
from tests.support.world import ONE, usdc

USDC, WETH, WBTC = 0, 1, 2
FORECLOSED = 128
DUST = 10**16
"""USD at 18 decimals that roundings of a few base units are worth."""


def rest(lender: Lending, *roles: str) -> tuple[list[int], list[int]]:
    """Base units of those who stay, when these roles left with claims."""
    return Account(lender, set(roles)).rest()


def worth(lender: Lending, amounts: list[int]) -> Fraction:
    """USD at 18 decimals, at the oracle's prices."""
    return sum((Fraction(a * p, ONE) for a, p in zip(amounts, lender.world.prices(), strict=True)), Fraction(0))


def fall(lender: Lending, health: float, *roles: str) -> None:
    """Let all coins fall until these claims are at a health factor."""
    factor = health / float(lender.health_of(*lender.claimed(roles[0])))
    for name in ("ETH/USD", "BTC/USD"):
        lender.world.set_feed(name, lender.world.feed(name).latestAnswer() / 10**8 * factor)


def foreclose(lender: Lending, role: str = "bob") -> None:
    lender.world.vault.foreclose(0, development_address(role), sender="attacker")


@pytest.fixture
def indebted(leveraged: Lending) -> Lending:
    """Bob and carol left with claims, as healthy as those who stay."""
    world = leveraged.world
    world.settle([leveraged.leg(LendingAction.BORROW, "USDC", usdc(180_000))])
    world.deposit("carol", usdc(100_000))
    for role in ("bob", "carol"):
        world.leave_in_kind(role, skip=SKIP_AAVE)
    return leveraged


@pytest.fixture
def abandoned(indebted: Lending) -> Lending:
    """The same, when those who stay have repaid most of their own debt."""
    indebted.world.settle([indebted.leg(LendingAction.REPAY, "USDC", usdc(120_000))])
    return indebted


def test_the_vaults_health_is_that_of_those_who_stay(indebted: Lending) -> None:
    """Where it is lower than the account's: what belongs to claims is not theirs to borrow against."""
    world = indebted.world
    held, owed = rest(indebted, "bob", "carol")
    own = indebted.health_of(held, owed)
    room = [int(owed[USDC] * (own * 10_000 / limit - 1)) for limit in (TRIGGER + 100, TRIGGER - 100)]
    with reverts("limits: health factor"), world.evm.rolled_back():
        world.settle([indebted.leg(LendingAction.BORROW, "USDC", room[1])])
    world.settle([indebted.leg(LendingAction.BORROW, "USDC", room[0])])
    own = indebted.health_of(*rest(indebted, "bob", "carol"))
    assert own < indebted.health()
    assert world.vault.health() / ONE == pytest.approx(float(own), rel=1e-6)


def test_not_while_the_claim_is_at_its_trigger(abandoned: Lending) -> None:
    fall(abandoned, TRIGGER / 10_000 + 0.001, "bob")
    with reverts("foreclose: healthy"):
        foreclose(abandoned)
    fall(abandoned, TRIGGER / 10_000 - 0.001, "bob")
    foreclose(abandoned)


def test_the_debt_falls_to_those_who_stay_with_collateral_that_pays_for_it(abandoned: Lending) -> None:
    """Collateral worth the debt and the discount, from each asset the same part; no token moves."""
    fall(abandoned, 1.2, "bob")
    (held, owed), position = abandoned.claimed("bob"), abandoned.position()
    wallet, before = abandoned.world.vault.holdings(), abandoned.world.vault.value()
    foreclose(abandoned)
    left, none = abandoned.claimed("bob")
    assert none == [0] * 5
    taken = [all_ - now for all_, now in zip(held, left, strict=True)]
    due = worth(abandoned, owed) * (10_000 + DISCOUNT) / 10_000
    assert due <= worth(abandoned, taken) <= due + DUST
    assert Fraction(taken[WETH], held[WETH]) == pytest.approx(Fraction(taken[WBTC], held[WBTC]), rel=1e-6)
    gained = abandoned.world.vault.value() - before
    assert 0 <= gained - worth(abandoned, owed) * DISCOUNT / 10_000 <= DUST
    assert abandoned.world.vault.holdings() == wallet
    assert abandoned.position() == position
    event = abandoned.world.vault.event("PositionForeclosed")
    assert (event["caller"], event["account"], event["venue"]) == (
        development_address("attacker"),
        development_address("bob"),
        0,
    )
    assert event["held"][WETH] == pytest.approx(taken[WETH], abs=2)
    assert event["owed"][USDC] == pytest.approx(owed[USDC], abs=1)


def test_the_account_is_as_healthy_as_before(abandoned: Lending) -> None:
    """What is left of the claim stays its collateral until those who stay can spare it."""
    fall(abandoned, 1.2, "bob")
    reported, exact = abandoned.pool.getUserAccountData(abandoned.world.vault)[5], abandoned.health()
    foreclose(abandoned)
    assert abandoned.pool.getUserAccountData(abandoned.world.vault)[5] == reported
    assert abandoned.health() == exact


def test_what_is_left_is_paid_without_any_debt(abandoned: Lending) -> None:
    world = abandoned.world
    fall(abandoned, 1.2, "bob")
    foreclose(abandoned)
    left, _ = abandoned.claimed("bob")
    assert world.tokens[USDC].balanceOf("bob") > 0
    world.approve("bob", 0)
    dollars = world.tokens[USDC].balanceOf("bob")
    health = abandoned.health_of(*rest(abandoned, "bob", "carol"))
    world.vault.claim_position(0, "bob", sender="bob")
    assert world.tokens[USDC].balanceOf("bob") == dollars
    for i, symbol in ((WETH, "WETH"), (WBTC, "WBTC")):
        assert abandoned.token(symbol).balanceOf("bob") == pytest.approx(left[i], abs=2)
    assert abandoned.health_of(*rest(abandoned, "bob", "carol")) >= health * (1 - 10**-9)
    assert world.vault.position_claims("bob", FORECLOSED) == 0
    with reverts("positions: no claim"):
        world.vault.claim_position(0, "bob", sender="bob")


def test_it_waits_while_those_who_stay_are_below_the_trigger(indebted: Lending) -> None:
    """He may not pull the rest of his collateral from under the debt he left; anyone deleverages, then it is paid."""
    world = indebted.world
    fall(indebted, 1.2, "bob")
    foreclose(indebted)
    assert world.vault.position_claims("bob", FORECLOSED) == 1
    assert world.vault.health() < TRIGGER * 10**14
    assert world.vault.health() < indebted.health() * ONE
    with reverts("foreclose: deleverage first"):
        world.vault.claim_position(0, "bob", sender="bob")
    indebted.bring("attacker", "USDC", usdc(400_000))
    for collateral in (WETH, WBTC):
        if world.vault.health() < TRIGGER * 10**14:
            world.vault.deleverage(0, USDC, collateral, usdc(400_000), sender="attacker")
    assert world.vault.health() >= TRIGGER * 10**14
    world.vault.claim_position(0, "bob", sender="bob")
    assert world.vault.position_claims("bob", WETH) == 0


def test_twice_is_once(abandoned: Lending) -> None:
    fall(abandoned, 1.2, "bob")
    foreclose(abandoned)
    with reverts("foreclose: owes nothing"):
        foreclose(abandoned)


def test_nobody_elses_claim_moves(abandoned: Lending) -> None:
    fall(abandoned, 1.2, "bob")
    before = abandoned.claimed("carol")
    foreclose(abandoned)
    assert abandoned.claimed("carol") == before
    world = abandoned.world
    abandoned.bring("carol", "USDC", usdc(200_000))
    foreclosed = abandoned.claimed("bob")
    world.vault.claim_position(0, "carol", sender="carol")
    assert abandoned.claimed("bob") == foreclosed
    assert abandoned.token("WETH").balanceOf("carol") == pytest.approx(before[0][WETH], abs=2)


def test_nothing_to_foreclose(abandoned: Lending) -> None:
    for role in ("alice", "attacker"):
        with reverts("foreclose: owes nothing"):
            foreclose(abandoned, role)
    with reverts("positions: unknown venue"):
        abandoned.world.vault.foreclose(2, development_address("bob"), sender="attacker")


def test_not_when_nobody_stays(abandoned: Lending) -> None:
    """Nobody would gain by it, and the next depositor would find the debt."""
    world = abandoned.world
    world.leave_in_kind("alice", skip=SKIP_AAVE)
    fall(abandoned, 1.2, "bob")
    with reverts("foreclose: nobody stays"):
        foreclose(abandoned)


def test_repaid_all_but_the_claims_those_who_stay_owe_nothing(abandoned: Lending) -> None:
    """What Aave's rounding leaves is no debt without collateral: nothing to trip or to deleverage for."""
    world = abandoned.world
    everything = [abandoned.leg(LendingAction.WITHDRAW, symbol, 2**127) for symbol in ("WETH", "WBTC")]
    world.settle([abandoned.leg(LendingAction.REPAY, "USDC", 2**127), *everything])
    assert world.vault.health() == abandoned.pool.getUserAccountData(world.vault)[5]
    for hours in range(5):
        world.evm.mine(3600 * hours + 1)
        assert world.vault.health() == abandoned.pool.getUserAccountData(world.vault)[5]


def test_needs_live_prices(abandoned: Lending) -> None:
    fall(abandoned, 1.2, "bob")
    abandoned.world.evm.mine(30 * 86_400)
    with reverts("oracle: stale"):
        foreclose(abandoned)


def test_a_pause_of_the_protocol_does_not_stop_it(abandoned: Lending) -> None:
    """Nor does it take more of the leaver who was caught by it than the debt and the discount."""
    fall(abandoned, 1.2, "bob")
    for symbol in ("USDC", "WETH", "WBTC"):
        abandoned.pause(symbol)
    held, owed = abandoned.claimed("bob")
    foreclose(abandoned)
    left = worth(abandoned, abandoned.claimed("bob")[0])
    assert left == pytest.approx(worth(abandoned, held) - worth(abandoned, owed) * (10_000 + DISCOUNT) / 10_000)
    assert left > 0


def test_all_of_it_where_it_is_not_enough(abandoned: Lending) -> None:
    """Worth less than the debt: what was missing was theirs to bear all along, and it is no more than that."""
    fall(abandoned, 0.8, "bob")
    held, owed = abandoned.claimed("bob")
    missing = worth(abandoned, owed) - worth(abandoned, held)
    assert missing > 0
    before = abandoned.world.vault.value()
    foreclose(abandoned)
    assert abandoned.claimed("bob") == ([0] * 5, [0] * 5)
    assert abs(before - abandoned.world.vault.value() - missing) <= DUST
    assert abandoned.world.vault.position_claims("bob", FORECLOSED) == 0


def test_collateral_that_a_liquidation_took_pays_for_nothing(leveraged: Lending) -> None:
    """Of more claimed WETH than the account has left only what is there counts; the rest is taken off the claim."""
    world = leveraged.world
    world.settle([leveraged.leg(LendingAction.BORROW, "USDC", usdc(260_000))])
    world.leave_in_kind("bob", skip=SKIP_AAVE)
    fall(leveraged, 0.9, "bob")
    while leveraged.position()[0][WETH] >= leveraged.claimed("bob")[0][WETH]:
        leveraged.liquidate("WETH", "USDC", leveraged.position()[1][USDC] // 8)
    (held, owed), there = leveraged.claimed("bob"), leveraged.position()[0]
    assert there[WETH] < held[WETH]
    before = world.vault.value()
    foreclose(leveraged)
    covered = [min(claimed, left) for claimed, left in zip(held, there, strict=True)]
    missing = worth(leveraged, owed) - worth(leveraged, covered)
    assert before - world.vault.value() <= max(Fraction(0), missing) + DUST
    event = world.vault.event("PositionForeclosed")
    assert event["held"][WETH] <= there[WETH]
    assert leveraged.claimed("bob")[0][WETH] <= there[WETH]


@given(health=st.floats(0.98, 1.249), discount=st.sampled_from([0, 1, 200]), hours=st.integers(0, 20))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_value_per_share_never_falls_while_it_is_enough(
    abandoned: Lending, health: float, discount: int, hours: int
) -> None:
    world = abandoned.world
    with world.evm.rolled_back():
        world.loosen(world.limits()._replace(deleverage_discount_bps=discount))
        world.evm.mine(1 + 3600 * hours)
        world.refresh_feeds()
        fall(abandoned, health, "bob")
        before = world.vault.value_per_share()
        for role in ("bob", "carol"):
            foreclose(abandoned, role)
            assert world.vault.value_per_share() >= before


def test_without_a_trigger_nothing_is_foreclosed() -> None:
    lender = lending_world(deleverage_trigger_bps=0, deleverage_target_bps=0, deleverage_discount_bps=0)
    lender.open()
    lender.world.deposit("bob", usdc(200_000))
    lender.world.leave_in_kind("bob", skip=SKIP_AAVE)
    fall(lender, 1.1, "bob")
    with reverts("foreclose: no trigger"):
        foreclose(lender)
