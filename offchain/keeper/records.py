# SPDX-License-Identifier: Apache-2.0
"""Rows of the journal as the rest of the keeper sees them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from offchain.keeper.states import State
from offchain.settle.order import Order, Settlement, SignedOrder


class Decision(StrEnum):
    """What a tick came to."""

    SETTLE = "settle"
    HOLD = "hold"
    REFUSE = "refuse"


class Purpose(StrEnum):
    """What a transaction is for."""

    SETTLE = "settle"
    TRIP = "trip"
    POKE = "poke"
    """Records which conditions of the breaker's table hold that have to persist."""
    DELEVERAGE = "delever"
    BEAT = "beat"
    """The keeper's sign of life."""
    VOID = "void"
    """A transfer of nothing to oneself, which takes the account nonce of one that must not be mined."""


@dataclass(frozen=True, slots=True)
class TickBlock:
    """Block that a decision was made at; the timestamp is Unix seconds."""

    number: int
    hash: str
    timestamp: int


@dataclass(frozen=True, slots=True)
class TickRecord:
    """One decision and everything it was based on.

    `snapshot` is the JSON of the snapshot, `history` the encoded chunks of the price
    history, `plan` JSON, `mandate` the mandate's JSON.
    """

    id: int
    recorded_at: float
    block_number: int
    block_hash: str
    block_timestamp: int
    mandate: str
    snapshot: str
    history: tuple[bytes, ...]
    plan: str | None
    decision: Decision
    reason: str


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order and how far it got."""

    id: int
    tick: int
    digest: str
    order: Order
    signer: str
    signature: str | None
    state: State
    detail: str
    settlement: Settlement | None
    created_block: int
    updated_at: float

    def signed(self, vault: str, chain_id: int) -> SignedOrder:
        """The order with its signature, as the vault takes it; only once it is signed."""
        if self.signature is None:
            raise ValueError(f"order {self.digest} is not signed")
        return SignedOrder(self.order, vault, chain_id, self.digest, self.signer, self.signature)


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """A signed transaction and how far it got; fees are wei per gas."""

    id: int
    hash: str
    purpose: Purpose
    order: int | None
    account: str
    account_nonce: int
    gas_limit: int
    max_fee: int
    priority_fee: int
    raw: str
    state: State
    detail: str
    sent_block: int
    block_number: int | None
    block_hash: str | None
    final: bool
    """Whether its state can no longer change; a failed transaction ends in REVERTED."""
    updated_at: float
