# SPDX-License-Identifier: Apache-2.0
"""Rules of the vault in a run: what the mandate's limits and the breaker's table make of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offchain.backtest.path import MarketPath
from offchain.backtest.records import BacktestRun, EventKind
from offchain.backtest.settings import BacktestSettings
from tests.offchain.backtest.conftest import DAY, START, Market, unexplained


def limited(market: Market, **limits: int) -> Market:
    """The mandate with other limits, and no drawdown that matters."""
    mandate, limits = market.mandate, {"drawdown_reduce_bps": 8_000, "drawdown_halt_bps": 9_000} | limits
    return replace(market, mandate=mandate.model_copy(update={"limits": mandate.limits.model_copy(update=limits)}))


def run(market: Market, path: MarketPath | None = None, **settings: Any) -> BacktestRun:
    return market.run(path, BacktestSettings(recovery_days=None, **settings))


def trips(found: BacktestRun) -> list[str]:
    return [event.text for event in found.events if event.kind is EventKind.TRIPPED]


def test_settlements_keep_the_mandates_distance(market: Market) -> None:
    wild = replace(market, volatility=1.2, days=70)
    found = run(limited(wild, cool_down_s=60_000 + DAY))
    assert len(found.settlements) > 2
    assert min(np.diff([one.timestamp for one in found.settlements])) == 2 * DAY
    assert min(np.diff([one.timestamp for one in run(limited(wild)).settlements])) == DAY
    assert "waits: limits: cooling down" in found.decisions


def test_a_buffer_of_base_asset_is_kept(market: Market) -> None:
    found = run(limited(market, min_buffer_bps=3_000))
    assert found.track.weights[2:, 0].min() > 0.29
    assert run(limited(market)).track.weights[-1, 0] < 0.25


def test_prices_that_stop_halt_it_where_the_table_says_so(market: Market) -> None:
    path = market.path()
    prices = path.prices.copy()
    prices[-20:, 3] = np.nan
    stopped = replace(path, prices=prices)
    found = run(limited(market, oracle_dead_minutes=2_880), stopped)
    assert trips(found) == ["HALTED for a dead oracle"]
    assert trips(run(limited(market), stopped)) == []
    assert unexplained(found.track) < 1e-9


def test_a_base_asset_off_its_peg_halts_it(market: Market) -> None:
    path = market.path()
    prices = path.prices.copy()
    prices[-10:, 0] = 0.96
    found = run(limited(market, depeg_bps=200, depeg_minutes=1_440), replace(path, prices=prices))
    assert trips(found) == ["HALTED for the base asset off its peg"]


@pytest.mark.slow
def test_a_wild_vault_is_reduced(market: Market) -> None:
    watched = {"volatility_trip_bps": 9_000, "volatility_window_hours": 240}
    assert trips(run(limited(market, **watched))) == []
    found = trips(run(limited(replace(market, volatility=2.0), **watched)))
    assert "REDUCE_ONLY for volatility" in found


def test_a_keeper_that_stops_is_missed(market: Market) -> None:
    watched = limited(market, heartbeat_minutes=2_880)
    assert trips(run(watched)) == []
    stops = START + 75 * DAY
    assert trips(run(watched, keeper_stops=stops)) == ["REDUCE_ONLY for no sign of the keeper"]


def test_a_loss_larger_than_one_settlement_may_make_is_not_made(market: Market) -> None:
    shallow = run(limited(market, loss_per_settlement_bps=2))
    assert all(one.loss <= 2 * 10**14 for one in shallow.settlements)
    assert max(one.loss for one in run(market).settlements) > 2 * 10**14
