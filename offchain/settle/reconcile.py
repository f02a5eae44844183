# SPDX-License-Identifier: Apache-2.0
"""What the chain made of an order, and how far that is from the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offchain.errors import PlimsollError
from offchain.settle.calls import SETTLED, decode_settled, topic
from offchain.settle.node import Node, Receipt
from offchain.settle.order import Settlement

if TYPE_CHECKING:
    from offchain.allocate.plan import Plan

ONE = 10**18
ONE_BPS = 10_000


class ReconcileError(PlimsollError):
    """A receipt that does not tell what it should."""


@dataclass(frozen=True, slots=True)
class LegOutcome:
    """One leg, planned and realised; token base units."""

    amount_in: int
    amount_out: int
    planned_amount_in: int
    planned_amount_out: int

    @property
    def slippage_bps(self) -> float:
        """Shortfall against the planned rate; negative when the pool paid more than planned."""
        if not self.amount_in or not self.planned_amount_out:
            return 0.0
        planned = self.planned_amount_out * self.amount_in
        realised = self.amount_out * self.planned_amount_in
        return (planned - realised) / planned * ONE_BPS


@dataclass(frozen=True, slots=True)
class Outcome:
    """A settlement beside its plan."""

    legs: tuple[LegOutcome, ...]
    planned_loss_bps: float
    """Value the plan gives up to fees and price impact, of the value before, at oracle prices."""
    realised_loss_bps: float
    """The same of the settlement, before rounding up; negative for a gain."""
    charged_loss_bps: float
    """What the loss budget was charged."""
    gas_used: int
    gas_cost: int
    """Wei."""


def settlement_of(receipt: Receipt, vault: str, digest: str) -> Settlement:
    """Decode the settlement of an order from a receipt.

    Raises
    ------
    ReconcileError
        When the transaction did not settle that order.
    """
    for log in receipt.logs:
        if _settles(log, vault, digest):
            event = decode_settled(dict(log))
            return Settlement(
                transaction=receipt.transaction,
                block_number=receipt.block_number,
                block_hash=receipt.block_hash,
                digest=event.digest,
                nonce=event.nonce,
                value_before=event.value_before,
                value_after=event.value_after,
                loss=event.loss,
                turnover=event.turnover,
                loss_level=event.loss_level,
                turnover_level=event.turnover_level,
                value_per_share=event.value_per_share,
                amounts_in=event.amounts_in,
                amounts_out=event.amounts_out,
                gas_used=receipt.gas_used,
                effective_gas_price=receipt.effective_gas_price,
            )
    raise ReconcileError(f"transaction {receipt.transaction}: does not settle order {digest}")


def find_settlement(node: Node, vault: str, digest: str, first_block: int) -> Settlement | None:
    """Look an order up on the chain, whoever relayed it; `None` when it has not settled."""
    for log in node.logs(vault, [topic(SETTLED), digest], first_block):
        receipt = node.receipt(str(log["transactionHash"]))
        if receipt is not None:
            return settlement_of(receipt, vault, digest)
    return None


def compare(plan: Plan, value_before: int, settlement: Settlement) -> Outcome:
    """Put a settlement beside the plan it came from.

    Parameters
    ----------
    value_before
        Value of the snapshot the plan was made from, USD at 18 decimals.
    """
    paid = zip(plan.legs, settlement.amounts_in, settlement.amounts_out, strict=True)
    legs = tuple(
        LegOutcome(amount_in, amount_out, leg.amount_in, leg.amount_out) for leg, amount_in, amount_out in paid
    )
    return Outcome(
        legs=legs,
        planned_loss_bps=loss_bps(value_before, plan.value_after),
        realised_loss_bps=loss_bps(settlement.value_before, settlement.value_after),
        charged_loss_bps=settlement.loss / ONE * ONE_BPS,
        gas_used=settlement.gas_used,
        gas_cost=settlement.gas_used * settlement.effective_gas_price,
    )


def _settles(log: Mapping[str, Any], vault: str, digest: str) -> bool:
    return str(log["address"]).lower() == vault.lower() and log["topics"][:2] == [topic(SETTLED), digest]


def loss_bps(before: int, after: int) -> float:
    """Value given up, in basis points of the value before; negative for a gain."""
    return (before - after) / before * ONE_BPS if before else 0.0
