# SPDX-License-Identifier: Apache-2.0
"""From rows of the database to records."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from offchain.keeper.records import OrderRecord, Purpose, TransactionRecord
from offchain.keeper.states import State
from offchain.settle.codec import order_from_json, settlement_from_json


def order_of(row: Row[Any]) -> OrderRecord:
    """Read a row of `orders`."""
    return OrderRecord(
        id=row.id,
        tick=row.tick,
        digest=row.digest,
        order=order_from_json(row.body),
        signer=row.signer,
        signature=row.signature,
        state=State(row.state),
        detail=row.detail,
        settlement=settlement_from_json(row.settlement) if row.settlement else None,
        created_block=row.created_block,
        updated_at=row.updated_at,
    )


def transaction_of(row: Row[Any]) -> TransactionRecord:
    """Read a row of `transactions`."""
    return TransactionRecord(
        id=row.id,
        hash=row.hash,
        purpose=Purpose(row.purpose),
        order=row.order,
        account=row.account,
        account_nonce=row.account_nonce,
        gas_limit=row.gas_limit,
        max_fee=int(row.max_fee),
        priority_fee=int(row.priority_fee),
        raw=row.raw,
        state=State(row.state),
        detail=row.detail,
        sent_block=row.sent_block,
        block_number=row.block_number,
        block_hash=row.block_hash,
        final=row.final,
        updated_at=row.updated_at,
    )
