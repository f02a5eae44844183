# SPDX-License-Identifier: Apache-2.0
"""Carry: what an asset earns if its price stands still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray

YEAR_HOURS = 365.0 * 24.0


def carry_returns(prior: FloatArray, symbols: Sequence[str], yields: Mapping[str, float]) -> FloatArray:
    """Prior plus yields, per year; an asset without one has none.

    Parameters
    ----------
    prior
        Shape (n,), per year.
    yields
        By symbol, fraction per year: staking, lending and funding received, less what is paid.

    Raises
    ------
    ForecastError
        When a yield is not a number, or of no asset there is.
    """
    out = prior.copy()
    for symbol, value in yields.items():
        if symbol not in symbols:
            raise ForecastError(f"carry: no asset {symbol}; there are {', '.join(symbols)}")
        if not np.isfinite(value):
            raise ForecastError(f"carry: the yield of {symbol} is {value}")
        out[symbols.index(symbol)] += value
    return out


def funding_yield(rates: FloatArray, interval_hours: float = 8.0) -> float:
    """What a short perpetual received per year, from the funding rates of past intervals.

    Parameters
    ----------
    rates
        Shape (K,): fraction of notional paid by longs to shorts each interval.
    """
    if rates.ndim != 1 or not rates.size or not np.isfinite(rates).all() or not interval_hours > 0.0:
        raise ForecastError(f"funding: rates of shape {rates.shape}; finite ones at a positive interval are needed")
    return float(rates.mean() * YEAR_HOURS / interval_hours)


def lending_yield(index: FloatArray, seconds: float) -> float:
    """What lending earned per year, from a lending pool's liquidity index at the ends of a period.

    Parameters
    ----------
    index
        Shape (K,), K >= 2: the index over time, first and last count.
    seconds
        Between the first and the last.
    """
    if index.ndim != 1 or index.size < 2 or not seconds > 0.0 or not (index > 0.0).all():
        raise ForecastError(f"lending: an index of shape {index.shape} over {seconds:g} seconds")
    growth = float(np.log(index[-1] / index[0]))
    return float(np.expm1(growth * YEAR_HOURS * 3600.0 / seconds))
