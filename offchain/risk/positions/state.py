# SPDX-License-Identifier: Apache-2.0
"""The market a position is valued in, now and in scenarios, and what its value answers to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray, RiskError


class PositionError(RiskError):
    """A position or scenario that cannot be."""


@dataclass(frozen=True, eq=False)
class MarketState:
    """Prices of the underlyings at one moment, or in many scenarios at once.

    Attributes
    ----------
    prices
        USD by underlying: numbers, or arrays of one shape (m,), one entry a scenario. Positive.
    volatility_shifts
        What is added to every implied volatility of an underlying, per year, likewise; none where absent.
    years
        Time passed since the positions were written down.
    """

    prices: Mapping[str, ArrayLike]
    volatility_shifts: Mapping[str, ArrayLike] = field(default_factory=dict)
    years: ArrayLike = 0.0

    def __post_init__(self) -> None:
        """Refuse prices that are not positive.

        Raises
        ------
        PositionError
            On the first; it names the underlying.
        """
        for name, price in self.prices.items():
            values = np.asarray(price, dtype=np.float64)
            if not np.all(np.isfinite(values) & (values > 0.0)):
                raise PositionError(f"the price of {name} must be positive, not {values[~(values > 0.0)].ravel()[:1]}")

    def price(self, underlying: str) -> FloatArray:
        """Return an underlying's price.

        Raises
        ------
        PositionError
            When the market has none; it lists those it has.
        """
        if underlying not in self.prices:
            raise PositionError(f"the market has no price of {underlying}; it has {', '.join(self.prices)}")
        return np.asarray(self.prices[underlying], dtype=np.float64)

    def volatility_shift(self, underlying: str) -> FloatArray:
        """Return what is added to an underlying's volatilities."""
        return np.asarray(self.volatility_shifts.get(underlying, 0.0), dtype=np.float64)

    @property
    def elapsed(self) -> FloatArray:
        """Time passed, in years."""
        return np.asarray(self.years, dtype=np.float64)


Pair = tuple[str, str]


@dataclass(frozen=True)
class Sensitivities:
    """Derivatives of a dollar value at one state of the market.

    Attributes
    ----------
    delta
        By each underlying's price, in units of the underlying.
    gamma
        Second derivatives by pairs of underlyings, each pair once with its names in order, in units per dollar.
    vega, volga
        By each underlying's volatility, per 1.00, once and twice.
    vanna
        By price and volatility of each underlying.
    theta
        By time, in dollars per year, by underlying.
    """

    delta: Mapping[str, float] = field(default_factory=dict)
    gamma: Mapping[Pair, float] = field(default_factory=dict)
    vega: Mapping[str, float] = field(default_factory=dict)
    volga: Mapping[str, float] = field(default_factory=dict)
    vanna: Mapping[str, float] = field(default_factory=dict)
    theta: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: Sensitivities) -> Sensitivities:
        """Add what two positions answer to."""
        return Sensitivities(
            delta=_sum(self.delta, other.delta),
            gamma=_sum(self.gamma, other.gamma),
            vega=_sum(self.vega, other.vega),
            volga=_sum(self.volga, other.volga),
            vanna=_sum(self.vanna, other.vanna),
            theta=_sum(self.theta, other.theta),
        )

    def change(self, now: MarketState, then: MarketState, *, second_order_volatility: bool = True) -> FloatArray:
        """Approximate the change of value between two states by delta, gamma, vega and theta.

        Parameters
        ----------
        second_order_volatility
            Also take vanna and volga.

        Returns
        -------
        FloatArray
            USD, of the scenarios' shape.
        """
        elapsed = then.elapsed - now.elapsed
        total: FloatArray = np.zeros(())
        moves = {name: then.price(name) - now.price(name) for name in self.delta}
        for name, delta in self.delta.items():
            total = total + delta * moves[name]
        for (one, other), gamma in self.gamma.items():
            total = total + (0.5 if one == other else 1.0) * gamma * moves[one] * moves[other]
        for theta in self.theta.values():
            total = total + theta * elapsed
        for name, vega in self.vega.items():
            shift = then.volatility_shift(name) - now.volatility_shift(name)
            total = total + vega * shift
            if second_order_volatility:
                total = total + self.vanna.get(name, 0.0) * moves[name] * shift
                total = total + 0.5 * self.volga.get(name, 0.0) * shift**2
        return total


class Position(Protocol):
    """Something whose dollar value follows from the state of the market."""

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Return the assets whose prices it needs."""
        ...

    def value(self, state: MarketState) -> FloatArray:
        """Return USD, of the scenarios' shape."""
        ...

    def sensitivities(self, state: MarketState) -> Sensitivities:
        """Return the derivatives at a single state."""
        ...


Key = TypeVar("Key")


def _sum(one: Mapping[Key, float], other: Mapping[Key, float]) -> dict[Key, float]:
    total = dict(one)
    for key, value in other.items():
        total[key] = total.get(key, 0.0) + value
    return total
