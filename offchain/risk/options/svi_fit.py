# SPDX-License-Identifier: Apache-2.0
"""Fitting SVI smiles without butterfly arbitrage, one alone or after an earlier expiry that it must not cross."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray, as_series
from offchain.risk.options.errors import OptionError
from offchain.risk.options.ssvi_fit import Smile, fit_surface
from offchain.risk.options.svi import RawSvi, lowest_calendar

FEWEST_QUOTES = 5
MARGIN = 1e-4
"""What the fit asks of g beyond zero, so that rounding does not bring arbitrage back."""
PENALTIES = (1e1, 1e2, 1e3, 1e4)
SPREAD = np.linspace(-6.0, 6.0, 241)


@dataclass(frozen=True, slots=True)
class SviFit:
    """A fitted slice.

    Attributes
    ----------
    slice
        The smile.
    error
        Weighted root mean square error in volatility per year.
    lowest_butterfly
        Lowest value of g over all log-moneynesses; not negative.
    repaired
        Whether the best fit without conditions admitted arbitrage.
    """

    slice: RawSvi
    error: float
    lowest_butterfly: float
    repaired: bool


def fit_svi(
    log_moneyness: ArrayLike,
    volatility: ArrayLike,
    expiry_years: float,
    weights: ArrayLike | None = None,
    *,
    floor: RawSvi | None = None,
) -> SviFit:
    """Fit a slice to implied volatilities by weighted least squares.

    The search starts from the best of a grid of vertices, for each of which the remaining three parameters are
    linear (Zeliade Systems 2009). Slopes of the wings stay within Lee's bound. Where the best slice has negative g or
    crosses the floor, that is penalised ever more until none is left; a slice that satisfies both whatever the quotes
    is there to fall back on.

    Parameters
    ----------
    log_moneyness, volatility
        Shape (n,), n >= 5; volatilities per year.
    expiry_years
        Positive.
    weights
        Shape (n,), not negative; equal by default.
    floor
        Slice of an earlier expiry, which total variance may nowhere fall below.

    Raises
    ------
    OptionError
        On too few quotes, or values that are not positive.
    """
    from scipy.optimize import least_squares

    k = as_series(log_moneyness, "log_moneyness", minimum=FEWEST_QUOTES)
    sigma = as_series(volatility, "volatility", minimum=FEWEST_QUOTES)
    weight = np.ones(k.size) if weights is None else as_series(weights, "weights")
    if not k.size == sigma.size == weight.size:
        raise OptionError(f"{k.size} log-moneynesses, {sigma.size} volatilities and {weight.size} weights")
    if not (expiry_years > 0.0 and np.all(sigma > 0.0) and np.all(weight >= 0.0) and weight.sum() > 0.0):
        raise OptionError("expiry and volatilities must be positive and weights not negative")
    root = np.sqrt(weight / weight.sum())

    def misses(x: FloatArray, penalty: float) -> FloatArray:
        one = _slice(x)
        found: FloatArray = root * (np.sqrt(np.maximum(one.total_variance(k), 1e-16) / expiry_years) - sigma)
        if penalty == 0.0:
            return found
        places = np.concatenate([np.sinh(SPREAD) * max(one.sigma, 1e-3) + one.m, k])
        lacking = np.minimum(one.butterfly(places) - MARGIN, 0.0)
        if floor is not None:
            lacking = np.concatenate([lacking, _below(one, floor, places)])
        return np.concatenate([found, penalty * lacking / math.sqrt(lacking.size)])

    def solve(start: FloatArray, penalty: float) -> FloatArray:
        best: FloatArray = least_squares(misses, start, args=(penalty,), max_nfev=400).x
        return best

    def error_of(one: RawSvi) -> float:
        return float(np.linalg.norm(root * (one.volatility(k, expiry_years) - sigma)))

    free = solve(_start(k, sigma**2 * expiry_years, weight), 0.0)
    best = _slice(free)
    repaired = not _admissible(best, floor)
    if repaired:
        # An SSVI slice has no butterfly arbitrage whatever the quotes, and a floor lifted does not cross itself.
        alone = fit_surface([Smile(expiry_years, k, sigma, weight)]).surface.slices[0].raw()
        safe = alone if floor is None else _lifted(floor, k, sigma**2 * expiry_years, weight)
        best = min((one for one in (safe, alone) if _admissible(one, floor)), key=error_of, default=safe)
        for start in (free, _inverse(alone), _inverse(safe)):
            for penalty in PENALTIES:
                start = solve(start, penalty)
                tried = _raised(_slice(start), floor)
                if _admissible(tried, floor):
                    best = min(best, tried, key=error_of)
                    break
    return SviFit(best, error_of(best), best.lowest_butterfly()[0], repaired)


def _admissible(one: RawSvi, floor: RawSvi | None) -> bool:
    return one.lowest_butterfly()[0] >= 0.0 and (floor is None or lowest_calendar(floor, one) >= 0.0)


def _below(one: RawSvi, floor: RawSvi, places: FloatArray) -> FloatArray:
    """How far a slice falls below its floor, as a fraction of it, and its wings below the floor's slopes."""
    grid = np.concatenate([places, np.sinh(SPREAD) * max(floor.sigma, 1e-3) + floor.m])
    least = floor.total_variance(grid)
    gaps = np.minimum(one.total_variance(grid) / least - 1.0 - MARGIN, 0.0)
    sides = [one.b * (1.0 + s * one.rho) - floor.b * (1.0 + s * floor.rho) * (1.0 + MARGIN) for s in (-1.0, 1.0)]
    return np.concatenate([gaps, np.minimum(sides, 0.0)])


