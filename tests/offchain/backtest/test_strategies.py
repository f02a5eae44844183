# SPDX-License-Identifier: Apache-2.0
"""Every strategy of `mandates/` as a whole backtest: it runs, repeats, stays inside, and sees no future."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from offchain.backtest.leaks import find_leak
from offchain.backtest.records import BacktestRun, EventKind
from research.strategies import CANDIDATES
from tests.offchain.backtest.conftest import coin_path, run_strategy, strategy_run, unexplained, walk

DAYS = 20


def coins(stem: str) -> np.ndarray:
    """As many days as the strategy looks back on, and `DAYS` more."""
    return walk(150 if stem == "ensemble" else 92, DAYS, seed=4)


@cache
def run_of(stem: str) -> BacktestRun:
    return strategy_run(stem, coins(stem))


@pytest.mark.parametrize("stem", CANDIDATES)
def test_a_strategy_invests_and_stays_inside_its_mandate(stem: str) -> None:
    run = run_of(stem)
    assert run.settlements
    highs = np.array([asset.max_weight_bps / 1e4 for asset in run.mandate.ordered_assets])
    # Between settlements the market moves weights; one that left the bounds is brought back the same day.
    outside = (run.track.weights[2:] > highs + 0.05).any(axis=1)
    assert not outside.any()
    assert unexplained(run.track) < 1e-9


@pytest.mark.parametrize("stem", ["momentum", "ensemble"])
def test_a_strategys_past_does_not_depend_on_its_future(stem: str) -> None:
    path = coin_path(coins(stem))
    assert find_leak(lambda given: run_strategy(stem, given), path, len(path) - 8) is None


def test_the_ensemble_is_the_same_twice() -> None:
    again = strategy_run("ensemble", coins("ensemble"))
    assert np.array_equal(again.track.value, run_of("ensemble").track.value)


def test_an_asset_that_dies_takes_its_weight_and_freezes_what_is_left() -> None:
    # Made up, as LUNA went in May 2022: a week of little, then within days all but a millionth is lost.
    dying = np.exp(-14.0 * (np.arange(13) / 12) ** 6)
    prices = walk(92, len(dying) + 4, seed=4)
    first = len(prices) - len(dying)
    prices[first:, 2] = dying * prices[first - 1, 2]
    run = strategy_run("equal-weight", prices)
    held = run.track.weights[-len(dying) - 1, 3]
    before, after = run.track.value[-len(dying) - 1], run.track.value[-1]
    others = np.abs(prices[-1, :2] / prices[first - 1, :2] - 1).max()
    # Every day down to the oracle's floor it buys a little back: that is what following weights costs.
    assert after / before > 1 - held - 0.35 - others
    dead = next(event for event in run.events if event.kind is EventKind.ORACLE_DEAD)
    assert "LINK out of bounds" in dead.text
    assert not [one for one in run.settlements if one.timestamp >= dead.timestamp]
    assert any(said.startswith("plan refused: oracle") for said in run.decisions)
