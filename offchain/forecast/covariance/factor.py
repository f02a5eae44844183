# SPDX-License-Identifier: Apache-2.0
"""A few common factors and what is left to each asset alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offchain.forecast.covariance.definite import correlation_of
from offchain.forecast.covariance.denoised import signal_count
from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class FactorModel:
    r"""Covariance :math:`B B^\top + D`.

    Attributes
    ----------
    loadings
        Shape (n, k): B, of factors with variance one.
    specific
        Shape (n,): the diagonal of D, positive unless an asset did not move.
    """

    loadings: FloatArray
    specific: FloatArray

    @property
    def covariance(self) -> FloatArray:
        """Shape (n, n), per row."""
        matrix: FloatArray = self.loadings @ self.loadings.T + np.diag(self.specific)
        return matrix


def factor_model(returns: FloatArray, factors: int | None = None) -> FactorModel:
    """Principal components of the correlations as factors; each asset keeps the sample's variance.

    Parameters
    ----------
    returns
        Shape (T, n), T >= 2.
    factors
        How many; by default as many as stand above the Marchenko-Pastur edge, at least one.

    Raises
    ------
    ForecastError
        When more factors are asked for than there are assets.
    """
    sample = np.atleast_2d(np.cov(returns, rowvar=False))
    n = len(sample)
    values, vectors = np.linalg.eigh(correlation_of(sample))
    count = max(1, signal_count(values, len(returns))) if factors is None else factors
    if not 1 <= count <= n:
        raise ForecastError(f"factor covariance: {count} factors for {n} assets; ask for 1 to {n}")
    deviations = np.sqrt(np.diag(sample))
    loadings = deviations[:, None] * vectors[:, -count:] * np.sqrt(np.maximum(values[-count:], 0.0))
    # An asset is never its factors alone: a thousandth of its variance stays its own.
    specific = np.maximum(np.diag(sample) - np.sum(loadings**2, axis=1), 1e-3 * np.diag(sample))
    return FactorModel(loadings[:, ::-1].copy(), specific)


def factor_covariance(returns: FloatArray, factors: int | None = None) -> FloatArray:
    """Covariance of `factor_model`, shape (n, n), per row."""
    return factor_model(returns, factors).covariance
