# SPDX-License-Identifier: Apache-2.0
"""Yang and Zhang's estimator, which neither a drift nor gaps between bars disturb."""

from __future__ import annotations

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.forecast.volatility.bars import Bars
from offchain.forecast.volatility.rogers_satchell import rogers_satchell
from offchain.risk.arrays import FloatArray


def yang_zhang(bars: Bars) -> float:
    r"""Variance per bar over a window.

    .. math::
        \hat\sigma^2 = \hat\sigma^2_o + k \hat\sigma^2_c + (1 - k) \hat\sigma^2_{RS}, \quad
        k = \frac{0.34}{1.34 + (n + 1) / (n - 1)}

    with the sample variances of the gaps :math:`\ln O_t / C_{t-1}` and of the bodies :math:`\ln C_t / O_t`. Yang and
    Zhang, "Drift-independent volatility estimation based on high, low, open, and close prices" (2000). Markets that
    never close have next to no gaps, and it becomes a mixture of the other two.

    Parameters
    ----------
    bars
        n + 1 of them: the first lends its close only.

    Raises
    ------
    ForecastError
        When there are fewer than three bars.
    """
    if len(bars) < 3:
        raise ForecastError(f"Yang-Zhang: {len(bars)} bars, at least 3 needed")
    n = len(bars) - 1
    gaps = np.log(bars.opens[1:] / bars.closes[:-1])
    bodies = np.log(bars.closes[1:] / bars.opens[1:])
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    inside = rogers_satchell(bars)[1:].mean()
    return float(np.var(gaps, ddof=1) + k * np.var(bodies, ddof=1) + (1.0 - k) * inside)


def windowed_yang_zhang(bars: Bars, window: int = 30) -> FloatArray:
    """Variance expected of each bar, and of the one to come, from the `window` bars before it: shape (T + 1,).

    NaN for the first `window` + 1, since the first bar of a window lends its close only.
    """
    out = np.full(len(bars) + 1, np.nan)
    for end in range(window + 1, len(bars) + 1):
        part = slice(end - window - 1, end)
        out[end] = yang_zhang(Bars(bars.opens[part], bars.highs[part], bars.lows[part], bars.closes[part]))
    return out
