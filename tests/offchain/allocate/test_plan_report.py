# SPDX-License-Identifier: Apache-2.0
"""What `plimsoll plan` says, held against the plan and the mandate."""

import re
from dataclasses import replace
from typing import Any

import pytest

from offchain.allocate import PlanReason, make_plan
from offchain.allocate.report import plan_lines
from offchain.market.snapshot import BreakerState


def said(plan: Any, snapshot: Any) -> str:
    return "\n".join(plan_lines(plan, snapshot))


def test_a_repair_says_what_is_outside_and_promises_no_gain(vaults: Any, mandate: Any) -> None:
    snapshot = vaults.snapshot((0.05, 0.6, 0.2, 0.05, 0.1))
    plan = make_plan(snapshot, vaults.forecast(), mandate)
    most = mandate.vault_limits.max_weights_bps[1] / 1e4
    lines = said(plan, snapshot)
    assert plan.reason is PlanReason.REPAIRS
    assert f"Outside: maximum weight of WETH {most:.2%}, 60.00% now, {plan.weights_after[1]:.2%} after, inside" in lines
    assert "Gain" not in lines
    utility = re.search(r"Utility: ([+-][\d.]+) basis points", lines)
    assert utility is not None
    assert float(utility[1]) == pytest.approx((plan.utility_after - plan.utility_before) * 1e4, abs=0.005)


def test_a_repair_in_steps_says_how_much_closer_it_comes(vaults: Any, mandate: Any) -> None:
    snapshot = vaults.snapshot((1, 0, 0, 0, 0), limits=replace(mandate.vault_limits, turnover_capacity_bps=2500))
    plan = make_plan(snapshot, vaults.forecast(), mandate)
    (cash,) = (one for one in plan.violations if one.name == "maximum weight of USDC")
    closer = (1 - plan.weights_after[0]) / (1 - cash.limit)
    assert 0.2 < closer < 0.8
    assert f"{plan.weights_after[0]:.2%} after, {closer:.0%} closer" in said(plan, snapshot)


def test_a_repair_that_waits_says_what_stays_outside(vaults: Any, mandate: Any) -> None:
    snapshot = vaults.snapshot((0.05, 0.6, 0.2, 0.05, 0.1), turnover_level=10**18)
    lines = said(make_plan(snapshot, vaults.forecast(), mandate), snapshot)
    assert "60.00% now, stays" in lines
    assert "Gain" not in lines
    assert "Utility" not in lines


def test_a_reduction_says_how_much_risk_it_sheds(vaults: Any, mandate: Any) -> None:
    snapshot = vaults.snapshot(breaker=BreakerState.REDUCE_ONLY, seed=4)
    plan = make_plan(snapshot, vaults.forecast(), mandate)
    lines = said(plan, snapshot)
    assert f"Reduces: risky assets from {1 - plan.weights_before[0]:.2%} to 0.00% of value" in lines
    assert "Gain" not in lines


def test_an_improvement_says_its_gain_and_what_any_plan_could_gain(vaults: Any, mandate: Any) -> None:
    snapshot = vaults.snapshot((0.2, 0.4, 0.17, 0.08, 0.15))
    plan = make_plan(snapshot, vaults.forecast(), mandate)
    assert plan.reason is PlanReason.IMPROVES
    assert f"Gain: {plan.gain * 1e4:.2f} basis points" in said(plan, snapshot)
    assert plan.violations == ()
