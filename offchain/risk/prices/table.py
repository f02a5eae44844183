# SPDX-License-Identifier: Apache-2.0
"""Prices of several assets on one grid, with every problem of the files reported and handled by a stated rule.

The rules are `offchain.risk.prices.problems.RULES`. All of them look backwards only: a row of the table depends on
no row of the files that is later in time, except through the grid's step and the reports.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np

from offchain.risk.arrays import YEAR_SECONDS, BoolArray, FloatArray, IntArray
from offchain.risk.prices.problems import PriceFileError, PriceProblem, ProblemKind
from offchain.risk.prices.rows import CLOSING, PriceRow, read_rows

FILL_STEPS = 3
"""Longest gap, in steps of the grid, over which the last price is carried forward."""
JUMP = math.log(2.5)
"""Change in one step, in logarithms, from which a price is reported as a jump."""
RISE_OF_ANOTHER_ASSET = math.log(10.0)
"""Rise in one step that no asset makes: a token replaced or redenominated. A fall is always kept."""
CHANGE_OVER_A_GAP = math.log(5.0)
"""Change over a long gap, in either direction, that says another asset trades under the same name."""
MIXED_STEPS = 1.9
"""Ratio of two series' steps from which they do not belong on one grid."""
USUAL_STEPS = (60, 300, 900, 1_800, 3_600, 14_400, 28_800, 86_400, 604_800)


@dataclass(frozen=True, eq=False)
class PriceTable:
    """Prices on a grid.

    Attributes
    ----------
    symbols
        One name a column.
    timestamps
        Shape (T,), Unix seconds, equally spaced by `step_seconds`.
    prices
        Shape (T, n), positive; NaN where an asset has no price.
    joined
        Shape (T, n): whether the return from the row before is one of the same asset. False in the first row.
    bars
        Open, high and low, each of shape (T, n), NaN where a row was filled; None where a file has no bars.
    problems
        What was wrong, in the order of the files' rows.
    """

    symbols: tuple[str, ...]
    timestamps: IntArray
    step_seconds: int
    prices: FloatArray
    joined: BoolArray
    bars: tuple[FloatArray, FloatArray, FloatArray] | None
    problems: tuple[PriceProblem, ...]

    @property
    def periods_per_year(self) -> float:
        """Steps in a year of 365 days."""
        return YEAR_SECONDS / self.step_seconds

    def returns(self) -> FloatArray:
        """Return simple returns, shape (T - 1, n); NaN where a price is missing or the asset is another one."""
        changes: FloatArray = np.where(self.joined[1:], self.prices[1:] / self.prices[:-1] - 1.0, np.nan)
        return changes

    def between(self, start: float | None = None, end: float | None = None) -> PriceTable:
        """Return the rows from a time to a time, Unix seconds, both included; the problems stay.

        Raises
        ------
        PriceFileError
            When fewer than two rows are left.
        """
        first = -math.inf if start is None else start
        last = math.inf if end is None else end
        kept = (self.timestamps >= first) & (self.timestamps <= last)
        if kept.sum() < 2:
            raise PriceFileError(
                "prices", f"span {_iso(self.timestamps[0])} to {_iso(self.timestamps[-1])}, not this window"
            )
        joined = self.joined[kept]
        joined[0] = False
        bars = self.bars and (self.bars[0][kept], self.bars[1][kept], self.bars[2][kept])
        return PriceTable(
            self.symbols, self.timestamps[kept], self.step_seconds, self.prices[kept], joined, bars, self.problems
        )

    def column(self, symbol: str) -> int:
        """Return the index of a symbol.

        Raises
        ------
        PriceFileError
            When there is none; the error lists those there are.
        """
        if symbol not in self.symbols:
            raise PriceFileError("prices", f"have no {symbol}; they have {', '.join(self.symbols)}")
        return self.symbols.index(symbol)


@dataclass(slots=True)
class _Series:
    file: str
    lines: list[PriceRow] = field(default_factory=list)


