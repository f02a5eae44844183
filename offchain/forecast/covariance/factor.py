# SPDX-License-Identifier: Apache-2.0
"""A few common factors and what is left to each asset alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offchain.forecast.covariance.definite import correlation_of
from offchain.forecast.covariance.denoised import signal_count
from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray

LEAST_SPECIFIC = 1e-3
"""Least fraction of an asset's variance that is its own."""
MAX_ROUNDS = 200
TOLERANCE = 1e-7


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
    """Factors of the correlations by principal axes; each asset keeps the sample's variance.

    Principal components, but of correlations whose diagonal is only what the factors explain, found by repetition
    (Thurstone, "Multiple-factor analysis", 1947): components of the whole correlations would take the assets' own
    noise for common, the more so the fewer the assets.

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
    correlation = correlation_of(sample)
    count = max(1, signal_count(np.linalg.eigvalsh(correlation), len(returns))) if factors is None else factors
    if not 1 <= count <= n:
        raise ForecastError(f"factor covariance: {count} factors for {n} assets; ask for 1 to {n}")
    axes = _principal_axes(correlation, count)
    return FactorModel(np.sqrt(np.diag(sample))[:, None] * axes, np.diag(sample) * (1.0 - np.sum(axes**2, axis=1)))


def _principal_axes(correlation: FloatArray, count: int) -> FloatArray:
    """Loadings on the factors, largest first: shape (n, count)."""
    reduced = correlation.copy()
    for _ in range(MAX_ROUNDS):
        values, vectors = np.linalg.eigh(reduced)
        loadings: FloatArray = vectors[:, ::-1][:, :count] * np.sqrt(np.maximum(values[::-1][:count], 0.0))
        explained = np.maximum(np.sum(loadings**2, axis=1), 1e-12)
        kept = np.minimum(explained, 1.0 - LEAST_SPECIFIC)
        if np.abs(kept - np.diag(reduced)).max() < TOLERANCE:
            break
        np.fill_diagonal(reduced, kept)
    # An asset is never its factors alone.
    loadings *= np.sqrt(kept / explained)[:, None]
    return loadings


def factor_covariance(returns: FloatArray, factors: int | None = None) -> FloatArray:
    """Covariance of `factor_model`, shape (n, n), per row."""
    return factor_model(returns, factors).covariance
