# SPDX-License-Identifier: Apache-2.0
"""The market's true prices through time, which feeds and pools then follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.errors import PlimsollError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MARKET_SYMBOLS: tuple[str, ...] = ("ETH", "BTC", "LINK", "stETH", "USDC", "USDT", "DAI")
"""What the market driver needs a price of; wstETH follows from stETH and its ratio."""


class PricePathError(PlimsollError):
    """A price path that cannot exist, or a question it cannot answer."""


@dataclass(frozen=True, eq=False)
class PricePath:
    """True USD prices on an increasing grid of times.

    Attributes
    ----------
    symbols
        One name a column.
    timestamps
        Shape (T,), Unix seconds, strictly increasing.
    prices
        Shape (T, n), USD per whole token, positive.
    regimes
        Shape (T,), index of the simulator's regime that led to each row; absent for a replay.

    Raises
    ------
    PricePathError
        When shapes disagree, times do not increase, or a price is not positive and finite.
    """

    symbols: tuple[str, ...]
    timestamps: IntArray
    prices: FloatArray
    regimes: IntArray | None = None

    def __post_init__(self) -> None:
        timestamps = np.array(self.timestamps, dtype=np.int64)
        prices = np.array(self.prices, dtype=np.float64)
        if timestamps.ndim != 1 or timestamps.size == 0 or prices.shape != (timestamps.size, len(self.symbols)):
            raise PricePathError(
                f"a price path of {timestamps.size} times and {len(self.symbols)} symbols cannot have prices of shape "
                f"{prices.shape}"
            )
        if np.any(np.diff(timestamps) <= 0):
            raise PricePathError("the times of a price path must increase strictly; sort the rows and drop duplicates")
        if not np.all(np.isfinite(prices)) or np.any(prices <= 0):
            row, column = np.argwhere(~(np.isfinite(prices) & (prices > 0)))[0]
            raise PricePathError(
                f"price path: {self.symbols[column]} at time {timestamps[row]} is {prices[row, column]}, not a price"
            )
        for name, array in (("timestamps", timestamps), ("prices", prices)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def start(self) -> int:
        """Unix seconds of the first row."""
        return int(self.timestamps[0])

    @property
    def end(self) -> int:
        """Unix seconds of the last row."""
        return int(self.timestamps[-1])

    def series(self, symbol: str) -> FloatArray:
        """Return one symbol's prices, shape (T,), USD per whole token."""
        try:
            return self.prices[:, self.symbols.index(symbol)]
        except ValueError:
            raise PricePathError(f"the price path has no {symbol}; it has {', '.join(self.symbols)}") from None

    def at(self, timestamp: float) -> dict[str, float]:
        """Return every symbol's USD price at a time, between rows along a straight line in logarithms.

        Raises
        ------
        PricePathError
            When the time lies outside the path.
        """
        if not self.start <= timestamp <= self.end:
            raise PricePathError(f"time {timestamp} is outside the price path, which spans {self.start} to {self.end}")
        right = int(np.searchsorted(self.timestamps, timestamp))
        if self.timestamps[right] == timestamp:
            row = self.prices[right]
        else:
            left = right - 1
            share = (timestamp - self.timestamps[left]) / (self.timestamps[right] - self.timestamps[left])
            row = np.exp((1 - share) * np.log(self.prices[left]) + share * np.log(self.prices[right]))
        return dict(zip(self.symbols, row.tolist(), strict=True))

    def times_between(self, after: int, until: int) -> list[int]:
        """Return the path's own times in the half-open interval ``(after, until]``."""
        first, last = np.searchsorted(self.timestamps, [after, until], side="right")
        return [int(time) for time in self.timestamps[first:last]]

    def starting_at(self, timestamp: int) -> PricePath:
        """Return the same prices moved in time so that the first row falls on `timestamp`."""
        return PricePath(self.symbols, self.timestamps + (timestamp - self.start), self.prices, self.regimes)

    def scaled_to(self, prices: dict[str, float]) -> PricePath:
        """Return the same returns with first prices as given; symbols not named keep their own."""
        factors = np.array([prices.get(s, p) / p for s, p in zip(self.symbols, self.prices[0], strict=True)])
        return PricePath(self.symbols, self.timestamps, self.prices * factors, self.regimes)
