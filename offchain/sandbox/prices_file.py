# SPDX-License-Identifier: Apache-2.0
"""The market's price path from recorded files in the long format (`offchain.risk.prices`).

A bar counts with its opening price at its opening time, which is what was known then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from offchain.risk.prices import PriceFileError, PriceSeries, read_series
from offchain.sandbox.paths import MARKET_SYMBOLS, FloatArray, IntArray, PricePath

__all__ = ["GAP_LIMIT", "PriceFileError", "PriceSeries", "load_path", "read_series"]

GAP_LIMIT = 10.0
"""Longest distance between rows that is not a gap, in multiples of the series' median distance."""

ALIASES: dict[str, str] = {"WETH": "ETH", "WBTC": "BTC", "STETH": "stETH", "steth": "stETH"}
"""Names in files for the driver's symbols; a series under the driver's own name comes first."""
ONE_DOLLAR = ("USDC", "USDT", "DAI")
"""Held at one dollar where no file has a series."""


def load_path(
    files: str | Path | Sequence[str | Path],
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    step_seconds: int | None = None,
    substitutes: Mapping[str, str] | None = None,
    gap_limit: float = GAP_LIMIT,
) -> PricePath:
    """Return the market's price path over a window of recorded history.

    A symbol comes from the first file that covers the window with it. stETH follows ETH by its ratio to the ETH
    series of its own file, because sources are not simultaneous, and is worth one ETH without a series; USDC, USDT
    and DAI without one are worth a dollar.

    Parameters
    ----------
    files
        One or several files in the long format.
    start, end
        The window, UTC; by default all that the risky assets have in common.
    step_seconds
        Distance between rows of the path; by default the shortest median distance of the series used.
        Between rows of a file prices run along a straight line in logarithms.
    substitutes
        For a symbol that no file covers, the symbol whose returns it takes instead, scaled to the simulator's
        starting prices: ``{"LINK": "ETH"}``.
    gap_limit
        Longest distance between rows inside the window, in multiples of the series' median distance.

    Returns
    -------
    PricePath
        Columns `MARKET_SYMBOLS`.

    Raises
    ------
    PriceFileError
        On what `read_series` refuses, a symbol that no file covers, or a gap over the limit.
    """
    names: list[str | Path] = [files] if isinstance(files, str | Path) else list(files)
    book = [series for name in names for series in read_series(name).values()]
    substitutes = substitutes or {}
    window = _window(names, book, substitutes, start, end)
    found = {symbol: _covering(book, symbol, window) for symbol in MARKET_SYMBOLS}
    used = [series for series in found.values() if series is not None]
    for one in used:
        _refuse_gaps(one, window, gap_limit)
    step = step_seconds or round(min((float(np.median(np.diff(one.timestamps))) for one in used), default=3_600.0))
    grid = np.arange(math.ceil(window[0]), math.floor(window[1]) + 1, step, dtype=np.int64)

    columns: dict[str, FloatArray] = {}
    for symbol in MARKET_SYMBOLS:
        series = found[symbol]
        if series is not None:
            columns[symbol] = _resample(series, grid)
            sibling = _covering([s for s in book if s.file == series.file], "ETH", window)
            if symbol == "stETH" and sibling is not None and sibling is not found["ETH"]:
                columns[symbol] *= columns["ETH"] / _resample(sibling, grid)
        elif symbol in substitutes:
            columns[symbol] = _substitute(columns, symbol, substitutes[symbol])
        elif symbol == "stETH":
            columns[symbol] = columns["ETH"].copy()
        elif symbol in ONE_DOLLAR:
            columns[symbol] = np.ones(grid.size)
        else:
            raise PriceFileError(
                ", ".join(map(str, names)), f"no series of {symbol} covers {_iso(window[0])} to {_iso(window[1])}; "
                "add a file that does, or name a substitute",
            )  # fmt: skip
    return PricePath(MARKET_SYMBOLS, grid, np.column_stack([columns[symbol] for symbol in MARKET_SYMBOLS]))


def _named(series: PriceSeries, symbol: str) -> bool:
    return series.symbol == symbol or ALIASES.get(series.symbol) == symbol


def _window(
    names: Sequence[str | Path],
    book: list[PriceSeries],
    substitutes: Mapping[str, str],
    start: datetime | None,
    end: datetime | None,
) -> tuple[float, float]:
    """Return Unix seconds; where the caller leaves a side open, what the risky assets have in common decides."""
    risky = [
        [series for series in book if _named(series, symbol)]
        for symbol in ("ETH", "BTC", "LINK")
        if symbol not in substitutes
    ]
    common_start = max((min(s.timestamps[0] for s in group) for group in risky if group), default=math.inf)
    common_end = min((max(s.timestamps[-1] for s in group) for group in risky if group), default=-math.inf)
    first = _utc(start) if start is not None else common_start
    last = _utc(end) if end is not None else common_end
    if not first < last:
        raise PriceFileError(
            ", ".join(map(str, names)), "the window is empty; check start and end against the rows of ETH, BTC and LINK"
        )
    return float(first), float(last)


def _covering(book: list[PriceSeries], symbol: str, window: tuple[float, float]) -> PriceSeries | None:
    """Return the first series of the symbol that spans the window, up to one of its own steps at either end."""
    own_name_first = sorted(book, key=lambda series: series.symbol != symbol)
    for series in own_name_first:
        if _named(series, symbol) and series.timestamps.size > 1:
            slack = float(np.median(np.diff(series.timestamps)))
            if series.timestamps[0] - slack <= window[0] and series.timestamps[-1] + slack >= window[1]:
                return series
    return None


def _refuse_gaps(series: PriceSeries, window: tuple[float, float], gap_limit: float) -> None:
    distances = np.diff(series.timestamps)
    limit = gap_limit * float(np.median(distances))
    inside = (series.timestamps[1:] > window[0]) & (series.timestamps[:-1] < window[1])
    wide = np.flatnonzero(inside & (distances > limit))
    if wide.size:
        at = int(wide[0])
        raise PriceFileError(
            series.file,
            f"{series.symbol} has a gap of {distances[at] / 3600:.1f} h after row {series.rows[at]}, over the limit of "
            f"{limit / 3600:.1f} h; fill it, choose another window or raise the limit",
            row=int(series.rows[at + 1]), column="time", value=_iso(float(series.timestamps[at + 1])),
        )  # fmt: skip


def _resample(series: PriceSeries, grid: IntArray) -> FloatArray:
    return np.exp(np.interp(grid, series.timestamps, np.log(series.prices)))


def _substitute(columns: dict[str, FloatArray], symbol: str, source: str) -> FloatArray:
    # Imported here: the simulator is needed for its scale only.
    from offchain.sandbox.simulator import START_PRICES

    first = float(columns[source][0])
    return columns[source] * (START_PRICES[symbol] / first)


def _utc(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _iso(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%MZ")
