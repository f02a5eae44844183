# SPDX-License-Identifier: Apache-2.0
"""What a journal says about its keeper, for people and for monitoring."""

from __future__ import annotations

from collections import Counter
from typing import Any

from offchain.keeper.journal import Journal
from offchain.keeper.records import OrderRecord, Purpose, TransactionRecord
from offchain.keeper.states import State


def journal_status(journal: Journal) -> dict[str, Any]:
    """Summary of a journal as plain values.

    Nonces and values are strings where they may exceed 2**53.
    """
    orders, transactions = journal.orders(), journal.transactions()
    return {
        **journal.meta(),
        "journal": str(journal.path),
        "ticks": journal.tick_counts(),
        "last_tick": _last_tick(journal),
        "orders": dict(Counter(row.state for row in orders)),
        "open_orders": [_order(row) for row in journal.open_orders()],
        "last_settlement": _last_settlement(orders),
        "transactions": dict(Counter(row.state for row in transactions)),
        "waiting": [_transaction(row) for row in transactions if row.state in (State.SIGNED, State.BROADCAST)],
        "trips": [_transaction(row) for row in transactions if row.purpose is Purpose.TRIP],
    }


def _last_tick(journal: Journal) -> dict[str, Any] | None:
    tick = journal.last_tick()
    if tick is None:
        return None
    return {
        "id": tick.id,
        "block": tick.block_number,
        "block_timestamp": tick.block_timestamp,
        "recorded_at": tick.recorded_at,
        "decision": tick.decision,
        "reason": tick.reason,
    }


def _order(row: OrderRecord) -> dict[str, Any]:
    return {
        "digest": row.digest,
        "nonce": str(row.order.nonce),
        "state": row.state,
        "detail": row.detail,
        "deadline": row.order.deadline,
    }


def _last_settlement(orders: list[OrderRecord]) -> dict[str, Any] | None:
    settled = [row.settlement for row in orders if row.settlement is not None]
    if not settled:
        return None
    last = settled[-1]
    return {
        "transaction": last.transaction,
        "block": last.block_number,
        "value_after": str(last.value_after),
        "value_per_share": str(last.value_per_share),
        "loss_bps": last.loss / 10**14,
        "loss_level_bps": last.loss_level / 10**14,
        "turnover_level_bps": last.turnover_level / 10**14,
    }


def _transaction(row: TransactionRecord) -> dict[str, Any]:
    return {
        "hash": row.hash,
        "purpose": row.purpose,
        "nonce": row.account_nonce,
        "state": row.state,
        "detail": row.detail,
        "max_fee_gwei": row.max_fee / 1e9,
    }
