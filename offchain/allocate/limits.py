# SPDX-License-Identifier: Apache-2.0
"""The vault's own checks on a settlement, in its own integers: what passes here settles there.

Mirrors ``contracts/Mandate.vy`` and its modules on the same holdings and prices. Amounts
are base units, values USD at 18 decimals, prices USD at 18 decimals per 10**18 base units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from offchain.mandate import TABLE_LIMITS
from offchain.market.snapshot import NO_DEBT, BreakerState, Snapshot, VaultLimits, VaultState

ONE = 10**18
FULL_BPS = 10_000
_BPS = 10**14
_NO_CAP = 2**16 - 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule that a settlement breaks."""

    rule: str
    """The contract's revert reason."""
    asset: int | None = None
    """Index of the asset it is about, where there is one."""


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
        if value * FULL_BPS < lower[index] * total or value * FULL_BPS > upper[index] * total
    )


def weight_refusal(
    before: Sequence[int],
    after: Sequence[int],
    limits: VaultLimits,
    reduce_only: bool = False,
    debts: tuple[int, int] = (0, 0),
) -> Refusal | None:
    """Check realised weights: inside their bounds, or closer than before.

    Where some weight is outside: each violation no larger than before, at least one
    strictly smaller, none new. Weights are compared by cross-multiplication, exactly.

    Parameters
    ----------
    before, after
        Values held before and after the legs, at the same prices.
    debts
        Values owed before and after: weights are of what is left.
    """
    total_before, total_after = sum(before) - debts[0], sum(after) - debts[1]
    lower, upper = weight_bounds(limits, reduce_only)
    first_violated: int | None = None
    closer = False
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        was_below = old * FULL_BPS < lower[index] * total_before
        was_above = old * FULL_BPS > upper[index] * total_before
        is_below = new * FULL_BPS < lower[index] * total_after
        is_above = new * FULL_BPS > upper[index] * total_after
        change = new * total_before - old * total_after
        if is_below or is_above:
            if first_violated is None:
                first_violated = index
            if (is_below and not (was_below and change >= 0)) or (is_above and not (was_above and change <= 0)):
                return Refusal("limits: weight", index)
            closer = closer or change != 0
        elif was_below or was_above:
            closer = True
    if first_violated is not None and not closer:
        return Refusal("limits: weight", first_violated)
    return None


def leverage_refusals(
    before: tuple[int, int], after: tuple[int, int], cap_bps: int, reduce_only: bool
) -> list[Refusal]:
    """Check everything held over what is left after the debt: below the cap, or no further above it than before.

    Parameters
    ----------
    before, after
        USD at 18 decimals held, and left after the debt.
    cap_bps
        0 for none.
    reduce_only
        Then it may not rise at all.
    """
    rises = after[0] * before[1] > before[0] * after[1]
    found = [Refusal("limits: leverage increased")] if reduce_only and rises else []
    if cap_bps and after[0] * FULL_BPS > cap_bps * after[1]:
        was_above = before[0] * FULL_BPS > cap_bps * before[1]
        if not was_above or rises:
            found.append(Refusal("limits: leverage"))
    return found


def refusals(
    snapshot: Snapshot,
    holdings: Sequence[int],
    limits: VaultLimits,
    owed: Sequence[int] | None = None,
    health: int | None = None,
) -> tuple[Refusal, ...]:
    """Rules that a settlement which leaves `holdings` breaks, on the snapshot's state; empty when it passes.

    Parameters
    ----------
    snapshot
        Holdings before, prices, breaker and levels.
    holdings
        Base units after the legs, in the vault and at its venues.
    limits
        To check against: the chain's, or tighter ones.
    owed
        Base units owed after the legs; what is owed now when not given.
    health
        Health factor after the legs at 1e18; today's when not given.
    """
    vault = snapshot.vault
    prices = [asset.price for asset in snapshot.assets]
    held = [asset.held for asset in snapshot.assets]
    debt = [asset.owed for asset in snapshot.assets]
    before, after = values(held, prices), values(holdings, prices)
    debt_before, debt_after = owed_values(debt, prices), owed_values(debt if owed is None else owed, prices)
    net_before, net_after = _less(before, debt_before), _less(after, debt_after)
    state = settlement_state(vault)
    found: list[Refusal] = []
    if state is BreakerState.HALTED:
        found.append(Refusal("breaker: halted"))
    reduce_only = state is BreakerState.REDUCE_ONLY
    if reduce_only:
        risen = [index for index in range(1, len(held)) if holdings[index] > held[index]]
        found += [Refusal("limits: risk increased", index) for index in risen]
    refused = weight_refusal(before, after, limits, reduce_only, (sum(debt_before), sum(debt_after)))
    if refused is not None:
        found.append(refused)
    gross = (sum(before), sum(net_before)), (sum(after), sum(net_after))
    found += leverage_refusals(*gross, limits.max_leverage_bps, reduce_only)
    today = NO_DEBT if snapshot.lending is None else snapshot.lending.health_factor
    now = today if health is None else health
    if now < min(limits.min_health_bps * _BPS, today):
        found.append(Refusal("limits: health factor"))
    lost = loss(sum(net_before), sum(net_after))
    if lost and vault.loss_level + lost > limits.loss_capacity_bps * _BPS:
        found.append(Refusal("loss_budget: exhausted"))
    if limits.loss_per_settlement_bps and lost > limits.loss_per_settlement_bps * _BPS:
        found.append(Refusal("limits: loss of a settlement"))
    turned = turnover(net_before, net_after)
    if turned and vault.turnover_level + turned > limits.turnover_capacity_bps * _BPS:
        found.append(Refusal("turnover: exhausted"))
    return tuple(found)


def _less(held: Sequence[int], owed: Sequence[int]) -> list[int]:
    return [value - debt for value, debt in zip(held, owed, strict=True)]


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
            min(caps) for caps in zip_longest(first.max_venues_bps, second.max_venues_bps, fillvalue=_NO_CAP)
        ),
        **{name: getattr(first, name) for name in TABLE_LIMITS},
    )


def _lower_cap(first: int, second: int) -> int:
    """Smaller of two caps of which 0 is none."""
    return min(first or second, second or first)
