# SPDX-License-Identifier: Apache-2.0
"""Base fees of the past, from a file."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from offchain.backtest.errors import MarketPathError
from offchain.backtest.path import GWEI, FloatArray, IntArray
from offchain.risk.prices.rows import parse_time

_TIMES = ("unixtimestamp", "timestamp", "time", "date")
_UNITS = {"value (wei)": 1.0, "base_fee_wei": 1.0, "base_fee": 1.0, "base_fee_gwei": float(GWEI), "gwei": float(GWEI)}
_AVERAGED = 3_600
"""Rows at least that far apart are averages over the time until the next row, known when it comes."""


def load_base_fees(file: Path | str, timestamps: IntArray) -> IntArray:
    """Base fee known at each time, shape (T,), wei per gas.

    Parameters
    ----------
    file
        CSV, gzipped when its name ends in ``.gz``: a time column (``UnixTimeStamp``, ``timestamp``, ``time``) and
        one of ``Value (Wei)``, ``base_fee`` (wei) or ``base_fee_gwei``. Daily averages count from the day after.
    timestamps
        Unix seconds; the file must begin before the first.

    Raises
    ------
    MarketPathError
        The file has no such columns, a bad row, or begins too late.
    """
    path = Path(file)
    try:
        with _open(path) as handle:
            times, fees = _rows(path, csv.reader(handle))
    except OSError as error:
        raise MarketPathError(f"{path}: cannot be read ({error})") from None
    order = np.argsort(times, kind="stable")
    times, fees = times[order], fees[order]
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    known = times + (step if step >= _AVERAGED else 0.0)
    index = np.searchsorted(known, timestamps, side="right") - 1
    if len(index) and index[0] < 0:
        raise MarketPathError(f"{path}: begins after the prices; give one that covers them, or a number of gwei")
    taken: IntArray = np.round(fees[index]).astype(np.int64)
    return taken


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _rows(path: Path, reader: Iterator[list[str]]) -> tuple[FloatArray, FloatArray]:
    header = [name.strip().casefold() for name in next(reader, [])]
    time_at = next((header.index(name) for name in _TIMES if name in header), None)
    unit = next((name for name in _UNITS if name in header), None)
    if time_at is None or unit is None:
        raise MarketPathError(f"{path}: needs a time column and one of {', '.join(_UNITS)}; it has {', '.join(header)}")
    fee_at, times, fees = header.index(unit), [], []
    for number, cells in enumerate(reader, start=2):
        if not cells:
            continue
        try:
            time, fee = parse_time(cells[time_at].strip()), float(cells[fee_at]) * _UNITS[unit]
        except (IndexError, ValueError):
            time = None
        if time is None or not fee >= 0:
            raise MarketPathError(f"{path}, row {number}: not a time and a fee")
        times.append(time)
        fees.append(fee)
    if not times:
        raise MarketPathError(f"{path}: has a header but no rows")
    return np.array(times), np.array(fees)
