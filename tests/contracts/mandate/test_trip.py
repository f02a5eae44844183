# SPDX-License-Identifier: Apache-2.0
"""trip and guardian_trip: who raises the breaker, when, and that it latches."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offchain.settle.development import development_address
from tests.contracts.mandate.conftest import Judge
from tests.support.evm import attempt, reverts
from tests.support.world import ONE, World, usdc

ACTIVE, REDUCE_ONLY, HALTED = 0, 1, 2
DRAWDOWN, GUARDIAN = 1, 2


def fall(world: World, factor: float) -> None:
    """Every coin is worth this much of what it was."""
    for feed, price in (("ETH/USD", 3000), ("BTC/USD", 60_000), ("LINK/USD", 15)):
        world.set_feed(feed, price * factor)


def test_anyone_proves_a_drawdown(invested: World) -> None:
    fall(invested, 0.7)
    per_share, peak = invested.vault.value_per_share(), invested.mandate.peak()
    assert peak * 0.6 < per_share <= peak * 0.8
    assert invested.mandate.trip(sender="attacker") == REDUCE_ONLY
    assert invested.mandate.event("Tripped") == {
        "state": REDUCE_ONLY,
        "reason": DRAWDOWN,
        "value_per_share": per_share,
        "peak": peak,
        "caller": development_address("attacker"),
    }
    assert (invested.mandate.breaker_state(), invested.mandate.breaker_reason()) == (REDUCE_ONLY, DRAWDOWN)


def test_a_deep_fall_halts_at_once(invested: World) -> None:
    fall(invested, 0.3)
    assert invested.mandate.trip(sender="attacker") == HALTED


def test_from_reduce_only_to_halted(invested: World) -> None:
    fall(invested, 0.7)
    invested.mandate.trip(sender="attacker")
    fall(invested, 0.3)
    assert invested.mandate.trip(sender="attacker") == HALTED


def test_nothing_to_prove(invested: World) -> None:
    fall(invested, 0.9)
    with reverts("breaker: no condition"):
        invested.mandate.trip(sender="attacker")


def test_not_twice_for_the_same_condition(invested: World) -> None:
    fall(invested, 0.7)
    invested.mandate.trip(sender="attacker")
    with reverts("breaker: no condition"):
        invested.mandate.trip(sender="attacker")


def test_latches_when_prices_come_back(invested: World) -> None:
    fall(invested, 0.7)
    invested.mandate.trip(sender="attacker")
    fall(invested, 1.5)
    assert invested.mandate.breaker_state() == REDUCE_ONLY
    with reverts("breaker: not active"):
        invested.deposit("bob", usdc(1))


def test_not_while_a_price_is_dead(invested: World) -> None:
    invested.evm.mine(30 * 86_400)
    with reverts("oracle: stale"):
        invested.mandate.trip(sender="attacker")


@given(cents=st.integers(5000, 400_000))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_thresholds_are_exact(funded: World, cents: int) -> None:
    """At or below peak x (1 - threshold), to the wei; alice holds ether only."""
    vault, mandate = funded.vault, funded.mandate
    with funded.evm.rolled_back():
        funded.give("WETH", vault, 10**23)
        funded.deposit("bob", usdc(1))
        peak = mandate.peak()
        funded.set_feed("ETH/USD", cents / 100)
        per_share = vault.value_per_share()
        expected = ACTIVE
        if per_share * 10_000 <= peak * 8000:
            expected = REDUCE_ONLY
        if per_share * 10_000 <= peak * 6000:
            expected = HALTED
        state, reason = attempt(lambda: mandate.trip(sender="attacker"))
        assert (state or ACTIVE) == expected
        assert reason == ("breaker: no condition" if expected == ACTIVE else None)


def test_a_high_water_mark_on_total_assets_instead_of_per_share(invested: World) -> None:
    """Nine tenths of the money leaves: no drawdown."""
    peak = invested.mandate.peak()
    invested.leave_in_kind("alice", invested.vault.balanceOf("alice") * 9 // 10)
    assert invested.mandate.peak() == peak
    with reverts("breaker: no condition"):
        invested.mandate.trip(sender="attacker")


def test_the_peak_is_what_a_transaction_saw(invested: World) -> None:
    """A deposit sees what its depositor enters at; the fee that he brings is no gain."""
    before = invested.mandate.peak()
    fall(invested, 1.2)
    entered_at = invested.vault.value_per_share()
    invested.deposit("bob", usdc(10))
    assert before < invested.mandate.peak() == entered_at < invested.vault.value_per_share()


def test_a_deposit_is_refused_while_a_drawdown_waits_to_be_proven(invested: World) -> None:
    fall(invested, 0.7)
    assert invested.vault.maxDeposit("bob") == 0
    with reverts("breaker: not active"):
        invested.deposit("bob", usdc(10))


def test_a_vault_without_shares_starts_its_peak_anew(invested: World) -> None:
    fall(invested, 2)
    invested.deposit("bob", usdc(10))
    for role in ("alice", "bob"):
        invested.leave_in_kind(role)
    fall(invested, 0.2)
    entered_at = invested.vault.value_per_share()
    invested.deposit("bob", usdc(1_000_000))
    assert invested.mandate.peak() == entered_at
    with reverts("breaker: no condition"):
        invested.mandate.trip(sender="attacker")


# ---------------------------------------------------------------- guardian_trip


@pytest.mark.parametrize("role", ["guardian", "curator"])
@pytest.mark.parametrize("state", [REDUCE_ONLY, HALTED])
def test_guardian_and_curator_raise_it(invested: World, role: str, state: int) -> None:
    invested.mandate.guardian_trip(state, sender=role)
    assert (invested.mandate.breaker_state(), invested.mandate.breaker_reason()) == (state, GUARDIAN)
    assert invested.mandate.event("Tripped") == {
        "state": state,
        "reason": GUARDIAN,
        "value_per_share": 0,
        "peak": invested.mandate.peak(),
        "caller": development_address(role),
    }


@pytest.mark.parametrize("role", ["owner", "optimizer", "keeper", "alice", "attacker"])
def test_nobody_else_raises_it_without_a_condition(invested: World, role: str) -> None:
    with reverts("roles: not owner, curator or guardian"):
        invested.mandate.guardian_trip(HALTED, sender=role)


@pytest.mark.parametrize(
    ("standing", "state"), [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (0, 3), (2, 2**256 - 1)]
)
def test_only_upwards(invested: World, standing: int, state: int) -> None:
    if standing:
        invested.mandate.guardian_trip(standing, sender="guardian")
    with reverts("breaker: not a higher state"):
        invested.mandate.guardian_trip(state, sender="guardian")


def test_needs_no_oracle(invested: World) -> None:
    invested.evm.mine(30 * 86_400)
    invested.mandate.guardian_trip(HALTED, sender="guardian")
    assert invested.mandate.breaker_state() == HALTED


def test_keeps_the_peak(invested: World) -> None:
    peak = invested.mandate.peak()
    invested.mandate.guardian_trip(HALTED, sender="guardian")
    assert invested.mandate.peak() == peak > ONE


def test_state_and_running_numbers_leave_each_other_alone(judge: Judge) -> None:
    """They share a word, at its largest peak and its largest levels, too."""
    judge([1, 99], [1, 99], per_share_after=2**239)
    judge.mandate.guardian_trip(REDUCE_ONLY, sender="guardian")
    outcome = judge([1, 99], [60, 20], risen=1, per_share_before=2**239)
    told = judge.mandate.loss_level(), judge.mandate.turnover_level(), judge.mandate.peak()
    assert told == (outcome["loss_level"], outcome["turnover_level"], 2**239) == (ONE // 5, ONE * 79 // 100, 2**239)
    assert judge.mandate.breaker_state() == REDUCE_ONLY
    judge.mandate.guardian_trip(HALTED, sender="guardian")
    assert judge.mandate.breaker_state() == HALTED
    assert told == (judge.mandate.loss_level(), judge.mandate.turnover_level(), judge.mandate.peak())
