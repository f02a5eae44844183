# SPDX-License-Identifier: Apache-2.0
"""Tails beyond a threshold: the generalised Pareto distribution of exceedances."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray, RiskError, as_level, as_series

FEWEST_EXCEEDANCES = 10


@dataclass(frozen=True, slots=True)
class ParetoTail:
    r"""Losses beyond a threshold u.

    .. math:: P(L > x) = p_u \left( 1 + \xi \frac{x - u}{\beta} \right)^{-1/\xi}, \quad x \ge u

    Attributes
    ----------
    threshold
        u, a loss.
    shape, scale
        xi and beta; a positive shape is a power tail with exponent 1 / xi.
    beyond
        p_u, the fraction of losses beyond the threshold.
    exceedances
        How many losses the fit had.
    """

    threshold: float
    shape: float
    scale: float
    beyond: float
    exceedances: int

    def value_at_risk(self, level: float) -> float:
        """Loss exceeded with probability ``1 - level``.

        Raises
        ------
        RiskError
            When the level lies below the threshold, where the tail says nothing.
        """
        ratio = (1.0 - as_level(level)) / self.beyond
        if ratio > 1.0:
            raise RiskError(f"level {level} lies below the threshold's {1.0 - self.beyond:.4g}; take a lower threshold")
        if abs(self.shape) < 1e-9:
            return self.threshold - self.scale * math.log(ratio)
        return self.threshold + self.scale / self.shape * math.expm1(-self.shape * math.log(ratio))

    def expected_shortfall(self, level: float) -> float:
        r"""Mean loss beyond the value at risk, :math:`(q + \beta - \xi u) / (1 - \xi)`; infinite from shape one on.

        McNeil and Frey, "Estimation of tail-related risk measures for heteroscedastic financial time series" (2000).
        """
        quantile = self.value_at_risk(level)
        if self.shape >= 1.0:
            return math.inf
        return (quantile + self.scale - self.shape * self.threshold) / (1.0 - self.shape)

    def quantile(self, exceedance: FloatArray) -> FloatArray:
        """Return losses whose probability of being exceeded, given they are beyond the threshold, is given."""
        if abs(self.shape) < 1e-9:
            excess: FloatArray = -self.scale * np.log(exceedance)
        else:
            excess = self.scale / self.shape * np.expm1(-self.shape * np.log(exceedance))
        return self.threshold + excess


def fit_pareto(returns: ArrayLike, *, threshold_level: float = 0.9) -> ParetoTail:
    """Fit the tail of losses by maximum likelihood.

    The likelihood is profiled on one parameter (Grimshaw 1993), whose best value is searched from many starts, so
    that there is an answer for every sample with enough exceedances.

    Parameters
    ----------
    returns
        Shape (T,); losses are their negatives.
    threshold_level
        Quantile of the losses taken as threshold.

    Raises
    ------
    RiskError
        On fewer than ten exceedances.
    """
    losses = np.sort(-as_series(returns))
    count = int(losses.size * (1.0 - as_level(threshold_level, "threshold_level")) + 1e-9)
    if count < FEWEST_EXCEEDANCES:
        raise RiskError(
            f"{count} losses of {losses.size} are beyond the threshold at {threshold_level}, {FEWEST_EXCEEDANCES} "
            "needed: take more returns or a lower threshold"
        )
    threshold = float(losses[-count - 1]) if count < losses.size else float(losses[0])
    excess = losses[-count:] - threshold
    shape, scale = _fit_excess(excess[excess > 0.0])
    return ParetoTail(threshold, shape, scale, count / losses.size, count)


def _fit_excess(excess: FloatArray) -> tuple[float, float]:
    from scipy.optimize import minimize_scalar

    if excess.size < FEWEST_EXCEEDANCES:
        raise RiskError("too many losses equal the threshold; the tail has no shape")
    mean, largest = float(excess.mean()), float(excess.max())

    # For theta = xi / beta the best xi is the mean of ln(1 + theta x).
    def loss(theta: float) -> float:
        if abs(theta) < 1e-12 / mean:
            return math.log(mean) + 1.0
        shape = float(np.mean(np.log1p(theta * excess)))
        return math.log(shape / theta) + shape + 1.0

    least = -(1.0 - 1e-6) / largest
    grid = np.concatenate([np.linspace(0.9 * least, 0.0, 40)[:-1], np.geomspace(1e-6, 1e3, 120) / mean])
    # A shape below minus a half has no regular likelihood; the density at the end point would decide alone.
    shapes = np.log1p(np.multiply.outer(grid, excess)).mean(axis=1)
    usable = (shapes > -0.5) & (np.abs(grid) > 1e-12 / mean)
    values = np.full(grid.size, math.inf)
    values[usable] = np.log(shapes[usable] / grid[usable]) + shapes[usable] + 1.0
    best = int(np.argmin(values))
    left, right = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    found = minimize_scalar(loss, bounds=(left, right), method="bounded", options={"xatol": 1e-10 / mean})
    theta = float(found.x)
    if abs(theta) < 1e-9 / mean:
        return 0.0, mean
    shape = float(np.mean(np.log1p(theta * excess)))
    return shape, shape / theta


def hill(returns: ArrayLike, count: int) -> float:
    """Tail index of losses: the inverse of the mean log excess over the (count + 1)-th largest (Hill 1975).

    Parameters
    ----------
    count
        Largest losses used; the next one must be positive.
    """
    losses = np.sort(-as_series(returns, minimum=count + 1))[::-1]
    if count < 1 or losses[count] <= 0.0:
        raise RiskError(f"the {count + 1} largest losses must be positive, and at least one used")
    return 1.0 / float(np.mean(np.log(losses[:count] / losses[count])))
