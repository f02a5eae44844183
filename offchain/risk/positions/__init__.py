# SPDX-License-Identifier: Apache-2.0
"""Positions whose value is not linear in prices, and books of them."""

from offchain.risk.positions.book import Book, UnderlyingGreeks, ladder, scenarios
from offchain.risk.positions.linear import Coin, Perpetual, funding_paid, inverse_perpetual_profit
from offchain.risk.positions.liquidity import (
    LiquidityPosition,
    arbitrage_rate,
    arbitrage_rate_regular,
    liquidity_of,
    trade_probability,
)
from offchain.risk.positions.option import Option, straddle
from offchain.risk.positions.state import MarketState, Position, PositionError, Sensitivities

__all__ = [
    "Book",
    "Coin",
    "LiquidityPosition",
    "MarketState",
    "Option",
    "Perpetual",
    "Position",
    "PositionError",
    "Sensitivities",
    "UnderlyingGreeks",
    "arbitrage_rate",
    "arbitrage_rate_regular",
    "funding_paid",
    "inverse_perpetual_profit",
    "ladder",
    "liquidity_of",
    "scenarios",
    "straddle",
    "trade_probability",
]
