# SPDX-License-Identifier: Apache-2.0
"""What can become of an order and of a transaction, and which steps are legal.

An order is an intent with one vault nonce: cancelling an Ethereum transaction does
not cancel it, and a failed transaction does not use it up. So an order that was
signed stays *open* until the chain has irrevocably said what became of it: its own
settlement is final, another one used its nonce, it was cancelled on-chain, or a
finalised block passed its deadline.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from offchain.errors import PlimsollError


class State(StrEnum):
    """States of orders and transactions in the journal."""

    PLANNED = "PLANNED"
    SIMULATED = "SIMULATED"
    SIGNED = "SIGNED"
    BROADCAST = "BROADCAST"
    INCLUDED = "INCLUDED"
    FINAL = "FINAL"
    REPLACED = "REPLACED"
    """Another order used the vault nonce, or another transaction the account nonce, for good."""
    CANCELLED = "CANCELLED"
    """Dropped before it was signed, or its nonce was cancelled on-chain for good."""
    EXPIRED = "EXPIRED"
    """A finalised block passed the deadline."""
    REVERTED = "REVERTED"
    """Failed in simulation, or its transaction failed; once it is signed an order stays open all the same."""


class IllegalTransition(PlimsollError):
    """A step that the life of an order or transaction does not have."""


_CLOSED = frozenset({State.REPLACED, State.CANCELLED, State.EXPIRED})

ORDER_STEPS: Mapping[State, frozenset[State]] = {
    State.PLANNED: frozenset({State.SIMULATED, State.REVERTED, State.CANCELLED}),
    State.SIMULATED: frozenset({State.SIGNED, State.REVERTED, State.CANCELLED}),
    # A signed order may be settled by anyone who sees it, hence INCLUDED from everywhere.
    State.SIGNED: frozenset({State.BROADCAST, State.INCLUDED, State.REVERTED}) | _CLOSED,
    State.BROADCAST: frozenset({State.INCLUDED, State.REVERTED}) | _CLOSED,
    State.REVERTED: frozenset({State.BROADCAST, State.INCLUDED}) | _CLOSED,
    # Back to BROADCAST when its block is lost in a reorganisation.
    State.INCLUDED: frozenset({State.FINAL, State.BROADCAST}),
}

TRANSACTION_STEPS: Mapping[State, frozenset[State]] = {
    State.SIGNED: frozenset({State.BROADCAST, State.REPLACED}),
    State.BROADCAST: frozenset({State.INCLUDED, State.REVERTED, State.REPLACED}),
    State.INCLUDED: frozenset({State.FINAL, State.BROADCAST}),
    State.REVERTED: frozenset({State.BROADCAST}),
}

OPEN_ORDER = frozenset({State.SIGNED, State.BROADCAST, State.REVERTED, State.INCLUDED})
UNSIGNED_ORDER = frozenset({State.PLANNED, State.SIMULATED})
FINAL_TRANSACTION = frozenset({State.FINAL, State.REPLACED})


def check_order_step(before: State, after: State, *, signed: bool) -> None:
    """Raise `IllegalTransition` unless an order may go from one state to the other.

    Parameters
    ----------
    signed
        Whether a signature of the order exists; without one a reverted order is dead.
    """
    dead = before is State.REVERTED and not signed
    if dead or after not in ORDER_STEPS.get(before, frozenset()):
        raise IllegalTransition(f"order: {before} -> {after} is not a legal step; the journal was left as it is")


def check_transaction_step(before: State, after: State) -> None:
    """Raise `IllegalTransition` unless a transaction may go from one state to the other."""
    if after not in TRANSACTION_STEPS.get(before, frozenset()):
        raise IllegalTransition(f"transaction: {before} -> {after} is not a legal step; the journal was left as it is")
