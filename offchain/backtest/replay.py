# SPDX-License-Identifier: Apache-2.0
"""A keeper's journal run through the backtest: plans compared to the bit, settlements with the simulated ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from offchain.allocate.plan import Plan
from offchain.backtest.errors import Refused
from offchain.backtest.ledger import Ledger
from offchain.backtest.trading import settle
from offchain.errors import PlimsollError
from offchain.keeper.history_chunks import decode_history
from offchain.keeper.journal import Journal
from offchain.keeper.pipeline import deliberate, plan_to_json
from offchain.keeper.records import Decision, TickRecord
from offchain.mandate import Mandate, tighter_limits
from offchain.market import codec
from offchain.market.snapshot import Snapshot
from offchain.route.pool import pools_from_states
from offchain.settle.order import Order, Settlement

ONE_BPS = 10_000


@dataclass(frozen=True, slots=True)
class ReplayedTick:
    """One decision made again."""

    tick: int
    block_number: int
    decision: Decision
    identical: bool
    """Whether everything is but the solver, where another one came to the same."""
    differences: tuple[str, ...]
    """Fields of the plan that differ; for a refusal, what happened instead."""
    solvers: tuple[str, str] | None
    """What solved the program then and now, where that differs and is known."""
    settlement_bps: float | None
    """Of the leg that differs most, how much more the chain paid than the backtest's settlement on the recorded
    pools: what others did to the pools meanwhile. None where nothing was settled."""
    simulated_refusal: str
    """Why the backtest's vault would have reverted a settlement that the chain took; empty when it would not."""


def replay(journal: Journal) -> Iterator[ReplayedTick]:
    """Run every recorded snapshot through the backtest, in order.

    A tick is identical when the plan is, field by field and bit by bit, or when what was
    refused is refused again with the same words. What was settled is settled again by the
    simulated vault on the recorded pools.
    """
    settled = {one.tick: (one.order, one.settlement) for one in journal.orders() if one.settlement is not None}
    for record in journal.ticks():
        if not record.snapshot:
            continue  # rebuilt from the chain, which keeps no plans
        differences, solvers = _compared(record)
        gap, refusal = None, ""
        if record.id in settled:
            gap, refusal = _settled_again(codec.from_json(record.snapshot), *settled[record.id])
        yield ReplayedTick(
            tick=record.id,
            block_number=record.block_number,
            decision=record.decision,
            identical=not differences,
            differences=differences,
            solvers=solvers,
            settlement_bps=gap,
            simulated_refusal=refusal,
        )


def _compared(record: TickRecord) -> tuple[tuple[str, ...], tuple[str, str] | None]:
    """Plan again: what differs from the record besides the solver, and the solvers where they do."""
    try:
        plan = plan_to_json(_plan_again(record))
    except PlimsollError as error:
        as_before = record.plan is None and str(error) == record.reason
        return (() if as_before else (f"refused: {error}",)), None
    if record.plan is None:
        return ("planned, where it was refused",), None
    if plan == record.plan:
        return (), None
    now, then = json.loads(plan), json.loads(record.plan)
    # A plan of an earlier version knows fewer fields; those that it has must be the same.
    differences = tuple(field for field in then if field != "solver" and now.get(field) != then[field])
    solvers = then.get("solver", ""), now["solver"]
    return differences, solvers if all(solvers) and solvers[0] != solvers[1] else None


def _plan_again(record: TickRecord) -> Plan:
    mandate = Mandate.model_validate_json(record.mandate)
    snapshot = codec.from_json(record.snapshot)
    tighter_limits(mandate, snapshot.vault.limits)
    return deliberate(snapshot, decode_history(record.history), mandate)


def _settled_again(snapshot: Snapshot, order: Order, real: Settlement) -> tuple[float | None, str]:
    """Settle on the recorded pools; the largest difference of a leg's rate, or the reason of a refusal."""
    ledger = Ledger.of(snapshot)
    unit_prices = [asset.price_usd / 10**asset.decimals for asset in snapshot.assets]
    try:
        traded = settle(order, ledger, snapshot, pools_from_states(snapshot.pools), unit_prices)
    except Refused as refused:
        return None, refused.reason
    gaps = _rate_gaps(traded.amounts_in, traded.amounts_out, real)
    return max(gaps, key=abs, default=0.0), ""


def _rate_gaps(amounts_in: Sequence[int], amounts_out: Sequence[int], real: Settlement) -> Iterator[float]:
    """Basis points by which the chain's rate was better, a leg each."""
    for ours_in, ours_out, paid, got in zip(amounts_in, amounts_out, real.amounts_in, real.amounts_out, strict=True):
        if ours_out and paid:
            yield (got * ours_in - ours_out * paid) / (ours_out * paid) * ONE_BPS
