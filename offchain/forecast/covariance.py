# SPDX-License-Identifier: Apache-2.0
"""Covariance estimators: returns in, a positive semidefinite matrix per year out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offchain.mandate import Covariance, EwmaCovariance

FloatArray = NDArray[np.float64]


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


def ledoit_wolf_covariance(returns: FloatArray) -> FloatArray:
    """Sample covariance shrunk towards a multiple of the identity.

    The intensity is that of Ledoit and Wolf, "A well-conditioned estimator for
    large-dimensional covariance matrices" (2004), as scikit-learn computes it.

    Parameters
    ----------
    returns
        Shape (T, n), T >= 2.

    Returns
    -------
    FloatArray
        Shape (n, n), per row.
    """
    from sklearn.covariance import ledoit_wolf

    matrix: FloatArray = np.asarray(ledoit_wolf(returns)[0], dtype=np.float64)
    return matrix


def annual_covariance(returns: FloatArray, model: Covariance, rows_per_year: float) -> FloatArray:
    """Estimate with the mandate's model.

    Parameters
    ----------
    returns
        Shape (T, n), oldest first.
    rows_per_year
        A year has 365 days.

    Returns
    -------
    FloatArray
        Shape (n, n), per year, symmetric and positive semidefinite.
    """
    if isinstance(model, EwmaCovariance):
        per_row = ewma_covariance(returns, model.half_life_days * rows_per_year / 365.0)
    else:
        per_row = ledoit_wolf_covariance(returns)
    return nearest_psd(per_row * rows_per_year)


def nearest_psd(matrix: FloatArray) -> FloatArray:
    """Symmetrise, and raise what rounding left negative among the eigenvalues to zero.

    Returns the symmetrised matrix itself where it already is positive semidefinite.
    """
    symmetric: FloatArray = (matrix + matrix.T) / 2.0
    values, vectors = np.linalg.eigh(symmetric)
    if values[0] >= 0.0:
        return symmetric
    clipped: FloatArray = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return (clipped + clipped.T) / 2.0
