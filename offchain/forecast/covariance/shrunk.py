# SPDX-License-Identifier: Apache-2.0
"""Sample covariances shrunk towards a multiple of the identity."""

from __future__ import annotations

import numpy as np

from offchain.risk.arrays import FloatArray


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


def oas_covariance(returns: FloatArray) -> FloatArray:
    """Sample covariance shrunk as much as is best for normal returns.

    Oracle approximating shrinkage: Chen, Wiesel, Eldar and Hero, "Shrinkage algorithms for MMSE covariance
    estimation" (2010), as scikit-learn computes it. It shrinks more than `ledoit_wolf_covariance` where there are
    few rows, and does not see fat tails.

    Parameters
    ----------
    returns
        Shape (T, n), T >= 2.

    Returns
    -------
    FloatArray
        Shape (n, n), per row.
    """
    from sklearn.covariance import oas

    matrix: FloatArray = np.asarray(oas(returns)[0], dtype=np.float64)
    return matrix
