# SPDX-License-Identifier: Apache-2.0
"""Garman and Klass's estimator from whole bars."""

from __future__ import annotations

import math

import numpy as np

from offchain.forecast.volatility.bars import Bars
from offchain.risk.arrays import FloatArray


def garman_klass(bars: Bars) -> FloatArray:
    r"""Variance of each bar from its range and its body.

    .. math:: \hat\sigma^2_t = \tfrac12 (\ln H_t / L_t)^2 - (2 \ln 2 - 1) (\ln C_t / O_t)^2

    Garman and Klass, "On the estimation of security price volatilities from historical data" (1980), the practical
    form. Never negative: the body fits into the range. Assumes no drift and no gap between bars.

    Returns
    -------
    FloatArray
        Shape (T,), per bar. Average it over a window.
    """
    span, body = np.log(bars.highs / bars.lows), np.log(bars.closes / bars.opens)
    variances: FloatArray = 0.5 * span**2 - (2.0 * math.log(2.0) - 1.0) * body**2
    return variances
