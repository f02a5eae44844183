# SPDX-License-Identifier: Apache-2.0
"""Joint scenarios: a Student-t copula, which lets assets crash together, with margins of each asset's own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray, RiskError, as_matrix
from offchain.risk.tails.pareto import ParetoTail, fit_pareto

LEAST_FREEDOM, MOST_FREEDOM = 2.05, 60.0


class Margin(Protocol):
    """Distribution of one asset's returns."""

    def quantile(self, probability: FloatArray) -> FloatArray:
        """Return the returns not exceeded with given probabilities."""
        ...


@dataclass(frozen=True, eq=False)
class EmpiricalMargin:
    """The sample's own quantiles, with straight lines between them and Pareto tails beyond.

    Attributes
    ----------
    ordered
        Shape (T,), returns in ascending order.
    lower, upper
        Tails of the losses and of the gains; None leaves the sample's extremes as the worst and the best.
    """

    ordered: FloatArray
    lower: ParetoTail | None
    upper: ParetoTail | None

    def quantile(self, probability: FloatArray) -> FloatArray:
        """Return the returns not exceeded with given probabilities."""
        size = self.ordered.size
        grid = (np.arange(size) + 0.5) / size
        found: FloatArray = np.interp(probability, grid, self.ordered)
        if self.lower is not None:
            low = probability < self.lower.beyond
            found[low] = -self.lower.quantile(probability[low] / self.lower.beyond)
        if self.upper is not None:
            high = probability > 1.0 - self.upper.beyond
            found[high] = self.upper.quantile((1.0 - probability[high]) / self.upper.beyond)
        return found


@dataclass(frozen=True, eq=False)
class StudentCopula:
    """Dependence between assets.

    Attributes
    ----------
    correlation
        Shape (n, n), positive definite with ones on the diagonal.
    freedom
        Degrees of freedom; the fewer, the more often assets have their extremes together.
    """

    correlation: FloatArray
    freedom: float

    def draw(self, count: int, seed: int = 0) -> FloatArray:
        """Draw ranks.

        Returns
        -------
        FloatArray
            Shape (count, n), uniform in each column; the same arguments give the same ranks.
        """
        from scipy.special import stdtr

        rng = np.random.default_rng(seed)
        normal = rng.standard_normal((count, len(self.correlation))) @ np.linalg.cholesky(self.correlation).T
        mixing = np.sqrt(self.freedom / rng.chisquare(self.freedom, count))
        ranks: FloatArray = np.clip(stdtr(self.freedom, normal * mixing[:, None]), 1e-12, 1.0 - 1e-12)
        return ranks

    def tail_dependence(self) -> FloatArray:
        r"""Return the probability that one asset is in its extreme tail given that another is, shape (n, n).

        .. math:: 2 \, t_{\nu+1} \left( -\sqrt{\frac{(\nu + 1)(1 - \rho)}{1 + \rho}} \right)
        """
        from scipy.special import stdtr

        ratio = (self.freedom + 1.0) * (1.0 - self.correlation) / (1.0 + self.correlation)
        chance: FloatArray = 2.0 * stdtr(self.freedom + 1.0, -np.sqrt(np.maximum(ratio, 0.0)))
        return chance


@dataclass(frozen=True, eq=False)
class JointScenarios:
    """A fitted joint distribution of returns.

    Attributes
    ----------
    copula
        Dependence.
    margins
        One an asset.
    """

    copula: StudentCopula
    margins: tuple[Margin, ...]

    def draw(self, count: int, seed: int = 0) -> FloatArray:
        """Draw returns.

        Returns
        -------
        FloatArray
            Shape (count, n), not below -1; the same arguments give the same returns.
        """
        ranks = self.copula.draw(count, seed)
        columns = [margin.quantile(ranks[:, at]) for at, margin in enumerate(self.margins)]
        drawn: FloatArray = np.maximum(np.column_stack(columns), -1.0)
        return drawn


def fit_copula(returns: ArrayLike) -> StudentCopula:
    r"""Fit the dependence of returns whatever their margins.

    Correlations from Kendall's rank correlation, :math:`\rho = \sin(\pi \tau / 2)`, made positive definite; degrees
    of freedom by maximum likelihood of the ranks (McNeil, Frey and Embrechts 2005, section 5.5).

    Parameters
    ----------
    returns
        Shape (T, n), T >= 20, no column without variation.
    """
    from scipy.optimize import minimize_scalar
    from scipy.stats import kendalltau, rankdata

    values = as_matrix(returns, minimum=20)
    still = np.flatnonzero(np.ptp(values, axis=0) == 0.0)
    if still.size:
        raise RiskError(f"column {int(still[0])} of the returns does not vary")
    count = values.shape[1]
    correlation = np.eye(count)
    for i in range(count):
        for j in range(i):
            tau = float(kendalltau(values[:, i], values[:, j]).statistic)
            correlation[i, j] = correlation[j, i] = math.sin(0.5 * math.pi * tau)
    correlation = _positive_definite(correlation)
    ranks = rankdata(values, axis=0) / (values.shape[0] + 1.0)
    if count == 1:
        return StudentCopula(correlation, MOST_FREEDOM)
    found = minimize_scalar(
        lambda log_freedom: -copula_likelihood(ranks, correlation, math.exp(log_freedom)),
        bounds=(math.log(LEAST_FREEDOM), math.log(MOST_FREEDOM)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return StudentCopula(correlation, math.exp(float(found.x)))


def copula_likelihood(ranks: FloatArray, correlation: FloatArray, freedom: float) -> float:
    """Log-likelihood of a t copula.

    Parameters
    ----------
    ranks
        Shape (T, n), inside (0, 1).
    correlation
        Shape (n, n).
    freedom
        Degrees of freedom.
    """
    from scipy.special import gammaln, stdtrit

    size, count = ranks.shape
    x = stdtrit(freedom, ranks)
    factor = np.linalg.cholesky(correlation)
    whitened = np.linalg.solve(factor, x.T)
    joint = np.log1p(np.sum(whitened**2, axis=0) / freedom).sum() * -0.5 * (freedom + count)
    single = np.log1p(x**2 / freedom).sum() * -0.5 * (freedom + 1.0)
    constant = (
        gammaln(0.5 * (freedom + count))
        + (count - 1) * gammaln(0.5 * freedom)
        - count * gammaln(0.5 * (freedom + 1.0))
        - np.log(np.diag(factor)).sum()
    )
    return float(size * constant + joint - single)


def fit_joint(returns: ArrayLike, *, tail: float | None = 0.1) -> JointScenarios:
    """Fit copula and margins.

    Parameters
    ----------
    returns
        Shape (T, n).
    tail
        Fraction of each side that gets a Pareto tail; None for the sample's quantiles alone.
    """
    values = as_matrix(returns, minimum=20)
    margins = []
    for column in values.T:
        tails = (
            (fit_pareto(column, threshold_level=1.0 - tail), fit_pareto(-column, threshold_level=1.0 - tail))
            if (tail is not None)
            else (None, None)
        )
        margins.append(EmpiricalMargin(np.sort(column), *tails))
    return JointScenarios(fit_copula(values), tuple(margins))


def _positive_definite(correlation: FloatArray) -> FloatArray:
    """Raise eigenvalues to a thousandth and scale the diagonal back to ones."""
    values, vectors = np.linalg.eigh(correlation)
    if values[0] > 1e-3:
        return correlation
    raised = (vectors * np.maximum(values, 1e-3)) @ vectors.T
    width = np.sqrt(np.diag(raised))
    mended: FloatArray = raised / np.outer(width, width)
    return mended
