# SPDX-License-Identifier: Apache-2.0
"""poke, clocks, and the trips that must have persisted: dead oracle, sources apart, base asset off its peg."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.alarms.conftest import APART, DEAD, HALTED, Watched
from tests.support.evm import reverts

MINUTES = 30
TABLE: dict[str, dict[str, int]] = {
    "dead": {"oracle_dead_minutes": MINUTES},
    "apart": {"sources_apart_minutes": MINUTES},
    "depeg": {"depeg_bps": 200, "depeg_minutes": MINUTES},
}
REASON = {"dead": 5, "apart": 6, "depeg": 7}
CLOCK = {"dead": 0, "apart": 1, "depeg": 2}


def begin(watched: Watched, condition: str) -> None:
    if condition == "depeg":
        watched.vault.set_price(979 * 10**27, sender="market")
    else:
        watched.vault.set_status(1, {"dead": DEAD, "apart": APART}[condition], sender="market")


def end(watched: Watched) -> None:
    watched.vault.set_price(10**30, sender="market")
    watched.vault.set_status(1, 0, sender="market")


@pytest.mark.parametrize("condition", TABLE)
def test_what_persists_halts(watch: Callable[..., Watched], condition: str) -> None:
    watched = watch(**TABLE[condition])
    begin(watched, condition)
    watched.poke()
    assert watched.alarms.clocks(watched.mandate)[CLOCK[condition]] == watched.evm.timestamp
    watched.evm.timestamp += 60 * MINUTES - 1
    with reverts("breaker: no condition"):
        watched.trip()
    watched.evm.timestamp += 1
    assert watched.trip() == (HALTED, REASON[condition])


@pytest.mark.parametrize("condition", TABLE)
def test_what_holds_for_a_block_trips_nothing(watch: Callable[..., Watched], condition: str) -> None:
    """Bug class: an oracle or a pool moved for a block. It takes a record, the time, and truth at its end."""
    watched = watch(**TABLE[condition])
    begin(watched, condition)
    with reverts("breaker: no condition"):
        watched.trip()
    watched.poke()
    with reverts("breaker: no condition"):
        watched.trip()
    end(watched)
    watched.evm.timestamp += 60 * MINUTES
    with reverts("breaker: no condition"):
        watched.trip()


@pytest.mark.parametrize("condition", TABLE)
def test_a_record_of_the_contrary_starts_over(watch: Callable[..., Watched], condition: str) -> None:
    watched = watch(**TABLE[condition])
    begin(watched, condition)
    watched.poke()
    watched.evm.timestamp += 60 * MINUTES // 2
    end(watched)
    watched.poke()
    assert watched.alarms.clocks(watched.mandate) == (0, 0, 0)
    begin(watched, condition)
    watched.poke()
    watched.evm.timestamp += 60 * MINUTES // 2 + 1
    with reverts("breaker: no condition"):
        watched.trip()


@pytest.mark.parametrize("condition", TABLE)
def test_there_is_nothing_to_record_twice(watch: Callable[..., Watched], condition: str) -> None:
    watched = watch(**TABLE[condition])
    with reverts("alarms: nothing to record"):
        watched.poke()
    begin(watched, condition)
    watched.poke()
    with reverts("alarms: nothing to record"):
        watched.poke()


@pytest.mark.parametrize("condition", TABLE)
def test_what_is_off_in_the_table_neither_records_nor_trips(watch: Callable[..., Watched], condition: str) -> None:
    watched = watch()
    begin(watched, condition)
    with reverts("alarms: nothing to record"):
        watched.poke()
    watched.evm.timestamp += 10**7
    with reverts("breaker: no condition"):
        watched.trip()


@pytest.mark.parametrize(("price", "off"), [(980, False), (979, True), (1020, False), (1021, True)])
def test_the_peg_is_one_dollar_either_way(watch: Callable[..., Watched], price: int, off: bool) -> None:
    watched = watch(**TABLE["depeg"])
    watched.vault.set_price(price * 10**27, sender="market")
    if off:
        watched.poke()
    else:
        with reverts("alarms: nothing to record"):
            watched.poke()


def test_a_dead_base_price_says_nothing_of_the_peg(watch: Callable[..., Watched]) -> None:
    watched = watch(**TABLE["depeg"])
    begin(watched, "depeg")
    watched.poke()
    watched.vault.set_status(0, DEAD, sender="market")
    watched.evm.timestamp += 60 * MINUTES
    with reverts("breaker: no condition"):
        watched.trip()
    assert watched.alarms.clocks(watched.mandate)[2] > 0


def test_recovery_stops_the_clocks(watch: Callable[..., Watched]) -> None:
    watched = watch(**TABLE["depeg"])
    begin(watched, "depeg")
    watched.poke()
    watched.evm.timestamp += 60 * MINUTES
    watched.trip()
    watched.resume()
    assert watched.alarms.clocks(watched.mandate) == (0, 0, 0)
    with reverts("breaker: no condition"):
        watched.trip()


def test_each_mandate_has_clocks_of_its_own(watch: Callable[..., Watched]) -> None:
    """One contract serves them all; nobody resets another's."""
    watched = watch(**TABLE["apart"])
    begin(watched, "apart")
    watched.poke()
    watched.alarms.reset(sender="attacker")
    assert watched.alarms.clocks(watched.mandate)[1] == watched.evm.timestamp
    assert watched.alarms.clocks("attacker") == (0, 0, 0)


@pytest.mark.parametrize(
    ("table", "halts"),
    [({"oracle_dead_minutes": 30, "heartbeat_minutes": 30}, True), ({"heartbeat_minutes": 30}, False)],
)
def test_what_halts_comes_first(watch: Callable[..., Watched], table: dict[str, Any], halts: bool) -> None:
    watched = watch(**table)
    begin(watched, "dead")
    if halts:
        watched.poke()
    watched.evm.timestamp += 1800
    assert watched.trip() == ((HALTED, 5) if halts else (1, 8))
