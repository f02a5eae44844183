# SPDX-License-Identifier: Apache-2.0
"""`make soak STEPS=1000000`: the state machines for longer, each time with other draws; writes out/soak.json.

A machine's share of the steps is its share in `make test`; they take turns, a round of sequences each, on every core.
The report is written as the run goes on, so that a run that is stopped leaves what it did. The first failure ends the
run: it is shrunk to a minimal sequence of rules, printed and written to the report, and the exit code is 1. A round
has a seed of its own: `--machine NAME --seed N --steps 1` plays it again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.invariants.outcomes import DONE, never_done
from tests.invariants.soak import Report, machines, soak

REPORT_SECONDS = 30


class Progress:
    """Writes the report, and a line now and then."""

    def __init__(self, path: Path, workers: int) -> None:
        self.path, self.workers = path, workers
        self.began = self.said = time.monotonic()

    def __call__(self, reports: Sequence[Report]) -> None:
        """Write the report as it stands."""
        now = time.monotonic()
        steps = sum(report.steps for report in reports)
        document = {
            "steps": steps,
            "seconds": round(now - self.began, 1),
            "steps_per_second": round(steps / (now - self.began), 1),
            "workers": self.workers,
            "failed": any(report.failure for report in reports),
            "machines": [asdict(report) for report in reports],
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".partial")
        unfinished.write_text(json.dumps(document, indent=1) + "\n")
        unfinished.replace(self.path)
        if now - self.said > REPORT_SECONDS:
            self.said = now
            print(f"{steps:,} steps in {now - self.began:.0f} s", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.invariants", description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
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
    reports = soak(shares, options.steps, options.seed, options.workers, Progress(options.out, options.workers))
    for report in reports:
        outcome = "FAILED" if report.failure else "held"
        print(f"{report.machine}: {report.steps:,} steps, {report.rounds} rounds, {report.seconds:.0f} s: {outcome}")
        done = (f"{action} {counts[DONE]:,}" for action, counts in sorted(report.outcomes.items()) if DONE in counts)
        print(f"  done: {', '.join(done)}")
        if refused := never_done(report.outcomes):
            print(f"  always refused: {', '.join(refused)}")
        if report.failure:
            print(f"seed {report.failing_seed}\n{report.failure}")
    print(f"{sum(report.steps for report in reports):,} steps; report in {options.out}")
    return 1 if any(report.failure for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
