# SPDX-License-Identifier: Apache-2.0
"""The conditions that need no persistence: volatility, heartbeat, health factor, frozen reserve; and the rolling peak."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.alarms.conftest import HALTED, REDUCE_ONLY, Watched
from tests.contracts.mandate.conftest import deploy_judge, loose_limits
from tests.support.evm import Contract, Evm, reverts
from tests.support.world import DAY, ONE, book, product_abi, report, scheduled, sign

DRAWDOWN, VOLATILITY, HEALTH_FACTOR, NO_HEARTBEAT, FROZEN_RESERVE = 1, 3, 4, 8, 9
YEAR = 365 * DAY
HOUR = 3600


# ---------------------------------------------------------------- volatility


def move(watched: Watched, factor: float, seconds: int = HOUR) -> None:
    watched.evm.timestamp += seconds
    watched.vault.set_value_per_share(int(watched.vault.value_per_share() * factor), sender="market")
    watched.poke()


def test_a_rough_day_reduces(watch: Callable[..., Watched]) -> None:
    watched = watch(volatility_trip_bps=10_000, volatility_window_hours=24)
    watched.poke()
    for _ in range(12):
        move(watched, 1.03)
        move(watched, 1 / 1.03)
    assert watched.trip() == (REDUCE_ONLY, VOLATILITY)


def test_a_calm_one_does_not(watch: Callable[..., Watched]) -> None:
    watched = watch(volatility_trip_bps=10_000, volatility_window_hours=24)
    watched.poke()
    for _ in range(12):
        move(watched, 1.003)
        move(watched, 1 / 1.003)
    with reverts("breaker: no condition"):
        watched.trip()


@given(steps=st.lists(st.tuples(st.integers(HOUR, 3 * DAY), st.integers(5 * 10**17, 2 * 10**18)), max_size=12))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_variance_agrees_with_exact_arithmetic(watch: Callable[..., Watched], steps: list[tuple[int, int]]) -> None:
    watched = watch(volatility_trip_bps=10_000, volatility_window_hours=24)
    watched.poke()
    exact, last = Fraction(0), Fraction(1)
    for seconds, value in steps:
        watched.evm.timestamp += seconds
        watched.vault.set_value_per_share(value, sender="market")
        watched.poke()
        move = Fraction(value, ONE) / last - 1
        exact = (exact * DAY + move**2 * YEAR) / (DAY + seconds)
        last = Fraction(value, ONE)
    assert abs(Fraction(watched.alarms.variance(watched.mandate), ONE) - exact) <= exact / 10**12 + Fraction(1, 10**9)


def test_samples_keep_their_distance(watch: Callable[..., Watched]) -> None:
    """A block's jump there and back cannot be sampled twice."""
    watched = watch(volatility_trip_bps=10_000, volatility_window_hours=24)
    watched.poke()
    watched.vault.set_value_per_share(2 * ONE, sender="market")
    watched.evm.timestamp += HOUR - 1
    with reverts("alarms: nothing to record"):
        watched.poke()


def test_it_fades_while_nothing_is_sampled(watch: Callable[..., Watched]) -> None:
    watched = watch(volatility_trip_bps=10_000, volatility_window_hours=24)
    watched.poke()
    move(watched, 1.5)
    now = watched.alarms.variance(watched.mandate)
    watched.evm.timestamp += DAY
    assert watched.alarms.variance(watched.mandate) == now // 2


def test_recovery_forgets_the_samples(watch: Callable[..., Watched]) -> None:
    watched = watch(volatility_trip_bps=10_000, volatility_window_hours=24)
    watched.poke()
    move(watched, 2)
    watched.trip()
    watched.resume()
    assert watched.alarms.variance(watched.mandate) == 0


# ---------------------------------------------------------------- heartbeat


def beat(watched: Watched, at: int, signer: str = "optimizer", mandate: str | None = None, chain: int = 1) -> bytes:
    message = encode(["uint256", "address", "uint256"], [chain, mandate or watched.mandate.address, at])
    return sign(keccak(b"\x19\x00" + bytes.fromhex(watched.alarms.address[2:]) + message), signer)


