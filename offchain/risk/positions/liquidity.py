# SPDX-License-Identifier: Apache-2.0
"""Liquidity positions: what they hold, what they are worth, and what arbitrage costs them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray
from offchain.risk.positions.state import MarketState, PositionError, Sensitivities


@dataclass(frozen=True, slots=True)
class LiquidityPosition:
    r"""Liquidity of a Uniswap v3 position; with the widest range, of a v2 pair.

    With pool price p of the base in units of the quote, clipped to the range,

    .. math:: x = L (p^{-1/2} - p_b^{-1/2}), \quad y = L (p^{1/2} - p_a^{1/2})

    are its holdings of base and quote (Uniswap v3 whitepaper, 6.2). Arbitrage keeps the pool's price at the market's.

    Attributes
    ----------
    base, quote
        The two assets; ``token0`` and ``token1`` in whole tokens.
    liquidity
        L, in the root of base times quote, whole tokens.
    lower, upper
        Range of the pool price; ``0`` and ``inf`` for a full range.
    fee_yield_per_year
        Expected fees as a fraction of the position's value while the price is in range.
    """

    base: str
    quote: str
    liquidity: float
    lower: float = 0.0
    upper: float = math.inf
    fee_yield_per_year: float = 0.0

    def __post_init__(self) -> None:
        """Refuse an empty range or no liquidity.

        Raises
        ------
        PositionError
            When the range is empty, the liquidity not positive or both assets the same.
        """
        if not (0.0 <= self.lower < self.upper and self.liquidity > 0.0 and self.base != self.quote):
            raise PositionError(f"{self}: wants two assets, positive liquidity and lower below upper")

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Whose prices it needs."""
        return (self.base, self.quote)

    def holdings(self, price: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return base and quote amounts in whole tokens at a pool price."""
        root = np.sqrt(np.clip(np.asarray(price, dtype=np.float64), self.lower, self.upper))
        return (
            self.liquidity * (1.0 / root - 1.0 / math.sqrt(self.upper)),
            self.liquidity * (root - math.sqrt(self.lower)),
        )

    def value(self, state: MarketState) -> FloatArray:
        """Return the holdings' worth, with expected fees at the state's price."""
        base, quote = state.price(self.base), state.price(self.quote)
        amount, rest = self.holdings(base / quote)
        inside = self._inside(base / quote)
        value: FloatArray = (amount * base + rest * quote) * (1.0 + self.fee_yield_per_year * state.elapsed * inside)
        return value

    def sensitivities(self, state: MarketState) -> Sensitivities:
        """Return the holdings as deltas and the curve's bend as gamma; a position is short gamma inside its range."""
        base, quote = float(state.price(self.base)), float(state.price(self.quote))
        price = base / quote
        amount, rest = (float(one) for one in self.holdings(price))
        bend = -0.5 * self.liquidity * price**-1.5 / quote if bool(self._inside(price)) else 0.0
        earned = self.fee_yield_per_year * float(self.value(state)) if bend else 0.0
        return Sensitivities(
            delta={self.base: amount, self.quote: rest},
            gamma={
                (self.base, self.base): bend,
                (self.quote, self.quote): bend * price**2,
                _pair(self.base, self.quote): -bend * price,
            },
            theta={self.base: earned} if earned else {},
        )

    def divergence(self, entry_price: float, price: ArrayLike) -> FloatArray:
        """Return the loss against holding what was put in, as a fraction of that; never positive.

        Parameters
        ----------
        entry_price, price
            Pool prices, base in units of the quote.
        """
        base, quote = self.holdings(entry_price)
        final = np.asarray(price, dtype=np.float64)
        held = base * final + quote
        now = self.holdings(final)
        loss: FloatArray = (now[0] * final + now[1]) / held - 1.0
        return loss

    def loss_versus_rebalancing(self, price: ArrayLike, volatility: float) -> FloatArray:
        r"""Return what arbitrage takes, in the quote per unit of time of the volatility.

        .. math:: \frac{\sigma^2 p^2}{2} |x'(p)| = \frac{\sigma^2}{4} L \sqrt p \quad \text{in range}

        Milionis, Moallemi, Roughgarden and Zhang, "Automated market making and loss-versus-rebalancing" (2022). For a
        full range it is an eighth of the variance times the pool's value.

        Parameters
        ----------
        price
            Pool prices.
        volatility
            Of the pool's price, per root of the unit of time.
        """
        final = np.asarray(price, dtype=np.float64)
        rate: FloatArray = np.where(self._inside(final), 0.25 * volatility**2 * self.liquidity * np.sqrt(final), 0.0)
        return rate

    def _inside(self, price: ArrayLike) -> FloatArray:
        final = np.asarray(price, dtype=np.float64)
        return ((final > self.lower) & (final < self.upper)).astype(np.float64)


def liquidity_of(
    base_amount: float, quote_amount: float, price: float, lower: float = 0.0, upper: float = math.inf
) -> float:
    """Return the most liquidity that two amounts in whole tokens give at a pool price.

    Raises
    ------
    PositionError
        When the price or range is impossible.
    """
    if not (0.0 <= lower < upper and price > 0.0):
        raise PositionError(f"price {price} and range {lower} to {upper} make no position")
    root = math.sqrt(min(max(price, lower), upper))
    by_base = base_amount / (1.0 / root - 1.0 / math.sqrt(upper)) if root < math.sqrt(upper) else math.inf
    by_quote = quote_amount / (root - math.sqrt(lower)) if root > math.sqrt(lower) else math.inf
    return min(by_base, by_quote)


def trade_probability(volatility: float, fee: float, blocks: float) -> float:
    r"""Fraction of blocks in which arbitrage pays, when blocks arrive at random.

    .. math:: P = \frac{1}{1 + \sqrt{2 \lambda}\, \gamma / \sigma}

    Milionis, Moallemi and Roughgarden, "Automated market making and arbitrage profits in the presence of fees" (2023).

    Parameters
    ----------
    volatility
        Per root of a unit of time.
    fee
        Of the pool, as a fraction (in logarithms of the price).
    blocks
        Mean number of blocks in the same unit of time.
    """
    return 1.0 / (1.0 + math.sqrt(2.0 * blocks) * fee / volatility)


def arbitrage_rate(volatility: float, fee: float, blocks: float) -> float:
    r"""Fraction of a full-range pool's value that arbitrage takes per unit of time, net of the fees it pays.

    .. math:: \frac{\sigma^2}{8} \, P \, \frac{\cosh(\gamma / 2)}{1 - \sigma^2 / (8 \lambda)}

    Arguments and source as `trade_probability`. Without fees and with ever more blocks it is sigma squared over eight.

    Raises
    ------
    PositionError
        When blocks are so rare that the loss has no finite mean.
    """
    per_block = volatility**2 / (8.0 * blocks)
    if per_block >= 1.0:
        raise PositionError(f"variance of {volatility**2:g} in {blocks:g} blocks: the mean loss is not finite")
    wedge = math.cosh(0.5 * fee) / (1.0 - per_block)
    return 0.125 * volatility**2 * trade_probability(volatility, fee, blocks) * wedge


def arbitrage_rate_regular(volatility: float, fee: float, blocks: float) -> float:
    r"""Estimate the same for blocks at equal distances, where it is lower.

    .. math:: \frac{\sigma^2}{8} \frac{1}{1 + 1.7164 \, \gamma / \sigma_b}, \quad \sigma_b = \sigma / \sqrt\lambda

    The constant is the inverse of :math:`-\zeta(1/2) / \sqrt{2 \pi}`, by which a random walk overshoots a far level on
    average, in steps: a mispricing that starts a block inside the fee leaves it by that much. In the form of Nezlobin
    and Tassy, "Loss-versus-rebalancing under deterministic and generalized block-times" (2025), gamma is the width of
    the band, twice the fee. For fees and block volatilities well below one.
    """
    block_volatility = volatility / math.sqrt(blocks)
    return 0.125 * volatility**2 / (1.0 + 1.7164 * fee / block_volatility)


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one <= other else (other, one)
