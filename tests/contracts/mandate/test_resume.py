# SPDX-License-Identifier: Apache-2.0
"""resume: only the owner, only after the delay, only from the state it saw; the peak starts anew."""

from __future__ import annotations

import pytest

from tests.support.evm import reverts
from tests.support.world import DAY, World

RESUME = ("uint256", "uint256")
REDUCE_ONLY, HALTED = 1, 2
DRAWDOWN, GUARDIAN = 1, 2


@pytest.fixture
def tripped(invested: World) -> World:
    """Ether and bitcoin fell by half: the drawdown latched REDUCE_ONLY."""
    for feed, price in (("ETH/USD", 1800), ("BTC/USD", 36_000)):
        invested.set_feed(feed, price)
    assert invested.mandate.trip(sender="attacker") == REDUCE_ONLY
    return invested


def test_back_to_active_with_the_peak_at_the_present(tripped: World) -> None:
    tripped.schedule("resume", RESUME, (REDUCE_ONLY, DRAWDOWN))
    tripped.refresh_feeds()
    peak, now = tripped.mandate.peak(), tripped.vault.value_per_share()
    tripped.mandate.resume(REDUCE_ONLY, DRAWDOWN, sender="owner")
    assert tripped.mandate.event("Resumed") == {"state": REDUCE_ONLY, "reason": DRAWDOWN, "peak": now}
    assert (tripped.mandate.breaker_state(), tripped.mandate.breaker_reason()) == (0, 0)
    assert tripped.mandate.peak() == now < peak
    tripped.deposit("bob", 10**6)


@pytest.mark.parametrize("role", ["curator", "guardian", "optimizer", "attacker"])
def test_only_the_owner(tripped: World, role: str) -> None:
    tripped.schedule("resume", RESUME, (REDUCE_ONLY, DRAWDOWN))
    with reverts("ownable: caller is not the owner"):
        tripped.mandate.resume(REDUCE_ONLY, DRAWDOWN, sender=role)


def test_not_without_a_schedule(tripped: World) -> None:
    with reverts("roles: not scheduled"):
        tripped.mandate.resume(REDUCE_ONLY, DRAWDOWN, sender="owner")


def test_not_before_the_delay(tripped: World) -> None:
    tripped.schedule("resume", RESUME, (REDUCE_ONLY, DRAWDOWN), wait=False)
    tripped.evm.mine(2 * DAY - 1)
    with reverts("roles: not ready"):
        tripped.mandate.resume(REDUCE_ONLY, DRAWDOWN, sender="owner")


def test_not_twice_on_one_schedule(tripped: World) -> None:
    tripped.schedule("resume", RESUME, (REDUCE_ONLY, DRAWDOWN))
    tripped.refresh_feeds()
    tripped.mandate.resume(REDUCE_ONLY, DRAWDOWN, sender="owner")
    tripped.mandate.guardian_trip(REDUCE_ONLY, sender="guardian")
    with reverts("roles: not scheduled"):
        tripped.mandate.resume(REDUCE_ONLY, DRAWDOWN, sender="owner")


def test_not_from_another_state_than_the_owner_saw(tripped: World) -> None:
    """He scheduled it at REDUCE_ONLY; meanwhile somebody halted."""
    tripped.schedule("resume", RESUME, (REDUCE_ONLY, DRAWDOWN))
    tripped.refresh_feeds()
    tripped.mandate.guardian_trip(HALTED, sender="guardian")
    with reverts("breaker: scheduled before the trip"):
        tripped.mandate.resume(REDUCE_ONLY, DRAWDOWN, sender="owner")


@pytest.mark.parametrize("seen", [(HALTED, DRAWDOWN), (REDUCE_ONLY, GUARDIAN), (0, 0)])
def test_not_by_naming_another_state(tripped: World, seen: tuple[int, int]) -> None:
    tripped.schedule("resume", RESUME, seen)
    tripped.refresh_feeds()
    with reverts("breaker: state changed"):
        tripped.mandate.resume(*seen, sender="owner")


def test_not_on_a_schedule_older_than_the_trip(invested: World) -> None:
    """Kept in store it would undo the next trip at once: recovery goes through the delay, after the state was seen."""
    invested.schedule("resume", RESUME, (HALTED, GUARDIAN))
    invested.refresh_feeds()
    invested.mandate.guardian_trip(HALTED, sender="guardian")
    with reverts("breaker: scheduled before the trip"):
        invested.mandate.resume(HALTED, GUARDIAN, sender="owner")
    invested.mandate.unschedule(invested.schedule_id("resume", RESUME, (HALTED, GUARDIAN)), sender="owner")
    invested.schedule("resume", RESUME, (HALTED, GUARDIAN))
    invested.refresh_feeds()
    invested.mandate.resume(HALTED, GUARDIAN, sender="owner")
    assert invested.mandate.breaker_state() == 0


def test_not_while_active(invested: World) -> None:
    invested.schedule("resume", RESUME, (0, 0))
    invested.refresh_feeds()
    with reverts("breaker: active"):
        invested.mandate.resume(0, 0, sender="owner")


def test_not_while_a_price_is_dead(tripped: World) -> None:
    tripped.schedule("resume", RESUME, (REDUCE_ONLY, DRAWDOWN))
    with reverts("oracle: stale"):
        tripped.mandate.resume(REDUCE_ONLY, DRAWDOWN, sender="owner")
