# SPDX-License-Identifier: Apache-2.0
"""A vault in a moving market whose keeper keeps dying, and the books at the end."""

from __future__ import annotations

import os
import random
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from offchain.keeper.journal import Journal
from offchain.keeper.records import Decision
from offchain.keeper.states import State
from offchain.sandbox.blocks import pending_transactions
from offchain.sandbox.standup import Sandbox
from offchain.settle.development import development_address
from tests.chaos import worker
from tests.chaos.audit import audit
from tests.chaos.neighbours import Builder, FrontRunner
from tests.support.keeper_process import Pace, process_context, start_keeper, stop_keeper
from tests.support.moving_market import MovingMarket, tide

DAY = 86_400
BLOCK_SECONDS = 0.12
PATIENCE_SECONDS = 90.0
RELAYED, FRONT_RUN = 1 / 3, 1 / 3
"""Share of the processes that have a relay, and of the intervals with somebody who gets ahead of us."""


class ChaosFailed(AssertionError):
    """The keeper did not get over something in time."""


@dataclass(frozen=True)
class Death:
    """When to die: at a step of the journal, or `delay` seconds after it is decreed."""

    step: str = ""
    moment: str = ""
    delay: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.step}, {self.moment}" if self.step else "at random"


@dataclass
class Result:
    kills: int = 0
    settled_twice: int = 0
    lost: int = 0
    journal_mismatches: int = 0
    recovery_s_p50: float = 0.0
    recovery_s_max: float = 0.0
    days: float = 0.0
    intents: int = 0
    settlements: int = 0
    settled_by_others: int = 0
    """Settlements that a stranger relayed before us."""
    starts_with_relay: int = 0
    handed_to_relay: int = 0
    forgotten_by_relay: int = 0
    cold_start: bool = True
    seconds: float = 0.0
    kills_at: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def schedule(kills: int, rng: random.Random) -> list[Death]:
    """Every step before and after, again and again, with a fifth at random between."""
    points = [Death(step, moment) for step in worker.STEPS for moment in worker.MOMENTS]
    deaths: list[Death] = []
    while len(deaths) < kills:
        deaths += points if len(deaths) < len(points) else rng.sample(points, len(points))
        deaths += [Death(delay=rng.uniform(0.0, 1.5)) for _ in range(len(points) // 4)]
    return deaths[:kills]


class Chaos:
    """Runs the keeper of one vault and kills it.

    Parameters
    ----------
    cold
        Start each process from nothing, as an operator's supervisor does; otherwise from one
        that has imported everything, which is quicker.
    """

    def __init__(self, sandbox: Sandbox, folder: Path, *, days: float, seed: int, cold: bool) -> None:
        self.folder, self.cold = folder, cold
        self.market = MovingMarket(sandbox, tide(days + 1, seed), seed)
        self.rng = random.Random(seed + 1)
        self.builder = Builder(sandbox.chain, self.rng)
        self.front_runner = FrontRunner(sandbox.chain, self.market.vault.address)
        self.journal_file = folder / "journal.sqlite"
        self.armed = folder / "armed"
        self.context = process_context(cold=cold)
        self.process: Any = None
        self.death: Death | None = None
        self.kill_at = float("inf")
        self.died_at: float | None = None
        self.log = folder / "keeper-0.log"
        self.recoveries: list[float] = []
        self.killed: list[str] = []
        self.starts_with_relay = 0
        self.pace = Pace(BLOCK_SECONDS)

    # Processes

    def spawn(self) -> None:
        self.log = self.folder / f"keeper-{len(self.killed)}.log"
        relayed = self.rng.random() < RELAYED
        self.starts_with_relay += relayed
        self.process = start_keeper(
            self.context,
            self.market.vault,
            rpc=self.market.sandbox.rpc_url,
            journal=self.journal_file,
            cache=self.folder / "cache",
            log=self.log,
            armed=self.armed,
            environment={"PLIMSOLL_RELAY": self.builder.relay.url} if relayed else {},
        )

    def decree(self, death: Death) -> None:
        self.death = death
        if death.step:
            partial = self.armed.with_suffix(".new")
            partial.write_text(death.name)
            partial.replace(self.armed)
        else:
            self.kill_at = time.monotonic() + death.delay

    def pardon(self) -> Death | None:
        self.armed.unlink(missing_ok=True)
        self.kill_at = float("inf")
        death, self.death = self.death, None
        return death

    def bury(self) -> None:
        """Take note of a death, and start the next process."""
        exit_code = self.process.exitcode
        if exit_code != -9:
            raise ChaosFailed(f"the keeper ended by itself with {exit_code}: {self.log.read_text()[-2000:]}")
        death = self.pardon()
        self.killed.append(death.name if death else "at random")
        self.died_at = time.monotonic()
        self.process.close()
        self.spawn()

    def has_started(self) -> bool:
        return self.log.exists() and '"started"' in self.log.read_text()

    # The world

    def mine(self) -> None:
        if self.pace.is_due(self.process, started=self.died_at is None and self.has_started()):
            pending = pending_transactions(self.market.sandbox.rpc)
            # What the builder was handed nobody sees before the block.
            for neighbour in (self.front_runner, self.builder):
                neighbour.before_block(pending)
            self.market.mine()
            self.pace.mined(self.process)

    def at_rest(self) -> bool:
        """Whether this interval's intent came to its end and nothing waits."""
        if not self.journal_file.exists() or not self.has_started():
            return False
        with Journal.read(self.journal_file) as journal:
            last, interval = journal.last_tick(), self.market.interval
            if last is None or last.block_timestamp // interval < self.market.now() // interval:
                return False
            orders = journal.orders()
            mine = [row for row in orders if row.tick == last.id]
            unfinished = last.decision is Decision.SETTLE and all(
                row.state is State.CANCELLED and row.signature is None for row in mine
            )
            waiting = journal.unresolved_transactions(development_address("keeper"))
            return not (unfinished or waiting or journal.open_orders() or journal.unsigned_orders())

    def live(self, deaths: deque[Death], budget: int) -> None:
        """Go through one interval with so many deaths at most."""
        self.market.next_interval()
        self.front_runner.awake = self.rng.random() < FRONT_RUN
        self.follow(deaths, budget)

    def follow(self, deaths: deque[Death], budget: int) -> None:
        """Keep the keeper running until nothing waits, with so many deaths at most on the way."""
        deadline = time.monotonic() + PATIENCE_SECONDS * (1 + budget)
        if self.process is None:
            self.spawn()
        while True:
            if self.death is None and deaths and budget:
                budget -= 1
                self.decree(deaths.popleft())
            if time.monotonic() > self.kill_at and self.process.is_alive():
                self.process.kill()
                self.process.join()
            if not self.process.is_alive():
                self.bury()
            if self.died_at is not None and self.has_started():
                self.recoveries.append(time.monotonic() - self.died_at)
                self.died_at = None
            self.mine()
            if self.at_rest() and self.kill_at == float("inf"):
                break
            if time.monotonic() > deadline:
                raise ChaosFailed(f"no rest in time: {self.log.read_text()[-3000:]}")
            time.sleep(0.01)
        if (left := self.pardon()) is not None:
            deaths.appendleft(left)  # the vault held still, so this step did not come

    def come_to_rest(self) -> None:
        """Stop the keeper with its books closed: one that was just about to plan again is let finish."""
        stop_keeper(self.process)
        while not self.at_rest():
            self.spawn()
            self.follow(deque(), 0)
            stop_keeper(self.process)

    def sail(self, intervals: int, deaths: list[Death]) -> Result:
        """Live through so many intervals of the mandate, with the deaths spread over them."""
        began = time.monotonic()
        waiting, interval = deque(deaths), 0
        try:
            while interval < intervals or waiting:
                left = max(1, intervals - interval)
                self.live(waiting, -(-len(waiting) // left))
                interval += 1
                if self.market.driver.ended:
                    break
            self.come_to_rest()
        finally:
            stop_keeper(self.process)
            self.builder.close()
        with Journal.read(self.journal_file) as journal:
            found = audit(journal, self.market.vault, development_address("keeper"), self.market.interval)
        counted = {name: self.killed.count(name) for name in dict.fromkeys(self.killed)}
        return Result(
            kills=len(self.killed),
            settled_twice=len(found.settled_twice),
            lost=len(found.lost),
            journal_mismatches=len(found.mismatches),
            recovery_s_p50=round(median(self.recoveries), 3),
            recovery_s_max=round(max(self.recoveries), 3),
            days=round(interval * self.market.interval / DAY, 2),
            intents=found.intents,
            settlements=found.settlements,
            settled_by_others=found.by_others,
            starts_with_relay=self.starts_with_relay,
            handed_to_relay=self.builder.handed,
            forgotten_by_relay=self.builder.forgotten,
            cold_start=self.cold,
            seconds=round(time.monotonic() - began, 1),
            kills_at=counted,
            problems=[*found.settled_twice, *found.lost, *found.mismatches],
        )


def run_chaos(
    sandbox: Sandbox, folder: Path, *, intervals: int, kills: int, seed: int = 3, cold: bool = True
) -> Result:
    """Kill a keeper at least `kills` times over so many intervals on a sandbox of one's own."""
    folder.mkdir(parents=True, exist_ok=True)
    days = 1.5 * intervals / 6 + 1
    chaos = Chaos(sandbox, folder, days=days, seed=seed, cold=cold)
    return chaos.sail(intervals, schedule(kills, random.Random(seed)))


def as_json(result: Result) -> dict[str, Any]:
    return asdict(result) | {"cpus": os.cpu_count()}
