# SPDX-License-Identifier: Apache-2.0
"""Reading option chains from CSV files, gzipped or not.

Plain
    Columns ``type`` (call, put, C, P), ``strike``, ``expiry_years``, ``forward``, ``price`` or ``iv`` or both, and if
    wanted ``rate``, ``bid``, ``ask``, ``underlying``. Prices in units of the forward, volatility and rate as
    fractions per year.
Deribit's order books
    With ``expiration_timestamp``, ``mark_iv`` in per cent, ``underlying_price``, prices in coin and ``greeks``.
Deribit's summaries
    With ``time_to_maturity`` in years, ``implied_volatility`` as a fraction, ``futures_price``, prices in coin.
"""

from __future__ import annotations

import ast
import csv
import gzip
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from offchain.errors import why_unreadable
from offchain.risk.options.chain import ChainProblem, ChainProblemKind, OptionChain
from offchain.risk.options.errors import OptionError

YEAR_MILLISECONDS = 365.0 * 86_400_000.0
KINDS = {"call": True, "c": True, "put": False, "p": False}
GREEKS = ("delta", "gamma", "vega", "theta", "rho")
LIKELY_PERCENT = 10.0
"""A volatility of a thousand per cent a year or more was probably written in per cent."""


@dataclass(slots=True)
class _Option:
    row: int
    contract: str
    underlying: str
    expiry: str
    is_call: bool
    strike: float
    expiry_years: float
    forward: float
    rate: float
    price: float
    volatility: float
    bid: float
    ask: float
    published: dict[str, float] = field(default_factory=dict)


class _RowError(Exception):
    """A cell that cannot be used."""


Cells = dict[str, str]


def read_chain(file: str | Path) -> OptionChain:
    """Read a chain in any of the layouts.

    Rows that cannot be used are left out and reported in the chain's problems; crossed quotes are dropped and
    reported.

    Raises
    ------
    OptionError
        When the file cannot be read, has none of the layouts, or no usable row.
    """
    path = Path(file)
    problems: list[ChainProblem] = []
    try:
        with _open(path) as handle:
            reader = csv.reader(handle)
            header = [name.strip() for name in next(reader, [])]
            parse, coin_settled = _layout(path, {name.casefold() for name in header})
            options = list(_options(reader, header, parse, problems))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise OptionError(f"{path}: {why_unreadable(error, 'CSV')}") from error
    if not options:
        seen = f"; the first problem: {problems[0]}" if problems else ""
        raise OptionError(f"{path}: no usable row{seen}")
    names = [name for name in GREEKS if all(name in one.published for one in options)]
    return OptionChain(
        file=str(path),
        rows=np.array([one.row for one in options], dtype=np.int64),
        contracts=tuple(one.contract for one in options),
        underlyings=tuple(one.underlying for one in options),
        expiries=tuple(one.expiry for one in options),
        is_call=np.array([one.is_call for one in options], dtype=np.bool_),
        strike=np.array([one.strike for one in options]),
        expiry_years=np.array([one.expiry_years for one in options]),
        forward=np.array([one.forward for one in options]),
        rate=np.array([one.rate for one in options]),
        price=np.array([one.price for one in options]),
        volatility=np.array([one.volatility for one in options]),
        bid=np.array([one.bid for one in options]),
        ask=np.array([one.ask for one in options]),
        published={name: np.array([one.published[name] for one in options]) for name in names},
        coin_settled=coin_settled,
        problems=tuple(problems),
    )


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _layout(path: Path, names: set[str]) -> tuple[Callable[[int, Cells], _Option], bool]:
    layouts: list[tuple[set[str], Callable[[int, Cells], _Option], bool]] = [
        ({"expiration_timestamp", "timestamp", "underlying_price", "mark_iv", "option_type", "strike"}, _book, True),
        ({"time_to_maturity", "futures_price", "implied_volatility", "option_type", "strike"}, _summary, True),
        ({"type", "strike", "expiry_years", "forward"}, _plain, False),
    ]
    for needed, parse, coin_settled in layouts:
        if needed <= names and (coin_settled or names & {"price", "iv"}):
            return parse, coin_settled
    missing = sorted({"type", "strike", "expiry_years", "forward"} - names) or ["price or iv"]
    found = ", ".join(sorted(names)) or "nothing"
    raise OptionError(
        f"{path}: has no column {', '.join(missing)}; expected type, strike, expiry_years, forward and price or iv, or "
        f"Deribit's own export, found {found}"
    )