def load_prices(
    files: str | Path | Sequence[str | Path],
    *,
    prices: Sequence[str] = CLOSING,
    fill_steps: int = FILL_STEPS,
    step_seconds: int | None = None,
) -> PriceTable:
    """Read files in any of the layouts into one table.

    Parameters
    ----------
    files
        One or several files; a symbol found in several is one series.
    prices
        Columns to take the price from, the first present counts; by default the close.
    fill_steps
        Longest gap over which the last price is carried forward.
    step_seconds
        Distance between rows; by default the median distance of the files' rows.

    Raises
    ------
    PriceFileError
        When a file cannot be read, or nothing usable is left.
    """
    names = [files] if isinstance(files, str | Path) else list(files)
    problems: list[PriceProblem] = []
    book: dict[str, _Series] = {}
    for name in names:
        for line in read_rows(name, problems.append, prices=prices):
            book.setdefault(line.symbol, _Series(str(name))).lines.append(line)
    for symbol, one in book.items():
        one.lines = _in_order(one, symbol, problems)
    if not book:
        seen = f"; the first problem: {problems[0]}" if problems else ""
        raise PriceFileError(", ".join(map(str, names)), f"no usable row{seen}")
    step = step_seconds or _step(book)
    grid = _grid(book.values(), step)
    columns = [_Column(symbol, one, grid, step, fill_steps, problems) for symbol, one in book.items()]
    bars = None
    if all(column.bars is not None for column in columns):
        bars = tuple(np.column_stack([column.bars[side] for column in columns]) for side in range(3))  # type: ignore[index]
    return PriceTable(
        symbols=tuple(book),
        timestamps=grid,
        step_seconds=step,
        prices=np.column_stack([column.prices for column in columns]),
        joined=np.column_stack([column.joined for column in columns]),
        bars=bars,  # type: ignore[arg-type]
        problems=tuple(problems),
    )


def _in_order(one: _Series, symbol: str, problems: list[PriceProblem]) -> list[PriceRow]:
    """Rows sorted by time, one for each time."""
    lines = one.lines
    if len(lines) > 1 and all(a.time > b.time for a, b in pairwise(lines)):
        said = f"{symbol} runs backwards in time"
        problems.append(PriceProblem(ProblemKind.OUT_OF_ORDER, one.file, None, symbol, said))
        return lines[::-1]
    latest = -math.inf
    for line in lines:
        if line.time < latest:
            said = f"{symbol} at {line.text} is earlier than a row above it"
            problems.append(PriceProblem(ProblemKind.OUT_OF_ORDER, one.file, line.row, symbol, said))
        latest = max(latest, line.time)
    kept: list[PriceRow] = []
    for line in sorted(lines, key=lambda line: line.time):
        if kept and kept[-1].time == line.time:
            same = kept[-1].price == line.price
            kind = ProblemKind.DUPLICATE if same else ProblemKind.CONFLICT
            said = f"{symbol} at {line.text} repeats the time of row {kept[-1].row}"
            said += "" if same else f" with price {line.price} instead of {kept[-1].price}"
            problems.append(PriceProblem(kind, one.file, line.row, symbol, said))
        else:
            kept.append(line)
    return kept


def _step(book: Mapping[str, _Series]) -> int:
    medians = {
        symbol: float(np.quantile(np.diff([line.time for line in one.lines]), 0.5, method="lower"))
        for symbol, one in book.items()
        if len(one.lines) > 1
    }
    if not medians:
        raise PriceFileError("prices", "have a single row for each symbol; returns need two")
    # Bars carry their opening time and their closing price: those of different lengths end at different times.
    fast, slow = min(medians, key=lambda name: medians[name]), max(medians, key=lambda name: medians[name])
    if medians[slow] > MIXED_STEPS * medians[fast] and len(book[slow].lines) > 2:
        raise PriceFileError(
            book[slow].file,
            f"{slow} comes every {medians[slow]:.0f} s and {fast} every {medians[fast]:.0f} s; "
            "bring them to one step first",
        )
    median = float(np.median(list(medians.values())))
    nearest = min(USUAL_STEPS, key=lambda step: abs(math.log(step / median)))
    return nearest if abs(nearest / median - 1.0) < 0.1 else max(1, round(median))


