# SPDX-License-Identifier: Apache-2.0
"""Experts weighted by what they would have earned, out of sample, in markets like the present one.

Hedge (Freund and Schapire, "A decision-theoretic generalization of on-line learning" (1997)) with one set of shares
a regime: an expert's utility of a day counts for each regime by the probability that the day was in it, as it could
be known the day before. Everything is a function of the history: the same history gives the same mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.forecast.rules.portfolio import RuleBook
from offchain.risk.arrays import FloatArray, IntArray

DAY = 86_400
FEWEST_FOR_REGIMES = 120
"""Days before the present month from which two regimes are told apart."""


@dataclass(frozen=True, slots=True)
class Learning:
    """How shares follow utility; see `offchain.mandate.EnsembleReturns`."""

    rate: float
    half_life_days: float
    cost: float
    """Fraction of value traded."""
    regimes: int = 2


@dataclass(frozen=True, eq=False)
class Ensemble:
    """The mixture, and how it came about.

    Attributes
    ----------
    weights
        Shape (n,): the mixture of the experts' portfolios.
    shares
        Shape (K,): of each expert, now.
    experts
        Shape (K, n): their portfolios, now.
    utilities
        Shape (D, K): realised each day, costs taken off; no expert knew the day it is judged on.
    regimes
        Shape (S,): probabilities of the regime of the next day.
    """

    weights: FloatArray
    shares: FloatArray
    experts: FloatArray
    utilities: FloatArray
    regimes: FloatArray


def ensemble(
    rules: Sequence[str], returns: FloatArray, timestamps: IntArray, book: RuleBook, learning: Learning
) -> Ensemble:
    """Mix experts.

    Parameters
    ----------
    rules
        K names.
    returns
        Shape (T, n): simple daily returns, oldest first.
    timestamps
        Shape (T,): Unix seconds at which each row was known.

    Raises
    ------
    ForecastError
        No day is left to judge the experts on.
    """
    if len(returns) <= book.window:
        raise ForecastError(
            f"ensemble: {len(returns)} days of returns, more than {book.window} needed; widen covariance.window_days"
        )
    paths = book.paths(rules, returns)
    utilities = _utilities(paths[:-1], returns[book.window :], book.risk_aversion, learning.cost)
    known = _regimes(returns @ book.benchmark, timestamps, learning.regimes)
    # Row t of `known` could be told after day t: it stands for the regime of the day after.
    before = known[book.window - 1 : -1]
    age = np.arange(len(utilities))[::-1]
    decay = 0.5 ** (age / learning.half_life_days)
    totals = (before * decay[:, None]).T @ utilities
    shares_by_regime = _softmax(learning.rate * totals)
    shares = known[-1] @ shares_by_regime
    return Ensemble(shares @ paths[-1], shares, paths[-1], utilities, known[-1])


def _utilities(paths: FloatArray, returns: FloatArray, risk_aversion: float, cost: float) -> FloatArray:
    """Return less risk_aversion / 2 times its square, after costs, shape (D, K)."""
    earned = np.einsum("dkn,dn->dk", paths, returns)
    drifted = paths[:-1] * (1.0 + returns[:-1, None, :]) / (1.0 + earned[:-1, :, None])
    traded = np.zeros_like(earned)
    traded[1:] = np.abs(paths[1:] - drifted).sum(axis=2)
    net = earned - cost * traded
    utilities: FloatArray = net - 0.5 * risk_aversion * net**2
    return utilities


def _regimes(market: FloatArray, timestamps: IntArray, regimes: int) -> FloatArray:
    """Probability of the next day's regime after each day, shape (T, S); one column of ones for one regime.

    The model is that of the days before the present month, so that it changes once a month.
    """
    if regimes == 1:
        return np.ones((len(market), 1))
    months = timestamps.astype("datetime64[s]").astype("datetime64[M]")
    settled = int(np.searchsorted(months, months[-1]))
    if settled < FEWEST_FOR_REGIMES or not np.ptp(market[:settled]) > 0:
        return np.full((len(market), regimes), 1.0 / regimes)
    # A whole number of months, so that every day of a month fits the same days.
    month_start = int(months[-1].astype("datetime64[s]").astype(np.int64))
    first = int(np.searchsorted(timestamps, month_start - (settled // 30) * 30 * DAY))
    past = market[first:settled] if settled - first >= FEWEST_FOR_REGIMES else market[:settled]
    start, transition, means, scales = _fitted(past.tobytes(), regimes)
    ahead: FloatArray = _filtered(market, start, transition, means, scales) @ transition
    return ahead


@lru_cache(maxsize=256)
def _fitted(past: bytes, regimes: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """A hidden Markov model of daily returns; remembered, because the days of a month share it."""
    from offchain.forecast.regimes import Hmm

    fit = Hmm(states=regimes, errors="normal", tolerance=1e-6).fit(np.frombuffer(past, dtype=np.float64)[:, None])
    return fit.start, fit.transition, fit.means[:, 0], fit.scales[:, 0, 0]


def _filtered(
    market: FloatArray, start: FloatArray, transition: FloatArray, means: FloatArray, scales: FloatArray
) -> FloatArray:
    """Probability of each day's regime given the days up to it, shape (T, S)."""
    distance = (market[:, None] - means) ** 2 / scales
    logs = -0.5 * (distance + np.log(scales))
    likelihood = np.exp(logs - logs.max(axis=1, keepdims=True))
    out: FloatArray = np.empty_like(likelihood)
    belief = start
    for row, one in enumerate(likelihood):
        joint = belief * one
        out[row] = joint / joint.sum()
        belief = out[row] @ transition
    return out


def _softmax(scores: FloatArray) -> FloatArray:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: FloatArray = raised / raised.sum(axis=1, keepdims=True)
    return shares