def _options(
    reader: Iterator[list[str]], header: list[str], parse: Callable[[int, Cells], _Option], problems: list[ChainProblem]
) -> Iterator[_Option]:
    seen: dict[tuple[str, bool, float, str], int] = {}
    names = [name.casefold() for name in header]
    # The reader counts lines, as an editor does, also where a quoted cell has several.
    for cells in reader:
        row = reader.line_num  # type: ignore[attr-defined]
        if not cells:
            continue

        def report(kind: ChainProblemKind, contract: str, text: str, row: int = row) -> None:
            problems.append(ChainProblem(kind, row, contract, text))

        if len(cells) != len(header):
            report(ChainProblemKind.SHORT_ROW, "row", f"has {len(cells)} cells where the header has {len(header)}")
            continue
        named = dict(zip(names, (cell.strip() for cell in cells), strict=True))
        label = named.get("instrument_name") or f"{named.get('type', '')} {named.get('strike', '')}".strip()
        try:
            one = parse(row, named)
        except _RowError as error:
            report(ChainProblemKind.BAD_VALUE, label, str(error))
            continue
        if one.expiry_years <= 0.0:
            report(ChainProblemKind.EXPIRED, one.contract, f"expires in {one.expiry_years:.6g} years")
            continue
        key = (one.underlying, one.is_call, one.strike, one.expiry)
        if key in seen:
            report(ChainProblemKind.DUPLICATE, one.contract, f"repeats row {seen[key]}")
            continue
        if one.bid > one.ask:
            report(ChainProblemKind.CROSSED, one.contract, f"has bid {one.bid:.8g} above ask {one.ask:.8g}")
            one.bid = one.ask = math.nan
        if math.isnan(one.price) and math.isnan(one.volatility) and math.isnan(one.bid + one.ask):
            report(ChainProblemKind.NO_PRICE, one.contract, "has neither price nor volatility nor both quotes")
            continue
        if one.volatility >= LIKELY_PERCENT:
            report(ChainProblemKind.PERCENT, one.contract, f"has volatility {one.volatility:g}: written in per cent?")
        seen[key] = row
        yield one


def _plain(row: int, cells: Cells) -> _Option:
    is_call = _kind(cells["type"])
    strike, forward = _number(cells, "strike", positive=True), _number(cells, "forward", positive=True)
    years = _number(cells, "expiry_years")
    return _Option(
        row=row,
        contract=f"{strike:g} {'call' if is_call else 'put'} in {years:.4g} years",
        underlying=cells.get("underlying", ""),
        expiry=f"{years * 365.0 * 1_440.0:.0f} minutes",
        is_call=is_call,
        strike=strike,
        expiry_years=years,
        forward=forward,
        rate=_optional(cells, "rate", 0.0),
        price=_optional(cells, "price"),
        volatility=_optional(cells, "iv", positive=True),
        bid=_optional(cells, "bid"),
        ask=_optional(cells, "ask"),
    )


def _book(row: int, cells: Cells) -> _Option:
    forward = _number(cells, "underlying_price", positive=True)
    percent = _optional(cells, "mark_iv")
    return _Option(
        row=row,
        contract=cells.get("instrument_name", ""),
        underlying=_part(cells, 0),
        expiry=_part(cells, 1) or cells["expiration_timestamp"],
        is_call=_kind(cells["option_type"]),
        strike=_number(cells, "strike", positive=True),
        expiry_years=(_number(cells, "expiration_timestamp") - _number(cells, "timestamp")) / YEAR_MILLISECONDS,
        forward=forward,
        rate=0.0,
        price=_optional(cells, "mark_price") * forward,
        volatility=percent / 100.0 if percent > 0.0 else math.nan,
        bid=_quote(cells, "best_bid_price") * forward,
        ask=_quote(cells, "best_ask_price") * forward,
        published=_greeks(cells.get("greeks", "")),
    )


def _summary(row: int, cells: Cells) -> _Option:
    forward = _number(cells, "futures_price", positive=True)
    volatility = _optional(cells, "implied_volatility")
    return _Option(
        row=row,
        contract=cells.get("instrument_name", ""),
        underlying=cells.get("currency", "") or _part(cells, 0),
        expiry=_part(cells, 1) or cells["time_to_maturity"],
        is_call=_kind(cells["option_type"]),
        strike=_number(cells, "strike", positive=True),
        expiry_years=_number(cells, "time_to_maturity"),
        forward=forward,
        rate=0.0,
        price=_optional(cells, "mark_price") * forward,
        volatility=volatility if volatility > 0.0 else math.nan,
        bid=_quote(cells, "bid_price") * forward,
        ask=_quote(cells, "ask_price") * forward,
        published={name: _optional(cells, name) for name in ("delta", "vega") if name in cells},
    )


def _part(cells: Cells, number: int) -> str:
    """Return a part of a name as BTC-22MAY20-9250-P, empty if there is none."""
    parts = cells.get("instrument_name", "").split("-")
    return parts[number] if number < len(parts) else ""


def _kind(text: str) -> bool:
    if text.casefold() not in KINDS:
        raise _RowError(f"has type {text!r}; write call or put")
    return KINDS[text.casefold()]


def _number(cells: Cells, name: str, *, positive: bool = False) -> float:
    value = _optional(cells, name, positive=positive)
    if math.isnan(value):
        raise _RowError(f"has no {name}")
    return value


def _optional(cells: Cells, name: str, default: float = math.nan, *, positive: bool = False) -> float:
    text = cells.get(name, "")
    if not text or text.casefold() in {"nan", "none", "null"}:
        return default
    try:
        value = float(text)
    except ValueError:
        raise _RowError(f"has {name} {text!r}, not a number") from None
    if not math.isfinite(value) or (positive and value <= 0.0):
        raise _RowError(f"has {name} {text}; it must be {'positive' if positive else 'finite'}")
    return value


def _quote(cells: Cells, name: str) -> float:
    # The exchange writes zero where nobody quotes.
    value = _optional(cells, name)
    return value if value > 0.0 else math.nan


def _greeks(text: str) -> dict[str, float]:
    try:
        found = ast.literal_eval(text)
        return {name: float(found[name]) for name in GREEKS if name in found}
    except (ValueError, SyntaxError, TypeError):
        return {}
