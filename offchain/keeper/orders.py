# SPDX-License-Identifier: Apache-2.0
"""What became of signed orders: the journal against the chain.

The chain is asked, never guessed: an order is settled when the vault says so in an
event with its digest, whoever relayed it, and dead only once a final block says that
it cannot settle any more.
"""

from __future__ import annotations

import structlog

from offchain.keeper.journal import Journal
from offchain.keeper.records import OrderRecord
from offchain.keeper.states import State
from offchain.market.rpc import RpcError
from offchain.settle.calls import CANCELLED, ORDER_NONCE, selector, topic
from offchain.settle.node import Node
from offchain.settle.reconcile import find_settlement

log = structlog.get_logger(__name__)


class OrderWatch:
    """Follows every open order of one vault."""

    def __init__(self, node: Node, journal: Journal, vault: str) -> None:
        self._node = node
        self._journal = journal
        self._vault = vault

    def vault_nonce(self, block: str = "latest") -> int:
        """The nonce that may settle next, at a block."""
        return int.from_bytes(self._node.call(self._vault, selector(ORDER_NONCE), block=block), "big")

    def drop_unsigned(self) -> list[OrderRecord]:
        """Give up orders that a process left behind before it signed them: nobody can have seen them."""
        return [
            self._journal.advance_order(row.id, State.CANCELLED, "the keeper stopped before it was signed")
            for row in self._journal.unsigned_orders()
        ]

    def pending(self, head_number: int) -> OrderRecord | None:
        """The signed order that can still settle in the next block, if there is one.

        One whose transaction failed is left to expire: planning anew, with the same
        nonce, is safe, because the vault settles one order a nonce.
        """
        candidates = [
            row
            for row in self._journal.open_orders()
            if row.state in (State.SIGNED, State.BROADCAST) and head_number < row.order.deadline
        ]
        if not candidates:
            return None
        nonce = self.vault_nonce()
        candidates = [row for row in candidates if row.order.nonce == nonce]
        return candidates[-1] if candidates else None

    def watch(self, finalized: int) -> list[OrderRecord]:
        """Bring every open order up to date and return those that moved.

        Parameters
        ----------
        finalized
            Number of the newest finalised block.
        """
        rows = self._journal.open_orders()
        if not rows:
            return []
        nonce = self.vault_nonce()
        moved = [self._watch(row, nonce, finalized) for row in rows]
        return [row for row in moved if row is not None]

    def _watch(self, row: OrderRecord, nonce: int, finalized: int) -> OrderRecord | None:
        if row.state is State.INCLUDED:
            return self._watch_included(row, finalized)
        if nonce > row.order.nonce:
            return self._include(row) or self._outrun(row, finalized)
        if finalized > row.order.deadline:
            return self._close(row, State.EXPIRED, f"block {finalized} is final, its deadline was {row.order.deadline}")
        return None

    def _watch_included(self, row: OrderRecord, finalized: int) -> OrderRecord | None:
        assert row.settlement is not None
        block = row.settlement.block_number
        if self._node.block_hash(block) != row.settlement.block_hash:
            log.warning("settlement lost with its block", order=row.digest, block=block)
            row = self._journal.advance_order(row.id, State.BROADCAST, f"block {block} was lost", settlement=None)
            return self._include(row) or row
        if block <= finalized:
            return self._close(row, State.FINAL, row.detail)
        return None

    def _include(self, row: OrderRecord) -> OrderRecord | None:
        settlement = find_settlement(self._node, self._vault, row.digest, row.created_block)
        if settlement is None:
            return None
        log.info(
            "settled", order=row.digest, nonce=row.order.nonce, block=settlement.block_number, gas=settlement.gas_used
        )
        return self._journal.include_order(row.id, settlement)

    def _outrun(self, row: OrderRecord, finalized: int) -> OrderRecord | None:
        """The nonce is used, but not by this order: that is over once it is final."""
        if finalized < row.created_block:
            return None
        try:
            if self.vault_nonce(hex(finalized)) <= row.order.nonce:
                return None
        except RpcError:
            return None  # the node keeps no state that old; another may
        cancelled = self._node.logs(self._vault, [topic(CANCELLED), f"0x{row.order.nonce:064x}"], row.created_block)
        if cancelled:
            return self._close(row, State.CANCELLED, f"nonce {row.order.nonce} was cancelled on-chain")
        return self._close(row, State.REPLACED, f"another order used nonce {row.order.nonce}")

    def _close(self, row: OrderRecord, state: State, detail: str) -> OrderRecord:
        log.info("order closed", order=row.digest, nonce=row.order.nonce, state=state, why=detail)
        return self._journal.advance_order(row.id, state, detail)
