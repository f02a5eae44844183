# SPDX-License-Identifier: Apache-2.0
"""A mandate for a reader who checks it: bounds, budgets, breaker, fees, and every other rule that is set."""

from __future__ import annotations

from collections.abc import Iterator

from offchain.mandate.models import Mandate

_TOLD = frozenset(
    {
        "loss_capacity_bps",
        "loss_refill_bps_per_day",
        "turnover_capacity_bps",
        "turnover_refill_bps_per_day",
        "drawdown_reduce_bps",
        "drawdown_halt_bps",
    }
)


def summary_lines(mandate: Mandate) -> Iterator[str]:
    """The mandate as text."""
    yield f"{mandate.name} ({mandate.symbol}) on chain {mandate.chain_id}, base asset {mandate.base_asset}"
    yield f"{'asset':<8}{'min':>9}{'max':>9}{'benchmark':>11}"
    for asset in mandate.ordered_assets:
        bounds = (asset.min_weight_bps / 1e4, asset.max_weight_bps / 1e4, asset.benchmark_weight_bps / 1e4)
        yield f"{asset.symbol:<8}{bounds[0]:>9.2%}{bounds[1]:>9.2%}{bounds[2]:>11.2%}"
    yield f"Venues: {', '.join(venue.kind for venue in mandate.venues)}; objective: {mandate.objective.kind}"
    limits, fees = mandate.limits, mandate.fees
    yield f"Loss budget {limits.loss_capacity_bps} bps, {limits.loss_refill_bps_per_day} a day"
    yield f"Turnover {limits.turnover_capacity_bps} bps, {limits.turnover_refill_bps_per_day} a day"
    yield f"Breaker at {limits.drawdown_reduce_bps} and {limits.drawdown_halt_bps} bps below the peak"
    yield f"Fees {fees.entry_bps} bps in, {fees.exit_bps} bps out, for an oracle error of {fees.oracle_error_bps} bps"
    besides = [f"{name} {value}" for name, value in limits if value and name not in _TOLD]
    if besides:
        yield f"Other limits: {', '.join(besides)}"
