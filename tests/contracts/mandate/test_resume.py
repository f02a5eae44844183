# SPDX-License-Identifier: Apache-2.0
"""resume: only the owner, only after the delay, only from the trip it saw; the peak starts anew."""

from __future__ import annotations

import pytest

from tests.support.evm import reverts
from tests.support.world import DAY, World

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
    resume = tripped.schedule(tripped.mandate.resume, REDUCE_ONLY, DRAWDOWN, tripped.mandate.tripped_at())
    tripped.refresh_feeds()
    peak, now = tripped.mandate.peak(), tripped.vault.value_per_share()
    resume()
    assert tripped.mandate.event("Resumed") == {"state": REDUCE_ONLY, "reason": DRAWDOWN, "peak": now}
    assert (tripped.mandate.breaker_state(), tripped.mandate.breaker_reason()) == (0, 0)
    assert tripped.mandate.peak() == now < peak
    tripped.deposit("bob", 10**6)


@pytest.mark.parametrize("role", ["owner", "curator", "guardian", "optimizer", "attacker"])
def test_only_the_owner_that_waited(tripped: World, role: str) -> None:
    with reverts("ownable: caller is not the owner"):
        tripped.mandate.resume(REDUCE_ONLY, DRAWDOWN, tripped.mandate.tripped_at(), sender=role)


def test_not_before_the_delay(tripped: World) -> None:
    resume = tripped.schedule(tripped.mandate.resume, REDUCE_ONLY, DRAWDOWN, tripped.mandate.tripped_at(), wait=False)
    tripped.evm.mine(2 * DAY - 1)
    with reverts("timelock_controller: operation is not ready"):
        resume()


def test_not_from_another_state_than_the_owner_saw(tripped: World) -> None:
    """He scheduled it at REDUCE_ONLY; meanwhile somebody halted."""
    resume = tripped.schedule(tripped.mandate.resume, REDUCE_ONLY, DRAWDOWN, tripped.mandate.tripped_at())
    tripped.refresh_feeds()
    tripped.mandate.guardian_trip(HALTED, sender="guardian")
    with reverts("breaker: state changed"):
        resume()


@pytest.mark.parametrize("seen", [(HALTED, DRAWDOWN), (REDUCE_ONLY, GUARDIAN), (0, 0)])
def test_not_by_naming_another_state(tripped: World, seen: tuple[int, int]) -> None:
    resume = tripped.schedule(tripped.mandate.resume, *seen, tripped.mandate.tripped_at())
    tripped.refresh_feeds()
    with reverts("breaker: state changed"):
        resume()


def test_a_recovery_kept_in_store_undoes_no_later_trip(tripped: World) -> None:
    """Two recoveries of one trip are scheduled; the one left over is worth nothing when it trips again."""
    recoveries = []
    for _ in range(2):
        recoveries.append(tripped.schedule(tripped.mandate.resume, REDUCE_ONLY, DRAWDOWN, tripped.mandate.tripped_at()))
        tripped.refresh_feeds()
    recoveries[0]()
    for feed, price in (("ETH/USD", 900), ("BTC/USD", 18_000)):
        tripped.set_feed(feed, price)
    assert tripped.mandate.trip(sender="attacker") == REDUCE_ONLY
    with reverts("breaker: state changed"):
        recoveries[1]()


def test_not_while_active(invested: World) -> None:
    resume = invested.schedule(invested.mandate.resume, 0, 0, 0)
    invested.refresh_feeds()
    with reverts("breaker: active"):
        resume()


def test_not_while_a_price_is_dead(tripped: World) -> None:
    resume = tripped.schedule(tripped.mandate.resume, REDUCE_ONLY, DRAWDOWN, tripped.mandate.tripped_at())
    with reverts("oracle: stale"):
        resume()
