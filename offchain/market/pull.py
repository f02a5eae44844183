# SPDX-License-Identifier: Apache-2.0
"""Bars from an exchange's public endpoints, through ccxt."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol

from offchain.errors import PlimsollError
from offchain.market.store import Store

PAGE = 500
NOTHING_NEW = 3
"""Pages without a new bar after which the exchange has no more."""


class PullError(PlimsollError):
    """Bars that could not be fetched."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did.

    Attributes
    ----------
    added
        New bars.
    first
        Unix seconds at which the first new bar begins; None without any. Later than asked for where the market is
        younger, or the exchange gives only its newest bars.
    """

    added: int
    first: int | None


class Exchange(Protocol):
    """What is used of a ccxt exchange."""

    id: str
    timeframes: dict[str, Any]

    def parse_timeframe(self, timeframe: str) -> int:
        """Seconds of an interval such as ``1d``."""

    def fetch_ohlcv(self, symbol: str, timeframe: str, since: int | None, limit: int | None) -> list[list[Any]]:
        """Bars from a time in milliseconds on: time, open, high, low, close, volume."""


def open_exchange(name: str) -> Exchange:
    """Return ccxt's client of an exchange, without credentials and at its own rate limit.

    Raises
    ------
    PullError
        When ccxt is not installed or knows no such exchange.
    """
    try:
        import ccxt
    except ImportError:
        raise PullError("ccxt is not installed; it comes with `pip install 'plimsoll[data]'`") from None
    if name not in ccxt.exchanges:
        near = get_close_matches(name, ccxt.exchanges, n=3)
        raise PullError(f"ccxt knows no exchange {name!r}" + (f"; did you mean {', '.join(near)}?" if near else ""))
    made: Exchange = getattr(ccxt, name)({"enableRateLimit": True, "timeout": 20_000})
    return made


def pull_bars(
    exchange: Exchange,
    store: Store,
    symbol: str,
    interval: str,
    since: int,
    until: int | None = None,
    *,
    now: Callable[[], float] = time.time,
) -> Pulled:
    """Fetch closed bars into a store, from where it ends.

    Each page is stored as it comes: an interrupted pull goes on where it stopped. The bar that is still open is
    left out.

    Parameters
    ----------
    since, until
        Unix seconds; only bars that begin in ``[since, until)`` count.

    Raises
    ------
    PullError
        When the exchange cannot be reached, refuses, or does not know the symbol or the interval.
    """
    import ccxt

    if interval not in exchange.timeframes:
        raise PullError(f"{exchange.id} has no bars of {interval}; it has {', '.join(exchange.timeframes)}")
    step = int(exchange.parse_timeframe(interval))
    last = store.last_bar(exchange.id, symbol, step)
    start = since if last is None else max(since, last + step)
    end = min(until or int(now()), int(now()))
    added = idle = 0
    first: int | None = None
    while start + step <= end and idle < NOTHING_NEW:
        try:
            page = exchange.fetch_ohlcv(symbol, interval, start * 1_000, PAGE)
        except ccxt.BadSymbol as error:
            raise PullError(f"{exchange.id} has no {symbol}: {_one_line(error)}") from error
        except ccxt.NetworkError as error:
            raise PullError(
                f"{exchange.id} cannot be reached: {_one_line(error)}; check the connection, {added} bars were stored"
            ) from error
        except ccxt.BaseError as error:
            raise PullError(f"{exchange.id} refuses: {_one_line(error)}; {added} bars were stored") from error
        rows = [_bar(exchange.id, symbol, step, one) for one in page if one and None not in one[:5]]
        rows = [row for row in rows if start <= row["time"] and row["time"] + step <= end]
        added += store.add("bars", rows)
        if rows:
            first = int(rows[0]["time"]) if first is None else first
            start, idle = max(int(row["time"]) for row in rows) + step, 0
        elif page and min(int(one[0]) // 1_000 for one in page) > start:
            # The market is younger than the wish: go to its first bar.
            start, idle = min(int(one[0]) // 1_000 for one in page), idle + 1
        else:
            start, idle = start + PAGE * step, idle + 1
    return Pulled(added, first)


def _bar(source: str, symbol: str, step: int, one: list[Any]) -> dict[str, Any]:
    names = ("open", "high", "low", "close", "volume")
    values = {name: float(value) for name, value in zip(names, [*one[1:6], *[0.0] * 5], strict=False)}
    return {"source": source, "symbol": symbol, "interval_s": step, "time": int(one[0]) // 1_000, **values}


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
