# SPDX-License-Identifier: Apache-2.0
"""Mean returns, shrunk together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class ShrunkMeans:
    """Means pulled towards one number.

    Attributes
    ----------
    means
        Shape (n,), per row.
    target
        The number.
    intensity
        How far: 0 leaves the sample's means, 1 makes them all equal.
    """

    means: FloatArray
    target: float
    intensity: float


def james_stein(returns: FloatArray) -> ShrunkMeans:
    r"""Shrink means towards their average.

    .. math::
        \hat\mu = m \mathbf 1 + (1 - \phi)(\bar r - m \mathbf 1), \quad
        \phi = \min\Big(1, \frac{(n - 3)\, \bar\sigma^2 / T}{\sum_i (\bar r_i - m)^2}\Big)

    Efron and Morris, "Data analysis using Stein's estimator" (1975), with the assets' mean variance. Better than the
    sample's means whatever the truth, for four assets or more; with fewer nothing is shrunk.

    Parameters
    ----------
    returns
        Shape (T, n), T >= 2.
    """
    rows, n = _checked(returns)
    means = returns.mean(axis=0)
    target = float(means.mean())
    spread = float(np.sum((means - target) ** 2))
    noise = max(n - 3, 0) * float(np.mean(np.var(returns, axis=0, ddof=1))) / rows
    intensity = 1.0 if spread <= noise and noise > 0.0 else noise / spread if spread > 0.0 else 0.0
    return ShrunkMeans(target + (1.0 - intensity) * (means - target), target, intensity)


def bayes_stein(returns: FloatArray, covariance: FloatArray) -> ShrunkMeans:
    r"""Shrink means towards that of the minimum-variance portfolio.

    .. math::
        \hat\mu = (1 - \phi) \bar r + \phi \mu_0 \mathbf 1, \quad
        \phi = \frac{n + 2}{(n + 2) + T (\bar r - \mu_0 \mathbf 1)^\top \Sigma^{-1} (\bar r - \mu_0 \mathbf 1)}

    Jorion, "Bayes-Stein estimation for portfolio analysis" (1986).

    Parameters
    ----------
    returns
        Shape (T, n).
    covariance
        Shape (n, n), per row, positive definite. Jorion's is the sample's times (T - 1) / (T - n - 2).
    """
    rows, n = _checked(returns)
    means = returns.mean(axis=0)
    inverse = np.linalg.solve(covariance, np.column_stack([np.ones(n), means]))
    target = float(inverse[:, 0] @ means / inverse[:, 0].sum())
    away = means - target
    distance = float(away @ (inverse[:, 1] - target * inverse[:, 0]))
    intensity = (n + 2.0) / (n + 2.0 + rows * distance)
    return ShrunkMeans(means - intensity * away, target, intensity)


def _checked(returns: FloatArray) -> tuple[int, int]:
    if returns.ndim != 2 or len(returns) < 2:
        raise ForecastError(f"shrunk means: returns of shape {returns.shape}, two rows needed")
    return returns.shape[0], returns.shape[1]
