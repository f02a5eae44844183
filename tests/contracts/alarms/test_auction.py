# SPDX-License-Identifier: Apache-2.0
"""The auction of deleveraging: its discount grows with the time on record below the trigger, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.alarms.conftest import DEAD, HALTED, Watched
from tests.support.evm import attempt, reverts
from tests.support.world import DAY

TRIGGER, TARGET, DISCOUNT = 12_000, 15_000, 200
MINUTE = 60
RENEWAL, LAPSE, AUCTION = 5 * MINUTE, 15 * MINUTE, 30 * MINUTE
BPS = 10**14
LOW, HEALTHY = (TRIGGER - 1) * BPS, TRIGGER * BPS
TERMS = {
    "min_health_bps": TRIGGER,
    "deleverage_trigger_bps": TRIGGER,
    "deleverage_target_bps": TARGET,
    "deleverage_discount_bps": DISCOUNT,
}


@pytest.fixture
def watched(watch: Callable[..., Watched]) -> Watched:
    """A vault that is below its trigger, though nobody has recorded it."""
    watched = watch(**TERMS)
    watched.vault.set_health(LOW, sender="market")
    return watched


def discount(watched: Watched, health: int = LOW) -> int:
    allowed, target, bps = watched.mandate.deleverage_terms(health)
    assert allowed
    assert target == TARGET * BPS
    return int(bps)


def stay_low(watched: Watched, seconds: int) -> None:
    """Time passes, and somebody records every five minutes that the vault is still low."""
    watched.poke()
    for _ in range(seconds // RENEWAL):
        watched.evm.timestamp += RENEWAL
        watched.poke()


def test_starts_at_nothing_and_waits_for_no_record(watched: Watched) -> None:
    assert discount(watched) == 0
    watched.poke()
    assert discount(watched) == 0


def test_grows_evenly_to_the_limit_in_half_an_hour(watched: Watched) -> None:
    watched.poke()
    found = []
    for _ in range(8):
        watched.evm.timestamp += RENEWAL
        watched.poke()
        found.append(discount(watched))
    assert found == [33, 66, 100, 133, 166, 200, 200, 200]


def test_a_record_that_finds_it_healthy_starts_over(watched: Watched) -> None:
    stay_low(watched, AUCTION)
    watched.vault.set_health(HEALTHY, sender="market")
    watched.poke()
    watched.vault.set_health(LOW, sender="market")
    assert discount(watched) == watched.alarms.unhealthy_for(watched.mandate) == 0
    stay_low(watched, RENEWAL)
    assert discount(watched) == 33


@pytest.mark.parametrize("later", [MINUTE, LAPSE, LAPSE + 1, 30 * DAY])
def test_a_moment_ages_nothing(watched: Watched, later: int) -> None:
    """Health pushed below the trigger for one transaction and recorded, to find the discount grown in the next crash."""
    watched.poke()
    watched.vault.set_health(HEALTHY, sender="market")
    watched.evm.timestamp += later
    watched.vault.set_health(LOW, sender="market")
    assert discount(watched) == 0


def test_a_crash_that_nobody_ended_on_record_ages_nothing_later(watched: Watched) -> None:
    stay_low(watched, AUCTION)
    watched.evm.timestamp += LAPSE
    assert discount(watched) == DISCOUNT
    watched.evm.timestamp += 1
    assert discount(watched) == 0
    watched.poke()
    assert discount(watched) == 0


@given(waits=st.lists(st.integers(0, LAPSE), max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nobody_resets_it_while_low(watched: Watched, waits: list[int]) -> None:
    """Records at whatever moments: it only grows, never faster than time, and never falls behind by a record."""
    evm = watched.evm
    with evm.rolled_back():
        watched.poke()
        begun = last = evm.timestamp
        for wait in waits:
            evm.timestamp += min(wait, last + LAPSE - evm.timestamp)
            before = watched.alarms.unhealthy_for(watched.mandate)
            if attempt(watched.poke)[1] is None:
                last = evm.timestamp
            assert watched.alarms.unhealthy_for(watched.mandate) == last - begun >= before
            assert evm.timestamp - last < RENEWAL


def test_is_renewed_every_five_minutes_and_no_sooner(watched: Watched) -> None:
    watched.poke()
    watched.evm.timestamp += RENEWAL - 1
    with reverts("alarms: nothing to record"):
        watched.poke()
    watched.evm.timestamp += 1
    watched.poke()


def test_halted_it_counts_from_the_trip(watched: Watched) -> None:
    watched.vault.set_health(HEALTHY, sender="market")
    watched.mandate.guardian_trip(HALTED, sender="guardian")
    assert discount(watched, HEALTHY) == 0
    watched.evm.timestamp += AUCTION // 2
    assert discount(watched, HEALTHY) == DISCOUNT // 2
    watched.evm.timestamp += DAY
    assert discount(watched, HEALTHY) == DISCOUNT


def test_the_longer_of_both_counts(watched: Watched) -> None:
    stay_low(watched, AUCTION // 2)
    watched.mandate.guardian_trip(HALTED, sender="guardian")
    assert discount(watched) == DISCOUNT // 2


def test_reducing_only_does_not_count(watched: Watched) -> None:
    watched.trip()
    watched.evm.timestamp += DAY
    assert discount(watched) == 0


def test_a_recovery_starts_over(watched: Watched) -> None:
    watched.mandate.guardian_trip(HALTED, sender="guardian")
    watched.resume()
    assert discount(watched) == 0


def test_a_health_factor_that_cannot_be_read_keeps_nothing_else_from_the_record(watch: Callable[..., Watched]) -> None:
    watched = watch(**TERMS, oracle_dead_minutes=30)
    watched.vault.set_health(LOW, sender="market")
    watched.poke()
    watched.evm.timestamp += RENEWAL
    watched.vault.break_health(sender="market")
    watched.vault.set_status(1, DEAD, sender="market")
    watched.poke()
    assert watched.alarms.clocks(watched.mandate)[0] == watched.evm.timestamp
    assert watched.alarms.unhealthy_for(watched.mandate) == 0
