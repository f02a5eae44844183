# SPDX-License-Identifier: Apache-2.0
"""`make soak`: finds every machine, counts, stops at a failure and says how to get there."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.invariants.outcomes import DONE, never_done, outcome
from tests.invariants.soak import machines, soak


class Purse(RuleBasedStateMachine):
    """Holds until somebody pays in twice and takes out more than 9."""

    def __init__(self) -> None:
        super().__init__()
        self.paid = 0

    @rule(coins=st.integers(0, 5))
    def pay(self, coins: int) -> None:
        self.paid += 1

    @rule(coins=st.integers(0, 20))
    def take(self, coins: int) -> None:
        assert self.paid < 2 or coins < 10


class Gate(RuleBasedStateMachine):
    """Opens now and then; nobody gets over it."""

    @rule(is_open=st.booleans())
    def walk(self, is_open: bool) -> None:
        outcome("pass", None if is_open else "shut")

    @rule()
    def climb(self) -> None:
        outcome("climb", "too high")


def test_every_machine_is_found() -> None:
    assert {"VaultMachine", "BrokenTokensMachine", "LendingMachine"} == {machine.__name__ for machine in machines()}
    assert all(share > 0 for share in machines().values())


def test_a_failure_ends_with_the_shortest_sequence() -> None:
    (report,) = soak({Purse: 1}, 100_000, first_seed=1, workers=2)
    assert report.steps < 100_000
    assert report.failure is not None
    story = report.failure[report.failure.index("state = ") :]
    # The beginning, two payments of nothing, and the least that is too much.
    assert [line.strip() for line in story.splitlines() if "state." in line] == [
        "state.pay(coins=0)",
        "state.pay(coins=0)",
        "state.take(coins=10)",
        "state.teardown()",
    ]


def test_the_steps_asked_for_are_taken_each_round_with_other_draws() -> None:
    class Harmless(RuleBasedStateMachine):
        seen: ClassVar[set[int]] = set()

        @rule(number=st.integers(0, 2**60))
        def draw(self, number: int) -> None:
            self.seen.add(number)

    (report,) = soak({Harmless: 1}, 3000, first_seed=5)
    assert report.failure is None
    assert report.steps >= 3000
    assert report.rounds > 1
    assert len(Harmless.seen) > 500


def test_what_actions_came_to_is_counted_over_all_rounds() -> None:
    (report,) = soak({Gate: 1}, 3000, first_seed=1)
    assert report.failure is None
    assert set(report.outcomes) == {"pass", "climb"}
    assert set(report.outcomes["pass"]) == {DONE, "shut"}
    assert never_done(report.outcomes) == ["climb"]
    # Each step is one of the two.
    assert sum(sum(counts.values()) for counts in report.outcomes.values()) == pytest.approx(report.steps, rel=0.05)
