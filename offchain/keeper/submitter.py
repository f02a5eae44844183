# SPDX-License-Identifier: Apache-2.0
"""Getting transactions mined: one account, one nonce in flight.

    SIGNED -> BROADCAST -> INCLUDED -> FINAL
                        -> REVERTED  (mined, but failed)
                        -> REPLACED  (the nonce went to another transaction)

A transaction is journaled signed before it is broadcast. Whatever waits is replaced
at the same nonce, never queued behind. A block that is lost sends its transactions
back to BROADCAST.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog

from offchain.keeper.journal import Journal
from offchain.keeper.records import Purpose, TransactionRecord
from offchain.keeper.states import State
from offchain.market.rpc import NodeError
from offchain.market.snapshot import Block
from offchain.settle.access_list import AccessEntry, cheaper_access_list
from offchain.settle.accounts import TransactionSigner
from offchain.settle.fees import FeePolicy, Fees
from offchain.settle.node import Node
from offchain.settle.relay import Relay

VOID_GAS = 21_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A transaction to be mined."""

    purpose: Purpose
    to: str
    calldata: bytes
    gas_limit: int
    order: int | None = None
    """The order it settles."""


class Submitter:
    """Signs, journals, broadcasts, watches and replaces the transactions of one account.

    Parameters
    ----------
    payer
        Pays for gas; nobody else should use its account.
    chain_id
        What the signatures are bound to.
    policy, urgent_policy
        Fees of settlements, and of what cannot wait: trips, and transactions that
        take the place of one that must not be mined.
    patience
        Blocks to wait before a transaction is replaced at higher fees.
    relay
        Gets settlements first; what it does not bring into a block within `patience` is replaced
        in public. Nothing else goes there: a trip has no price to hide, and is urgent.
    """

    def __init__(
        self,
        node: Node,
        journal: Journal,
        payer: TransactionSigner,
        chain_id: int,
        *,
        policy: FeePolicy,
        urgent_policy: FeePolicy,
        patience: int = 3,
        relay: Relay | None = None,
    ) -> None:
        self._node = node
        self._journal = journal
        self._payer = payer
        self._chain_id = chain_id
        self._policies = {
            Purpose.SETTLE: policy,
            Purpose.TRIP: urgent_policy,
            Purpose.POKE: policy,
            Purpose.DELEVERAGE: urgent_policy,
            Purpose.BEAT: urgent_policy,
            Purpose.VOID: urgent_policy,
        }
        self._patience = patience
        self._relay = relay

    @property
    def account(self) -> str:
        """Address that pays."""
        return self._payer.address

    def in_flight(self) -> TransactionRecord | None:
        """The newest transaction that waits to be mined; older ones share its nonce."""
        waiting = [row for row in self._unresolved() if row.state in (State.SIGNED, State.BROADCAST)]
        if not waiting:
            return None
        mined = self._node.account_nonce(self.account)
        waiting = [row for row in waiting if row.account_nonce >= mined]
        return waiting[-1] if waiting else None

    def watch(self, finalized: int) -> list[TransactionRecord]:
        """Ask the chain what became of every transaction and journal it; returns those that moved.

        Parameters
        ----------
        finalized
            Number of the newest finalised block.
        """
        moved = [self._watch(row, finalized) for row in self._unresolved()]
        return [row for row in moved if row is not None]

    def send(self, job: Job, head: Block) -> TransactionRecord | None:
        """Prepare a transaction and broadcast it; `None` as from `prepare`."""
        row = self.prepare(job, head)
        return None if row is None else self.broadcast(row)

    def prepare(self, job: Job, head: Block) -> TransactionRecord | None:
        """Sign and journal a transaction at the account's next nonce, where it replaces what waits.

        Returns
        -------
        TransactionRecord or None
            `None` when the fees it would take exceed the ceiling; try again next block.
        """
        nonce = self._node.account_nonce(self.account)
        policy = self._policies[job.purpose]
        history = self._node.fee_history(policy.history_blocks, policy.percentile)
        rivals = [Fees(row.max_fee, row.priority_fee) for row in self._journal.transactions_at(self.account, nonce)]
        rivals = rivals or self._strangers(nonce)
        fees = policy.replacement(_highest(rivals), history) if rivals else policy.quote(history)
        if fees is None:
            log.warning("fees above the ceiling", purpose=job.purpose, next_base_fee=history.next_base_fee)
            return None
        raw = self._payer.sign_transaction(self._fields(job, nonce, fees, self._access_list(job)))
        return self._journal.store_transaction(
            raw,
            purpose=job.purpose,
            order=job.order,
            account=self.account,
            account_nonce=nonce,
            gas_limit=job.gas_limit,
            max_fee=fees.max_fee,
            priority_fee=fees.priority_fee,
            block_number=head.number,
        )

    def broadcast(self, row: TransactionRecord, *, public: bool = False) -> TransactionRecord:
        """Broadcast a journaled transaction, for the first time or again; `public` passes the relay over.

        A node that refuses or does not answer may still have it, so its state is
        BROADCAST either way and the next block decides.
        """
        if row.state is State.SIGNED:
            row = self._journal.advance_transaction(row.id, State.BROADCAST)
        private = not public and self._relay is not None and self._is_first_settlement(row)
        try:
            if private and self._hand_to_relay(row):
                return row
            self._node.send_raw(row.raw)
        except NodeError as error:
            log.warning("broadcast failed", transaction=row.hash, purpose=row.purpose, error=str(error))
        else:
            log.info(
                "broadcast", transaction=row.hash, purpose=row.purpose, nonce=row.account_nonce, max_fee=row.max_fee
            )
        return row

    def is_overdue(self, row: TransactionRecord, head: Block) -> bool:
        """Whether a transaction waits for longer than patience lasts."""
        return head.number - row.sent_block >= self._patience

    def push(self, row: TransactionRecord, job: Job, head: Block) -> TransactionRecord:
        """See to a waiting transaction: give it to a node that lost it, replace it when it waits too long."""
        if self.is_overdue(row, head):
            return self.send(job, head) or self._rebroadcast(row, public=True)
        return self._rebroadcast(row)

    @property
    def void_job(self) -> Job:
        """A transfer of nothing to oneself: in the place of what waits it keeps that from being mined."""
        return Job(Purpose.VOID, self.account, b"", VOID_GAS)

    def _is_first_settlement(self, row: TransactionRecord) -> bool:
        """Whether it settles, and takes nobody's place: a replacement had its time at the relay."""
        rivals = self._journal.transactions_at(row.account, row.account_nonce)
        return row.purpose is Purpose.SETTLE and rivals[0].id == row.id

    def _hand_to_relay(self, row: TransactionRecord) -> bool:
        """Give a transaction to the relay; False when it does not take it, and everybody may see it then."""
        assert self._relay is not None
        try:
            self._relay.send(row.raw, row.sent_block)
        except NodeError as error:
            log.warning("relay refused", transaction=row.hash, error=str(error))
            return False
        log.info("given to the relay", transaction=row.hash, nonce=row.account_nonce, relay=self._relay.url)
        return True

    def _strangers(self, nonce: int) -> list[Fees]:
        """Fees of what waits at the account's nonce and is not in the journal: it is stuck, and replaced."""
        found = self._node.waiting_fees(self.account, nonce)
        if found is None:
            return []
        log.warning("a transaction that is not in the journal waits", account=self.account, nonce=nonce)
        return [Fees(*found)]

    def _rebroadcast(self, row: TransactionRecord, *, public: bool = False) -> TransactionRecord:
        if row.state is State.BROADCAST and self._node.has_waiting(row.hash):
            return row
        return self.broadcast(row, public=public)

    def _unresolved(self) -> list[TransactionRecord]:
        return self._journal.unresolved_transactions(self.account)

    def _watch(self, row: TransactionRecord, finalized: int) -> TransactionRecord | None:
        if row.state in (State.INCLUDED, State.REVERTED):
            return self._watch_mined(row, finalized)
        receipt = self._node.receipt(row.hash)
        if receipt is not None:
            if row.state is State.SIGNED:
                # It was broadcast after all, by a process that died before it could note so.
                self._journal.advance_transaction(row.id, State.BROADCAST, "found on the chain")
            state = State.INCLUDED if receipt.succeeded else State.REVERTED
            row = self._journal.advance_transaction(
                row.id,
                state,
                f"block {receipt.block_number}, {receipt.gas_used} gas",
                block_number=receipt.block_number,
                block_hash=receipt.block_hash,
            )
            log.info("mined", transaction=row.hash, purpose=row.purpose, state=state, block=receipt.block_number)
            return row
        final_nonce = self._node.final_nonce(self.account, finalized) if finalized >= row.sent_block else None
        if final_nonce is not None and final_nonce > row.account_nonce:
            return self._journal.advance_transaction(row.id, State.REPLACED, "its nonce went to another transaction")
        return None

    def _watch_mined(self, row: TransactionRecord, finalized: int) -> TransactionRecord | None:
        assert row.block_number is not None
        if self._node.block_hash(row.block_number) != row.block_hash:
            log.warning("block lost", transaction=row.hash, purpose=row.purpose, block=row.block_number)
            return self._journal.advance_transaction(
                row.id, State.BROADCAST, f"block {row.block_number} was lost", block_number=None, block_hash=None
            )
        if row.block_number > finalized:
            return None
        if row.state is State.REVERTED:
            self._journal.finalize_reverted(row.id)
            return None
        return self._journal.advance_transaction(row.id, State.FINAL, row.detail)

    def _access_list(self, job: Job) -> tuple[AccessEntry, ...]:
        """What a settlement declares; all else is too urgent to be traced first, or too small to gain by it."""
        if job.purpose is not Purpose.SETTLE:
            return ()
        return cheaper_access_list(self._node, job.to, job.calldata, sender=self.account, gas_limit=job.gas_limit)

    def _fields(self, job: Job, nonce: int, fees: Fees, access_list: tuple[AccessEntry, ...]) -> dict[str, Any]:
        return {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": nonce,
            "to": job.to,
            "value": 0,
            "data": "0x" + job.calldata.hex(),
            "gas": job.gas_limit,
            "maxFeePerGas": fees.max_fee,
            "maxPriorityFeePerGas": fees.priority_fee,
            "accessList": [entry.as_json() for entry in access_list],
        }


def _highest(rivals: list[Fees]) -> Fees:
    return Fees(max(one.max_fee for one in rivals), max(one.priority_fee for one in rivals))
