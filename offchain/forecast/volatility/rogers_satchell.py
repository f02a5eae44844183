# SPDX-License-Identifier: Apache-2.0
"""Rogers and Satchell's estimator, which a drift does not disturb."""

from __future__ import annotations

import numpy as np

from offchain.forecast.volatility.bars import Bars
from offchain.risk.arrays import FloatArray


def rogers_satchell(bars: Bars) -> FloatArray:
    r"""Variance of each bar, unbiased whatever the drift.

    .. math:: \hat\sigma^2_t = \ln\frac{H_t}{C_t} \ln\frac{H_t}{O_t} + \ln\frac{L_t}{C_t} \ln\frac{L_t}{O_t}

    Rogers and Satchell, "Estimating variance from high, low and closing prices" (1991).

    Returns
    -------
    FloatArray
        Shape (T,), per bar, zero for a bar that runs straight from low to high. Average it over a window.
    """
    up = np.log(bars.highs / bars.closes) * np.log(bars.highs / bars.opens)
    down = np.log(bars.lows / bars.closes) * np.log(bars.lows / bars.opens)
    variances: FloatArray = up + down
    return variances
