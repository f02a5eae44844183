# SPDX-License-Identifier: Apache-2.0
"""A run's record as JSON for programs.

Amounts are decimal strings: they exceed what JSON readers keep exactly. Weights and bounds are fractions by symbol.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from offchain.market.snapshot import BreakerState
from offchain.web.record import (
    BreakerRecord,
    FlowRecord,
    LegRecord,
    LoanFate,
    LoanRecord,
    RunRecord,
    SettlementRecord,
    totals,
)


def summary(record: RunRecord) -> dict[str, Any]:
    """Return the summary as JSON-ready values.

    Keys: ``run``, ``settlements``, ``breaker`` (the last change of state, with all of them under ``events``),
    ``deposits``, ``redemptions``, ``loan`` (the second act, null without one), ``totals``.
    """
    symbols = [asset.symbol for asset in record.assets]
    last = record.breaker_events[-1] if record.breaker_events else None
    return {
        "run": {
            "title": record.title,
            "vault": record.vault,
            "chain": record.chain,
            "mandate": record.mandate,
            "seed": record.seed,
            "ticks": len(record.ticks),
            "units": "value: USD at 18 decimals; amounts: token base units; weights and bounds: fractions of value",
        },
        "settlements": [_settlement(one, symbols) for one in record.settlements],
        "breaker": {
            "state": last.state.name if last else BreakerState.ACTIVE.name,
            "reason": last.reason if last else "none",
            "block": last.block if last else None,
            "events": [_breaker(one) for one in record.breaker_events],
        },
        "deposits": [_flow(one) for one in record.deposits],
        "redemptions": [_flow(one) for one in record.redemptions],
        "loan": None if record.loan is None else _loan(record.loan),
        "totals": asdict(totals(record)) | {"final_supply": str(record.final_supply)},
    }


def write_summary(record: RunRecord, path: Path) -> None:
    """Write `summary` to a file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(summary(record), indent=1) + "\n", encoding="utf-8")


def _settlement(one: SettlementRecord, symbols: list[str]) -> dict[str, Any]:
    return {
        "tx": one.tx,
        "block": one.block,
        "timestamp": one.timestamp,
        "nonce": one.nonce,
        "reason": one.reason,
        "value_before": str(one.value_before),
        "value_after": str(one.value_after),
        "loss_bps": round(one.loss_bps, 6),
        "turnover_bps": round(one.turnover / 10**14, 6),
        "gas_used": one.gas_used,
        "effective_gas_price": str(one.effective_gas_price),
        "gas_cost_usd": round(one.gas_cost_usd, 6),
        "planned_cost_usd": round(one.planned_cost_usd, 6),
        "realised_cost_usd": round(one.cost_usd, 6),
        "weights_before": dict(zip(symbols, one.weights_before, strict=True)),
        "planned_weights": dict(zip(symbols, one.planned_weights, strict=True)),
        "weights": dict(zip(symbols, one.weights, strict=True)),
        "bounds": {symbol: list(pair) for symbol, pair in zip(symbols, one.bounds, strict=True)},
        "inside": one.inside,
        "closer": one.closer,
        "attacker_profit_usd": one.attacker_profit_usd,
        "legs": [_leg(leg) for leg in one.legs],
    }


def _leg(leg: LegRecord) -> dict[str, Any]:
    amounts = ("amount_in", "planned_amount_out", "min_amount_out", "amount_out")
    return asdict(leg) | {name: str(getattr(leg, name)) for name in amounts}


def _breaker(one: BreakerRecord) -> dict[str, Any]:
    return asdict(one) | {
        "state": one.state.name,
        "value_per_share": str(one.value_per_share),
        "peak": str(one.peak),
    }


def _flow(one: FlowRecord) -> dict[str, Any]:
    return asdict(one) | {
        "shares": str(one.shares),
        "value": str(one.value),
        "amounts": {symbol: str(amount) for symbol, amount in one.amounts.items()},
    }


def _loan(one: LoanRecord) -> dict[str, Any]:
    return {
        "mandate": one.mandate,
        "collateral": one.collateral,
        "debt": one.debt,
        "depth": one.depth,
        "floor": one.floor,
        "trigger": one.trigger,
        "kept": _fate(one.kept),
        "rescued": _fate(one.rescued),
        "control": _fate(one.control),
    }


def _fate(one: LoanFate) -> dict[str, Any]:
    repairs = ({name: str(value) if isinstance(value, int) and name != "timestamp" else value
                for name, value in asdict(repair).items()} for repair in one.repairs)  # fmt: skip
    return {
        "name": one.name,
        "account": one.account,
        "liquidated": one.liquidated,
        "lowest_health": one.lowest_health,
        "leverage": [one.points[0].leverage, one.points[-1].leverage],
        "value": [str(one.points[0].value), str(one.points[-1].value)],
        "repairs": list(repairs),
    }
