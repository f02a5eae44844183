# SPDX-License-Identifier: Apache-2.0
"""Returns from a file: of returns, or of prices and bars; problems are reported by row and mended by stated rules."""

from __future__ import annotations

import csv
import gzip
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offchain.errors import why_unreadable
from offchain.forecast.errors import ForecastError
from offchain.forecast.volatility.bars import Bars
from offchain.forecast.volatility.sample import Sample
from offchain.risk.arrays import FloatArray, IntArray
from offchain.risk.prices import PriceFileError, load_prices
from offchain.risk.prices.rows import BAR_COLUMNS, CLOSING, OTHER_TIME_COLUMNS, TIME_COLUMNS, parse_time
from offchain.risk.prices.table import CHANGE_OVER_A_GAP

YEAR_DAYS = 365.0
EARLIEST = 1e8
"""Unix seconds below which a number in a time column is not a time."""
RETURN_COLUMNS = ("return", "returns", "ret", "r", "y", "value", "log_return", "simple_return")


@dataclass(frozen=True, eq=False)
class ReturnsFile:
    """One asset's returns, oldest first.

    Attributes
    ----------
    name
        Column or symbol.
    returns
        Shape (T,): as the file has them; logarithmic when the file has prices.
    bars
        Bars in step with the returns, where the file has them; one more than returns.
    timestamps
        Shape (T,), Unix seconds; None where the file has no times.
    rows_per_year
        By the file's times; 365 where it has none.
    problems
        One line each, with the row and what was done.
    """

    name: str
    returns: FloatArray
    bars: Bars | None
    timestamps: IntArray | None
    rows_per_year: float
    problems: tuple[str, ...]

    @property
    def sample(self) -> Sample:
        """The returns alone."""
        return Sample(self.returns)


def read_returns(file: Path | str, column: str | None = None) -> ReturnsFile:
    """Read a CSV file (gzipped or not) of one column of returns, of times and returns, or of prices.

    A file is taken for prices when a column is called ``open``, ``close``, ``price`` or ``usd_price``; then see
    `offchain.risk.prices`. Otherwise the columns hold returns: with several, `column` says which. A header is not
    needed for a single column. An empty or not-a-number cell is left out, reported, and the rows around it count as
    neighbours; of two rows with one time the first counts.

    Raises
    ------
    ForecastError
        When the file cannot be read, a cell is neither empty nor a number, times run backwards, or it is not clear
        which column is meant; names the row.
    """
    path = Path(file)
    header, rows = _cells(path)
    folded = [name.casefold() for name in header]
    if any(name in (*CLOSING, *BAR_COLUMNS) for name in folded):
        return _from_prices(path, column)
    return _from_returns(path, header, rows, column)


