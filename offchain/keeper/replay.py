# SPDX-License-Identifier: Apache-2.0
"""Recorded decisions made again, and compared to the bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from offchain.errors import PlimsollError
from offchain.keeper.history_chunks import decode_history
from offchain.keeper.journal import Journal
from offchain.keeper.pipeline import deliberate, plan_to_json
from offchain.keeper.records import Decision, TickRecord
from offchain.mandate import Mandate, tighter_limits
from offchain.market import codec


@dataclass(frozen=True, slots=True)
class ReplayedTick:
    """One decision made again."""

    tick: int
    block_number: int
    decision: Decision
    identical: bool
    differences: tuple[str, ...]
    """Fields of the plan that differ; for a refusal, what happened instead."""


def replay(journal: Journal) -> Iterator[ReplayedTick]:
    """Run every recorded snapshot through the pipeline again, in order.

    A tick is identical when the plan is, field by field and bit by bit, or when what was
    refused is refused again with the same words.
    """
    for record in journal.ticks():
        if not record.snapshot:
            continue  # rebuilt from the chain, which keeps no plans
        differences = tuple(_differences(record))
        yield ReplayedTick(record.id, record.block_number, record.decision, not differences, differences)


def _differences(record: TickRecord) -> Iterator[str]:
    try:
        mandate = Mandate.model_validate_json(record.mandate)
        snapshot = codec.from_json(record.snapshot)
        tighter_limits(mandate, snapshot.vault.limits)
        plan = plan_to_json(deliberate(snapshot, decode_history(record.history), mandate))
    except PlimsollError as error:
        if record.plan is not None or str(error) != record.reason:
            yield f"refused: {error}"
        return
    if record.plan is None:
        yield "planned, where it was refused"
    elif plan != record.plan:
        now, then = json.loads(plan), json.loads(record.plan)
        yield from (field for field in sorted({*now, *then}) if now.get(field) != then.get(field))
