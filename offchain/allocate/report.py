# SPDX-License-Identifier: Apache-2.0
"""A plan for a reader: what is traded and why, what each leg costs, what holds it back, what could be better."""

from __future__ import annotations

from collections.abc import Iterator

from offchain.allocate.limits import settlement_state
from offchain.allocate.plan import Plan, PlanReason, Violation
from offchain.market.snapshot import BreakerState, Snapshot
from offchain.route.leg import LendingAction, PlannedLeg


def leg_cost_usd(leg: PlannedLeg, snapshot: Snapshot) -> float:
    """What a swap loses against the oracle's prices: fee and price impact; negative where the pool pays more."""
    if not leg.is_swap:
        return 0.0
    sold, bought = snapshot.assets[leg.token_in], snapshot.assets[leg.token_out]
    return (leg.amount_in * sold.price - leg.amount_out * bought.price) / 10**36


def _lending_line(leg: PlannedLeg, snapshot: Snapshot) -> str:
    action = LendingAction(leg.fee_ppm)
    if action is LendingAction.SET_E_MODE:
        return f"enter efficiency mode {leg.amount_in}"
    asset = snapshot.assets[leg.token_in]
    return f"{action.name.lower()} {leg.amount_in / 10**asset.decimals:,.6f} {asset.symbol}"


def _worth(plan: Plan, snapshot: Snapshot) -> Iterator[str]:
    """What the plan is good for: where it repairs or reduces, its gain is in worth beside utility and says nothing."""
    for violation in plan.violations:
        yield _outside(violation)
    reduces = settlement_state(snapshot.vault) is not BreakerState.ACTIVE
    if plan.reason is PlanReason.REDUCES:
        now, then = (sum(map(abs, weights[1:])) for weights in (plan.weights_before, plan.weights_after))
        yield f"Reduces: risky assets from {now:.2%} to {then:.2%} of value"
    if plan.violations or reduces:
        if plan.trades:
            change = (plan.utility_after - plan.utility_before) * 1e4
            yield f"Utility: {change:+.2f} basis points of value over the horizon, before gas"
    elif plan.reason in (PlanReason.IMPROVES, PlanReason.NO_TRADE_PAYS):
        yield f"Gain: {plan.gain * 1e4:.2f} basis points of value over the horizon, net; no plan gains more than " + (
            f"{plan.gain_bound * 1e4:.2f} before gas"
        )


def _outside(violation: Violation) -> str:
    number = "{:.2%}" if violation.is_share else "{:.3f}"
    limit, now, then = (number.format(one) for one in (violation.limit, violation.before, violation.after))
    if violation.after == violation.before:
        outcome = "stays"
    elif violation.left > 0:
        outcome = f"{then} after, {1 - violation.left:.0%} closer"
    else:
        outcome = f"{then} after, inside"
    return f"Outside: {violation.name} {limit}, {now} now, {outcome}"


def plan_lines(plan: Plan, snapshot: Snapshot) -> Iterator[str]:
    """The plan as text."""
    why = f"{plan.reason} ({plan.note})" if plan.note else str(plan.reason)
    yield f"Block {snapshot.block.number}: {why}, vault worth ${snapshot.value / 1e18:,.2f}"
    yield f"{'asset':<8}{'now':>9}{'after':>9}{'target':>9}"
    rows = zip(snapshot.assets, plan.weights_before, plan.weights_after, plan.target_weights, strict=True)
    for asset, before, after, target in rows:
        yield f"{asset.symbol:<8}{before:>9.2%}{after:>9.2%}{target:>9.2%}"
    if plan.leverage_after != 1.0 or snapshot.leverage != 1.0:
        health = "no debt" if plan.health_after is None else f"health factor {plan.health_after:.3f}"
        yield f"Leverage {snapshot.leverage:.2f} -> {plan.leverage_after:.2f}, {health}"
    for leg in plan.legs:
        if not leg.is_swap:
            yield f"  {_lending_line(leg, snapshot)}"
            continue
        sold, bought = snapshot.assets[leg.token_in], snapshot.assets[leg.token_out]
        amounts = leg.amount_in / 10**sold.decimals, leg.amount_out / 10**bought.decimals
        where = f"{leg.venue.name.lower()} {leg.fee_ppm / 10_000:g} %" if leg.fee_ppm else leg.venue.name.lower()
        cost = f"costs ${leg_cost_usd(leg, snapshot):,.2f}"
        yield f"  {amounts[0]:,.6f} {sold.symbol} -> {amounts[1]:,.6f} {bought.symbol}  ({where}, {cost})"
    yield f"Costs: ${plan.slippage_cost_usd:,.2f} fees and price impact, ${plan.gas_cost_usd:,.2f} gas"
    yield from _worth(plan, snapshot)
    for limit in plan.binding_limits:
        yield f"Binding: {limit.name}, shadow price {limit.shadow_price:.3g}"
