# SPDX-License-Identifier: Apache-2.0
"""What the runs of a sheet are seen against: bitcoin held, and calm or wild markets."""

from __future__ import annotations

from typing import Any

import numpy as np

from offchain.backtest.charts import Curve
from offchain.backtest.path import ALIASES
from offchain.backtest.records import FloatArray, IntArray
from offchain.backtest.sweep import MarketSpec
from offchain.risk.prices import PriceTable

SETTLE_DAYS = 500
"""Past from which the regimes' model is estimated before the first of them is told."""
REFIT_DAYS = 365
"""Days that a model is used for; the next one is estimated on all days before it."""


def market_context(market: MarketSpec) -> dict[str, Any]:
    """Keyword arguments of `tear_sheet`: the benchmark and the regimes; empty without bitcoin or ether."""
    series = _series(market.prices)
    if series is None:
        return {}
    name, prices = series
    shift = market.prices.step_seconds if market.prices.bars is not None else 0
    times = market.prices.timestamps + shift
    known = np.isfinite(prices)
    times, prices = times[known], prices[known]
    keep = (times >= (market.start or 0)) & (times <= (market.end or times[-1]))
    if keep.sum() < 2:
        return {}
    shown = {"benchmark": Curve(f"{name} held", times[keep], prices[keep] / prices[keep][0])}
    regimes = wild_probability(times, prices, market.prices.step_seconds)
    if regimes is None:
        return shown
    inside = (regimes[0] >= times[keep][0]) & (regimes[0] <= times[keep][-1])
    return shown | ({"regimes": (regimes[0][inside], regimes[1][inside])} if inside.any() else {})


def wild_probability(times: IntArray, prices: FloatArray, step_seconds: int) -> tuple[IntArray, FloatArray] | None:
    """Filtered probability of the wilder of two regimes on daily returns, shape (D,) each of the times and it.

    Every model is estimated on the days before those that it tells of: nothing is told that was not known. None
    with too short a past.
    """
    from offchain.forecast.regimes import Hmm

    every = max(1, 86_400 // step_seconds)
    times, prices = times[::every], prices[::every]
    returns = np.diff(np.log(prices))[:, None]
    if len(returns) < SETTLE_DAYS + 30:
        return None
    told = []
    for begin in range(SETTLE_DAYS, len(returns), REFIT_DAYS):
        fitted = Hmm(states=2, errors="t", tolerance=1e-5).fit(returns[:begin])
        told.append(fitted.filtered(returns[: begin + REFIT_DAYS])[begin:, -1])
    return times[1 + SETTLE_DAYS :], np.concatenate(told)


def _series(table: PriceTable) -> tuple[str, FloatArray] | None:
    for symbol in ("BTC", "ETH"):
        for name in ALIASES[symbol]:
            if name in table.symbols:
                return symbol, table.prices[:, table.symbols.index(name)]
    return None