def _raised(one: RawSvi, floor: RawSvi | None) -> RawSvi:
    """The slice raised by what it falls below its floor, if by anything."""
    gap = 0.0 if floor is None else lowest_calendar(floor, one)
    return replace(one, a=one.a - gap * (1.0 + 1e-9)) if -math.inf < gap < 0.0 else one


def _lifted(floor: RawSvi, k: FloatArray, w: FloatArray, weight: FloatArray) -> RawSvi:
    """The floor raised by one number to fit best; higher if that admitted a butterfly."""
    lift = max(float(weight @ (w - floor.total_variance(k)) / weight.sum()), 0.0)
    one = replace(floor, a=floor.a + lift)
    while one.lowest_butterfly()[0] < 0.0:
        lift = 2.0 * lift + 1e-6
        one = replace(floor, a=floor.a + lift)
    return one


def _slice(x: FloatArray) -> RawSvi:
    """Map five free numbers to parameters inside their bounds."""
    # Short of the bounds by a hair: at them g tends to zero from either side.
    rho = 0.999 * math.tanh(x[2])
    b = 1.999 / (1.0 + abs(rho)) / (1.0 + math.exp(-float(np.clip(x[1], -60, 60))))
    sigma = math.exp(float(np.clip(x[4], -12, 5)))
    lowest = math.exp(float(np.clip(x[0], -60, 10)))
    return RawSvi(lowest - b * sigma * math.sqrt(1.0 - rho * rho), b, rho, float(x[3]), sigma)


def _inverse(one: RawSvi) -> FloatArray:
    share = min(max(one.b * (1.0 + abs(one.rho)) / 1.999, 1e-12), 1.0 - 1e-9)
    return np.array(
        [
            math.log(max(one.lowest, 1e-12)),
            math.log(share / (1.0 - share)),
            math.atanh(min(max(one.rho / 0.999, -0.999999), 0.999999)),
            one.m,
            math.log(one.sigma),
        ]
    )


def _start(k: FloatArray, w: FloatArray, weight: FloatArray) -> FloatArray:
    """Best feasible vertex of a grid, the linear parameters by least squares."""
    root = np.sqrt(weight)
    width = max(float(np.ptp(k)), 1e-3)
    best = (math.inf, RawSvi(float(w.min()) * 0.5, 0.1, 0.0, 0.0, 0.1 * width))
    for m in np.linspace(k.min(), k.max(), 15):
        for sigma in width * np.geomspace(0.01, 2.0, 14):
            y = (k - m) / sigma
            design = np.column_stack([np.ones_like(y), y, np.sqrt(y * y + 1.0)])
            (a, d, c), *_ = np.linalg.lstsq(design * root[:, None], w * root, rcond=None)
            c = max(c, 1e-8)
            rho = float(np.clip(d / c, -0.95, 0.95))
            b = min(c / sigma, 1.9 / (1.0 + abs(rho)))
            lowest = max(a + b * sigma * math.sqrt(1 - rho**2), 0.05 * float(w.min()))
            one = RawSvi(lowest - b * sigma * math.sqrt(1 - rho**2), b, rho, float(m), float(sigma))
            miss = float(np.sum(weight * (one.total_variance(k) - w) ** 2))
            if miss < best[0]:
                best = (miss, one)
    return _inverse(best[1])
