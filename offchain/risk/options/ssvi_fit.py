# SPDX-License-Identifier: Apache-2.0
"""Fitting an SSVI surface whose parameters cannot leave the region without arbitrage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offchain.risk.arrays import FloatArray, IntArray, as_series
from offchain.risk.compiled import compiled
from offchain.risk.options.errors import OptionError
from offchain.risk.options.ssvi import SsviSlice, SsviSurface

STEEPEST = 0.995
"""Largest absolute correlation of a slice."""
INSIDE = 1.0 - 1e-9
"""Fraction of a bound that the fit uses, for rounding."""


@dataclass(frozen=True, eq=False)
class Smile:
    """Quotes of one expiry.

    Attributes
    ----------
    expiry_years
        Positive.
    log_moneyness, volatility, weights
        Shape (n,); weights multiply squared errors of volatility.
    """

    expiry_years: float
    log_moneyness: FloatArray
    volatility: FloatArray
    weights: FloatArray


@dataclass(frozen=True, eq=False)
class SurfaceFit:
    """A fitted surface.

    Attributes
    ----------
    surface
        Free of arbitrage.
    errors
        Weighted root mean square error of each expiry, in volatility per year.
    """

    surface: SsviSurface
    errors: tuple[float, ...]


def fit_surface(smiles: Sequence[Smile]) -> SurfaceFit:
    r"""Fit one slice an expiry by weighted least squares over all quotes together.

    The parameters are free numbers mapped, expiry by expiry, into the set that theorem 4.2 of Gatheral and Jacquier
    and proposition 3.1 of Hendriks and Martini leave: a correlation, then theta above the smallest that the slice
    before permits, then psi between its bounds. Every surface the search visits is free of arbitrage.

    Parameters
    ----------
    smiles
        In any order; expiries must differ.

    Raises
    ------
    OptionError
        On no quotes, equal expiries, or values that are not positive.
    """
    from scipy.optimize import least_squares

    smiles = sorted(smiles, key=lambda smile: smile.expiry_years)
    expiries = _checked(smiles)
    k = np.concatenate([smile.log_moneyness for smile in smiles])
    sigma = np.concatenate([smile.volatility for smile in smiles])
    at = np.repeat(np.arange(len(smiles)), [smile.log_moneyness.size for smile in smiles])
    # Each expiry counts the same, however many strikes it has.
    root = np.concatenate([np.sqrt(smile.weights / smile.weights.sum()) for smile in smiles])
    quotes = (k, sigma, root, expiries[at], at)
    best = least_squares(_misses, _start(smiles), args=quotes, x_scale="jac", ftol=1e-7, max_nfev=80)
    theta, rho, psi, _ = _parameters(best.x)
    slices = tuple(SsviSlice(*(float(one) for one in row)) for row in zip(theta, rho, psi, strict=True))
    squares = best.fun[:-1] ** 2
    errors = tuple(float(math.sqrt(squares[at == number].sum())) for number in range(len(smiles)))
    return SurfaceFit(SsviSurface(tuple(expiries.tolist()), slices), errors)


def _checked(smiles: Sequence[Smile]) -> FloatArray:
    if not smiles:
        raise OptionError("no expiry has enough quotes for a surface")
    expiries = np.array([smile.expiry_years for smile in smiles])
    if expiries[0] <= 0.0 or np.any(np.diff(expiries) <= 0.0):
        raise OptionError(f"expiries must be positive and differ, not {expiries.tolist()}")
    for smile in smiles:
        for name in ("log_moneyness", "volatility", "weights"):
            as_series(getattr(smile, name), f"{name} at {smile.expiry_years:.6g} years")
        if not (np.all(smile.volatility > 0.0) and np.all(smile.weights >= 0.0) and smile.weights.sum() > 0.0):
            raise OptionError(f"the smile at {smile.expiry_years:.6g} years has a volatility or weight out of range")
    return expiries


@compiled
def _misses(
    x: FloatArray, k: FloatArray, sigma: FloatArray, root: FloatArray, years: FloatArray, at: IntArray
) -> FloatArray:
    """Weighted errors of all quotes, and last how far bounds had to give way."""
    theta, rho, psi, lacking = _parameters(x)
    found = np.empty(k.size + 1)
    for i in range(k.size):
        j = at[i]
        y = psi[j] * k[i]
        radius = math.sqrt((y + theta[j] * rho[j]) ** 2 + theta[j] ** 2 * (1.0 - rho[j] ** 2))
        found[i] = root[i] * (math.sqrt(0.5 * (theta[j] + rho[j] * y + radius) / years[i]) - sigma[i])
    found[k.size] = 1e3 * lacking
    return found


@compiled
def _floors(theta: float, rho: float, psi: float, new_rho: float) -> tuple[float, float]:
    """Return the least psi and theta that a slice with another correlation may have after this one."""
    ratio = max((1.0 + rho) / (1.0 + new_rho), (1.0 - rho) / (1.0 - new_rho))
    least_psi = psi * ratio
    return least_psi, max(theta * ratio, 0.25 * least_psi**2 * (1.0 + abs(new_rho)))


@compiled
def _ceiling(theta: float, rho: float, curvature: float) -> float:
    """Return the largest psi, given that of the slice before over its theta."""
    wing = 1.0 + abs(rho)
    return min(4.0 / wing, 2.0 * math.sqrt(theta / wing), curvature * theta)


@compiled
def _parameters(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Map free numbers, three an expiry, to theta, rho and psi, and say by how much a bound had to give way."""
    count = x.size // 3
    theta, rho, psi = np.empty(count), np.empty(count), np.empty(count)
    lacking = 0.0
    for j in range(count):
        rho[j] = STEEPEST * math.tanh(x[3 * j])
        excess = math.exp(min(max(x[3 * j + 1], -40.0), 20.0))
        share = 1.0 / (1.0 + math.exp(-min(max(x[3 * j + 2], -40.0), 40.0)))
        if j == 0:
            theta[0] = excess
            psi[0] = INSIDE * share * _ceiling(theta[0], rho[0], math.inf)
            continue
        least_psi, least_theta = _floors(theta[j - 1], rho[j - 1], psi[j - 1], rho[j])
        theta[j] = least_theta * (1.0 + 1e-9 + excess)
        most_psi = INSIDE * _ceiling(theta[j], rho[j], psi[j - 1] / theta[j - 1])
        # Only a very steep slice in the far wings leaves no room; the search is pushed away from there.
        lacking += max(0.0, least_psi - most_psi)
        psi[j] = least_psi + share * max(0.0, most_psi - least_psi)
    return theta, rho, psi, lacking


def _start(smiles: Sequence[Smile]) -> FloatArray:
    """Free numbers of a surface with one correlation and a square-root psi through the quotes nearest the money."""
    rho, eta = -0.1, 0.8
    x: list[float] = []
    before: tuple[float, float] | None = None
    for smile in smiles:
        nearest = int(np.argmin(np.abs(smile.log_moneyness)))
        theta = float(smile.volatility[nearest]) ** 2 * smile.expiry_years
        if before is None:
            size = math.log(theta)
            least_psi = 0.0
        else:
            least_psi, least_theta = _floors(before[0], rho, before[1], rho)
            excess = max(theta / least_theta - 1.0, 1e-3)
            theta = least_theta * (1.0 + excess)
            size = math.log(excess)
        most_psi = _ceiling(theta, rho, math.inf if before is None else before[1] / before[0])
        psi = min(max(eta * math.sqrt(theta), least_psi), most_psi)
        share = min(max((psi - least_psi) / max(most_psi - least_psi, 1e-12), 0.05), 0.95)
        psi = least_psi + share * (most_psi - least_psi)
        x += [math.atanh(rho / STEEPEST), size, math.log(share / (1.0 - share))]
        before = (theta, psi)
    return np.array(x)
