# SPDX-License-Identifier: Apache-2.0
"""Realised variance: a day's variance from finer prices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray, IntArray

DAY = 86_400


@dataclass(frozen=True, eq=False)
class RealisedVariance:
    """Sums of squared returns by period.

    Attributes
    ----------
    starts
        Shape (P,): Unix seconds at which each period begins, in UTC.
    variances
        Shape (P,): per period.
    closes
        Shape (P,): last price of each period.
    counts
        Shape (P,): returns that each sum is made of.
    """

    starts: IntArray
    variances: FloatArray
    closes: FloatArray
    counts: IntArray


def realised_variance(
    timestamps: IntArray, prices: FloatArray, *, period: int = DAY, fewest: float = 0.5
) -> RealisedVariance:
    r"""Sum squared logarithmic returns within each period.

    .. math:: RV_d = \sum_{i \in d} (\ln p_i - \ln p_{i-1})^2

    Andersen and Bollerslev, "Answering the skeptics" (1998). A price stamped exactly at a period's beginning closes
    the period before. Over an exchange's outage the one return across it counts where it ends, so nothing of the
    move is lost; a period in which too few prices were seen is left out, as is an unfinished last one.

    Parameters
    ----------
    timestamps
        Shape (N,): Unix seconds, ascending; the time at which each price stood (a bar's close, not its opening).
    prices
        Shape (N,), positive.
    period
        Seconds.
    fewest
        Least fraction of the usual number of returns in a period.

    Raises
    ------
    ForecastError
        When times run backwards, a price is not positive, or there are fewer than two prices.
    """
    if timestamps.shape != prices.shape or timestamps.ndim != 1 or timestamps.size < 2:
        raise ForecastError(f"realised variance: {timestamps.shape} times and {prices.shape} prices")
    if (np.diff(timestamps) <= 0).any():
        at = int(np.argmax(np.diff(timestamps) <= 0)) + 1
        raise ForecastError(f"realised variance: time {timestamps[at]} (row {at}) is not after the one before it")
    wrong = ~(np.isfinite(prices) & (prices > 0.0))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ForecastError(f"realised variance: price {prices[at]} at time {timestamps[at]}; it must be positive")
    squares = np.diff(np.log(prices)) ** 2
    periods = (timestamps[1:] - 1) // period
    names, first, counts = np.unique(periods, return_index=True, return_counts=True)
    sums = np.add.reduceat(squares, first)
    ends = first + counts
    closes = prices[ends]
    enough = counts >= fewest * np.median(counts)
    step = np.median(np.diff(timestamps))
    if timestamps[-1] + step <= (names[-1] + 1) * period:
        enough[-1] = False
    return RealisedVariance(names[enough] * period, sums[enough], closes[enough], counts[enough])
