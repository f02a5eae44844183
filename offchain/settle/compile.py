# SPDX-License-Identifier: Apache-2.0
"""From a plan to the order that says the least the vault accepts of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offchain.errors import PlimsollError
from offchain.mandate import Mandate
from offchain.market.snapshot import Snapshot
from offchain.settle.order import Leg, Order

if TYPE_CHECKING:
    from offchain.allocate.plan import Plan

ONE_BPS = 10_000
GWEI = 10**9


class OrderError(PlimsollError):
    """A plan that no order can be made of."""


def compile_order(plan: Plan, snapshot: Snapshot, mandate: Mandate) -> Order:
    """Turn a plan into the order for the vault's next nonce.

    Every leg must pay, and the vault must be worth a share, at least what was planned
    less the mandate's slippage. Both round down; the vault rounds up what it demands of
    a clamped leg.

    Raises
    ------
    OrderError
        When the plan does not trade or was made from another snapshot.
    """
    if not plan.trades:
        raise OrderError(f"plan: it does not trade ({plan.reason}); there is nothing to order")
    if plan.block_hash != snapshot.block.hash:
        raise OrderError(f"plan: made at block {plan.block_hash}, not {snapshot.block.hash}; plan again")
    execution = mandate.execution
    kept = ONE_BPS - execution.slippage_bps
    legs = tuple(
        Leg(
            venue=leg.venue,
            token_in=leg.token_in,
            token_out=leg.token_out,
            fee=leg.fee_ppm,
            amount_in=leg.amount_in,
            min_amount_out=leg.amount_out * kept // ONE_BPS,
        )
        for leg in plan.legs
    )
    planned_per_share = snapshot.vault.value_per_share * plan.value_after // snapshot.value
    return Order(
        nonce=snapshot.vault.nonce,
        deadline=snapshot.block.number + execution.deadline_blocks,
        mandate_hash=snapshot.vault.mandate_hash,
        model_hash=plan.model_hash,
        legs=legs,
        min_value_per_share=planned_per_share * kept // ONE_BPS,
        max_base_fee=gwei(execution.max_base_fee_gwei),
    )


def gwei(amount: float) -> int:
    """Wei in an amount of gwei, to the nearest wei."""
    return round(amount * GWEI)
