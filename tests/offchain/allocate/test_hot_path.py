# SPDX-License-Identifier: Apache-2.0
"""What a tick loads, and whether its plans still settle when the market has moved on."""

import subprocess
import sys
from typing import Any

import pytest

from bench import drift, rebalance

TICK = """
import sys
from offchain.allocate import make_plan
from offchain.mandate import load_mandate
from tests.support.made_vaults import MANDATE, Vaults
mandate = load_mandate(MANDATE)
vaults = Vaults(mandate)
plans = [make_plan(vaults.random_snapshot(seed), vaults.forecast(), mandate) for seed in range(15)]
assert sum(plan.trades for plan in plans) > 5
print("cvxpy" in sys.modules)
"""


def test_planning_does_not_load_cvxpy() -> None:
    done = subprocess.run([sys.executable, "-c", TICK], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False"], done.stderr


@pytest.mark.parametrize("plans", [25, pytest.param(400, marks=pytest.mark.slow)])
def test_plans_settle_on_the_state_they_were_made_for_and_nearly_always_a_block_later(
    monkeypatch: Any, plans: int
) -> None:
    monkeypatch.setattr(drift, "PLANS", plans)
    (row,) = drift.rows()
    assert row["size"]["plans"] > plans / 2
    assert row["revert_rate_same_state"] == 0.0
    assert row["revert_rate"] < 0.05


def test_nobody_ends_better_off_than_the_joint_program(monkeypatch: Any) -> None:
    monkeypatch.setattr(rebalance, "MARKETS", 2)
    for value in (1e5, 1e7):
        row = rebalance.rebalance(value)
        gained = row["utility_gained_bps"]
        assert row["joint_is_best"]
        assert gained["joint"] > gained["optimise, then route"] > gained["5 % grid"] > gained["single path"]