def _cells(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header (empty where the first line is a number) and rows with their numbers."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = raw.decode("utf-8-sig").splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ForecastError(f"{path}: {why_unreadable(error, 'CSV')}") from error
    rows = [(number, [cell.strip() for cell in cells]) for number, cells in enumerate(csv.reader(lines), 1) if cells]
    rows = [(number, cells) for number, cells in rows if any(cells)]
    if not rows:
        raise ForecastError(f"{path}: is empty; expected returns, one a row")
    first = rows[0][1]
    if len(first) == 1 and _number(first[0]) is not None:
        return [], rows
    return first, rows[1:]


def _time(text: str) -> float | None:
    """Unix seconds; a number too small to be a time of this century is none, unless it is written YYYYMMDD."""
    number = _number(text)
    if number is not None and number < EARLIEST:
        if len(text) != 8:
            return None
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return parse_time(text)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _from_returns(path: Path, header: list[str], rows: list[tuple[int, list[str]]], column: str | None) -> ReturnsFile:
    names = header or ["return"]
    folded = [name.casefold() for name in names]
    time_names = TIME_COLUMNS + OTHER_TIME_COLUMNS
    time_at = next((i for i, name in enumerate(folded) if name in time_names), None) if len(names) > 1 else None
    at = _value_column(path, names, folded, time_at, column)
    if time_at is not None and not names[time_at] and _time(rows[0][1][time_at]) is None:
        time_at = None  # a column of labels or of row numbers, as pandas writes it
    values: list[float] = []
    times: list[float] = []
    problems: list[str] = []
    for number, cells in rows:
        if len(cells) != len(names):
            raise ForecastError(f"{path}, row {number}: has {len(cells)} cells where the header has {len(names)}")
        value = _number(cells[at]) if cells[at] else math.nan
        if value is None:
            raise ForecastError(f"{path}, row {number}, column {names[at]}: {cells[at]!r} is not a number")
        if not math.isfinite(value):
            problems.append(f"{path}, row {number}: return {cells[at] or 'missing'}: left out, its neighbours joined")
            continue
        if time_at is not None:
            time = _time(cells[time_at])
            if time is None:
                raise ForecastError(f"{path}, row {number}, column {names[time_at]}: {cells[time_at]!r} is not a time")
            if times and time == times[-1]:
                problems.append(f"{path}, row {number}: repeats the time {cells[time_at]}: left out")
                continue
            if times and time < times[-1]:
                raise ForecastError(f"{path}, row {number}: {cells[time_at]} is earlier than the row above; sort it")
            times.append(time)
        values.append(value)
    if not values:
        raise ForecastError(f"{path}: column {names[at]} has no return")
    stamps = np.array(times, dtype=np.int64) if times else None
    per_year = YEAR_DAYS
    if stamps is not None and stamps.size > 2:
        step = float(np.median(np.diff(stamps)))
        per_year = YEAR_DAYS * 86_400.0 / step
        wide = np.flatnonzero(np.diff(stamps) > 1.5 * step)
        for i in wide[:20]:
            missing = np.diff(stamps)[i] / step - 1.0
            said = f"{path}: no return for {missing:.0f} steps after time {stamps[i]}"
            problems.append(f"{said}: the rows around the gap count as neighbours")
        if wide.size > 20:
            problems.append(f"{path}: {wide.size - 20} more gaps")
    return ReturnsFile(names[at], np.array(values), None, stamps, per_year, tuple(problems))


def _value_column(path: Path, names: list[str], folded: list[str], time_at: int | None, column: str | None) -> int:
    choices = [i for i in range(len(names)) if i != time_at]
    if column is not None:
        found = [i for i in choices if folded[i] == column.casefold()]
        if not found:
            raise ForecastError(f"{path}: no column {column}; it has {', '.join(names[i] for i in choices)}")
        return found[0]
    usual = [i for i in choices if folded[i] in RETURN_COLUMNS]
    if len(choices) == 1:
        return choices[0]
    if len(usual) == 1:
        return usual[0]
    raise ForecastError(f"{path}: several columns ({', '.join(names[i] for i in choices)}); say which with --column")


def _from_prices(path: Path, column: str | None) -> ReturnsFile:
    try:
        table = load_prices(path)
        if column is None and len(table.symbols) > 1:
            raise ForecastError(f"{path}: several assets ({', '.join(table.symbols)}); say which with --column")
        index = table.column(column) if column else 0
    except PriceFileError as error:
        raise ForecastError(str(error)) from error
    symbol = table.symbols[index]
    problems = [str(one) for one in table.problems if one.symbol in ("", symbol)]
    closes, joined = table.prices[:, index], table.joined[:, index]
    known = np.flatnonzero(np.isfinite(closes))
    # Over an outage the one return across counts as a row; before a replacement it was another asset.
    missing = np.diff(known) > 1
    changes = np.abs(np.diff(np.log(closes[known])))
    replaced = np.flatnonzero(~joined[known[1:]] & (~missing | (changes > CHANGE_OVER_A_GAP)))
    rows = known[int(replaced[-1]) + 1 :] if replaced.size else known
    if replaced.size:
        problems.append(f"{path}: {symbol} was another asset before its last replacement: those rows are not used")
    elif missing.any():
        problems.append(f"{path}: {symbol}: the return across each of {int(missing.sum())} gaps counts as one row")
    if rows.size < 2:
        raise ForecastError(f"{path}: {symbol} has no two prices in a row")
    bars = None
    if table.bars is not None:
        opens, highs, lows = (side[rows, index] for side in table.bars)
        filled = ~np.isfinite(opens)
        # A row without a bar (filled, or refused) did not move as far as is known.
        opens, highs, lows = (np.where(filled, closes[rows], side) for side in (opens, highs, lows))
        low, high = np.minimum(lows, closes[rows]), np.maximum(highs, closes[rows])
        if not filled.all():
            bars = Bars.of(opens, high, low, closes[rows])
    return ReturnsFile(
        symbol,
        np.diff(np.log(closes[rows])),
        bars,
        table.timestamps[rows[1:]],
        table.periods_per_year,
        tuple(problems),
    )
