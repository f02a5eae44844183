# SPDX-License-Identifier: Apache-2.0
"""The simulated breaker's table beside the real one: clocks, volatility, peak and trips, to the integer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from offchain.backtest.alarms import DEAD_ORACLE, DEPEG, DRAWDOWN, NO_HEARTBEAT, VOLATILITY
from offchain.backtest.errors import Refused
from offchain.backtest.ledger import Ledger
from offchain.market.snapshot import BreakerState
from tests.offchain.backtest.test_ledger_against_contracts import Twins
from tests.support.evm import attempt
from tests.support.world import DAY, World, blue_chip, usdc, with_terms

HOUR = 3_600
WATCHED = {
    "peak_window_hours": 48,
    "volatility_trip_bps": 15_000,
    "volatility_window_hours": 24,
    "oracle_dead_minutes": 120,
    "depeg_bps": 150,
    "depeg_minutes": 90,
    "heartbeat_minutes": 3 * 24 * 60,
}


@pytest.fixture(scope="module")
def _world() -> World:
    return World.deploy(with_terms(blue_chip(), **WATCHED))


@pytest.fixture
def twins(_world: World) -> Iterator[Twins]:
    with _world.evm.rolled_back():
        pair = Twins.of(_world)
        # The alarms were reset when the mandate was deployed.
        beat = _world.alarms.last_heartbeat(_world.mandate)
        pair.ledger = replace(pair.ledger, alarms=replace(pair.ledger.alarms, beat=beat))
        pair.deposit(usdc(1_000_000))
        yield pair


def poke(twins: Twins) -> str | None:
    """Anyone records; both must find something new, or neither."""
    world = twins.world
    prices = world.oracle.try_prices()[1]

    def simulated() -> tuple[Ledger, None]:
        after = twins.ledger.poked(twins.sight, prices, twins.now)
        if after.alarms == twins.ledger.alarms:
            raise Refused("alarms: nothing to record")
        return after, None

    _, reason = attempt(lambda: world.alarms.poke(world.mandate, sender="bob"))
    try:
        twins.ledger, refusal = simulated()[0], None
    except Refused as refused:
        refusal = refused.reason
    assert refusal == reason
    same_alarms(twins)
    return reason


def same_alarms(twins: Twins) -> None:
    alarms, mandate = twins.world.alarms, twins.world.mandate
    ours = twins.ledger.alarms
    assert alarms.clocks(mandate) == (ours.dead, 0, ours.off_peg)
    assert alarms.variance(mandate) == ours.variance_at(twins.now, WATCHED["volatility_window_hours"])
    assert alarms.last_heartbeat(mandate) == ours.beat


def trip(twins: Twins) -> str | None:
    """As `Twins.trip`, which reads what only a live oracle has."""
    real, reason = attempt(lambda: twins.world.mandate.trip(sender="bob"))
    after, refusal = twins.ledger, None
    try:
        after = twins.ledger.trip(twins.sight, twins.world.oracle.try_prices()[1], twins.now)
    except Refused as refused:
        refusal = refused.reason
    assert refusal == reason
    if reason is not None:
        return reason
    assert real == int(after.breaker)
    twins.ledger = after
    assert twins.world.mandate.breaker_reason() == after.breaker_reason
    return None


def later(twins: Twins, seconds: int, live: bool = True) -> None:
    twins.world.evm.mine(seconds)
    if live:
        twins.world.refresh_feeds()


def test_dead_prices_halt_after_their_time_on_record(twins: Twins) -> None:
    later(twins, 30 * HOUR, live=False)
    assert poke(twins) is None
    later(twins, 2 * HOUR - 1, live=False)
    assert trip(twins) == "breaker: no condition"
    later(twins, 1, live=False)
    assert trip(twins) is None
    assert (twins.ledger.breaker, twins.ledger.breaker_reason) == (BreakerState.HALTED, DEAD_ORACLE)


def test_prices_that_came_back_stop_the_clock(twins: Twins) -> None:
    later(twins, 30 * HOUR, live=False)
    assert poke(twins) is None
    later(twins, HOUR)
    assert poke(twins) is None
    assert twins.ledger.alarms.dead == 0
    assert trip(twins) == "breaker: no condition"


def test_a_base_asset_off_its_peg_halts_after_its_time_on_record(twins: Twins) -> None:
    twins.world.set_feed("USDC/USD", 0.98)
    assert poke(twins) is None
    later(twins, 90 * 60)
    assert trip(twins) is None
    assert twins.ledger.breaker_reason == DEPEG


def test_silence_reduces(twins: Twins) -> None:
    later(twins, 3 * DAY)
    assert trip(twins) is None
    assert (twins.ledger.breaker, twins.ledger.breaker_reason) == (BreakerState.REDUCE_ONLY, NO_HEARTBEAT)


def test_silence_reduces_though_every_feed_is_dead() -> None:
    """Where no condition watches the oracle: only the drawdown would need a price."""
    pair = Twins.of(World.deploy(with_terms(blue_chip(), heartbeat_minutes=3 * 24 * 60)))
    beat = pair.world.alarms.last_heartbeat(pair.world.mandate)
    pair.ledger = replace(pair.ledger, alarms=replace(pair.ledger.alarms, beat=beat))
    later(pair, 2 * DAY, live=False)
    assert trip(pair) == "oracle: stale"
    later(pair, DAY, live=False)
    assert trip(pair) is None
    assert pair.ledger.breaker_reason == NO_HEARTBEAT


def test_volatility_reduces(twins: Twins) -> None:
    twins.world.invest()
    twins.adopt()
    random = Random(1)
    price = twins.world.usd("WETH")
    for _ in range(40):
        later(twins, HOUR)
        price *= 1 + random.choice((-0.05, 0.05))
        twins.world.set_feed("ETH/USD", price)
        poke(twins)
        if trip(twins) is None and twins.ledger.breaker_reason == VOLATILITY:
            return
    raise AssertionError("it was never volatile enough")


def test_a_peak_is_forgotten_after_its_window(twins: Twins) -> None:
    """The fall is larger than the mandate allows, from a peak that no longer counts."""
    twins.world.invest()
    twins.adopt()
    for name, fall in (("ETH/USD", 0.55), ("BTC/USD", 0.55), ("LINK/USD", 0.55)):
        twins.world.write_round(name, int(twins.world.feed(name).latestAnswer() * fall))
    with twins.world.evm.rolled_back():
        here = twins.ledger
        assert trip(twins) is None
        assert twins.ledger.breaker_reason == DRAWDOWN
        twins.ledger = here
    for _ in range(2):
        later(twins, 49 * HOUR)
        assert twins.redeem(twins.ledger.supply // 100) is None
    twins.compare()
    per_share = twins.ledger.value_per_share(twins.world.prices())
    assert twins.ledger.condition(per_share, twins.now) is BreakerState.ACTIVE


@pytest.mark.parametrize("seed", [1, 2])
def test_any_sequence_of_records_and_trips(twins: Twins, seed: int) -> None:
    random = Random(seed)
    twins.world.invest()
    twins.adopt()
    reasons = []
    for _ in range(50):
        match random.choice(("poke", "poke", "trip", "time", "price", "peg", "stale", "redeem")):
            case "poke":
                reasons.append(poke(twins))
            case "trip":
                reasons.append(trip(twins))
            case "time":
                later(twins, random.choice((60, HOUR, 5 * HOUR, DAY)))
            case "stale":
                later(twins, random.choice((HOUR, 26 * HOUR)), live=False)
            case "price":
                name = random.choice(("ETH/USD", "BTC/USD"))
                twins.world.write_round(name, int(twins.world.feed(name).latestAnswer() * random.uniform(0.93, 1.06)))
            case "peg":
                twins.world.set_feed("USDC/USD", random.choice((1.0, 0.97)))
            case "redeem":
                if twins.sight.live:
                    reasons.append(twins.redeem(twins.ledger.supply // 200))
        same_alarms(twins)
    assert reasons.count(None) > 5
