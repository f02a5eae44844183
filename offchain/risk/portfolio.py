# SPDX-License-Identifier: Apache-2.0
"""Weights from a file, and the returns of a portfolio that is kept at them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from offchain.risk.arrays import FloatArray, IntArray, RiskError
from offchain.risk.prices.table import PriceTable

Missing = Literal["drop", "spread"]


@dataclass(frozen=True, eq=False)
class PortfolioReturns:
    """A portfolio rebalanced to its weights every period.

    Attributes
    ----------
    symbols, weights
        Assets with a weight, and shape (n,); what they lack to one is cash.
    timestamps
        Shape (T,), end of each period, Unix seconds.
    returns
        Shape (T,), simple.
    assets
        Shape (T, n), returns of the assets; NaN where one is missing.
    dropped
        Periods inside the record left out because an asset with a weight had no return.
    spread
        Periods in which the weight of missing assets was shared by the others.
    """

    symbols: tuple[str, ...]
    weights: FloatArray
    timestamps: IntArray
    returns: FloatArray
    assets: FloatArray
    dropped: int
    spread: int


def read_weights(file: str | Path) -> dict[str, float]:
    """Read weights from CSV with the columns ``symbol`` and ``weight``, or from a JSON or YAML mapping.

    Raises
    ------
    RiskError
        When the file cannot be read, a symbol is there twice or a weight is no number; the error names the row or key.
    """
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RiskError(f"{path}: cannot be read ({error})") from error
    if path.suffix.lower() in {".json", ".yaml", ".yml"}:
        return _mapping(path, text)
    rows = list(csv.reader(text.splitlines()))
    header = [name.strip().casefold() for name in rows[0]] if rows else []
    if "symbol" not in header or "weight" not in header:
        raise RiskError(f"{path}: expected the columns symbol and weight, found {', '.join(header) or 'nothing'}")
    at, value_at = header.index("symbol"), header.index("weight")
    weights: dict[str, float] = {}
    for number, cells in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise RiskError(f"{path}, row {number}: has {len(cells)} cells where the header has {len(header)}")
        symbol = cells[at].strip()
        if symbol in weights:
            raise RiskError(f"{path}, row {number}: {symbol} is there twice")
        weights[symbol] = _weight(f"{path}, row {number}", cells[value_at].strip())
    return _some(path, weights)


def portfolio_returns(
    table: PriceTable, weights: Mapping[str, float] | None = None, *, missing: Missing = "drop"
) -> PortfolioReturns:
    """Return a portfolio's record.

    Parameters
    ----------
    weights
        By symbol; equal weights of all assets by default.
    missing
        ``"drop"`` keeps only periods in which every asset with a weight has a return. ``"spread"`` shares the weight
        of missing assets among the others in proportion, and drops periods without any.

    Raises
    ------
    RiskError
        When a symbol has no prices, or fewer than two periods are left; the error says which asset is the cause.
    """
    held = {symbol: 1.0 / len(table.symbols) for symbol in table.symbols} if weights is None else dict(weights)
    held = {symbol: weight for symbol, weight in held.items() if weight != 0.0}
    if not held:
        raise RiskError("every weight is zero")
    symbols, vector = tuple(held), np.array(list(held.values()))
    assets = table.returns()[:, [table.column(symbol) for symbol in symbols]]
    known = np.isfinite(assets)
    if missing == "drop":
        kept = known.all(axis=1)
        returns = np.where(known, assets, 0.0) @ vector
        spread = 0
    else:
        present = np.abs(known * vector).sum(axis=1)
        kept = present > 0.0
        scale = np.abs(vector).sum() / np.where(kept, present, 1.0)
        returns = (np.where(known, assets, 0.0) @ vector) * scale
        spread = int(np.sum(kept & ~known.all(axis=1)))
    if kept.sum() < 2:
        counts = ", ".join(f"{symbol} {int(count)}" for symbol, count in zip(symbols, known.sum(axis=0), strict=True))
        raise RiskError(
            f"{int(kept.sum())} periods have a return of every asset with a weight (returns there are: {counts}); "
            "leave an asset out, or share the weight of missing ones with --missing spread"
        )
    places = np.flatnonzero(kept)
    inside = slice(places[0], places[-1] + 1)
    return PortfolioReturns(
        symbols=symbols,
        weights=vector,
        timestamps=table.timestamps[1:][kept],
        returns=returns[kept],
        assets=assets[kept],
        dropped=int(np.sum(~kept[inside])),
        spread=spread,
    )


def _mapping(path: Path, text: str) -> dict[str, float]:
    import yaml

    try:
        found: Any = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise RiskError(f"{path}: cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise RiskError(f"{path}: expected a mapping of symbols to weights")
    return _some(path, {str(symbol): _weight(f"{path}, {symbol}", weight) for symbol, weight in found.items()})


def _weight(place: str, value: object) -> float:
    try:
        weight = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        weight = math.nan
    if not math.isfinite(weight):
        raise RiskError(f"{place}: {value!r} is not a weight")
    return weight


def _some(path: Path, weights: dict[str, float]) -> dict[str, float]:
    if not weights:
        raise RiskError(f"{path}: has no weights")
    return weights
