# SPDX-License-Identifier: Apache-2.0
"""The strategies of `mandates/`, their candidates, and the market that they are compared on."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from offchain.backtest.gas import load_base_fees
from offchain.backtest.settings import BacktestSettings
from offchain.backtest.sweep import Cell, MarketSpec
from offchain.backtest.variation import Variation, vary
from offchain.mandate import Mandate, load_mandate
from offchain.risk.prices import load_prices
from research.panel import day_of

ROOT = Path(__file__).parents[1]
CHOICE = ROOT / "docs" / "research" / "strategies-choice.json"
BASELINE = "equal-weight"

_FOLLOWED = {"objective.risk_aversion": (5, 20), "objective.returns.moments_days": (60, 90, 180)}
CANDIDATES: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "equal-weight": {"objective.risk_aversion": (5, 20)},
    "bitcoin": {},
    "minimum-variance": _FOLLOWED,
    "risk-parity": _FOLLOWED,
    "volatility-target": _FOLLOWED,
    "mean-variance": _FOLLOWED,
    "minimum-cvar": _FOLLOWED,
    "momentum": _FOLLOWED,
    "ensemble": {"objective.returns.learning_rate": (2, 5, 20), "objective.returns.moments_days": (60, 90)},
}
"""Fields of each strategy's mandate and the values tried."""

SETTINGS = BacktestSettings(deposit_usd=1_000_000.0, attacked=True)
"""Every settlement meets a sandwich bot: nobody counts on a private relay here."""


def candidates(strategy: str) -> Iterator[tuple[dict[str, Any], Cell]]:
    """What is set in each candidate, and its backtest."""
    fields = CANDIDATES[strategy]
    for values in itertools.product(*fields.values()):
        setting = dict(zip(fields, values, strict=True))
        yield setting, Cell(f"{strategy} {json.dumps(setting)}", _set(strategy, setting), SETTINGS)


def chosen_cell(strategy: str, values: Mapping[str, Any]) -> Cell:
    """The backtest of a choice."""
    return Cell(strategy, _set(strategy, values), SETTINGS)


def _set(strategy: str, values: Mapping[str, Any]) -> Mandate:
    mandate = load_mandate(ROOT / "mandates" / f"{strategy}.yaml")
    ((_, varied),) = vary(mandate, [Variation(field, (value,)) for field, value in values.items()])
    return varied


def market(prices: Path, gas: Path, since: str, until: str) -> MarketSpec:
    """Daily closes and base fees; bars that end after `until` begins are dropped before anything is computed."""
    table = load_prices([prices])
    shift = table.step_seconds if table.bars is not None else 0
    table = table.between(None, day_of(until) - shift)
    fees = load_base_fees(gas, table.timestamps + shift)
    return MarketSpec(table, fees, day_of(since), day_of(until))


def digest(*files: Path) -> str:
    """Hash of files' contents."""
    told = hashlib.sha256()
    for file in files:
        told.update(hashlib.sha256(file.read_bytes()).digest())
    return told.hexdigest()


def canonical_hash(document: Mapping[str, Any]) -> str:
    """Hash of a JSON document, however it is laid out."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return "0x" + hashlib.sha256(text.encode()).hexdigest()
