# SPDX-License-Identifier: Apache-2.0
"""Surfaces of free SVI slices, fitted one after the other so that none crosses the one before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray
from offchain.risk.options.black import black_76
from offchain.risk.options.errors import OptionError
from offchain.risk.options.implied import implied_volatility
from offchain.risk.options.ssvi import SsviSurface
from offchain.risk.options.ssvi_fit import Smile, fit_surface
from offchain.risk.options.svi import RawSvi, lowest_calendar
from offchain.risk.options.svi_fit import SviFit, fit_svi

ROUNDING = 1e-12
WING_STEPS = np.array([0.25, 0.5, 1.0])
"""Where a slice is held beyond its quotes, in widths of the quoted range."""
WING_WEIGHT = 1e-4
"""Of those places together, as a fraction of the quotes' weight."""


@dataclass(frozen=True)
class SviSurface:
    """Slices in order of expiry, free of butterfly and calendar arbitrage.

    Between two expiries, prices of options of one moneyness are mixed (Gatheral and Jacquier 2014, lemma 5.1): a
    mixture of convex prices is convex, and it rises with time.

    Attributes
    ----------
    expiries
        Years, strictly increasing.
    slices
        One for each.

    Raises
    ------
    OptionError
        When a slice admits a butterfly arbitrage or crosses the one before.
    """

    expiries: tuple[float, ...]
    slices: tuple[RawSvi, ...]

    def __post_init__(self) -> None:
        """Refuse a surface that admits arbitrage."""
        if not self.expiries or len(self.expiries) != len(self.slices):
            raise OptionError(f"{len(self.expiries)} expiries and {len(self.slices)} slices do not make a surface")
        if self.expiries[0] <= 0.0 or np.any(np.diff(self.expiries) <= 0.0):
            raise OptionError(f"expiries must be positive and increase, not {self.expiries}")
        for time, one in zip(self.expiries, self.slices, strict=True):
            if one.lowest_butterfly()[0] < -ROUNDING:
                raise OptionError(f"the slice at {time:.6g} years admits a butterfly arbitrage: {one}")
        for number, (earlier, later) in enumerate(pairwise(self.slices)):
            if lowest_calendar(earlier, later) < -ROUNDING:
                raise OptionError(f"the slice at {self.expiries[number + 1]:.6g} years crosses the one before: {later}")

    def total_variance(self, log_moneyness: ArrayLike, expiry_years: float) -> FloatArray:
        """Return total variances at any expiry between the first and the last, of the log-moneynesses' shape.

        Raises
        ------
        OptionError
            When the expiry lies outside; there no slice says anything.
        """
        times = self.expiries
        if not times[0] <= expiry_years <= times[-1]:
            raise OptionError(f"expiry {expiry_years:.6g} lies outside the surface, {times[0]:.6g} to {times[-1]:.6g}")
        if expiry_years in times:
            return self.slices[times.index(expiry_years)].total_variance(log_moneyness)
        right = int(np.searchsorted(times, expiry_years))
        k = np.asarray(log_moneyness, dtype=np.float64)
        one, other = self.slices[right - 1], self.slices[right]
        share = (expiry_years - times[right - 1]) / (times[right] - times[right - 1])
        start, end = (math.sqrt(float(each.total_variance(0.0))) for each in (one, other))
        # Mixed so that at the money total variance runs straight.
        level = math.sqrt((1.0 - share) * start**2 + share * end**2)
        low, middle, high = black_76(1.0, 1.0, 1.0, [start, level, end]).price
        weight = (middle - low) / (high - low) if end > start else share
        strike, is_call = np.exp(k), k >= 0.0
        prices = [
            black_76(1.0, strike, 1.0, np.sqrt(each.total_variance(k)), is_call=is_call).price for each in (one, other)
        ]
        mixed = implied_volatility((1.0 - weight) * prices[0] + weight * prices[1], 1.0, strike, 1.0, is_call=is_call)
        # Where both prices are nothing to the last digit, so is their mixture.
        straight = (1.0 - share) * one.total_variance(k) + share * other.total_variance(k)
        variance: FloatArray = np.where(np.isnan(mixed.volatility), straight, mixed.volatility**2)
        return variance

    def volatility(self, log_moneyness: ArrayLike, expiry_years: float) -> FloatArray:
        """Return implied volatilities per year, likewise."""
        volatility: FloatArray = np.sqrt(self.total_variance(log_moneyness, expiry_years) / expiry_years)
        return volatility


@dataclass(frozen=True)
class SviSurfaceFit:
    """A fitted surface and the fits of its slices."""

    surface: SviSurface
    fits: tuple[SviFit, ...]


def fit_svi_surface(smiles: Sequence[Smile], reference: SsviSurface | None = None) -> SviSurfaceFit:
    """Fit slices from the nearest expiry on, each bounded below by the one before.

    Closer to the quotes than an SSVI surface, with five parameters an expiry instead of three. Beyond an expiry's
    quotes a few points of the SSVI surface of all expiries are fitted to with little weight: a wing that nobody quotes
    would otherwise be steep by chance, and every later slice would have to stay above it.

    Parameters
    ----------
    smiles
        In any order; expiries must differ.
    reference
        The SSVI surface of these smiles, if it has been fitted already.

    Raises
    ------
    OptionError
        On no smiles, equal expiries, or values that are not positive.
    """
    ordered = sorted(smiles, key=lambda smile: smile.expiry_years)
    beyond = fit_surface(ordered).surface if reference is None else reference
    fits: list[SviFit] = []
    floor: RawSvi | None = None
    for smile in ordered:
        wider = _with_wings(smile, beyond)
        fit = fit_svi(wider.log_moneyness, wider.volatility, wider.expiry_years, wider.weights, floor=floor)
        missed = fit.slice.volatility(smile.log_moneyness, smile.expiry_years) - smile.volatility
        error = math.sqrt(float(smile.weights @ missed**2 / smile.weights.sum()))
        fits.append(replace(fit, error=error))
        floor = fit.slice
    surface = SviSurface(tuple(smile.expiry_years for smile in ordered), tuple(fit.slice for fit in fits))
    return SviSurfaceFit(surface, tuple(fits))


def _with_wings(smile: Smile, reference: SsviSurface) -> Smile:
    low, high = float(smile.log_moneyness.min()), float(smile.log_moneyness.max())
    width = max(high - low, 1e-3)
    places = np.concatenate([low - WING_STEPS * width, high + WING_STEPS * width])
    weight = np.full(places.size, WING_WEIGHT * float(smile.weights.sum()) / places.size)
    return Smile(
        smile.expiry_years,
        np.concatenate([smile.log_moneyness, places]),
        np.concatenate([smile.volatility, reference.volatility(places, smile.expiry_years)]),
        np.concatenate([smile.weights, weight]),
    )
