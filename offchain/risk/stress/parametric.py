# SPDX-License-Identifier: Apache-2.0
"""Shocks that have not happened yet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray, RiskError, as_matrix, as_series


def shock(symbols: Sequence[str], falls: Mapping[str, float], others: float = 0.0) -> FloatArray:
    """Return chosen returns for chosen assets and one for all others, shape (n,).

    Parameters
    ----------
    falls
        Simple returns by symbol, such as ``{"USDC": -0.12}`` for a depeg.

    Raises
    ------
    RiskError
        When a symbol is not among the assets or a return below minus one.
    """
    unknown = sorted(set(falls) - set(symbols))
    if unknown:
        raise RiskError(f"the shock names {', '.join(unknown)}, which is not among {', '.join(symbols)}")
    returns = np.array([falls.get(symbol, others) for symbol in symbols])
    if np.any(returns < -1.0):
        raise RiskError(f"a return of {returns.min()} loses more than everything")
    return returns


def volatility_shock(covariance: ArrayLike, deviations: float, horizon_days: float) -> FloatArray:
    r"""Return the fall of every asset at once by a number of its own standard deviations, shape (n,).

    .. math:: r_i = e^{-k \sigma_i \sqrt h} - 1

    Parameters
    ----------
    covariance
        Shape (n, n), per year of 365 days.
    """
    matrix = as_matrix(covariance, "covariance")
    returns: FloatArray = np.expm1(-deviations * np.sqrt(np.diag(matrix) * horizon_days / 365.0))
    return returns


def worst_case(weights: ArrayLike, covariance: ArrayLike, deviations: float, horizon_days: float) -> FloatArray:
    r"""Return the most damaging returns that are as likely as a move of so many standard deviations, shape (n,).

    .. math:: r = -k \sqrt h \, \frac{\Sigma w}{\sqrt{w^\top \Sigma w}}

    The minimum of :math:`w^\top r` over the ellipsoid :math:`r^\top \Sigma^{-1} r \le k^2 h`.

    Parameters
    ----------
    weights
        Shape (n,), fractions of value.
    covariance
        Shape (n, n), per year of 365 days.
    """
    held, matrix = as_series(weights, "weights"), as_matrix(covariance, "covariance")
    if matrix.shape != (held.size, held.size):
        raise RiskError(f"{held.size} weights and a covariance of shape {matrix.shape}")
    variance = float(held @ matrix @ held)
    if variance <= 0.0:
        return np.zeros(held.size)
    returns: FloatArray = -deviations * math.sqrt(horizon_days / 365.0 / variance) * (matrix @ held)
    return returns


def stressed_covariance(covariance: ArrayLike, *, correlation: float = 0.0, volatility: float = 1.0) -> FloatArray:
    r"""Return a covariance with correlations moved towards one and volatilities multiplied, shape (n, n).

    .. math:: \Sigma' = m^2 D [(1 - c) C + c \, 1 1^\top] D

    which stays positive semidefinite. In crashes correlations go up: the diversification that a calm covariance
    promises is what is missing then.

    Parameters
    ----------
    covariance
        Shape (n, n), with positive diagonal.
    correlation
        c between 0 (as it is) and 1 (everything moves as one).
    volatility
        m, positive.

    Raises
    ------
    RiskError
        When a parameter is out of range.
    """
    matrix = as_matrix(covariance, "covariance")
    if not (0.0 <= correlation <= 1.0 and volatility > 0.0 and np.all(np.diag(matrix) > 0.0)):
        raise RiskError("correlation must lie in [0, 1], volatility and variances be positive")
    deviations = np.sqrt(np.diag(matrix))
    stressed: FloatArray = volatility**2 * (
        (1.0 - correlation) * matrix + correlation * np.outer(deviations, deviations)
    )
    return stressed