def test_a_silent_keeper_reduces(watch: Callable[..., Watched]) -> None:
    watched = watch(heartbeat_minutes=600)
    watched.evm.timestamp += 600 * 60 - 1
    with reverts("breaker: no condition"):
        watched.trip()
    watched.evm.timestamp += 1
    assert watched.trip() == (REDUCE_ONLY, NO_HEARTBEAT)


def test_a_signed_heartbeat_that_anyone_relays_counts(watch: Callable[..., Watched]) -> None:
    watched = watch(heartbeat_minutes=600)
    watched.evm.timestamp += 500 * 60
    at = watched.evm.timestamp
    watched.alarms.heartbeat(watched.mandate, at, "optimizer", beat(watched, at), sender="attacker")
    assert watched.alarms.last_heartbeat(watched.mandate) == at
    watched.evm.timestamp += 600 * 60 - 1
    with reverts("breaker: no condition"):
        watched.trip()


def test_heartbeats_cannot_be_replayed_or_kept_in_store(watch: Callable[..., Watched]) -> None:
    watched = watch(heartbeat_minutes=600)
    watched.evm.timestamp += 60
    at = watched.evm.timestamp
    signature = beat(watched, at)
    watched.alarms.heartbeat(watched.mandate, at, "optimizer", signature, sender="keeper")
    with reverts("alarms: not a new heartbeat"):
        watched.alarms.heartbeat(watched.mandate, at, "optimizer", signature, sender="keeper")
    with reverts("alarms: not a new heartbeat"):
        watched.alarms.heartbeat(watched.mandate, at + 1, "optimizer", beat(watched, at + 1), sender="keeper")


def test_a_heartbeat_is_of_one_mandate_chain_and_signer(watch: Callable[..., Watched]) -> None:
    watched, other = watch(heartbeat_minutes=600), watch(heartbeat_minutes=600)
    watched.evm.timestamp += 60
    at = watched.evm.timestamp
    for signature in (beat(watched, at, mandate=other.mandate.address), beat(watched, at, chain=2),
                      beat(watched, at, "attacker"), beat(watched, at - 1)):  # fmt: skip
        with reverts("orders: invalid signature"):
            watched.alarms.heartbeat(watched.mandate, at, "optimizer", signature, sender="keeper")
    with reverts("orders: unauthorised signer"):
        watched.alarms.heartbeat(watched.mandate, at, "attacker", beat(watched, at, "attacker"), sender="keeper")


def test_a_settlement_is_a_sign_of_life(evm: Evm) -> None:
    judge = deploy_judge(evm, loose_limits(heartbeat_minutes=60))
    evm.timestamp += 3599
    judge.mandate.judge("optimizer", judge.mandate.mandate_hash(), *report(book([1, 1]), book([1, 1])), sender="keeper")
    assert judge.mandate.settled_at() == evm.timestamp


# ---------------------------------------------------------------- health factor, frozen reserve

DELEVERAGING = {"min_health_bps": 12_000, "deleverage_trigger_bps": 12_000, "deleverage_target_bps": 15_000}


def test_a_health_factor_below_the_trigger_reduces(watch: Callable[..., Watched]) -> None:
    watched = watch(**DELEVERAGING)
    watched.vault.set_health(12 * 10**17, sender="market")
    with reverts("breaker: no condition"):
        watched.trip()
    watched.vault.set_health(12 * 10**17 - 1, sender="market")
    assert watched.trip() == (REDUCE_ONLY, HEALTH_FACTOR)


def test_a_frozen_reserve_reduces(watch: Callable[..., Watched]) -> None:
    watched = watch(frozen_trips=1)
    with reverts("breaker: no condition"):
        watched.trip()
    watched.vault.set_impaired(True, sender="market")
    assert watched.trip() == (REDUCE_ONLY, FROZEN_RESERVE)


