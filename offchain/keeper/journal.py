# SPDX-License-Identifier: Apache-2.0
"""The keeper's write-ahead journal.

Every step is committed, and on disk, before its effect: an order is stored with
its signature before anyone else can see it, a transaction is stored signed before
it is broadcast. A keeper that dies at any point therefore finds everything it may
have done, and asks the chain which of it happened.
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, exists, func, insert, select, update

from offchain.keeper import schema
from offchain.keeper.database import Database
from offchain.keeper.places import JournalError, JournalLocked
from offchain.keeper.pruning import prune
from offchain.keeper.records import Decision, OrderRecord, Purpose, TickBlock, TickRecord, TransactionRecord
from offchain.keeper.rows import order_of, transaction_of
from offchain.keeper.states import (
    FINAL_TRANSACTION,
    OPEN_ORDER,
    UNSIGNED_ORDER,
    State,
    check_order_step,
    check_transaction_step,
)
from offchain.settle.accounts import RawTransaction
from offchain.settle.codec import order_to_json, settlement_from_json, settlement_to_json
from offchain.settle.order import Order, Settlement, SignedOrder

__all__ = ["Journal", "JournalError", "JournalLocked"]


class Journal(Database):
    """What a keeper decided, signed and sent.

    Methods raise `JournalError` when the database fails (disk full, file gone) and
    `IllegalTransition` for a step that makes no sense; in both cases nothing changed.
    """

    # Ticks

    def record_tick(
        self,
        *,
        block_number: int,
        block_hash: str,
        block_timestamp: int,
        mandate: str,
        snapshot: str,
        history: Sequence[bytes],
        plan: str | None,
        decision: Decision,
        reason: str,
    ) -> int:
        """Store a decision with all its inputs and return its id; see `TickRecord`.

        Mandate and history chunks are stored once, however many ticks share them.
        """
        mandate_hash = hashlib.sha256(mandate.encode()).hexdigest()
        chunk_hashes = [hashlib.sha256(chunk).hexdigest() for chunk in history]
        with self._write() as connection:
            _insert_missing(connection, schema.mandates, mandate_hash, mandate)
            for chunk_hash, chunk in zip(chunk_hashes, history, strict=True):
                _insert_missing(connection, schema.history_chunks, chunk_hash, zlib.compress(chunk))
            return _insert(
                connection,
                schema.ticks,
                recorded_at=time.time(),
                block_number=block_number,
                block_hash=block_hash,
                block_timestamp=block_timestamp,
                mandate=mandate_hash,
                snapshot=zlib.compress(snapshot.encode()),
                history=json.dumps(chunk_hashes),
                plan=plan,
                decision=decision,
                reason=reason,
            )

    def ticks(self) -> Iterator[TickRecord]:
        """Every tick in order, one in memory at a time."""
        for tick_id in self._scalars(select(schema.ticks.c.id).order_by(schema.ticks.c.id)):
            yield self.tick(tick_id)

    def tick(self, tick_id: int) -> TickRecord:
        """One tick with its inputs."""
        row = self._all(select(schema.ticks).where(schema.ticks.c.id == tick_id))[0]
        mandate = self._scalars(select(schema.mandates.c.body).where(schema.mandates.c.hash == row.mandate))[0]
        hashes = json.loads(row.history)
        chunks = schema.history_chunks
        bodies = {
            chunk.hash: zlib.decompress(chunk.body)
            for chunk in self._all(select(chunks).where(chunks.c.hash.in_(hashes)))
        }
        return TickRecord(
            id=row.id,
            recorded_at=row.recorded_at,
            block_number=row.block_number,
            block_hash=row.block_hash,
            block_timestamp=row.block_timestamp,
            mandate=mandate,
            snapshot=zlib.decompress(row.snapshot).decode(),
            history=tuple(bodies[one] for one in hashes),
            plan=row.plan,
            decision=Decision(row.decision),
            reason=row.reason,
        )

    def last_tick(self) -> TickRecord | None:
        """The newest tick; `None` before the first."""
        newest = self._scalars(select(func.max(schema.ticks.c.id)))[0]
        return None if newest is None else self.tick(newest)

    def last_tick_block(self) -> TickBlock | None:
        """Block of the newest tick; `None` before the first."""
        table = schema.ticks
        columns = (table.c.block_number, table.c.block_hash, table.c.block_timestamp)
        rows = self._all(select(*columns).order_by(table.c.id.desc()).limit(1))
        return TickBlock(rows[0].block_number, rows[0].block_hash, rows[0].block_timestamp) if rows else None

    def left_unsigned(self, head_number: int) -> bool:
        """Whether the newest tick wanted to settle, nothing was signed, and it is time to plan it again.

        That is at once when the process ended or its node failed, and after the order's
        deadline when it failed in simulation: by then the market is another.
        """
        table = schema.ticks
        rows = self._all(select(table.c.id, table.c.decision).order_by(table.c.id.desc()).limit(1))
        if not rows or rows[0].decision != Decision.SETTLE:
            return False
        orders = self._all(select(schema.orders).where(schema.orders.c.tick == rows[0].id))
        return all(
            row.signature is None and (row.state != State.REVERTED or row.deadline < head_number) for row in orders
        )

    def prune(self, before: int) -> int:
        """Forget what was decided before a time and is final; returns how many ticks went, see `pruning.prune`."""
        with self._write() as connection:
            return prune(connection, before)

    def tick_counts(self) -> dict[str, int]:
        """Number of ticks by decision."""
        statement = select(schema.ticks.c.decision, func.count().label("n")).group_by(schema.ticks.c.decision)
        return {row.decision: row.n for row in self._all(statement)}

    def order_counts(self) -> dict[str, int]:
        """Number of orders by state."""
        return self._count_states(schema.orders)

    def transaction_counts(self) -> dict[str, int]:
        """Number of transactions by state."""
        return self._count_states(schema.transactions)

    def last_settlement(self) -> Settlement | None:
        """What the chain made of the newest order that settled."""
        table = schema.orders
        statement = select(table.c.settlement).where(table.c.settlement.is_not(None))
        rows = self._scalars(statement.order_by(table.c.id.desc()).limit(1))
        return settlement_from_json(rows[0]) if rows else None

    # Orders

    def plan_order(self, tick: int, order: Order, digest: str, signer: str, block_number: int) -> OrderRecord:
        """Store an order before anything is done about it: PLANNED."""
        with self._write() as connection:
            row = _insert(
                connection,
                schema.orders,
                tick=tick,
                digest=digest,
                vault_nonce=str(order.nonce),
                deadline=order.deadline,
                signer=signer,
                body=order_to_json(order),
                state=State.PLANNED,
                detail="",
                created_block=block_number,
                updated_at=time.time(),
            )
            _log(connection, "order", row, None, State.PLANNED, "")
        return self.order(row)

    def advance_order(self, order: int, state: State, detail: str = "", **values: Any) -> OrderRecord:
        """Move an order to another state, with what became known of it.

        Raises
        ------
        IllegalTransition
            When an order does not go there from where it is.
        """
        with self._write() as connection:
            row = connection.execute(select(schema.orders).where(schema.orders.c.id == order)).one()
            before = State(row.state)
            signed = row.signature is not None
            check_order_step(before, state, signed=signed)
            _step(connection, schema.orders, "order", order, before, state, detail, values)
        return self.order(order)

    def sign_order(self, order: int, signed: SignedOrder) -> OrderRecord:
        """Store the signature: from here on the order exists, whatever happens to us."""
        return self.advance_order(order, State.SIGNED, signature=signed.signature)

    def include_order(self, order: int, settlement: Settlement) -> OrderRecord:
        """Store what the chain made of the order."""
        return self.advance_order(
            order, State.INCLUDED, f"block {settlement.block_number}", settlement=settlement_to_json(settlement)
        )

    def order(self, order: int) -> OrderRecord:
        """One order."""
        return order_of(self._all(select(schema.orders).where(schema.orders.c.id == order))[0])

    def orders(self) -> list[OrderRecord]:
        """Every order, oldest first."""
        return [order_of(row) for row in self._all(select(schema.orders).order_by(schema.orders.c.id))]

    def unsigned_orders(self) -> list[OrderRecord]:
        """Orders that were never signed and are not given up yet."""
        return [order_of(row) for row in self._all(_in_states(schema.orders, UNSIGNED_ORDER))]

    def open_orders(self) -> list[OrderRecord]:
        """Signed orders whose fate is not final."""
        statement = _in_states(schema.orders, OPEN_ORDER).where(schema.orders.c.signature.is_not(None))
        return [order_of(row) for row in self._all(statement)]

    # Transactions

    def store_transaction(
        self,
        raw: RawTransaction,
        *,
        purpose: Purpose,
        order: int | None,
        account: str,
        account_nonce: int,
        gas_limit: int,
        max_fee: int,
        priority_fee: int,
        block_number: int,
    ) -> TransactionRecord:
        """Store a signed transaction before it is broadcast: SIGNED."""
        with self._write() as connection:
            row = _insert(
                connection,
                schema.transactions,
                hash=raw.hash,
                purpose=purpose,
                order=order,
                account=account,
                account_nonce=account_nonce,
                gas_limit=gas_limit,
                max_fee=str(max_fee),
                priority_fee=str(priority_fee),
                raw=raw.raw,
                state=State.SIGNED,
                detail="",
                sent_block=block_number,
                final=False,
                updated_at=time.time(),
            )
            _log(connection, "transaction", row, None, State.SIGNED, "")
        return self.transaction(row)

    def advance_transaction(self, transaction: int, state: State, detail: str = "", **values: Any) -> TransactionRecord:
        """Move a transaction to another state; `IllegalTransition` when it cannot go there."""
        with self._write() as connection:
            row = connection.execute(select(schema.transactions).where(schema.transactions.c.id == transaction)).one()
            before = State(row.state)
            check_transaction_step(before, state)
            values["final"] = state in FINAL_TRANSACTION
            _step(connection, schema.transactions, "transaction", transaction, before, state, detail, values)
        return self.transaction(transaction)

    def finalize_reverted(self, transaction: int) -> None:
        """Note that a failed transaction's block is final."""
        table = schema.transactions
        with self._write() as connection:
            connection.execute(update(table).where(table.c.id == transaction).values(final=True))

    def transaction(self, transaction: int) -> TransactionRecord:
        """One transaction."""
        statement = select(schema.transactions).where(schema.transactions.c.id == transaction)
        return transaction_of(self._all(statement)[0])

    def transactions(self) -> list[TransactionRecord]:
        """Every transaction, oldest first."""
        return [
            transaction_of(row) for row in self._all(select(schema.transactions).order_by(schema.transactions.c.id))
        ]

    def unresolved_transactions(self, account: str) -> list[TransactionRecord]:
        """Transactions of an account whose fate is not final, oldest first."""
        table = schema.transactions
        matches = and_(table.c.account == account, table.c.final.is_(False))
        return [transaction_of(row) for row in self._all(select(table).where(matches).order_by(table.c.id))]

    def transactions_at(self, account: str, account_nonce: int) -> list[TransactionRecord]:
        """Every transaction of an account with one nonce, oldest first."""
        table = schema.transactions
        matches = and_(table.c.account == account, table.c.account_nonce == account_nonce)
        return [transaction_of(row) for row in self._all(select(table).where(matches).order_by(table.c.id))]

    def transition_log(self) -> list[tuple[str, int, str | None, str, str]]:
        """Every step ever made: kind, row, state before and after, detail."""
        rows = self._all(select(schema.transitions).order_by(schema.transitions.c.id))
        return [(row.kind, row.row, row.before, row.after, row.detail) for row in rows]

    def _count_states(self, table: Table) -> dict[str, int]:
        statement = select(table.c.state, func.count().label("n")).group_by(table.c.state)
        return {row.state: row.n for row in self._all(statement)}


def _insert(connection: Connection, table: Table, **values: Any) -> int:
    key = connection.execute(insert(table).values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def _insert_missing(connection: Connection, table: Table, key: str, body: str | bytes) -> None:
    if not connection.execute(select(exists().where(table.c.hash == key))).scalar():
        connection.execute(insert(table).values(hash=key, body=body))


def _step(
    connection: Connection,
    table: Table,
    kind: str,
    row: int,
    before: State,
    after: State,
    detail: str,
    values: dict[str, Any],
) -> None:
    changes = {"state": after, "detail": detail, "updated_at": time.time(), **values}
    connection.execute(update(table).where(table.c.id == row).values(changes))
    _log(connection, kind, row, before, after, detail)


def _log(connection: Connection, kind: str, row: int, before: State | None, after: State, detail: str) -> None:
    connection.execute(
        insert(schema.transitions).values(at=time.time(), kind=kind, row=row, before=before, after=after, detail=detail)
    )


def _in_states(table: Table, states: frozenset[State]) -> Any:
    return select(table).where(table.c.state.in_([*states])).order_by(table.c.id)
