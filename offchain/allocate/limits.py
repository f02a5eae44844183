# SPDX-License-Identifier: Apache-2.0
"""The limits in the vault's own integers: values, what a settlement costs, bounds, the state it is judged in.

Mirrors ``contracts/Mandate.vy`` and its modules on the same holdings and prices; `offchain.allocate.judge`
puts it together. Amounts are base units, values USD at 18 decimals, prices USD at 18 decimals per 10**18
base units.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from offchain.mandate import TABLE_LIMITS
from offchain.market.snapshot import BreakerState, VaultLimits, VaultState

ONE = 10**18
FULL_BPS = 10_000
NO_CAP = 2**16 - 1
GIFT = 1_000
"""A maximum of nothing is one basis point over this."""


def values(holdings: Sequence[int], prices: Sequence[int]) -> tuple[int, ...]:
    """USD at 18 decimals, each rounded down."""
    return tuple(held * price // ONE for held, price in zip(holdings, prices, strict=True))


def loss(value_before: int, value_after: int) -> int:
    """Fraction of the value before at 1e18, rounded up; gains count as 0."""
    return -(-max(0, value_before - value_after) * ONE // value_before)


def owed_values(owed: Sequence[int], prices: Sequence[int]) -> tuple[int, ...]:
    """USD at 18 decimals, each rounded up."""
    return tuple(-(-amount * price // ONE) for amount, price in zip(owed, prices, strict=True))


def turnover(before: Sequence[int], after: Sequence[int]) -> int:
    """Larger of what was bought and what was sold, net by asset, at 1e18 of the value before, rounded up."""
    changes = [new - old for old, new in zip(before, after, strict=True)]
    bought = sum(change for change in changes if change > 0)
    sold = -sum(change for change in changes if change < 0)
    return -(-max(bought, sold) * ONE // sum(before))


def settlement_state(vault: VaultState) -> BreakerState:
    """State in which a settlement is judged now: it latches a standing drawdown before anything else."""
    limits = vault.limits
    drawn = BreakerState.ACTIVE
    if vault.value_per_share * FULL_BPS <= vault.peak * (FULL_BPS - limits.drawdown_halt_bps):
        drawn = BreakerState.HALTED
    elif vault.value_per_share * FULL_BPS <= vault.peak * (FULL_BPS - limits.drawdown_reduce_bps):
        drawn = BreakerState.REDUCE_ONLY
    return max(vault.breaker, drawn)


def weight_bounds(limits: VaultLimits, reduce_only: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Bounds in force, basis points: while reducing, nothing that forbids the way into the base asset."""
    lower, upper = limits.min_weights_bps, limits.max_weights_bps
    if not reduce_only:
        return lower, upper
    return (lower[0], *(0 for _ in lower[1:])), (FULL_BPS, *upper[1:])


def outside(held: Sequence[int], limits: VaultLimits, reduce_only: bool = False) -> tuple[int, ...]:
    """Assets whose weight, from values, stands outside its bounds."""
    total = sum(held)
    lower, upper = weight_bounds(limits, reduce_only)
    return tuple(
        index
        for index, value in enumerate(held)
        if value * FULL_BPS < lower[index] * total or value * FULL_BPS > ceiling(upper[index], total)
    )


def ceiling(maximum: int, net: int) -> int:
    """Most value, times 10,000, that a maximum in basis points of net value allows.

    A maximum of nothing is a thousandth of a basis point, which anyone can give.
    """
    return maximum * net or net // GIFT


def tighter(first: VaultLimits, second: VaultLimits) -> VaultLimits:
    """Weights and budgets that satisfy both; thresholds and fees are the first's.

    The result can be infeasible: see `offchain.allocate.bounds`.
    """
    return VaultLimits(
        min_weights_bps=tuple(map(max, first.min_weights_bps, second.min_weights_bps)),
        max_weights_bps=tuple(map(min, first.max_weights_bps, second.max_weights_bps)),
        loss_capacity_bps=min(first.loss_capacity_bps, second.loss_capacity_bps),
        loss_refill_bps_per_day=min(first.loss_refill_bps_per_day, second.loss_refill_bps_per_day),
        turnover_capacity_bps=min(first.turnover_capacity_bps, second.turnover_capacity_bps),
        turnover_refill_bps_per_day=min(first.turnover_refill_bps_per_day, second.turnover_refill_bps_per_day),
        drawdown_reduce_bps=first.drawdown_reduce_bps,
        drawdown_halt_bps=first.drawdown_halt_bps,
        entry_fee_bps=first.entry_fee_bps,
        exit_fee_bps=first.exit_fee_bps,
        loss_per_settlement_bps=_lower_cap(first.loss_per_settlement_bps, second.loss_per_settlement_bps),
        max_leverage_bps=_lower_cap(first.max_leverage_bps, second.max_leverage_bps),
        min_health_bps=max(first.min_health_bps, second.min_health_bps),
        min_buffer_bps=max(first.min_buffer_bps, second.min_buffer_bps),
        cool_down_s=max(first.cool_down_s, second.cool_down_s),
        max_venues_bps=tuple(
            min(caps) for caps in zip_longest(first.max_venues_bps, second.max_venues_bps, fillvalue=NO_CAP)
        ),
        **{name: getattr(first, name) for name in TABLE_LIMITS},
    )


def _lower_cap(first: int, second: int) -> int:
    """Smaller of two caps of which 0 is none."""
    return min(first or second, second or first)
