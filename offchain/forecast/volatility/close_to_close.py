# SPDX-License-Identifier: Apache-2.0
"""The sample variance of returns."""

from __future__ import annotations

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray


def close_to_close(returns: FloatArray, *, demean: bool = True) -> float:
    r"""Variance per row of returns.

    .. math:: s^2 = \frac{1}{T - 1} \sum_t (r_t - \bar r)^2

    Parameters
    ----------
    returns
        Shape (T,), T >= 2; logarithmic by convention.
    demean
        Subtract the mean; without it the sum is divided by T.

    Raises
    ------
    ForecastError
        When there are fewer than two returns.
    """
    if returns.size < 2:
        raise ForecastError(f"close to close: {returns.size} returns, at least 2 needed")
    return float(np.var(returns, ddof=1) if demean else np.mean(returns**2))
