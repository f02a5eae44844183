# SPDX-License-Identifier: Apache-2.0
"""Student-t tails."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray, RiskError, as_level, as_series

LEAST_FREEDOM, MOST_FREEDOM = 2.05, 200.0
"""Bounds of fitted degrees of freedom: a variance exists, and beyond the upper one the tails are normal."""


@dataclass(frozen=True, slots=True)
class StudentT:
    """A Student-t distribution of returns.

    Attributes
    ----------
    location, scale
        Of the returns; the standard deviation is ``scale * sqrt(freedom / (freedom - 2))``.
    freedom
        Degrees of freedom, above 1.
    """

    location: float
    scale: float
    freedom: float

    def __post_init__(self) -> None:
        """Refuse parameters without a mean.

        Raises
        ------
        RiskError
            When the scale is not positive or the degrees of freedom not above one.
        """
        if not (self.scale > 0.0 and self.freedom > 1.0):
            raise RiskError(f"{self}: the scale must be positive and the degrees of freedom above one")

    @property
    def deviation(self) -> float:
        """Standard deviation; infinite up to two degrees of freedom."""
        if self.freedom <= 2.0:
            return math.inf
        return self.scale * math.sqrt(self.freedom / (self.freedom - 2.0))

    def value_at_risk(self, level: float) -> float:
        """Loss that is exceeded with probability ``1 - level``."""
        from scipy.special import stdtrit

        return float(-self.location - self.scale * stdtrit(self.freedom, 1.0 - as_level(level)))

    def expected_shortfall(self, level: float) -> float:
        r"""Mean loss beyond the value at risk.

        .. math:: -\mu + \sigma \frac{f_\nu(q)}{1 - \alpha} \frac{\nu + q^2}{\nu - 1}

        McNeil, Frey and Embrechts, "Quantitative Risk Management" (2005), equation 2.27.
        """
        from scipy.special import stdtrit

        beyond = 1.0 - as_level(level)
        quantile = float(stdtrit(self.freedom, beyond))
        density = math.exp(_log_density(quantile, self.freedom))
        return -self.location + self.scale * density / beyond * (self.freedom + quantile**2) / (self.freedom - 1.0)

    def sample(self, size: int = 4_000) -> FloatArray:
        """Return equally likely quantiles, shape (size,), that stand for the distribution."""
        from scipy.special import stdtrit

        ranks = (np.arange(size) + 0.5) / size
        drawn: FloatArray = self.location + self.scale * stdtrit(self.freedom, ranks)
        return drawn


def fit_student(returns: ArrayLike, *, freedom: float | None = None) -> StudentT:
    """Fit by maximum likelihood.

    Location and scale by the expectation-maximisation iteration, which cannot fail, inside a search over the degrees
    of freedom.

    Parameters
    ----------
    returns
        Shape (T,), T >= 8, not all equal.
    freedom
        Held fixed where given.
    """
    from scipy.optimize import minimize_scalar

    values = as_series(returns, minimum=8)
    if np.ptp(values) == 0.0:
        raise RiskError("returns that do not vary have no distribution to fit")
    if freedom is not None:
        return _given(values, freedom)[0]
    found = minimize_scalar(
        lambda log_freedom: -_given(values, math.exp(log_freedom))[1],
        bounds=(math.log(LEAST_FREEDOM), math.log(MOST_FREEDOM)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return _given(values, math.exp(float(found.x)))[0]


def _given(values: FloatArray, freedom: float) -> tuple[StudentT, float]:
    """Location, scale and log-likelihood at given degrees of freedom."""
    location = float(np.median(values))
    variance = float(np.mean((values - location) ** 2)) * 0.5
    for _ in range(500):
        weights = (freedom + 1.0) / (freedom + (values - location) ** 2 / variance)
        moved = float(weights @ values / weights.sum())
        spread = float(weights @ (values - moved) ** 2 / values.size)
        done = abs(moved - location) <= 1e-12 * math.sqrt(spread) and abs(spread - variance) <= 1e-12 * spread
        location, variance = moved, spread
        if done:
            break
    scale = math.sqrt(variance)
    one = StudentT(location, scale, freedom)
    likelihood = float(np.sum(_log_density_array((values - location) / scale, freedom))) - values.size * math.log(scale)
    return one, likelihood


def _log_density(x: float, freedom: float) -> float:
    return _constant(freedom) - 0.5 * (freedom + 1.0) * math.log1p(x * x / freedom)


def _log_density_array(x: FloatArray, freedom: float) -> FloatArray:
    density: FloatArray = _constant(freedom) - 0.5 * (freedom + 1.0) * np.log1p(x * x / freedom)
    return density


def _constant(freedom: float) -> float:
    return math.lgamma(0.5 * (freedom + 1.0)) - math.lgamma(0.5 * freedom) - 0.5 * math.log(freedom * math.pi)