@pytest.mark.parametrize("reason", [HEALTH_FACTOR, FROZEN_RESERVE, NO_HEARTBEAT])
def test_what_asks_no_feed_trips_while_they_are_dead(watch: Callable[..., Watched], reason: int) -> None:
    limits = {
        HEALTH_FACTOR: DELEVERAGING,
        FROZEN_RESERVE: {"frozen_trips": 1},
        NO_HEARTBEAT: {"heartbeat_minutes": 60},
    }[reason]
    watched = watch(**limits)
    watched.vault.break_value(sender="market")
    with reverts("oracle: stale"):
        watched.trip()
    watched.vault.set_health(ONE, sender="market")
    watched.vault.set_impaired(True, sender="market")
    watched.evm.timestamp += 3600
    assert watched.trip() == (REDUCE_ONLY, reason)


def test_the_drawdown_is_still_looked_at_beside_them(watch: Callable[..., Watched]) -> None:
    watched = watch(frozen_trips=1, drawdown_reduce_bps=1000, drawdown_halt_bps=2000)
    watched.vault.leave(watched.mandate, sender="market")
    watched.vault.set_impaired(True, sender="market")
    watched.vault.set_value_per_share(ONE // 2, sender="market")
    assert watched.trip() == (HALTED, DRAWDOWN)


# ---------------------------------------------------------------- the rolling peak


def observe(judge, value: int) -> None:  # type: ignore[no-untyped-def]
    judge.mandate.leave(value, sender="keeper")


def test_the_peak_reaches_back_one_to_two_windows(evm: Evm) -> None:
    judge = deploy_judge(evm, loose_limits(peak_window_hours=24))
    observe(judge, 3 * ONE)
    evm.timestamp += DAY
    observe(judge, 2 * ONE)
    assert judge.mandate.peak() == 3 * ONE
    evm.timestamp += DAY - 1
    observe(judge, ONE)
    assert judge.mandate.peak() == 3 * ONE
    evm.timestamp += 1
    observe(judge, ONE)
    assert judge.mandate.peak() == 2 * ONE


def test_without_a_window_the_peak_is_of_all_time(evm: Evm) -> None:
    judge = deploy_judge(evm, loose_limits())
    observe(judge, 3 * ONE)
    evm.timestamp += 1000 * DAY
    observe(judge, ONE)
    assert judge.mandate.peak() == 3 * ONE


def test_a_peak_stays_when_the_window_is_given_up(evm: Evm) -> None:
    """Neither the epoch that runs nor the one before is forgotten by a change of limits."""
    limits = loose_limits(peak_window_hours=7 * 24)
    judge = deploy_judge(evm, limits)
    observe(judge, 3 * ONE)
    evm.timestamp += 7 * DAY
    observe(judge, 2 * ONE)
    endless = limits._replace(peak_window_hours=0)
    timelock = Contract(evm, judge.mandate.owner(), product_abi("Timelock"))
    scheduled(timelock, judge.mandate.approve_limits, judge.mandate.hash_limits(endless))()
    judge.mandate.set_limits(endless, sender="curator")
    assert judge.mandate.peak() == 3 * ONE


def test_silence_does_not_wipe_the_peak_out(evm: Evm) -> None:
    """Nobody transacts for a year: the last peak seen still stands, and a fall from it trips."""
    judge = deploy_judge(evm, loose_limits(peak_window_hours=24, drawdown_reduce_bps=5000, drawdown_halt_bps=9000))
    observe(judge, 3 * ONE)
    evm.timestamp += 365 * DAY
    assert judge.mandate.peak() == 3 * ONE
    assert judge.mandate.is_open(ONE) is False


@given(steps=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10**30)), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_peak_is_never_below_the_highest_of_the_window(evm: Evm, steps: list[tuple[int, int]]) -> None:
    with evm.rolled_back():
        judge = deploy_judge(evm, loose_limits(peak_window_hours=24))
        seen: list[tuple[int, int]] = []
        for hours, value in steps:
            evm.timestamp += hours * HOUR
            observe(judge, value)
            seen.append((evm.timestamp, value))
            inside = max(value for at, value in seen if at > evm.timestamp - DAY)
            assert inside - (inside >> 72) <= judge.mandate.peak() <= max(value for _, value in seen)