def _grid(series: Iterable[_Series], step: int) -> IntArray:
    times = np.concatenate([[line.time for line in one.lines] for one in series])
    phases, counts = np.unique(np.mod(times, step), return_counts=True)
    # Times all over the step, as of a feed that answers when asked, have no phase of their own.
    phase = float(phases[np.argmax(counts)]) if counts.max() > 0.5 * times.size else 0.0
    first = math.ceil((times.min() - phase) / step)
    last = math.floor((times.max() - phase) / step)
    grid: IntArray = (np.arange(first, last + 1, dtype=np.float64) * step + phase).astype(np.int64)
    if grid.size < 2:
        raise PriceFileError("prices", f"span less than two steps of {step} seconds")
    return grid


class _Column:
    """One series on the grid."""

    def __init__(
        self, symbol: str, one: _Series, grid: IntArray, step: int, fill_steps: int, problems: list[PriceProblem]
    ) -> None:
        self._symbol, self._file, self._step, self._problems = symbol, one.file, step, problems
        lines = one.lines
        times = np.array([line.time for line in lines])
        values = np.array([line.price for line in lines])
        at = np.searchsorted(times, grid, side="right") - 1
        fresh = (at >= 0) & (times[np.maximum(at, 0)] > grid - step)
        self.prices: FloatArray = np.where(fresh, values[np.maximum(at, 0)], np.nan)
        self.joined: BoolArray = np.zeros(grid.size, dtype=np.bool_)
        self.joined[1:] = fresh[1:] & fresh[:-1]
        self.bars = _bars(lines, at, fresh)
        places = np.flatnonzero(fresh)
        if places.size == 0:
            self._say(ProblemKind.GAP, lines[0].row, f"{symbol} has no price at a time of the grid")
            return
        if places[0] > 0:
            self._say(ProblemKind.STARTS_LATE, lines[at[places[0]]].row, f"{symbol} starts at {_iso(grid[places[0]])}")
        for left, right in zip(places[:-1].tolist(), places[1:].tolist(), strict=True):
            line = lines[int(at[right])]
            change = math.log(self.prices[right] / self.prices[left])
            missing = right - left - 1
            if missing > fill_steps:
                self._gap(missing, line, change)
                continue
            if missing:
                self.prices[left + 1 : right] = self.prices[left]
                self.joined[left + 1 : right + 1] = True
                said = f"{symbol} has no price for {_steps(missing)} before {line.text}"
                self._say(ProblemKind.GAP_FILLED, line.row, said)
            if change > RISE_OF_ANOTHER_ASSET:
                self.joined[right] = False
                self._say(ProblemKind.REPLACED, line.row, f"{symbol} rises {math.exp(change):.3g}-fold at {line.text}")
            elif abs(change) > JUMP:
                self._say(ProblemKind.JUMP, line.row, f"{symbol} changes by {math.expm1(change):+.1%} at {line.text}")
        if grid.size - 1 - places[-1] > fill_steps:
            self._say(ProblemKind.ENDS_EARLY, lines[-1].row, f"{symbol} ends at {_iso(grid[places[-1]])}")

    def _gap(self, missing: int, line: PriceRow, change: float) -> None:
        said = f"{self._symbol} has no price for {_steps(missing)} before {line.text}"
        if abs(change) > CHANGE_OVER_A_GAP:
            self._say(ProblemKind.REPLACED, line.row, f"{said} and then {math.exp(change):.3g} times the price")
        else:
            self._say(ProblemKind.GAP, line.row, said)

    def _say(self, kind: ProblemKind, row: int, text: str) -> None:
        self._problems.append(PriceProblem(kind, self._file, row, self._symbol, text))


def _bars(lines: list[PriceRow], at: IntArray, fresh: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    if all(line.bar is None for line in lines):
        return None
    missing = (math.nan,) * 4
    values = np.array([line.bar or missing for line in lines])
    taken = np.where(fresh[:, None], values[np.maximum(at, 0)], np.nan)
    return taken[:, 0], taken[:, 1], taken[:, 2]


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def _iso(timestamp: float) -> str:
    return datetime.fromtimestamp(int(timestamp), UTC).strftime("%Y-%m-%dT%H:%MZ")
