# SPDX-License-Identifier: Apache-2.0
"""The SVI smile of one expiry: raw and jump-wing parameters, and the test for butterfly arbitrage."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray
from offchain.risk.options.errors import OptionError

CLOSEST, ZOOMS = 3, 3
"""Places at which two slices are compared more closely, and how often by a factor of fifty."""


@dataclass(frozen=True, slots=True)
class JumpWings:
    """Gatheral and Jacquier's jump-wing parameters of a slice.

    Attributes
    ----------
    v
        At-the-money variance per year.
    psi
        At-the-money skew.
    p, c
        Slopes of the left and the right wing.
    v_low
        Lowest variance per year.
    """

    v: float
    psi: float
    p: float
    c: float
    v_low: float

    def repaired(self) -> JumpWings:
        """Return the slice with the same level, skew and left wing that has no butterfly arbitrage.

        Gatheral and Jacquier, "Arbitrage-free SVI volatility surfaces" (2014), section 5.1: the call wing becomes
        ``p + 2 psi`` and the lowest variance ``4 v p c / (p + c)^2``, which makes it an SSVI slice.
        """
        call = self.p + 2.0 * self.psi
        return JumpWings(self.v, self.psi, self.p, call, self.v * 4.0 * self.p * call / (self.p + call) ** 2)


@dataclass(frozen=True, slots=True)
class RawSvi:
    r"""Total implied variance as a function of log-moneyness.

    .. math:: w(k) = a + b [\rho (k - m) + \sqrt{(k - m)^2 + \sigma^2}], \quad k = \ln(K / F)

    Gatheral (2004). Total variance is squared volatility times years.
    """

    a: float
    b: float
    rho: float
    m: float
    sigma: float

    def __post_init__(self) -> None:
        """Refuse parameters that are no smile.

        Raises
        ------
        OptionError
            When b is negative, rho not inside (-1, 1), sigma not positive, or the lowest variance negative.
        """
        if not (self.b >= 0.0 and abs(self.rho) < 1.0 and self.sigma > 0.0):
            raise OptionError(f"{self}: b must not be negative, rho lie inside (-1, 1) and sigma be positive")
        if not self.lowest >= 0.0:
            raise OptionError(f"{self}: the lowest total variance {self.lowest} is negative")

    @property
    def lowest(self) -> float:
        """Lowest total variance."""
        return self.a + self.b * self.sigma * math.sqrt(1.0 - self.rho**2)

    def total_variance(self, log_moneyness: ArrayLike) -> FloatArray:
        """Return w(k), of the argument's shape."""
        return self._derivatives(log_moneyness)[0]

    def slopes(self, log_moneyness: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return the first and second derivative of w by k."""
        _, first, second = self._derivatives(log_moneyness)
        return first, second

    def volatility(self, log_moneyness: ArrayLike, expiry_years: float) -> FloatArray:
        """Return the implied volatility per year."""
        volatility: FloatArray = np.sqrt(self.total_variance(log_moneyness) / expiry_years)
        return volatility

    def butterfly(self, log_moneyness: ArrayLike) -> FloatArray:
        r"""Return Durrleman's g, which is negative exactly where the slice admits a butterfly arbitrage.

        .. math:: g = (1 - \frac{k w'}{2 w})^2 - \frac{w'^2}{4} (\frac1w + \frac14) + \frac{w''}{2}
        """
        k = np.asarray(log_moneyness, dtype=np.float64)
        w, first, second = self._derivatives(k)
        g: FloatArray = (1.0 - 0.5 * k * first / w) ** 2 - 0.25 * first**2 * (1.0 / w + 0.25) + 0.5 * second
        return g

    def lowest_butterfly(self) -> tuple[float, float]:
        """Return the lowest g over all log-moneynesses and where it is.

        Searched on a grid that widens away from the vertex and refined around its lowest point; the limits of the
        wings, ``1/4 - slope^2 / 16``, count too.
        """
        from scipy.optimize import minimize_scalar

        # The grid reaches a log-moneyness of at least 50 on either side, where g has settled to its limits.
        reach = math.asinh(50.0 / self.sigma + abs(self.m) / self.sigma)
        grid = self.m + self.sigma * np.sinh(np.linspace(-reach, reach, 4_001))
        values = self.butterfly(grid)
        at = int(np.argmin(values))
        left, right = grid[max(at - 1, 0)], grid[min(at + 1, grid.size - 1)]
        found = minimize_scalar(
            lambda k: float(self.butterfly(k)), bounds=(left, right), method="bounded", options={"xatol": 1e-10}
        )
        lowest, where = min((float(values[at]), float(grid[at])), (float(found.fun), float(found.x)))
        for side in (-1.0, 1.0):
            limit = 0.25 - (self.b * (1.0 + side * self.rho)) ** 2 / 16.0
            lowest, where = min((lowest, where), (limit, side * math.inf))
        return lowest, where

    def jump_wings(self, expiry_years: float) -> JumpWings:
        """Return the jump-wing parameters."""
        radius = math.hypot(self.m, self.sigma)
        at_the_money = self.a + self.b * (radius - self.rho * self.m)
        root = math.sqrt(at_the_money)
        return JumpWings(
            v=at_the_money / expiry_years,
            psi=0.5 * self.b / root * (self.rho - self.m / radius),
            p=self.b * (1.0 - self.rho) / root,
            c=self.b * (1.0 + self.rho) / root,
            v_low=self.lowest / expiry_years,
        )

    def _derivatives(self, log_moneyness: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
        x = np.asarray(log_moneyness, dtype=np.float64) - self.m
        radius = np.sqrt(x * x + self.sigma**2)
        return (
            self.a + self.b * (self.rho * x + radius),
            self.b * (self.rho + x / radius),
            self.b * self.sigma**2 / radius**3,
        )


def lowest_calendar(earlier: RawSvi, later: RawSvi) -> float:
    """Return the lowest difference of total variance over all log-moneynesses; negative where a calendar spread pays.

    Minus infinity when a wing of the earlier slice is steeper, so that it must cross somewhere.
    """
    for side in (-1.0, 1.0):
        if later.b * (1.0 + side * later.rho) < earlier.b * (1.0 + side * earlier.rho) * (1.0 - 1e-12):
            return -math.inf
    grids = []
    for one in (earlier, later):
        reach = math.asinh(50.0 / one.sigma + abs(one.m) / one.sigma)
        grids.append(one.m + one.sigma * np.sinh(np.linspace(-reach, reach, 2_001)))
    k = np.sort(np.concatenate(grids))
    gaps = later.total_variance(k) - earlier.total_variance(k)
    lowest = float(np.min(gaps))
    inner = np.flatnonzero((gaps[1:-1] <= gaps[:-2]) & (gaps[1:-1] <= gaps[2:])) + 1
    # Slices may touch between two points of the grid: look closer where the gap is least around.
    for at in inner[np.argsort(gaps[inner])[:CLOSEST]]:
        left, right = k[at - 1], k[at + 1]
        for _ in range(ZOOMS):
            near = np.linspace(left, right, 101)
            close = later.total_variance(near) - earlier.total_variance(near)
            best = int(np.argmin(close))
            lowest = min(lowest, float(close[best]))
            left, right = near[max(best - 1, 0)], near[min(best + 1, 100)]
    return lowest


def from_jump_wings(wings: JumpWings, expiry_years: float) -> RawSvi:
    """Return the raw parameters of jump-wing ones (Gatheral and Jacquier 2014, lemma 3.2).

    Raises
    ------
    OptionError
        When no slice has them.
    """
    w = wings.v * expiry_years
    root = math.sqrt(w)
    b = 0.5 * root * (wings.c + wings.p)
    if b <= 0.0:
        raise OptionError(f"{wings}: both wings are flat")
    rho = 1.0 - wings.p * root / b
    beta = rho - 2.0 * wings.psi * root / b
    if not abs(beta) <= 1.0:
        raise OptionError(f"{wings}: the skew lies outside its wings")
    if beta == 0.0:
        if rho == 0.0:
            raise OptionError(f"{wings}: without skew and tilt every vertex is possible or none")
        m = 0.0
        sigma = (w - wings.v_low * expiry_years) / (b * (1.0 - math.sqrt(1.0 - rho**2)))
    else:
        alpha = math.copysign(math.sqrt(1.0 / beta**2 - 1.0), beta)
        spread = math.copysign(math.sqrt(1.0 + alpha**2), alpha)
        m = (wings.v - wings.v_low) * expiry_years / (b * (spread - rho - alpha * math.sqrt(1.0 - rho**2)))
        sigma = alpha * m
    return RawSvi(wings.v_low * expiry_years - b * sigma * math.sqrt(1.0 - rho**2), b, rho, m, sigma)
