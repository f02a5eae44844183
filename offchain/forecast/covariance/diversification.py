# SPDX-License-Identifier: Apache-2.0
"""How many independent bets a portfolio is, and how large a weight may grow before it is too few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offchain.forecast.covariance.definite import correlation_of, positive_definite
from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray


def diversification_ratio(weights: FloatArray, covariance: FloatArray) -> float:
    r"""Weighted mean of the volatilities by the portfolio's volatility.

    .. math:: \frac{|w|^\top \sigma}{\sqrt{w^\top \Sigma w}}

    1 for a single asset; its square is a number of independent assets: Choueifaty and Coignard, "Toward maximum
    diversification" (2008).

    Raises
    ------
    ForecastError
        When the portfolio has no variance.
    """
    variance = float(weights @ covariance @ weights)
    if not variance > 0.0:
        raise ForecastError("diversification ratio: the portfolio has no variance")
    return float(np.abs(weights) @ np.sqrt(np.diag(covariance)) / np.sqrt(variance))


def minimum_torsion(covariance: FloatArray) -> FloatArray:
    r"""The linear map to uncorrelated factors that stay closest to the assets: shape (n, n).

    Of all uncorrelated factors :math:`f = T r`, those with the least :math:`\sum_i \operatorname{Var}[(f_i - r_i) /
    \sigma_i]`. Meucci, Santangelo and Deguest, "Risk budgeting
    and diversification based on optimized uncorrelated factors" (2015), whose recursion is followed.
    """
    correlation = correlation_of(covariance)
    deviations = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(positive_definite(correlation))
    root = (vectors * np.sqrt(values)) @ vectors.T
    scale = np.ones(len(root))
    for _ in range(1_000):
        values, vectors = np.linalg.eigh((scale[:, None] * root) @ (root * scale))
        turn = (vectors / np.sqrt(values)) @ vectors.T @ (scale[:, None] * root)
        fresh = np.diag(turn @ root)
        done = np.abs(fresh - scale).max() < 1e-12
        scale = fresh
        if done:
            break
    torsion: FloatArray = (scale[:, None] * turn) @ np.linalg.inv(root)
    result: FloatArray = deviations[:, None] * torsion / deviations[None, :]
    return result


def bet_shares(weights: FloatArray, covariance: FloatArray, *, principal: bool = False) -> FloatArray:
    """Share of the variance that each uncorrelated bet brings: shape (n,), not negative, summing to one.

    Parameters
    ----------
    principal
        Bets are principal components instead of `minimum_torsion` factors; they need not look like any asset.

    Raises
    ------
    ForecastError
        When the portfolio has no variance, or an asset has none (leave it out: it is no bet).
    """
    variance = float(weights @ covariance @ weights)
    if not variance > 0.0 or not (np.diag(covariance) > 0.0).all():
        raise ForecastError("bets: the portfolio and each of its assets must have variance; leave out what has none")
    if principal:
        values, vectors = np.linalg.eigh(covariance)
        parts = np.maximum(values, 0.0) * (vectors.T @ weights) ** 2
    else:
        torsion = minimum_torsion(covariance)
        exposures = np.linalg.solve(torsion.T, weights)
        parts = exposures**2 * np.diag(torsion @ covariance @ torsion.T)
    shares: FloatArray = parts / parts.sum()
    return shares


def effective_bets(weights: FloatArray, covariance: FloatArray, *, principal: bool = False) -> float:
    r"""Effective number of bets: :math:`\exp(-\sum_i p_i \ln p_i)` over `bet_shares`, between 1 and n."""
    shares = bet_shares(weights, covariance, principal=principal)
    positive = shares[shares > 0.0]
    return float(np.exp(-positive @ np.log(positive)))


@dataclass(frozen=True, eq=False)
class ConcentrationLimit:
    """Largest weight of each asset at which the portfolio still is as many bets as asked for.

    Attributes
    ----------
    caps
        Shape (n,), between the benchmark's weight and 1.
    bets
        Effective number of bets of the benchmark.
    fewest
        Number asked for.
    """

    caps: FloatArray
    bets: float
    fewest: float


def concentration_limit(benchmark: FloatArray, covariance: FloatArray, fewest: float) -> ConcentrationLimit:
    """Raise one asset at a time at the others' expense, pro rata, until too few bets are left.

    Parameters
    ----------
    benchmark
        Shape (n,): weights to start from, not negative, summing to one.
    covariance
        Shape (n, n), each asset with variance.
    fewest
        Effective bets that must remain.

    Raises
    ------
    ForecastError
        When the benchmark itself is fewer bets than that.
    """
    bets = effective_bets(benchmark, covariance)
    if bets < fewest:
        raise ForecastError(f"concentration: the benchmark is {bets:.2f} bets, {fewest:g} asked for; ask for less")
    torsion = minimum_torsion(covariance)
    inverse = np.linalg.inv(torsion.T)
    sizes = np.diag(torsion @ covariance @ torsion.T)

    def bets_at(index: int, weight: float) -> float:
        moved = benchmark * (1.0 - weight) / (1.0 - benchmark[index])
        moved[index] = weight
        parts = (inverse @ moved) ** 2 * sizes
        shares = parts[parts > 0.0] / parts.sum()
        return float(np.exp(-shares @ np.log(shares)))

    caps = np.ones(len(benchmark))
    for index, start in enumerate(benchmark):
        if start >= 1.0 or bets_at(index, 1.0) >= fewest:
            continue
        # Bets may rise at first; the cap is the first crossing on a fine grid, then refined.
        grid = np.linspace(start, 1.0, 201)
        over = np.flatnonzero([bets_at(index, weight) < fewest for weight in grid])
        low, high = float(grid[over[0] - 1]) if over[0] else float(start), float(grid[over[0]])
        for _ in range(50):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if bets_at(index, middle) >= fewest else (low, middle)
        caps[index] = low
    return ConcentrationLimit(caps, bets, fewest)
