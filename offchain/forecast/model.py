# SPDX-License-Identifier: Apache-2.0
"""The mandate's model applied to a price history."""

from __future__ import annotations

import json

import numpy as np
from eth_utils.crypto import keccak
from numpy.typing import NDArray

from offchain.forecast.covariance import annual_covariance
from offchain.forecast.errors import ForecastError
from offchain.forecast.expected import expected_returns, implied_returns
from offchain.forecast.forecast import Forecast
from offchain.forecast.returns import simple_returns
from offchain.mandate import CvarObjective, EnsembleReturns, Mandate, RuleReturns
from offchain.market.history import PriceHistory
from offchain.market.snapshot import Snapshot

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DAY_SECONDS = 86_400
YEAR_SECONDS = 365 * DAY_SECONDS
PATHS = 2_000
MIN_DAYS = 20
MIN_RETURNS = 30
"""Fewest returns a covariance is estimated from, besides two for each asset."""
MAX_SCENARIOS = 2_000


def make_forecast(snapshot: Snapshot, history: PriceHistory, mandate: Mandate) -> Forecast:
    """Moments of the assets' returns as of the snapshot.

    The same arguments give the same bits, on one machine with one set of libraries.

    Rows of the history after the snapshot's block, and before the covariance's window, are
    not looked at.

    Raises
    ------
    ForecastError
        Too few prices, a price that is missing or not positive, unequal intervals, or other
        assets than the mandate's.
    """
    timestamps, prices, step = _window(snapshot, history, mandate)
    objective = mandate.objective
    returns, rows_per_year = simple_returns(prices), YEAR_SECONDS / step
    covariance = annual_covariance(returns, objective.covariance, rows_per_year, objective.horizon_days)
    if isinstance(objective.returns, RuleReturns | EnsembleReturns):
        from offchain.forecast.rules.model import target_weights

        expected = implied_returns(covariance, target_weights(mandate, timestamps, prices), objective.risk_aversion)
    else:
        expected = expected_returns(
            objective.returns,
            returns,
            covariance,
            np.array(mandate.benchmark_weights),
            objective.risk_aversion,
            mandate.symbols,
            rows_per_year,
        )
    scenarios = None
    if isinstance(objective, CvarObjective):
        scenarios = horizon_scenarios(returns, expected, rows_per_year, objective.horizon_days)
    paths = liquidation_paths(prices, step, objective.horizon_days) if mandate.borrowable else None
    return Forecast(
        symbols=history.symbols,
        horizon_days=objective.horizon_days,
        expected_returns=expected,
        covariance=covariance,
        model_hash=model_hash(history.symbols, objective.horizon_days, expected, covariance, scenarios),
        scenarios=scenarios,
        paths=paths,
    )


def horizon_scenarios(
    returns: FloatArray, expected: FloatArray, rows_per_year: float, horizon_days: float
) -> FloatArray:
    """What happened in the window, as what may happen over the horizon.

    Returns about their mean, scaled by the square root of time, about the expected return.

    Parameters
    ----------
    returns
        Shape (T, n), simple, one a row of the history.
    expected
        Shape (n,), per year.

    Returns
    -------
    FloatArray
        Shape (s, n): the last `MAX_SCENARIOS` rows at most; nothing loses more than everything.
    """
    years = horizon_days / 365
    about = (returns - returns.mean(axis=0))[-MAX_SCENARIOS:] * np.sqrt(years * rows_per_year)
    scenarios: FloatArray = np.maximum(expected * years + about, -1.0)
    return scenarios


def liquidation_paths(prices: FloatArray, step: int, horizon_days: float) -> FloatArray:
    """Daily paths over the horizon, drawn from the window's prices with today's volatility; always the same.

    Parameters
    ----------
    prices
        Shape (T, n), every `step` seconds, a divisor of a day.

    Returns
    -------
    FloatArray
        Shape (`PATHS`, days, n), simple returns.

    Raises
    ------
    ForecastError
        Fewer than 21 days of prices.
    """
    from offchain.risk.leverage import path_scenarios

    daily = prices[::-1][:: DAY_SECONDS // step][::-1]
    if len(daily) < MIN_DAYS + 1:
        raise ForecastError(
            f"{len(daily)} days of prices, {MIN_DAYS + 1} needed to judge a liquidation: wait for more of them"
        )
    return path_scenarios(simple_returns(daily), max(1, round(horizon_days)), count=PATHS)


def model_hash(
    symbols: tuple[str, ...],
    horizon_days: float,
    expected_returns: FloatArray,
    covariance: FloatArray,
    scenarios: FloatArray | None = None,
) -> str:
    """0x-prefixed keccak256 of a forecast's canonical encoding.

    The encoding is the JSON list ``["plimsoll forecast 1", [symbol, …]]`` in UTF-8 without
    spaces, followed by horizon, expected returns, covariance and scenarios (row by row), if
    there are any, as little-endian doubles.
    """
    head = json.dumps(["plimsoll forecast 1", list(symbols)], separators=(",", ":")).encode()
    tail = np.zeros(0) if scenarios is None else scenarios.ravel()
    numbers = np.concatenate([[horizon_days], expected_returns, covariance.ravel(), tail])
    return "0x" + keccak(head + numbers.astype("<f8").tobytes()).hex()


def _window(snapshot: Snapshot, history: PriceHistory, mandate: Mandate) -> tuple[IntArray, FloatArray, int]:
    """Times and prices inside the model's window, shapes (T,) and (T, n), and the seconds between rows."""
    if history.symbols != mandate.symbols or mandate.symbols != tuple(asset.symbol for asset in snapshot.assets):
        raise ForecastError(
            f"history of {', '.join(history.symbols)} for a mandate of {', '.join(mandate.symbols)}: wrong history"
        )
    step = mandate.execution.grid_minutes * 60
    now = snapshot.block.timestamp
    start = now // step * step - round(mandate.objective.covariance.window_days * 86_400)
    inside = (history.timestamps >= start) & (history.timestamps <= now)
    timestamps, prices = history.timestamps[inside], history.prices[inside]
    needed = max(MIN_RETURNS, 2 * len(mandate.symbols)) + 1
    if len(timestamps) < needed:
        raise ForecastError(
            f"{len(timestamps)} prices at intervals of {mandate.execution.grid_minutes} minutes, {needed} needed: "
            "wait for more of them, or shorten execution.grid_minutes in the mandate"
        )
    if np.any(np.diff(timestamps) != step):
        raise ForecastError(f"the history is not on a grid of {mandate.execution.grid_minutes} minutes")
    if not 0 < prices.min() <= prices.max() < np.inf:
        wrong = ~(np.isfinite(prices) & (prices > 0))
        row, column = (int(axis[0]) for axis in np.nonzero(wrong))
        raise ForecastError(
            f"the price of {history.symbols[column]} at time {timestamps[row]} is {prices[row, column]}; "
            "a price must be positive"
        )
    return timestamps, prices, step
