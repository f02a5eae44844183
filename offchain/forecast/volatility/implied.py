# SPDX-License-Identifier: Apache-2.0
"""Implied volatility as a forecast: the market's own, where there are quotes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class ImpliedTerm:
    r"""Total variance by time to expiry, linear between quotes.

    .. math:: w(T) = \sigma(T)^2 T, \quad w(0) = 0

    and flat volatility before the first and after the last expiry. Total variance that falls with time would be an
    arbitrage and is refused.

    Attributes
    ----------
    expiries
        Shape (K,): years of 365 days, ascending, positive.
    volatilities
        Shape (K,): at the money (or from variance swaps), per square root of a year.
    premium
        What the market asks over the variance that follows, as a ratio of variances; divide it out where it has been
        measured. 1 takes quotes at their word.
    """

    expiries: FloatArray
    volatilities: FloatArray
    premium: float = 1.0

    def __post_init__(self) -> None:
        if self.expiries.ndim != 1 or self.expiries.shape != self.volatilities.shape or not self.expiries.size:
            raise ForecastError(f"implied: {self.expiries.shape} expiries, {self.volatilities.shape} volatilities")
        for name, values in (("expiries", self.expiries), ("volatilities", self.volatilities)):
            wrong = ~(np.isfinite(values) & (values > 0.0))
            if wrong.any():
                at = int(np.argmax(wrong))
                raise ForecastError(f"implied: {name}[{at}] is {values[at]}; it must be positive")
        if not self.premium > 0.0:
            raise ForecastError(f"implied: premium {self.premium}; it must be positive")
        if (np.diff(self.expiries) <= 0.0).any():
            raise ForecastError("implied: expiries must ascend, each once")
        falls = np.diff(self.expiries * self.volatilities**2) < 0.0
        if falls.any():
            at = int(np.argmax(falls)) + 1
            raise ForecastError(
                f"implied: total variance falls at expiry {self.expiries[at]:g} (calendar arbitrage); check that quote"
            )

    @classmethod
    def of(cls, expiries: ArrayLike, volatilities: ArrayLike, premium: float = 1.0) -> ImpliedTerm:
        """Take quotes in any order; several at one expiry are averaged."""
        times = np.asarray(expiries, dtype=np.float64)
        quotes = np.asarray(volatilities, dtype=np.float64)
        if times.ndim != 1 or times.shape != quotes.shape:
            raise ForecastError(f"implied: {times.shape} expiries, {quotes.shape} volatilities")
        names, inverse = np.unique(times, return_inverse=True)
        means = np.bincount(inverse, weights=quotes) / np.bincount(inverse)
        return cls(names, means, premium)

    def total_variance(self, years: ArrayLike) -> FloatArray:
        """Variance from now to each time, the premium divided out."""
        at = np.asarray(years, dtype=np.float64)
        times = np.concatenate([[0.0], self.expiries])
        totals = np.concatenate([[0.0], self.expiries * self.volatilities**2])
        beyond = np.maximum(at - self.expiries[-1], 0.0) * self.volatilities[-1] ** 2
        total: FloatArray = (np.interp(at, times, totals) + beyond) / self.premium
        return total

    def forecast(self, horizon: int, rows_per_year: float) -> FloatArray:
        """Variance expected of each of the next rows, shape (horizon,): differences of total variance."""
        ends = np.arange(horizon + 1) / rows_per_year
        return np.diff(self.total_variance(ends))


def variance_premium(implied: FloatArray, realised: FloatArray) -> float:
    """Ratio of implied to following variance over past pairs: what `ImpliedTerm.premium` divides out.

    Parameters
    ----------
    implied, realised
        Shape (T,): variance quoted for a period, and variance that the period then had.

    Raises
    ------
    ForecastError
        When there are fewer than 30 pairs: a crash a year decides this number.
    """
    if implied.shape != realised.shape or implied.size < 30:
        raise ForecastError(f"variance premium: {implied.size} pairs, at least 30 needed")
    return float(implied.mean() / realised.mean())
