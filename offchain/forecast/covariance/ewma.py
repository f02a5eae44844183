# SPDX-License-Identifier: Apache-2.0
"""Exponentially weighted covariance."""

from __future__ import annotations

from functools import lru_cache

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
    weights, roots, rest = _weights(len(returns), half_life)
    deviations = (returns - weights @ returns) * roots
    matrix: FloatArray = deviations.T @ deviations / rest
    return matrix


@lru_cache(maxsize=8)
def _weights(rows: int, half_life: float) -> tuple[FloatArray, FloatArray, float]:
    """The weights w, shape (T,), their square roots, shape (T, 1), and 1 - w'w."""
    age = np.arange(rows - 1, -1, -1, dtype=np.float64)
    weights = np.exp2(-age / half_life)
    weights /= weights.sum()
    return weights, np.sqrt(weights)[:, None], float(1.0 - weights @ weights)
