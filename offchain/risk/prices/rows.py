# SPDX-License-Identifier: Apache-2.0
"""Rows of price files: CSV, gzipped or not, in three layouts.

Long
    One row a time and symbol: a time column (``time``, ``date`` or ``timestamp``: ISO 8601 in UTC, or Unix seconds
    or milliseconds), ``symbol``, and bars (``open``, ``high``, ``low``, ``close``) or one price column.
Single
    The same without ``symbol``: one asset, named after the file.
Wide
    One row a time, one column an asset. An empty cell is no price.

Names of columns are compared without regard to case; unknown columns of the long and single layouts are ignored.
"""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from offchain.errors import why_unreadable
from offchain.risk.prices.problems import PriceFileError, PriceProblem, ProblemKind, Report

TIME_COLUMNS = ("time", "timestamp", "date")
OTHER_TIME_COLUMNS = ("datetime", "open_time", "unix", "")
"""Also understood in single and wide files; pandas writes an index without a name as an empty one."""
BAR_COLUMNS = ("open", "high", "low", "close")
OPENING = ("open", "price", "close", "usd_price")
CLOSING = ("close", "price", "usd_price", "open")


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One price at one time.

    Attributes
    ----------
    row
        Row number as an editor shows it.
    time
        Unix seconds; ``text`` is how it was written.
    price
        Positive and finite.
    bar
        Open, high, low and close, where the file has all four.
    """

    row: int
    symbol: str
    time: float
    price: float
    text: str
    bar: tuple[float, float, float, float] | None = None


def read_rows(
    file: str | Path, report: Report, *, prices: Sequence[str] = CLOSING, long_only: bool = False
) -> Iterator[PriceRow]:
    """Yield the usable rows of a file in its order, and report the others.

    Parameters
    ----------
    file
        CSV, gzipped when its name ends in ``.gz``.
    report
        Called with each problem of a row; raise in it to be strict.
    prices
        Columns to take the price from, the first present counts.
    long_only
        Refuse the single and wide layouts.

    Raises
    ------
    PriceFileError
        When the file cannot be read or has none of the layouts.
    """
    path = Path(file)
    try:
        with _open(path) as handle:
            yield from _rows(path, handle, report, prices, long_only)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise PriceFileError(path, why_unreadable(error, "CSV")) from error


def parse_time(text: str) -> float | None:
    """Return Unix seconds of ISO 8601 (UTC unless it says otherwise), Unix seconds or milliseconds; None if neither."""
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


def parse_price(text: str) -> float | None:
    """Return a positive finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _rows(path: Path, handle: IO[str], report: Report, prices: Sequence[str], long_only: bool) -> Iterator[PriceRow]:
    reader = csv.reader(handle)
    header = [name.strip() for name in next(reader, [])]
    if not header:
        raise PriceFileError(path, "is empty; expected a header with time, symbol and a price")
    folded = [name.casefold() for name in header]
    times = TIME_COLUMNS if long_only else TIME_COLUMNS + OTHER_TIME_COLUMNS
    time_at = _find(path, header, folded, times, "time")
    layout: _Bars | _Wide
    if long_only or "symbol" in folded:
        symbol_at = _find(path, header, folded, ("symbol",), "symbol")
        layout = _Bars(path, header, folded, _find(path, header, folded, prices, "price"), symbol_at, report)
    elif any(name in folded for name in prices):
        layout = _Bars(path, header, folded, _find(path, header, folded, prices, "price"), None, report)
    else:
        layout = _Wide(path, header, time_at, report)
    for cells in reader:
        if not cells:
            continue
        row = reader.line_num
        if len(cells) != len(header):
            text = f"has {len(cells)} cells where the header has {len(header)}"
            report(PriceProblem(ProblemKind.SHORT_ROW, str(path), row, "", text))
            continue
        text = cells[time_at].strip()
        time = parse_time(text)
        if time is None:
            problem = f"{text!r} is not a time; write ISO 8601 in UTC or Unix time"
            report(PriceProblem(ProblemKind.BAD_TIME, str(path), row, "", problem, header[time_at], text))
            continue
        yield from layout.prices(row, cells, time, text)


class _Bars:
    """Rows with bars or one price, of one symbol each."""

    def __init__(
        self, path: Path, header: list[str], folded: list[str], price_at: int, symbol_at: int | None, report: Report
    ) -> None:
        self._path, self._header, self._report = path, header, report
        self._price_at, self._symbol_at = price_at, symbol_at
        self._bar = [folded.index(name) for name in BAR_COLUMNS if name in folded]
        self._checked = sorted({price_at, *self._bar})
        self._name = path.name.split(".")[0]

    def prices(self, row: int, cells: list[str], time: float, text: str) -> Iterator[PriceRow]:
        symbol = self._name if self._symbol_at is None else cells[self._symbol_at].strip()
        if not symbol:
            said = "the symbol is missing"
            self._report(PriceProblem(ProblemKind.NO_SYMBOL, str(self._path), row, "", said, "symbol", ""))
            return
        values: dict[int, float] = {}
        for at in self._checked:
            value = parse_price(cells[at])
            if value is None:
                self._bad_price(row, at, cells[at], symbol, text)
                return
            values[at] = value
        bar = None
        if len(self._bar) == len(BAR_COLUMNS):
            first, high, low, last = (values[at] for at in self._bar)
            if low <= min(first, last) and high >= max(first, last):
                bar = (first, high, low, last)
            else:
                said = f"{symbol} at {text}: open {first}, high {high}, low {low}, close {last} cannot be one bar"
                self._report(PriceProblem(ProblemKind.BAD_BAR, str(self._path), row, symbol, said, "high"))
        yield PriceRow(row, symbol, time, values[self._price_at], text, bar)

    def _bad_price(self, row: int, at: int, cell: str, symbol: str, text: str) -> None:
        said = f"{cell!r} is not a positive price ({symbol} at {text})"
        self._report(PriceProblem(ProblemKind.BAD_PRICE, str(self._path), row, symbol, said, self._header[at], cell))


class _Wide:
    """Rows with one column an asset."""

    def __init__(self, path: Path, header: list[str], time_at: int, report: Report) -> None:
        self._path, self._report = path, report
        self._assets = [(at, name) for at, name in enumerate(header) if at != time_at and name]
        names = [name for _, name in self._assets]
        if not names:
            raise PriceFileError(path, "has a time column but no column of prices", row=1)
        for name in names:
            if names.count(name) > 1:
                raise PriceFileError(path, f"has the column {name} twice; keep one", row=1, column=name)

    def prices(self, row: int, cells: list[str], time: float, text: str) -> Iterator[PriceRow]:
        for at, name in self._assets:
            cell = cells[at].strip()
            if not cell or cell.casefold() == "nan":
                continue
            value = parse_price(cell)
            if value is None:
                said = f"{cell!r} is not a positive price ({name} at {text})"
                self._report(PriceProblem(ProblemKind.BAD_PRICE, str(self._path), row, name, said, name, cell))
            else:
                yield PriceRow(row, name, time, value, text)


def _find(path: Path, header: list[str], folded: list[str], names: Sequence[str], what: str) -> int:
    for name in names:
        if name in folded:
            return folded.index(name)
    expected = " or ".join(name for name in names if name)
    raise PriceFileError(path, f"has no {what} column; expected {expected}, found {', '.join(header)}", row=1)
