# SPDX-License-Identifier: Apache-2.0
"""Strict reading: every series of a long file, or an error at the first problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offchain.risk.arrays import FloatArray, IntArray
from offchain.risk.prices.problems import PriceFileError, PriceProblem, ProblemKind
from offchain.risk.prices.rows import OPENING, read_rows


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


def read_series(file: str | Path, *, prices: Sequence[str] = OPENING) -> dict[str, PriceSeries]:
    """Read every series of a file in the long layout, refusing any problem.

    A bar counts by default with its opening price at its opening time, which is what was known then.

    Parameters
    ----------
    prices
        Columns to take the price from, the first present counts.

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
    for line in read_rows(path, _refuse, prices=prices, long_only=True):
        times, values, rows = collected.setdefault(line.symbol, ([], [], []))
        if times and line.time <= times[-1]:
            problem = "repeats the time of" if line.time == times[-1] else "is earlier than"
            raise PriceFileError(
                path, f"{line.symbol} at {line.text} {problem} row {rows[-1]}; sort the rows and drop duplicates",
                row=line.row, column="time", value=line.text,
            )  # fmt: skip
        times.append(line.time)
        values.append(line.price)
        rows.append(line.row)
    if not collected:
        raise PriceFileError(path, "has a header but no rows")
    return {
        symbol: PriceSeries(str(path), symbol, np.array(times), np.array(values), np.array(rows, dtype=np.int64))
        for symbol, (times, values, rows) in collected.items()
    }


def _refuse(problem: PriceProblem) -> None:
    # A bar whose high is below its close still has the price that is asked for.
    if problem.kind is not ProblemKind.BAD_BAR:
        raise problem.error()
