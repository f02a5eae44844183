# SPDX-License-Identifier: Apache-2.0
"""Measured variances without the worst of single bad ticks."""

from __future__ import annotations

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray

WINDOW = 30
FEWEST = 5
TIMES = 9.0


def capped(measured: FloatArray, returns: FloatArray, *, times: float = TIMES, window: int = WINDOW) -> FloatArray:
    r"""Cut a bar's measured variance off where neither its own return nor the bars before make it credible.

    .. math:: \tilde v_t = \min\big(v_t,\ c \max(r_t^2,\ \operatorname{median}(v_{t-30} \ldots v_{t-1}))\big)

    One trade at a mistyped price makes a low of next to nothing: such a bar of LINK in 2020 has thirteen times the
    variance of two years together. A crash keeps all of its range, because its return is large too. The first five
    bars are left as they are. Nothing depends on later rows.

    Parameters
    ----------
    measured, returns
        Shape (T,): variances per bar, and the bars' returns.
    times
        c: three times the deviation.
    """
    if measured.shape != returns.shape or measured.ndim != 1:
        raise ForecastError(f"capped variances: {measured.shape} measures and {returns.shape} returns")
    out = measured.copy()
    for t in range(FEWEST, measured.size):
        usual = float(np.median(measured[max(0, t - window) : t]))
        out[t] = min(float(measured[t]), times * max(float(returns[t]) ** 2, usual))
    return out
