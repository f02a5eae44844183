# SPDX-License-Identifier: Apache-2.0
"""What the state machines' actions come to: contracts that refuse everything would keep every promise."""

from __future__ import annotations

import pytest

from tests.invariants.outcomes import DONE, Outcomes, add, never_done
from tests.invariants.soak import machines, play

ROUNDS = 15
"""Of some 2,000 steps: in so many every action of a machine has to be done at least once."""
BY_MACHINE = {machine.__name__: machine for machine in machines()}
LENDING = (
    *(f"{who}: {what}" for who in ("keeper", "thief") for what in ("supply", "withdraw", "borrow", "repay")),
    "keeper levers up", "keeper levers down", "keeper swaps", "thief sells", "thief sells what he borrows",
    "deposit", "redeem", "transfer", "claim tokens", "claim a position", "deleverage", "liquidate", "foreclose", "poke",
    *(f"leave in kind {how} the loan while {state}" for how in ("with", "without") for state in (0, 1, 2)),
    "trip to 1", "trip to 2", "guardian stops", "resume", "administrators pause", "administrators freeze",
)  # fmt: skip
VAULT = (
    "deposit", "redeem", "withdraw", "claim", "transfer", "donate", "keeper rebalances", "keeper settles",
    "keeper is sandwiched", "thief settles", "trip to 1", "trip to 2", "stop", "cancel", "tighten", "loosen",
    *(f"leave in kind while {state}" for state in (0, 1, 2)), "resume from 1", "resume from 2",
)  # fmt: skip
BROKEN = (
    "a token is blind", "a token is frozen", "a token refuses", "deposit", "claim",
    *(f"leave while {count} are broken" for count in (0, 1, 2, 3)),
)  # fmt: skip


def test_somebody_is_liquidated() -> None:
    played = play(BY_MACHINE["LendingMachine"], 2, steps=200)
    assert played.failure is None, played.failure
    assert played.outcomes["liquidate"][DONE] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("machine", "actions"), [("LendingMachine", LENDING), ("VaultMachine", VAULT), ("BrokenTokensMachine", BROKEN)]
)
def test_every_action_is_done_at_times(machine: str, actions: tuple[str, ...]) -> None:
    outcomes: Outcomes = {}
    for seed in range(1, ROUNDS + 1):
        played = play(BY_MACHINE[machine], seed)
        assert played.failure is None, played.failure
        add(outcomes, played.outcomes)
        missing = {*actions} - {*outcomes} | {*actions}.intersection(never_done(outcomes))
        if not missing:
            return
    raise AssertionError(f"never done: {sorted(missing)}")
