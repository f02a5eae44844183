# SPDX-License-Identifier: Apache-2.0
"""Parkinson's estimator from highs and lows."""

from __future__ import annotations

import math

import numpy as np

from offchain.forecast.volatility.bars import Bars
from offchain.risk.arrays import FloatArray


def parkinson(bars: Bars) -> FloatArray:
    r"""Variance of each bar from its range.

    .. math:: \hat\sigma^2_t = \frac{(\ln H_t / L_t)^2}{4 \ln 2}

    Parkinson, "The extreme value method for estimating the variance of the rate of return" (1980). Five times as
    efficient as the squared return; low where prices are seen seldom, high where they drift.

    Returns
    -------
    FloatArray
        Shape (T,), per bar. Average it over a window.
    """
    variances: FloatArray = np.log(bars.highs / bars.lows) ** 2 / (4.0 * math.log(2.0))
    return variances
