# SPDX-License-Identifier: Apache-2.0
"""What cells of a sweep gave, and the journal it is kept in: JSON lines, arrays to the bit."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from offchain.backtest.errors import BacktestError
from offchain.backtest.performance import sharpe_of
from offchain.backtest.records import BacktestRun, Event, EventKind, SettlementRecord, Track
from offchain.mandate import Mandate

FORMAT = 2
_DECIDING = ("mandate", "risk", "market", "forecast", "route", "allocate", "settle", "backtest")


@dataclass(frozen=True)
class Result:
    """What a cell gave: a run, or why there is none."""

    name: str
    run: BacktestRun | None
    problem: str = ""

    @property
    def sharpe(self) -> float:
        """Annual, of net returns; NaN without a run."""
        track = None if self.run is None else self.run.track
        return math.nan if track is None else sharpe_of(track.net_returns, track.steps_per_year)


def append(journal: Path, key: str, result: Result) -> None:
    """Write a result down; it is on disk when this returns."""
    line = json.dumps({"format": FORMAT, "key": key, **encode(result)}, separators=(",", ":"))
    journal.parent.mkdir(parents=True, exist_ok=True)
    torn = journal.exists() and journal.stat().st_size and not journal.read_bytes().endswith(b"\n")
    with journal.open("a", encoding="utf-8") as handle:
        handle.write(("\n" if torn else "") + line + "\n")
        handle.flush()
        os.fsync(handle.fileno())


def read_journal(journal: Path) -> dict[str, Result]:
    """Results by key; nothing where there is no file yet.

    Raises
    ------
    BacktestError
        The file is something else.
    """
    if not journal.exists():
        return {}
    known: dict[str, Result] = {}
    lines = journal.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            if record.pop("format") != FORMAT:
                raise KeyError("format")
            known[record.pop("key")] = decode(record)
        except (ValueError, KeyError, TypeError, AttributeError):
            if number == len(lines):
                break  # the process died while writing it
            if line.startswith("{"):
                continue  # an older format, or a line that was torn before it was resumed
            raise BacktestError(f"{journal}, line {number}: not a sweep's journal; give another file") from None
    return known


def encode(result: Result) -> dict[str, Any]:
    """A result as JSON-ready values; arrays to the bit."""
    if result.run is None:
        return {"name": result.name, "problem": result.problem}
    run = result.run
    return {
        "name": result.name,
        "mandate": run.mandate.model_dump_json(),
        "track": {field.name: _pack(getattr(run.track, field.name)) for field in fields(Track)},
        "settlements": [[getattr(one, field.name) for field in fields(one)] for one in run.settlements],
        "events": [[one.timestamp, str(one.kind), one.text] for one in run.events],
        "decisions": run.decisions,
        "notes": list(run.notes),
    }


def decode(record: dict[str, Any]) -> Result:
    """Read what `encode` wrote."""
    if "problem" in record:
        return Result(record["name"], None, record["problem"])
    run = BacktestRun(
        mandate=Mandate.model_validate_json(record["mandate"]),
        track=Track(**{name: _unpack(value) for name, value in record["track"].items()}),
        settlements=tuple(_settlement(one) for one in record["settlements"]),
        events=tuple(Event(time, EventKind(kind), text) for time, kind, text in record["events"]),
        decisions=record["decisions"],
        notes=tuple(record["notes"]),
    )
    return Result(record["name"], run)


def _pack(array: np.ndarray[Any, Any]) -> list[Any]:
    return [str(array.dtype), list(array.shape), base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()]


def _unpack(packed: Sequence[Any]) -> np.ndarray[Any, Any]:
    kind, shape, data = packed
    return np.frombuffer(base64.b64decode(data), dtype=kind).reshape(shape).copy()


def _settlement(values: Sequence[Any]) -> SettlementRecord:
    named = dict(zip((field.name for field in fields(SettlementRecord)), values, strict=True))
    return SettlementRecord(**named | {"binding": tuple(named["binding"])})


@cache
def source_digest() -> str:
    """Hash of the code that decides what a backtest gives."""
    told = hashlib.sha256()
    root = Path(__file__).parents[1]
    for room in _DECIDING:
        for file in sorted((root / room).rglob("*.py")):
            told.update(str(file.relative_to(root)).encode() + file.read_bytes())
    return told.hexdigest()[:16]
