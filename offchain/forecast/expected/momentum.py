# SPDX-License-Identifier: Apache-2.0
"""Momentum: what rose goes on rising for a while, sometimes."""

from __future__ import annotations

import math

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray

CLIP = 2.0


def momentum_scores(returns: FloatArray, lookback: int, skip: int = 0) -> FloatArray:
    r"""Past return by its volatility, shape (n,), cut off at plus and minus 2.

    .. math:: s_i = \frac{\sum_{t \in L} \ln(1 + r_{it})}{\hat\sigma_i \sqrt{|L|}}

    over the `lookback` rows that end `skip` rows ago: Moskowitz, Ooi and Pedersen, "Time series momentum" (2012),
    scaled as a t-statistic. Zero for an asset that did not move.

    Parameters
    ----------
    returns
        Shape (T, n), simple, oldest first.

    Raises
    ------
    ForecastError
        When the window does not fit into the history or has fewer than five rows.
    """
    if lookback - skip < 5 or lookback > len(returns) or skip < 0:
        raise ForecastError(
            f"momentum: a lookback of {lookback} rows less {skip} skipped, with {len(returns)} rows of history; at "
            "least 5 rows must remain"
        )
    window = np.log1p(returns[len(returns) - lookback : len(returns) - skip])
    deviations = window.std(axis=0, ddof=1)
    scale = deviations * math.sqrt(len(window))
    raw = np.divide(window.sum(axis=0), scale, out=np.zeros_like(scale), where=scale > 0.0)
    scores: FloatArray = np.clip(raw, -CLIP, CLIP)
    return scores


def momentum_returns(prior: FloatArray, covariance: FloatArray, scores: FloatArray, strength: float) -> FloatArray:
    r"""Prior, tilted by volatility times score, after Grinold, "Alpha is volatility times IC times score" (1994).

    .. math:: \mu_i = \pi_i + k \sigma_i s_i

    Parameters
    ----------
    prior, scores
        Shape (n,).
    covariance
        Shape (n, n), per year, like the result.
    strength
        k: the Sharpe ratio expected of a score of one.
    """
    tilted: FloatArray = prior + strength * np.sqrt(np.diag(covariance)) * scores
    return tilted
