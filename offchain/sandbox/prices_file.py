# SPDX-License-Identifier: Apache-2.0
"""Price history from CSV files in the long format: one row a time and symbol.

A file, gzipped or not, has a header with a time column (``time``, ``date`` or ``timestamp``: ISO 8601 in UTC, or
Unix seconds or milliseconds), a ``symbol`` column, and either bars (``open`` and usually ``high``, ``low``,
``close``) or one price column (``price``, ``close`` or ``USD_price``). Further columns are ignored. Rows of one
symbol come in order of time; symbols may be interleaved or follow each other.

A bar counts with its opening price at its opening time, which is what was known then.
"""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import numpy as np

from offchain.errors import PlimsollError
from offchain.sandbox.paths import MARKET_SYMBOLS, FloatArray, IntArray, PricePath

TIME_COLUMNS = ("time", "timestamp", "date")
BAR_COLUMNS = ("open", "high", "low", "close")
PRICE_COLUMNS = ("open", "price", "close", "USD_price")
GAP_LIMIT = 10.0
"""Longest distance between rows that is not a gap, in multiples of the series' median distance."""

ALIASES: dict[str, str] = {"WETH": "ETH", "WBTC": "BTC", "STETH": "stETH", "steth": "stETH"}
"""Names in files for the driver's symbols; a series under the driver's own name comes first."""
ONE_DOLLAR = ("USDC", "USDT", "DAI")
"""Held at one dollar where no file has a series."""


class PriceFileError(PlimsollError):
    """A price file that cannot be used.

    Attributes
    ----------
    file
        The file as it was named.
    row
        Row number as an editor shows it (the header is row 1); None when the file as a whole is at fault.
    column
        The column at fault, where there is one.
    value
        What stood there.
    """

    def __init__(
        self, file: str | Path, problem: str, *, row: int | None = None, column: str | None = None,
        value: str | None = None,
    ) -> None:  # fmt: skip
        self.file, self.row, self.column, self.value = str(file), row, column, value
        place = self.file + (f", row {row}" if row is not None else "") + (f", column {column}" if column else "")
        super().__init__(f"{place}: {problem}")


@dataclass(frozen=True, eq=False)
class PriceSeries:
    """One symbol's rows as a file has them.

    Attributes
    ----------
    timestamps
        Shape (T,), Unix seconds, strictly increasing.
    prices
        Shape (T,), USD per whole token.
    rows
        Shape (T,), row numbers in the file.
    """

    file: str
    symbol: str
    timestamps: FloatArray
    prices: FloatArray
    rows: IntArray


def read_series(file: str | Path) -> dict[str, PriceSeries]:
    """Read every series of a file.

    Returns
    -------
    dict
        Series by the symbol the file uses.

    Raises
    ------
    PriceFileError
        On an unreadable file, a missing column, or a row that is short, out of order, repeated, or without a
        positive finite price.
    """
    path = Path(file)
    collected: dict[str, tuple[list[float], list[float], list[int]]] = {}
    try:
        with _open(path) as handle:
            for row, symbol, time, price, text in _rows(path, handle):
                times, prices, rows = collected.setdefault(symbol, ([], [], []))
                if times and time <= times[-1]:
                    problem = "repeats the time of" if time == times[-1] else "is earlier than"
                    raise PriceFileError(
                        path, f"{symbol} at {text} {problem} row {rows[-1]}; sort the rows and drop duplicates",
                        row=row, column="time", value=text,
                    )  # fmt: skip
                times.append(time)
                prices.append(price)
                rows.append(row)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise PriceFileError(path, f"cannot be read as CSV ({error})") from error
    if not collected:
        raise PriceFileError(path, "has a header but no rows")
    return {
        symbol: PriceSeries(str(path), symbol, np.array(times), np.array(prices), np.array(rows, dtype=np.int64))
        for symbol, (times, prices, rows) in collected.items()
    }


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
                ", ".join(map(str, names)), f"no series of {symbol} covers {_iso(window[0])} to {_iso(window[1])}; add a "
                "file that does, or name a substitute",
            )  # fmt: skip
    return PricePath(MARKET_SYMBOLS, grid, np.column_stack([columns[symbol] for symbol in MARKET_SYMBOLS]))


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _rows(path: Path, handle: IO[str]) -> Iterator[tuple[int, str, float, float, str]]:
    """Yield (row number, symbol, Unix seconds, price, time as written) for every data row."""
    reader = csv.reader(handle)
    header = [name.strip() for name in next(reader, [])]
    if not header:
        raise PriceFileError(path, "is empty; expected a header with time, symbol and a price")
    time_at = _find(path, header, TIME_COLUMNS, "time")
    symbol_at = _find(path, header, ("symbol",), "symbol")
    price_at = _find(path, header, PRICE_COLUMNS, "price")
    checked = sorted({price_at} | {header.index(name) for name in BAR_COLUMNS if name in header})
    for cells in reader:
        if not cells:
            continue
        row = reader.line_num
        if len(cells) != len(header):
            raise PriceFileError(path, f"has {len(cells)} cells where the header has {len(header)}", row=row)
        text, symbol = cells[time_at].strip(), cells[symbol_at].strip()
        if not symbol:
            raise PriceFileError(path, "the symbol is missing", row=row, column="symbol", value="")
        time = _time(text)
        if time is None:
            raise PriceFileError(
                path, f"{text!r} is not a time; write ISO 8601 in UTC or Unix time", row=row, column=header[time_at],
                value=text,
            )  # fmt: skip
        price = 0.0
        for at in checked:
            value = _price(cells[at])
            if value is None:
                raise PriceFileError(
                    path, f"{cells[at]!r} is not a positive price ({symbol} at {text})", row=row, column=header[at],
                    value=cells[at],
                )  # fmt: skip
            price = value if at == price_at else price
        yield row, symbol, time, price, text


def _find(path: Path, header: list[str], names: Sequence[str], what: str) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    raise PriceFileError(path, f"has no {what} column; expected {' or '.join(names)}, found {', '.join(header)}", row=1)


def _time(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(number) or number < 0:
        return None
    return number / 1_000.0 if number > 1e11 else number


def _price(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


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
