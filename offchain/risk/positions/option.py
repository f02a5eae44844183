# SPDX-License-Identifier: Apache-2.0
"""Options in a book."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offchain.risk.arrays import FloatArray
from offchain.risk.options.black import black_76, higher_greeks
from offchain.risk.positions.state import MarketState, PositionError, Sensitivities

LOWEST_VOLATILITY = 0.01
"""Shifts do not take a volatility below this."""


@dataclass(frozen=True, slots=True)
class Option:
    """A European option on the forward of an underlying.

    A coin-settled option pays ``max(S - K, 0) / S`` coins, which are worth what the dollar-settled one pays: its
    dollar value and Greeks are the same. A premium paid or held in coin is a `Coin` of its own.

    Attributes
    ----------
    underlying
        The asset.
    quantity
        In contracts of one token, negative for a short.
    is_call
        True for a call, False for a put.
    strike
        USD.
    expiry_years
        From when the position was written down.
    volatility
        Implied, per year.
    rate
        Per year, discounts the payoff.
    forward_ratio
        Forward over spot; moves with the spot.
    """

    underlying: str
    quantity: float
    is_call: bool
    strike: float
    expiry_years: float
    volatility: float
    rate: float = 0.0
    forward_ratio: float = 1.0

    def __post_init__(self) -> None:
        """Refuse impossible terms.

        Raises
        ------
        PositionError
            When strike, expiry, volatility or ratio is not positive.
        """
        if not min(self.strike, self.expiry_years, self.volatility, self.forward_ratio) > 0.0:
            raise PositionError(f"{self}: strike, expiry, volatility and forward ratio must be positive")

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Whose prices it needs."""
        return (self.underlying,)

    def value(self, state: MarketState) -> FloatArray:
        """Return what the contracts are worth; after expiry the payoff at the state's price."""
        forward, left, sigma = self._terms(state)
        greeks = black_76(forward, self.strike, left, sigma, is_call=self.is_call, rate=self.rate)
        value: FloatArray = self.quantity * greeks.price
        return value

    def sensitivities(self, state: MarketState) -> Sensitivities:
        """Return the Greeks, by the spot."""
        forward, left, sigma = self._terms(state)
        one = black_76(forward, self.strike, left, sigma, is_call=self.is_call, rate=self.rate)
        more = higher_greeks(
            forward, self.strike, left, sigma, is_call=self.is_call, rate=self.rate, carry_yield=self.rate
        )
        name, ratio, size = self.underlying, self.forward_ratio, self.quantity
        return Sensitivities(
            delta={name: size * ratio * float(one.delta)},
            gamma={(name, name): size * ratio**2 * float(one.gamma)},
            vega={name: size * float(one.vega)},
            volga={name: size * float(more.volga)},
            vanna={name: size * ratio * float(more.vanna)},
            theta={name: size * float(one.theta)},
        )

    def _terms(self, state: MarketState) -> tuple[FloatArray, FloatArray, FloatArray]:
        forward = state.price(self.underlying) * self.forward_ratio
        left = np.maximum(self.expiry_years - state.elapsed, 0.0)
        sigma = np.maximum(self.volatility + state.volatility_shift(self.underlying), LOWEST_VOLATILITY)
        return forward, left, sigma


def straddle(
    underlying: str, quantity: float, strike: float, expiry_years: float, volatility: float
) -> tuple[Option, Option]:
    """Return a call and a put at one strike."""
    terms = (strike, expiry_years, volatility)
    return Option(underlying, quantity, True, *terms), Option(underlying, quantity, False, *terms)
