# SPDX-License-Identifier: Apache-2.0
"""Coins and perpetual futures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray, as_series
from offchain.risk.positions.state import MarketState, PositionError, Sensitivities


@dataclass(frozen=True, slots=True)
class Coin:
    """A balance of an asset, or a debt in it where the quantity is negative.

    Attributes
    ----------
    underlying
        The asset.
    quantity
        In whole tokens.
    yield_per_year
        Continuously compounded growth of the quantity: staking or lending yield, or a borrow rate.
    """

    underlying: str
    quantity: float
    yield_per_year: float = 0.0

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Whose prices it needs."""
        return (self.underlying,)

    def value(self, state: MarketState) -> FloatArray:
        """Return quantity, grown, times price."""
        value: FloatArray = self.quantity * np.exp(self.yield_per_year * state.elapsed) * state.price(self.underlying)
        return value

    def sensitivities(self, state: MarketState) -> Sensitivities:
        """Return the quantity as delta, and what the yield earns as theta."""
        grown = float(self.quantity * np.exp(self.yield_per_year * state.elapsed))
        earned = self.yield_per_year * float(self.value(state))
        return Sensitivities(delta={self.underlying: grown}, theta={self.underlying: earned} if earned else {})


@dataclass(frozen=True, slots=True)
class Perpetual:
    """A perpetual future without expiry, whose price is tied to the spot by funding.

    Attributes
    ----------
    underlying
        The asset.
    quantity
        In whole tokens, negative for a short. An inverse contract of N dollars opened at S0 is N / S0 tokens: its
        coin profit times the price is the same dollar profit.
    entry_price
        USD.
    funding_per_year
        Expected rate that longs pay shorts, as a fraction of the notional per year; negative when shorts pay.
    """

    underlying: str
    quantity: float
    entry_price: float
    funding_per_year: float = 0.0

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Whose prices it needs."""
        return (self.underlying,)

    def value(self, state: MarketState) -> FloatArray:
        """Return the unrealised profit less expected funding at the state's price."""
        price = state.price(self.underlying)
        paid = self.funding_per_year * state.elapsed * price
        value: FloatArray = self.quantity * (price - self.entry_price - paid)
        return value

    def sensitivities(self, state: MarketState) -> Sensitivities:
        """Return the quantity as delta, and funding as theta."""
        carry = -self.quantity * self.funding_per_year * float(state.price(self.underlying))
        delta = self.quantity * (1.0 - self.funding_per_year * float(state.elapsed))
        return Sensitivities(delta={self.underlying: delta}, theta={self.underlying: carry} if carry else {})

    def liquidation_price(self, margin: float, maintenance_margin: float) -> float:
        r"""Return the price at which margin plus profit equals the maintenance margin.

        .. math:: M + q (P - P_0) = m |q| P

        Parameters
        ----------
        margin
            USD posted for this position alone.
        maintenance_margin
            Fraction of the notional.

        Returns
        -------
        float
            0 where a long can never be liquidated.

        Raises
        ------
        PositionError
            When quantity or margin is zero or the fraction not inside [0, 1).
        """
        if self.quantity == 0.0 or margin <= 0.0 or not 0.0 <= maintenance_margin < 1.0:
            raise PositionError("a liquidation price needs a quantity, a positive margin and a fraction below one")
        sign = 1.0 if self.quantity > 0.0 else -1.0
        return max(0.0, (self.entry_price - margin / self.quantity) / (1.0 - sign * maintenance_margin))


def inverse_perpetual_profit(notional: float, entry_price: ArrayLike, price: ArrayLike) -> FloatArray:
    r"""Profit in coin of an inverse perpetual: :math:`N (1 / P_0 - 1 / P)`.

    Parameters
    ----------
    notional
        USD, negative for a short.
    """
    entry, final = np.asarray(entry_price, dtype=np.float64), np.asarray(price, dtype=np.float64)
    profit: FloatArray = notional * (1.0 / entry - 1.0 / final)
    return profit


def funding_paid(quantity: float, prices: ArrayLike, rates: ArrayLike) -> FloatArray:
    """Cumulative funding that a holder has paid, in USD; negative where it was received.

    Parameters
    ----------
    quantity
        In whole tokens, negative for a short.
    prices
        Shape (T,), mark price at each funding time.
    rates
        Shape (T,), fraction of the notional for the interval that ends there, as exchanges publish it.

    Returns
    -------
    FloatArray
        Shape (T,).

    Raises
    ------
    PositionError
        When the lengths differ.
    """
    marks, fractions = as_series(prices, "prices"), as_series(rates, "rates")
    if marks.size != fractions.size:
        raise PositionError(f"{marks.size} prices and {fractions.size} funding rates")
    paid: FloatArray = np.cumsum(quantity * marks * fractions)
    return paid
