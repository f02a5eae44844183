# SPDX-License-Identifier: Apache-2.0
"""Exponentially weighted covariance."""

from __future__ import annotations

import numpy as np

from offchain.risk.arrays import FloatArray


def ewma_covariance(returns: FloatArray, half_life: float) -> FloatArray:
    r"""Exponentially weighted covariance about the weighted mean, corrected for bias.

    .. math::
        w_t \propto 2^{-(T-1-t)/h}, \quad \sum_t w_t = 1, \quad
        \Sigma = \frac{1}{1 - \sum_t w_t^2} \sum_t w_t (r_t - \bar r)(r_t - \bar r)^\top

    which is what ``pandas.DataFrame.ewm(halflife=h).cov()`` gives for the last row.

    Parameters
    ----------
    returns
        Shape (T, n), oldest first, T >= 2.
    half_life
        In rows.

    Returns
    -------
    FloatArray
        Shape (n, n), per row.
    """
    age = np.arange(len(returns) - 1, -1, -1, dtype=np.float64)
    weights = np.exp2(-age / half_life)
    weights /= weights.sum()
    deviations = (returns - weights @ returns) * np.sqrt(weights)[:, None]
    matrix: FloatArray = deviations.T @ deviations / (1.0 - weights @ weights)
    return matrix
