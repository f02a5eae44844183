# SPDX-License-Identifier: Apache-2.0
"""What the market did, for one mandate: true prices, staking ratios, ether, base fees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from offchain.backtest.errors import MarketPathError
from offchain.mandate import Mandate, StakedRatioOracle
from offchain.risk.prices import PriceTable

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

YEAR_SECONDS = 365 * 86_400
GWEI = 10**9
STAKING_YIELD = 0.03
"""Growth of a staking ratio, a year, where no series tells it."""
DEFAULT_BASE_FEE_GWEI = 20.0

ALIASES: Mapping[str, tuple[str, ...]] = {
    "WETH": ("WETH", "ETH"),
    "WBTC": ("WBTC", "BTC"),
    "ETH": ("ETH", "WETH"),
    "BTC": ("BTC", "WBTC"),
}
"""Names under which price files know a token; the first found counts."""
DOLLARS = frozenset({"USDC", "USDT", "DAI", "USD"})
"""Held at one dollar where a file has no series of them."""


@dataclass(frozen=True, eq=False)
class MarketPath:
    """True market data on one time grid; a row holds what was known at its time.

    Attributes
    ----------
    symbols
        Assets in the mandate's order.
    timestamps
        Shape (T,): Unix seconds, strictly increasing.
    prices
        Shape (T, n): USD per whole token; NaN where an asset has no price.
    ratios
        Shape (T, n): what a staking token stands for of its underlying; 1 for everything else.
    ether
        Shape (T,): USD per ether, which gas is paid in; NaN before its first price.
    base_fees
        Shape (T,): wei per gas.
    notes
        Sentences for the reader: what was assumed.

    Raises
    ------
    MarketPathError
        Shapes disagree, times do not increase, or a number is not positive.
    """

    symbols: tuple[str, ...]
    timestamps: IntArray
    prices: FloatArray
    ratios: FloatArray
    ether: FloatArray
    base_fees: IntArray
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rows, shape = len(self.timestamps), (len(self.timestamps), len(self.symbols))
        if self.prices.shape != shape or self.ratios.shape != shape:
            raise MarketPathError(f"a path of {rows} times and {shape[1]} assets has prices {self.prices.shape}")
        if self.ether.shape != (rows,) or self.base_fees.shape != (rows,):
            raise MarketPathError(f"a path of {rows} times needs as many ether prices and base fees")
        if np.any(np.diff(self.timestamps) <= 0):
            raise MarketPathError("the times of a path must increase strictly; sort the rows and drop duplicates")
        bad = ~(self.prices > 0) & ~np.isnan(self.prices)
        if bad.any():
            row, column = (int(axis[0]) for axis in np.nonzero(bad))
            raise MarketPathError(f"{self.symbols[column]} at {iso(self.timestamps[row])}: a price must be positive")

    def __len__(self) -> int:
        return len(self.timestamps)

    @property
    def step_seconds(self) -> int:
        """Median distance between rows."""
        return int(np.median(np.diff(self.timestamps)))

    def between(self, start: int | None, end: int | None) -> MarketPath:
        """Rows with ``start <= time <= end``, Unix seconds; None for no bound."""
        low = 0 if start is None else int(np.searchsorted(self.timestamps, start, side="left"))
        high = len(self) if end is None else int(np.searchsorted(self.timestamps, end, side="right"))
        return self.rows(low, high)

    def rows(self, low: int, high: int) -> MarketPath:
        """Rows ``[low, high)``."""
        cut = slice(low, high)
        return replace(
            self,
            timestamps=self.timestamps[cut],
            prices=self.prices[cut],
            ratios=self.ratios[cut],
            ether=self.ether[cut],
            base_fees=self.base_fees[cut],
        )


def path_from_prices(
    mandate: Mandate,
    table: PriceTable,
    *,
    base_fees: IntArray | float = DEFAULT_BASE_FEE_GWEI,
    staking_yield: float = STAKING_YIELD,
    ratio_at_start: float = 1.0,
) -> MarketPath:
    """Line a price file up with a mandate's assets.

    A bar counts with its close at the time it ends, because that is when the close was known. A token is
    looked up by its symbol or what it wraps; a dollar without a series is worth a dollar; a staking token
    without a series is its ratio times stETH or ether.

    Parameters
    ----------
    table
        From `offchain.risk.prices.load_prices`.
    base_fees
        Wei per gas on the table's grid, shape (T,), or gwei for all of it.
    staking_yield
        Growth of staking ratios a year, simple interest by the second.
    ratio_at_start
        Of every staking token, in the first row.

    Raises
    ------
    MarketPathError
        An asset has no series; names it and those there are.
    """
    shift = table.step_seconds if table.bars is not None else 0
    timestamps = table.timestamps + shift
    rows = len(timestamps)
    notes: list[str] = []
    if shift:
        notes.append("Prices are closes, used from the moment the bar ends.")
    growth = ratio_at_start * (1.0 + staking_yield * (timestamps - timestamps[0]) / YEAR_SECONDS)
    ether = _series(table, "ETH")
    prices, ratios = np.empty((rows, len(mandate.assets))), np.ones((rows, len(mandate.assets)))
    for index, asset in enumerate(mandate.ordered_assets):
        series = _series(table, asset.symbol)
        if isinstance(asset.oracle, StakedRatioOracle):
            ratios[:, index] = growth
            if series is None:
                staked = _series(table, "stETH")
                known = "ether" if staked is None else "stETH"
                staked = ether if staked is None else staked
                notes.append(f"{asset.symbol} has no series: its ratio ({staking_yield:.1%} a year) times {known}.")
                series = None if staked is None else growth * staked
        if series is None and asset.symbol.upper() in DOLLARS:
            series = np.ones(rows)
            notes.append(f"{asset.symbol} has no series: held at one dollar.")
        if series is None:
            known = ", ".join(table.symbols)
            raise MarketPathError(f"the prices have no series of {asset.symbol}; they have {known}")
        prices[:, index] = series
    if ether is None:
        raise MarketPathError("the prices have no series of ETH, which gas is paid in; add one")
    fees = base_fees if isinstance(base_fees, np.ndarray) else np.full(rows, round(base_fees * GWEI), dtype=np.int64)
    return MarketPath(mandate.symbols, timestamps, prices, ratios, _carried(ether), fees, tuple(notes))


def iso(timestamp: float) -> str:
    """A time as people write it, UTC."""
    return datetime.fromtimestamp(int(timestamp), UTC).strftime("%Y-%m-%dT%H:%MZ")


def _series(table: PriceTable, symbol: str) -> FloatArray | None:
    for name in ALIASES.get(symbol, (symbol,)):
        if name in table.symbols:
            return table.prices[:, table.symbols.index(name)]
    return None


def _carried(series: FloatArray) -> FloatArray:
    """Gaps filled with the value before them; what comes before the first value stays NaN."""
    last = np.maximum.accumulate(np.where(np.isfinite(series), np.arange(len(series)), 0))
    filled: FloatArray = series[last]
    return filled
