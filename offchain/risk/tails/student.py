# SPDX-License-Identifier: Apache-2.0
"""Student-t tails."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray, RiskError, as_level, as_series
from offchain.risk.compiled import compiled

LEAST_FREEDOM, MOST_FREEDOM = 2.05, 200.0
"""Bounds of fitted degrees of freedom: a variance exists, and beyond the upper one the tails are normal."""
MOST_STEPS = 2_000
LEAST_SHARE = 1e-16
"""Of the sample variance, below which the squared scale is not taken."""


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
    location, variance, logarithms = _expectation_maximisation(
        values, freedom, location, variance, LEAST_SHARE * variance
    )
    likelihood = values.size * (_constant(freedom) - 0.5 * math.log(variance)) - 0.5 * (freedom + 1.0) * logarithms
    return StudentT(location, math.sqrt(variance), freedom), likelihood


@compiled
def _expectation_maximisation(
    values: FloatArray, freedom: float, location: float, variance: float, least: float
) -> tuple[float, float, float]:
    """Location and squared scale, and the sum of ln(1 + x^2 / freedom) over standardised values."""
    for _ in range(MOST_STEPS):
        weight = weighted = 0.0
        for value in values:
            one = (freedom + 1.0) / (freedom + (value - location) ** 2 / variance)
            weight += one
            weighted += one * value
        moved = weighted / weight
        spread = 0.0
        for value in values:
            one = (freedom + 1.0) / (freedom + (value - location) ** 2 / variance)
            spread += one * (value - moved) ** 2
        # Dividing by the weights instead of the count has the same fixed point and gets there sooner.
        # Where most values are equal the likelihood has no maximum: the scale would shrink to nothing.
        spread = max(spread / weight, least)
        done = abs(moved - location) <= 1e-12 * math.sqrt(spread) and abs(spread - variance) <= 1e-12 * spread
        location, variance = moved, spread
        if done:
            break
    logarithms = 0.0
    for value in values:
        logarithms += math.log(1.0 + (value - location) ** 2 / (variance * freedom))
    return location, variance, logarithms


def _log_density(x: float, freedom: float) -> float:
    return _constant(freedom) - 0.5 * (freedom + 1.0) * math.log1p(x * x / freedom)


def _constant(freedom: float) -> float:
    return math.lgamma(0.5 * (freedom + 1.0)) - math.lgamma(0.5 * freedom) - 0.5 * math.log(freedom * math.pi)
