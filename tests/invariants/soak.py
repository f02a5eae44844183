# SPDX-License-Identifier: Apache-2.0
"""State machines for longer than a test takes: rounds of sequences, each with a seed of its own, on several cores."""

from __future__ import annotations

import importlib
import pkgutil
import resource
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

from hypothesis import seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

import tests.invariants as suite
from tests.invariants.outcomes import Outcomes, add, collect

STEPS_A_ROUND = 2000
"""At most, of one machine between two reports of progress."""
Machine = type[RuleBasedStateMachine]


@dataclass(slots=True)
class Report:
    """What was done with one machine."""

    machine: str
    share: int
    steps: int = 0
    rounds: int = 0
    seconds: float = 0.0
    """Of all cores together."""
    memory_mb: float = 0.0
    """Most that one of its processes ever had."""
    failure: str | None = None
    """The error, and the shortest sequence of rules that reproduces it."""
    failing_seed: int | None = None
    outcomes: Outcomes = field(default_factory=dict)

    def add(self, played: Round) -> None:
        """Count a round."""
        self.steps += played.steps
        self.rounds += 1
        self.seconds = round(self.seconds + played.seconds, 1)
        self.memory_mb = max(self.memory_mb, played.memory_mb)
        add(self.outcomes, played.outcomes)
        if played.failure is not None and self.failure is None:
            self.failure, self.failing_seed = played.failure, played.seed


@dataclass(frozen=True, slots=True)
class Round:
    """Some sequences of one machine."""

    seed: int
    steps: int
    seconds: float
    memory_mb: float
    failure: str | None
    outcomes: Outcomes


def machines() -> dict[Machine, int]:
    """Every state machine of the suite with the steps that `make test` gives it."""
    found: dict[Machine, int] = {}
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


def play(machine: Machine, first_seed: int, steps: int = STEPS_A_ROUND) -> Round:
    """Run some sequences of a machine, about that many steps, up to the first failure."""
    collect()
    counted = [0]
    usual = machine.TestCase.settings
    rules = settings(
        usual,
        derandomize=False,
        database=None,
        max_examples=max(1, steps // usual.stateful_step_count),
        print_blob=False,
    )
    began, failure = time.monotonic(), None
    try:
        run_state_machine_as_test(seed(first_seed)(_counting(machine, counted)), settings=rules)
    except Exception as error:
        failure = "".join(traceback.format_exception(error, limit=-4, chain=False))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Round(first_seed, counted[0], time.monotonic() - began, round(memory, 1), failure, collect())


def soak(
    shares: Mapping[Machine, int],
    steps: int,
    first_seed: int,
    workers: int = 1,
    progress: Callable[[Sequence[Report]], None] = lambda _: None,
) -> list[Report]:
    """Let machines take turns until they took that many steps or one failed.

    Parameters
    ----------
    shares
        How much of the steps each gets.
    workers
        Processes; with one it is this process.
    progress
        Told after every round.
    """
    reports = {machine: Report(machine.__name__, share) for machine, share in shares.items()}
    everything = list(reports.values())
    seeds = dict.fromkeys(shares, first_seed)

    def next_round() -> tuple[Machine, int]:
        # Whoever is furthest behind, counting rounds that are still being played.
        machine = min(reports, key=lambda one: (seeds[one] - first_seed) / shares[one])
        seeds[machine] += 1
        return machine, seeds[machine] - 1

    def unfinished() -> bool:
        return sum(one.steps for one in everything) < steps and not any(one.failure for one in everything)

    if workers == 1:
        while unfinished():
            machine, number = next_round()
            reports[machine].add(play(machine, number))
            progress(everything)
        return everything
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running: dict[Future[Round], Machine] = {}
        while unfinished():
            while len(running) < workers:
                machine, number = next_round()
                running[pool.submit(play, machine, number)] = machine
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                reports[running.pop(done)].add(done.result())
            progress(everything)
        pool.shutdown(cancel_futures=True)
    return everything


def _counting(machine: Machine, counted: list[int]) -> Machine:
    """The same machine, counting its steps."""

    class Counting(machine):  # type: ignore[misc, valid-type]
        # Hypothesis calls it after each step; an invariant of our own would be printed with the sequence.
        def check_invariants(self, *arguments: Any, **named: Any) -> None:
            counted[0] += 1
            super().check_invariants(*arguments, **named)

    Counting.__name__ = Counting.__qualname__ = machine.__name__
    return Counting
