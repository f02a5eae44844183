# SPDX-License-Identifier: Apache-2.0
"""Correlations cleared of what random data would show as well."""

from __future__ import annotations

import math

import numpy as np

from offchain.forecast.covariance.definite import correlation_of, covariance_of
from offchain.risk.arrays import FloatArray


def marchenko_pastur_edge(assets: int, rows: int, variance: float = 1.0) -> float:
    r"""Largest eigenvalue of the sample correlations of independent series, for many of both.

    .. math:: \lambda_+ = \sigma^2 \left(1 + \sqrt{n / T}\right)^2

    Marchenko and Pastur (1967).
    """
    return variance * (1.0 + math.sqrt(assets / rows)) ** 2


def signal_count(eigenvalues: FloatArray, rows: int) -> int:
    """How many eigenvalues of a correlation matrix stand above the edge of the noise.

    The edge is that of independent series of variance one. An edge for what the largest eigenvalues leave is lower,
    but holds only where every asset has as much noise; where that differs it lies inside the noise, and with many
    rows half of all eigenvalues stand above it.

    Parameters
    ----------
    eigenvalues
        Shape (n,), of sample correlations, in any order.
    rows
        Returns they were computed from.
    """
    return int(np.sum(eigenvalues > marchenko_pastur_edge(eigenvalues.size, rows)))


def denoised_covariance(returns: FloatArray) -> FloatArray:
    """Sample covariance whose correlations keep only the eigenvalues above the Marchenko-Pastur edge.

    The others are replaced by their mean: Laloux, Cizeau, Bouchaud and Potters (1999); Lopez de Prado, "Machine
    learning for asset managers" (2020), constant residual eigenvalues. Variances are the sample's.

    Parameters
    ----------
    returns
        Shape (T, n), T >= 2.

    Returns
    -------
    FloatArray
        Shape (n, n), per row, positive definite unless one eigenvector holds everything.
    """
    sample = np.atleast_2d(np.cov(returns, rowvar=False))
    values, vectors = np.linalg.eigh(correlation_of(sample))
    count = signal_count(values, len(returns))
    noise = values.size - count
    cleared = values.copy()
    cleared[:noise] = values[:noise].mean()
    rebuilt = (vectors * cleared) @ vectors.T
    return covariance_of(correlation_of(rebuilt), np.sqrt(np.diag(sample)))
