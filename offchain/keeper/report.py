# SPDX-License-Identifier: Apache-2.0
"""What a tick decided and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offchain.keeper.records import Decision, OrderRecord
from offchain.settle.order import Settlement
from offchain.settle.reconcile import Outcome

if TYPE_CHECKING:
    from offchain.allocate.plan import Plan


@dataclass(frozen=True, slots=True)
class TickReport:
    """One decision; `tick` is its row in the journal, absent when nothing could be read."""

    decision: Decision
    reason: str
    block_number: int
    tick: int | None = None
    plan: Plan | None = None
    order: OrderRecord | None = None
    settlement: Settlement | None = None
    outcome: Outcome | None = None


def report_lines(report: TickReport) -> Iterator[str]:
    """A report for a reader: what was decided and why, and what became of it."""
    yield f"Block {report.block_number}: {report.decision}: {report.reason}"
    plan, order, settlement, outcome = report.plan, report.order, report.settlement, report.outcome
    if plan is not None and plan.trades:
        costs = f"${plan.slippage_cost_usd:,.2f} fees and price impact, ${plan.gas_cost_usd:,.2f} gas"
        yield f"Plan: {len(plan.legs)} legs, {costs} (`plimsoll plan` shows one in full)"
    if order is not None:
        yield f"Order {order.digest}, nonce {order.order.nonce}: {order.state.lower()} {order.detail}".rstrip()
    if settlement is not None:
        value = settlement.value_after / 10**18
        yield f"Transaction {settlement.transaction} in block {settlement.block_number}"
        yield f"Vault worth ${value:,.2f} after it, gas {settlement.gas_used:,}"
    if outcome is not None:
        yield (
            f"Loss {outcome.realised_loss_bps:.2f} basis points of value, planned {outcome.planned_loss_bps:.2f}, "
            f"charged to the budget {outcome.charged_loss_bps:.2f}"
        )


def report_to_json(report: TickReport) -> dict[str, Any]:
    """A report as plain values; values in USD at 18 decimals are strings, they exceed 2**53."""
    plan, order, settlement, outcome = report.plan, report.order, report.settlement, report.outcome
    return {
        "block": report.block_number,
        "decision": report.decision,
        "reason": report.reason,
        "tick": report.tick,
        "plan": None
        if plan is None
        else {
            "reason": plan.reason,
            "legs": len(plan.legs),
            "weights_before": list(plan.weights_before),
            "weights_after": list(plan.weights_after),
            "slippage_cost_usd": plan.slippage_cost_usd,
            "gas_cost_usd": plan.gas_cost_usd,
        },
        "order": None
        if order is None
        else {"digest": order.digest, "nonce": str(order.order.nonce), "state": order.state, "detail": order.detail},
        "settlement": None
        if settlement is None
        else {
            "transaction": settlement.transaction,
            "block": settlement.block_number,
            "value_before": str(settlement.value_before),
            "value_after": str(settlement.value_after),
            "gas_used": settlement.gas_used,
        },
        "outcome": None
        if outcome is None
        else {
            "planned_loss_bps": outcome.planned_loss_bps,
            "realised_loss_bps": outcome.realised_loss_bps,
            "charged_loss_bps": outcome.charged_loss_bps,
            "leg_slippage_bps": [leg.slippage_bps for leg in outcome.legs],
            "gas_cost_wei": str(outcome.gas_cost),
        },
    }
