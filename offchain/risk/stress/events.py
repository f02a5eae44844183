# SPDX-License-Identifier: Apache-2.0
"""Crashes as they were recorded: daily returns of many assets, with dates and sources.

`recorded.json` beside this module holds numbers computed from public prices with `record_event`: returns of daily
closes, and for each asset the lowest close in the window at the finest resolution there was. Closes, not lows: single
trades at absurd prices (LINK at 0.0001 on 12 March 2020) are no market.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from itertools import pairwise

import numpy as np

from offchain.risk.arrays import FloatArray, RiskError
from offchain.risk.prices.table import PriceTable

DAY = 86_400
ALIASES: dict[str, tuple[str, ...]] = {
    "WETH": ("ETH",),
    "WBTC": ("BTC",),
    "cbBTC": ("BTC",),
    "tBTC": ("BTC",),
    "wstETH": ("stETH", "ETH"),
    "stETH": ("ETH",),
    "rETH": ("stETH", "ETH"),
    "USDC.e": ("USDC",),
}
"""Whose record counts for an asset without one of its own."""
DOLLARS = ("USDC", "USDT", "DAI")
"""Taken to have stood still where an event has no record of them."""


@dataclass(frozen=True)
class StressEvent:
    """A crash.

    Attributes
    ----------
    name
        Short, for options and tables.
    title
        What happened.
    start
        Date (UTC) of the close before the first return.
    days
        Dates of the returns.
    returns
        Simple daily returns by symbol, one a date.
    trough
        Lowest price in the window over the starting close, less one, by symbol.
    sources
        Where each symbol's prices came from and how fine they were.
    """

    name: str
    title: str
    start: str
    days: tuple[str, ...]
    returns: Mapping[str, tuple[float, ...]]
    trough: Mapping[str, float]
    sources: Mapping[str, str]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Assets with a record."""
        return tuple(self.returns)

    def recorded_as(self, symbol: str) -> str | None:
        """Return whose record counts for a symbol; None where there is none."""
        for name in (symbol, *ALIASES.get(symbol, ())):
            if name in self.returns:
                return name
        return None


@dataclass(frozen=True, eq=False)
class StressPath:
    """An event for a list of assets.

    Attributes
    ----------
    returns
        Shape (days, n).
    trough
        Shape (n,).
    stand_ins
        For assets without a record, what was taken instead.
    """

    returns: FloatArray
    trough: FloatArray
    stand_ins: Mapping[str, str]


@cache
def events() -> dict[str, StressEvent]:
    """Return the recorded events by name, oldest first."""
    text = resources.files("offchain.risk.stress").joinpath("recorded.json").read_text(encoding="utf-8")
    found = {}
    for one in json.loads(text):
        found[one["name"]] = StressEvent(
            name=one["name"],
            title=one["title"],
            start=one["start"],
            days=tuple(one["days"]),
            returns={symbol: tuple(values) for symbol, values in one["returns"].items()},
            trough=one["trough"],
            sources=one["sources"],
        )
    return found


def event(name: str) -> StressEvent:
    """Return one recorded event.

    Raises
    ------
    RiskError
        When there is none of that name; the error lists them.
    """
    if name not in events():
        raise RiskError(f"no stress event is called {name!r}; there are {', '.join(events())}")
    return events()[name]


def stress_path(one: StressEvent, symbols: Sequence[str], stand_ins: Mapping[str, str] | None = None) -> StressPath:
    """Return what an event did to a list of assets.

    An asset without a record, of its own or of what it wraps, takes that of its stand-in. Without one a dollar stands
    still, and anything else takes the median of the event's assets that are not dollars, day by day.

    Parameters
    ----------
    stand_ins
        Recorded symbol by symbol.

    Raises
    ------
    RiskError
        When a stand-in has no record.
    """
    columns, troughs, taken = [], [], {}
    risky = [name for name in one.symbols if name not in DOLLARS]
    for symbol in symbols:
        source = one.recorded_as(symbol)
        if source is None and stand_ins and symbol in stand_ins:
            source = one.recorded_as(stand_ins[symbol])
            if source is None:
                raise RiskError(f"{one.name} has no record of {stand_ins[symbol]}, the stand-in of {symbol}")
            taken[symbol] = source
        if source is not None:
            columns.append(np.array(one.returns[source]))
            troughs.append(one.trough[source])
        elif symbol in DOLLARS:
            taken[symbol] = "one dollar"
            columns.append(np.zeros(len(one.days)))
            troughs.append(0.0)
        else:
            taken[symbol] = f"median of {len(risky)} assets"
            columns.append(np.median([one.returns[name] for name in risky], axis=0))
            troughs.append(float(np.median([one.trough[name] for name in risky])))
    return StressPath(np.column_stack(columns), np.array(troughs), taken)


def record_event(
    name: str, title: str, start: str, end: str, tables: Sequence[tuple[PriceTable, Sequence[str], str]]
) -> StressEvent:
    """Make an event of one's own from prices.

    Parameters
    ----------
    start, end
        Dates (UTC) of the close before the first return and of the last.
    tables
        Prices, the symbols to take from them, and what to say of their source. Bars are stamped with their opening
        time; the close of a day is the last price of that day. A symbol of several tables has its path from the first
        and its trough from the last, so that finer prices come last.

    Raises
    ------
    RiskError
        When a symbol has no price on a day.
    """
    first, last = _seconds(start), _seconds(end)
    closes = [first + DAY * number for number in range((last - first) // DAY + 1)]
    returns: dict[str, tuple[float, ...]] = {}
    trough: dict[str, float] = {}
    sources: dict[str, str] = {}
    for table, symbols, source in tables:
        for symbol in symbols:
            prices = table.prices[:, table.column(symbol)]
            day = table.timestamps // DAY * DAY
            path = []
            for close in closes:
                inside = prices[(day == close) & np.isfinite(prices)]
                if inside.size == 0:
                    raise RiskError(f"{symbol} has no price on {datetime.fromtimestamp(close, UTC).date()}")
                path.append(float(inside[-1]))
            window = prices[(day > first) & (day <= last) & np.isfinite(prices)]
            trough[symbol] = round(float(window.min()) / path[0] - 1.0, 6)
            if symbol in returns:
                sources[symbol] += f"; trough: {source}"
                continue
            returns[symbol] = tuple(round(after / before - 1.0, 6) for before, after in pairwise(path))
            sources[symbol] = source
    days = tuple(datetime.fromtimestamp(close, UTC).date().isoformat() for close in closes[1:])
    return StressEvent(name, title, start, days, returns, trough, sources)


def _seconds(date: str) -> int:
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())
