# SPDX-License-Identifier: Apache-2.0
"""Filtered historical simulation: the past's surprises at today's volatility."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray, RiskError, as_level, as_series
from offchain.risk.compiled import compiled
from offchain.risk.measures.tail import expected_shortfall, value_at_risk

RISKMETRICS_DECAY = 0.94


@dataclass(frozen=True, slots=True)
class VolatilityRecursion:
    r"""How a period's surprise moves the next period's variance.

    .. math:: h_{t+1} = \omega + (\alpha + \gamma 1_{r_t < \mu}) (r_t - \mu)^2 + \beta h_t

    GARCH(1,1), GJR with gamma, and exponential smoothing with omega zero and beta one minus alpha.

    Attributes
    ----------
    omega, alpha, beta, gamma
        Per period; none negative.
    mean
        Of the returns, mu.
    """

    omega: float
    alpha: float
    beta: float
    gamma: float = 0.0
    mean: float = 0.0

    def __post_init__(self) -> None:
        """Refuse negative parameters.

        Raises
        ------
        RiskError
            Naming them.
        """
        if min(self.omega, self.alpha, self.beta, self.alpha + self.gamma) < 0.0:
            raise RiskError(f"{self}: a variance recursion has no negative parameters")

    def volatility(self, returns: ArrayLike, start: float) -> FloatArray:
        """Return the volatility expected for each period before it began, and for the one after the last.

        Parameters
        ----------
        returns
            Shape (T,).
        start
            Volatility expected for the first period.

        Returns
        -------
        FloatArray
            Shape (T + 1,).
        """
        values = as_series(returns)
        variance = np.empty(values.size + 1)
        variance[0] = start * start
        for t, value in enumerate(values):
            variance[t + 1] = self.next_variance(float(variance[t]), float(value))
        expected: FloatArray = np.sqrt(variance)
        return expected

    def next_variance(self, variance: float, value: float) -> float:
        """Return the next period's variance after a return."""
        surprise = value - self.mean
        reaction = self.alpha + (self.gamma if surprise < 0.0 else 0.0)
        return self.omega + reaction * surprise * surprise + self.beta * variance


def smoothing(decay: float = RISKMETRICS_DECAY) -> VolatilityRecursion:
    """Return exponential smoothing, as RiskMetrics does with 0.94 a day."""
    return VolatilityRecursion(0.0, 1.0 - as_level(decay, "decay"), decay)


def smoothed_volatility(returns: ArrayLike, decay: float = RISKMETRICS_DECAY) -> FloatArray:
    r"""Volatility expected for each period from the returns before it, and for the one after the last.

    .. math:: h_t = \frac{\sum_{k \ge 1} \lambda^{k-1} r_{t-k}^2}{\sum_{k \ge 1} \lambda^{k-1}}

    Weights that add up to one from the first return on, so that no start has to be guessed from later ones.

    Returns
    -------
    FloatArray
        Shape (T + 1,); NaN first, before any return was seen.
    """
    squares = as_series(returns) ** 2
    keep = as_level(decay, "decay")
    variance = np.full(squares.size + 1, np.nan)
    total = weight = 0.0
    for t, square in enumerate(squares):
        total, weight = keep * total + float(square), keep * weight + 1.0
        variance[t + 1] = total / weight
    expected: FloatArray = np.sqrt(variance)
    return expected


def standardised(returns: ArrayLike, volatility: ArrayLike, mean: float = 0.0) -> FloatArray:
    """Return what each period surprised with, in units of the volatility expected before it.

    Parameters
    ----------
    returns
        Shape (T,).
    volatility
        Shape (T,) or (T + 1,); periods before the first number are left out.

    Returns
    -------
    FloatArray
        Shape (at most T,).

    Raises
    ------
    RiskError
        When shapes do not match, or a volatility is not positive after the first that is there.
    """
    values = as_series(returns)
    expected = np.asarray(volatility, dtype=np.float64)[: values.size]
    if expected.shape != values.shape:
        raise RiskError(f"{values.size} returns and volatilities of shape {expected.shape}")
    first = int(np.argmax(np.isfinite(expected) & (expected > 0.0)))
    expected = expected[first:]
    if not np.all(expected > 0.0):
        raise RiskError(f"volatility[{first + int(np.argmin(expected > 0.0))}] is not positive")
    surprise: FloatArray = (values[first:] - mean) / expected
    return surprise


@dataclass(frozen=True, eq=False)
class Scenarios:
    """Returns over a horizon.

    Attributes
    ----------
    returns
        Shape (m,), simple or logarithmic as the inputs were; over several periods they are compounded as simple.
    """

    returns: FloatArray

    def value_at_risk(self, level: float) -> float:
        """Loss exceeded with probability ``1 - level``."""
        return value_at_risk(self.returns, level)

    def expected_shortfall(self, level: float) -> float:
        """Mean of the worst losses."""
        return expected_shortfall(self.returns, level)


def filtered_scenarios(
    surprises: ArrayLike,
    volatility: float,
    recursion: VolatilityRecursion,
    *,
    horizon: int = 1,
    count: int = 10_000,
    seed: int = 0,
) -> Scenarios:
    """Simulate a horizon by drawing past surprises and letting volatility react to them.

    Barone-Adesi, Giannopoulos and Vosper (1999). Over one period every surprise is used once, without drawing.

    Parameters
    ----------
    surprises
        Shape (k,), as `standardised` gives them.
    volatility
        Expected for the first period.
    recursion
        How volatility goes on, and the mean.
    horizon
        In periods.
    count
        Scenarios for a horizon of several periods.
    seed
        The same arguments give the same scenarios.
    """
    pool = as_series(surprises, "surprises", minimum=2)
    if horizon < 1 or not volatility > 0.0:
        raise RiskError(f"horizon {horizon} and volatility {volatility} must be positive")
    if horizon == 1:
        return Scenarios(recursion.mean + volatility * pool)
    draws = np.random.default_rng(seed).integers(0, pool.size, (count, horizon))
    r = recursion
    returns = _simulate(pool[draws], volatility**2, r.omega, r.alpha, r.beta, r.gamma, r.mean)
    return Scenarios(returns)


@compiled
def _simulate(
    z: FloatArray, variance: float, omega: float, alpha: float, beta: float, gamma: float, mean: float
) -> FloatArray:
    out = np.empty(z.shape[0])
    for i in range(z.shape[0]):
        h, grown = variance, 1.0
        for t in range(z.shape[1]):
            surprise = math.sqrt(h) * z[i, t]
            grown *= max(1.0 + mean + surprise, 0.0)
            h = omega + (alpha + (gamma if surprise < 0.0 else 0.0)) * surprise * surprise + beta * h
        out[i] = grown - 1.0
    return out
