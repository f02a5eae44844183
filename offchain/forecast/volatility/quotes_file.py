# SPDX-License-Identifier: Apache-2.0
"""Quotes of implied volatility from a small CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

from offchain.errors import why_unreadable
from offchain.forecast.errors import ForecastError
from offchain.forecast.volatility.implied import ImpliedTerm

COLUMNS = ("expiry_years", "iv")


def read_quotes(file: Path | str, premium: float = 1.0) -> ImpliedTerm:
    """Read the columns ``expiry_years`` and ``iv`` (0.6 is 60 % a year); several quotes of an expiry are averaged.

    Raises
    ------
    ForecastError
        When the file cannot be read, a column is missing or a cell is not a positive number; names the row.
    """
    path = Path(file)
    expiries, volatilities = [], []
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            names = {(name or "").strip().casefold(): name for name in reader.fieldnames or []}
            missing = [name for name in COLUMNS if name not in names]
            if missing:
                raise ForecastError(f"{path}: no column {missing[0]}; expected {' and '.join(COLUMNS)}")
            for row in reader:
                expiries.append(_positive(path, reader.line_num, COLUMNS[0], row[names[COLUMNS[0]]]))
                volatilities.append(_positive(path, reader.line_num, COLUMNS[1], row[names[COLUMNS[1]]]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ForecastError(f"{path}: {why_unreadable(error, 'CSV')}") from error
    if not expiries:
        raise ForecastError(f"{path}: has no quote")
    return ImpliedTerm.of(expiries, volatilities, premium)


def _positive(path: Path, row: int, column: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = -1.0
    if not 0.0 < value < float("inf"):
        raise ForecastError(f"{path}, row {row}, column {column}: {text!r} is not a positive number")
    return value
