# SPDX-License-Identifier: Apache-2.0
"""What the actions of a state machine came to: a rule that the contracts always refuse tests nothing."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import event

DONE = "done"
Outcomes = dict[str, dict[str, int]]
"""By action: how often it was done, and how often refused for which reason."""

_counted: defaultdict[str, Counter[str]] = defaultdict(Counter)


def outcome(action: str, reason: str | None = None) -> None:
    """Count an action as done, or as refused for a reason; an event of Hypothesis's, too."""
    came_to = DONE if reason is None else reason or "refused without a reason"
    _counted[action][came_to] += 1
    event(f"{action}: {came_to}")


def collect() -> Outcomes:
    """What was counted since this was asked last, in this process."""
    found = {action: dict(counts) for action, counts in _counted.items()}
    _counted.clear()
    return found


def add(total: Outcomes, more: Outcomes) -> None:
    """Add what was counted elsewhere."""
    for action, counts in more.items():
        sums = total.setdefault(action, {})
        for came_to, count in counts.items():
            sums[came_to] = sums.get(came_to, 0) + count


def never_done(outcomes: Outcomes) -> list[str]:
    """Actions that were always refused."""
    return sorted(action for action, counts in outcomes.items() if not counts.get(DONE))
