# SPDX-License-Identifier: Apache-2.0
"""`make soak STEPS=1000000`: the state machines for longer, each time with other draws; writes out/soak.json.

A machine's share of the steps is its share in `make test`. The first failure ends the run: it is shrunk to a minimal
sequence of rules, printed and written to the report, and the exit code is 1. `--seed` draws the same steps again.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hypothesis import seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

import tests.invariants as suite

EXAMPLES_A_ROUND = 25
"""Sequences between two reports of progress; every round has a seed of its own."""


@dataclass(slots=True)
class Report:
    """What was done with one machine."""

    machine: str
    seed: int
    steps: int = 0
    rounds: int = 0
    seconds: float = 0.0
    failure: str | None = None
    """The error, and the shortest sequence of rules that reproduces it."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"seconds": round(self.seconds, 1)}


def machines() -> dict[type[RuleBasedStateMachine], int]:
    """Every state machine of the suite with the steps that `make test` gives it."""
    found: dict[type[RuleBasedStateMachine], int] = {}
    for place in pkgutil.iter_modules(suite.__path__):
        if not place.name.endswith("_machine"):
            continue
        module = importlib.import_module(f"{suite.__name__}.{place.name}")
        for thing in vars(module).values():
            if (
                isinstance(thing, type)
                and issubclass(thing, RuleBasedStateMachine)
                and thing.__module__ == module.__name__
            ):
                found[thing] = module.STEPS
    return found


def soak(machine: type[RuleBasedStateMachine], steps: int, first_seed: int) -> Report:
    """Run a machine until it took that many steps or failed."""
    report = Report(machine.__name__, first_seed)
    watched = _counting(machine, report)
    rules = settings(
        machine.TestCase.settings, derandomize=False, database=None, max_examples=EXAMPLES_A_ROUND, print_blob=False
    )
    began = time.monotonic()
    while report.steps < steps and report.failure is None:
        try:
            run_state_machine_as_test(seed(first_seed + report.rounds)(watched), settings=rules)
        except Exception as error:
            report.failure = "".join(traceback.format_exception(error, limit=-4, chain=False))
        report.rounds += 1
        report.seconds = time.monotonic() - began
    return report


def _counting(machine: type[RuleBasedStateMachine], report: Report) -> type[RuleBasedStateMachine]:
    """The same machine, counting its steps."""

    class Counting(machine):  # type: ignore[misc, valid-type]
        # Hypothesis calls it after each step; an invariant of our own would be printed with the sequence.
        def check_invariants(self, *arguments: Any, **named: Any) -> None:
            report.steps += 1
            super().check_invariants(*arguments, **named)

    Counting.__name__ = Counting.__qualname__ = machine.__name__
    return Counting


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.invariants", description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--machine", action="append", help="only this one; may be given several times")
    parser.add_argument("--out", type=Path, default=Path("out/soak.json"))
    options = parser.parse_args(arguments)
    shares = machines()
    if options.machine:
        shares = {machine: share for machine, share in shares.items() if machine.__name__ in options.machine}
    if not shares:
        print(
            f"error: no such machine; there are {', '.join(sorted(one.__name__ for one in machines()))}",
            file=sys.stderr,
        )
        return 2
    reports = []
    for machine, share in shares.items():
        report = soak(machine, options.steps * share // sum(shares.values()), options.seed)
        reports.append(report)
        outcome = "FAILED" if report.failure else "held"
        print(f"{report.machine}: {report.steps:,} steps, {report.rounds} rounds, {report.seconds:.0f} s: {outcome}")
        if report.failure:
            print(report.failure)
            break
    options.out.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "steps": sum(report.steps for report in reports),
        "failed": any(report.failure for report in reports),
        "machines": [report.as_json() for report in reports],
    }
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{document['steps']:,} steps; report in {options.out}")
    return 1 if document["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
