# SPDX-License-Identifier: Apache-2.0
"""Several positions together: value, Greeks by underlying, and profit in scenarios two ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offchain.risk.arrays import FloatArray
from offchain.risk.positions.state import MarketState, Position, Sensitivities


@dataclass(frozen=True, slots=True)
class UnderlyingGreeks:
    """What a book answers to in one underlying.

    Attributes
    ----------
    delta
        In units of the underlying; ``dollar_delta`` times its price.
    gamma
        In units per dollar; ``dollar_gamma`` is the change of the dollar delta when the price moves by one per cent.
    vega
        USD per 1.00 of volatility.
    theta
        USD per year.
    """

    underlying: str
    delta: float
    dollar_delta: float
    gamma: float
    dollar_gamma: float
    vega: float
    theta: float


@dataclass(frozen=True)
class Book:
    """Positions held together.

    Attributes
    ----------
    positions
        Any of this package, or your own with the methods of `Position`.
    """

    positions: tuple[Position, ...]

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Whose prices it needs, in order of first use."""
        return tuple(dict.fromkeys(name for one in self.positions for name in one.underlyings))

    def value(self, state: MarketState) -> FloatArray:
        """Return the book's value in USD, of the scenarios' shape."""
        total: FloatArray = np.zeros(())
        for one in self.positions:
            total = total + one.value(state)
        return total

    def sensitivities(self, state: MarketState) -> Sensitivities:
        """Return the derivatives of the book's value at a single state."""
        return sum((one.sensitivities(state) for one in self.positions), Sensitivities())

    def greeks(self, state: MarketState) -> tuple[UnderlyingGreeks, ...]:
        """Return the Greeks aggregated by underlying."""
        total = self.sensitivities(state)
        rows = []
        for name in self.underlyings:
            price = float(state.price(name))
            delta, gamma = total.delta.get(name, 0.0), total.gamma.get((name, name), 0.0)
            rows.append(
                UnderlyingGreeks(
                    underlying=name,
                    delta=delta,
                    dollar_delta=delta * price,
                    gamma=gamma,
                    dollar_gamma=0.01 * gamma * price**2,
                    vega=total.vega.get(name, 0.0),
                    theta=total.theta.get(name, 0.0),
                )
            )
        return tuple(rows)

    def profit(self, now: MarketState, then: MarketState) -> FloatArray:
        """Return the change of value by full revaluation, in USD, of the scenarios' shape."""
        change: FloatArray = self.value(then) - self.value(now)
        return change

    def approximate_profit(
        self, now: MarketState, then: MarketState, *, second_order_volatility: bool = False
    ) -> FloatArray:
        """Return the change of value by delta, gamma, vega and theta; `Sensitivities.change` has the terms."""
        return self.sensitivities(now).change(now, then, second_order_volatility=second_order_volatility)


def scenarios(
    now: MarketState,
    symbols: Sequence[str],
    returns: FloatArray,
    *,
    years: float = 0.0,
    volatility_response: float = 0.0,
) -> MarketState:
    """Return scenarios of prices, such as a t copula or a filtered simulation draws.

    Parameters
    ----------
    symbols, returns
        Underlyings, and simple returns of shape (m, n) above -1. Others stand still.
    years
        Time the scenarios take.
    volatility_response
        Implied volatility added for a fall of the price by one in logarithms: 0.5 adds five points, 0.05, for a fall
        of about ten per cent, and takes them away for a rise.
    """
    prices: dict[str, FloatArray] = {name: np.asarray(price, dtype=np.float64) for name, price in now.prices.items()}
    shifts = {name: np.asarray(shift, dtype=np.float64) for name, shift in now.volatility_shifts.items()}
    for at, name in enumerate(symbols):
        prices[name] = now.price(name) * (1.0 + returns[:, at])
        if volatility_response:
            shifts[name] = now.volatility_shift(name) - volatility_response * np.log1p(returns[:, at])
    return MarketState(prices, shifts, now.elapsed + years)


def ladder(
    underlying: str, now: MarketState, moves: FloatArray, volatility_shifts: FloatArray, *, years: float = 0.0
) -> MarketState:
    """Return scenarios of one underlying for every combination of a move and a volatility shift.

    Parameters
    ----------
    moves
        Shape (a,), relative changes of the price.
    volatility_shifts
        Shape (b,), per year.

    Returns
    -------
    MarketState
        Of shape (a * b,); reshape a result to (a, b). Other underlyings stand still.
    """
    move, shift = (axis.ravel() for axis in np.meshgrid(moves, volatility_shifts, indexing="ij"))
    prices = {name: np.asarray(price, dtype=np.float64) for name, price in now.prices.items()}
    prices[underlying] = prices[underlying] * (1.0 + move)
    return MarketState(prices, {**now.volatility_shifts, underlying: now.volatility_shift(underlying) + shift}, years)
