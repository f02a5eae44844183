# SPDX-License-Identifier: Apache-2.0
"""Strategies of `mandates/` against what is known of them in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from tests.offchain.backtest.conftest import COINS, strategy_run, walk

PAST = 91
"""Rows before the first decision: the rules look at 90 days or fewer."""


def test_buying_and_holding_grows_with_the_price() -> None:
    coins = walk(PAST, 60, seed=1)
    track = strategy_run("bitcoin", coins).track
    rows = (track.timestamps - track.timestamps[0]) // 86_400 + len(coins) - len(track)
    bitcoin = coins[rows, 1]
    # Once bought, value is coins times price and a rest of dollars that is too small to trade.
    last = int(np.flatnonzero(track.turnover)[-1]) + 1
    share = track.weights[last, 2]
    assert last < 10
    assert share > 0.98
    expected = 1 - share + share * bitcoin[last:] / bitcoin[last]
    np.testing.assert_allclose(track.value[last:] / track.value[last], expected, rtol=1e-12)


def test_a_constant_mix_compounds_the_mean_of_its_assets_returns() -> None:
    coins = walk(PAST, 120, seed=2)
    run = strategy_run("equal-weight", coins, depth=100.0, risk_aversion=200.0)
    track = run.track
    rows = len(coins) - len(track) + np.arange(len(track))
    returns = coins[rows][1:] / coins[rows][:-1] - 1.0
    # A quarter stands in dollars and earns nothing; from the second step on everything is bought.
    mixed = np.prod(1 + returns[1:].sum(axis=1) / 4)
    grown = np.prod(1 + track.gross_returns[1:])
    assert grown == pytest.approx(mixed, rel=2e-3)
    # Fernholz and Shay (1982): growth of the mix less the mixed growths is half of mixed less mix variance.
    logs = np.log(coins[rows][-1] / coins[rows][1])
    variances = np.var(np.log1p(returns[1:]), axis=0)
    mix = np.var(np.log1p(returns[1:].sum(axis=1) / 4))
    excess = 0.5 * (variances.sum() / 4 - mix) * (len(returns) - 1)
    assert np.log(grown) - logs.sum() / 4 == pytest.approx(excess, rel=0.05)


@pytest.mark.parametrize("daily", [0.03, 0.06])
def test_a_volatility_target_holds_target_over_volatility(daily: float) -> None:
    # Returns that alternate have a known deviation over any even window; all coins move together.
    up_down = np.where(np.arange(PAST + 30) % 2, 1 + daily, 1 / (1 + daily))
    up_down[0] = 1.0
    coins = COINS * np.cumprod(up_down)[:, None]
    run = strategy_run("volatility-target", coins, depth=100.0, risk_aversion=200.0)
    days = int(run.mandate.objective.returns.moments_days)  # type: ignore[union-attr]
    simple = np.where(np.arange(days) % 2, daily, 1 / (1 + daily) - 1)
    deviation = simple.std(ddof=1) * np.sqrt(365)
    target = run.mandate.objective.returns.target_volatility  # type: ignore[union-attr]
    at_risk = 1 - run.track.weights[5:, 0]
    assert at_risk == pytest.approx(target / deviation, abs=0.02)
