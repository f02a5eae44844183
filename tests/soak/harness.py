# SPDX-License-Identifier: Apache-2.0
"""One keeper process through a long time of a moving market, and what it takes of the machine all the while."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any
from urllib.request import urlopen

import yaml
from prometheus_client.parser import text_string_to_metric_families

from offchain.keeper.journal import Journal
from offchain.sandbox.standup import Sandbox
from offchain.settle.development import development_address
from tests.support.cable import Cable
from tests.support.keeper_process import Pace, process_context, start_keeper, stop_keeper
from tests.support.moving_market import MovingMarket, tide
from tests.support.vaults import BLUE_CHIP

DAY = 86_400
BLOCK_SECONDS = 0.12
MOST_BLOCKS = 60
"""After which an interval in which the keeper decides nothing is left to itself."""
HEARTBEAT_MINUTES = 720
TABLES = ("ticks", "orders", "transactions", "transitions", "history_chunks", "mandates")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class SoakFailed(AssertionError):
    """The keeper ended by itself."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the keeper takes at a moment."""

    day: float
    ticks: int
    """Decisions recorded since it started."""
    rss_mb: float
    descriptors: int
    threads: int
    tick_seconds: float
    """Mean of the decisions since the last sample."""
    rows: dict[str, int]
    """Of the journal, by table."""
    oldest_days: float
    """Age of the oldest decision that the journal still has."""
    journal_bytes: int
    wal_bytes: int
    cache_bytes: int
    """Of the price history on disk."""
    anvil_mb: float


@dataclass
class Result:
    """A soak, summed up; quarters are of the simulated time."""

    days: float = 0.0
    ticks: int = 0
    settlements: int = 0
    other_transactions: int = 0
    """Signs of life, and what took the place of a transaction or failed."""
    connections_broken: int = 0
    intervals_without_decision: int = 0
    keep_days: float = 0.0
    rss_mb_first_quarter: float = 0.0
    rss_mb_last_quarter: float = 0.0
    rss_growth: float = 0.0
    descriptors_max_first_quarter: int = 0
    descriptors_max_last_quarter: int = 0
    threads_max_first_quarter: int = 0
    threads_max_last_quarter: int = 0
    tick_s_first_quarter: float = 0.0
    tick_s_last_quarter: float = 0.0
    journal_rows_max_second_quarter: int = 0
    journal_rows_max_last_quarter: int = 0
    journal_bytes_second_quarter: int = 0
    journal_bytes_end: int = 0
    wal_bytes_max: int = 0
    oldest_days_max: float = 0.0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)


def mandate_with_heartbeat(folder: Path) -> Path:
    """The blue-chip mandate with a sign of life twice a day, whose transactions belong to no order."""
    rules = yaml.safe_load(BLUE_CHIP.read_text())
    rules["limits"]["heartbeat_minutes"] = HEARTBEAT_MINUTES
    file = folder / "mandate.yaml"
    file.write_text(yaml.safe_dump(rules))
    return file


class Soak:
    """A keeper that is never restarted, through a cable that is pulled at every sample.

    Parameters
    ----------
    keep_days
        What the keeper is told to keep of its journal.
    trade_every
        Intervals between two visits of the depositor; in those between, the market alone is a reason to trade.
    """

    def __init__(
        self, sandbox: Sandbox, folder: Path, *, days: float, seed: int, keep_days: float, trade_every: int, cold: bool
    ) -> None:
        self.folder, self.keep_days, self.trade_every = folder, keep_days, trade_every
        self.market = MovingMarket(sandbox, tide(days + 2, seed), seed, mandate_with_heartbeat(folder))
        self.journal_file = folder / "journal.sqlite"
        self.log = folder / "keeper.log"
        self.cable = Cable(sandbox.anvil.port)
        self.process = start_keeper(
            process_context(cold=cold),
            self.market.vault,
            rpc=self.cable.url,
            journal=self.journal_file,
            cache=folder / "cache",
            log=self.log,
            keep_days=keep_days,
            metrics_port=0,
        )
        self.pace = Pace(BLOCK_SECONDS)
        self.result = Result(keep_days=keep_days)
        self._began = self.market.driver.time
        self._counted = (0.0, 0.0)
        self._metrics = ""

    def sail(self, intervals: int, sample_every: int, note: Callable[[Result], object]) -> Result:
        """Live through so many intervals of the mandate; `note` gets what is known at each sample."""
        began = time.monotonic()
        try:
            self._wait_for_start()
            with Journal.read(self.journal_file) as journal:
                for number in range(intervals):
                    self._live(journal, number)
                    if (number + 1) % sample_every == 0:
                        self._take_stock(began)
                        note(summed_up(self.result))
        finally:
            stop_keeper(self.process)
            self.cable.close()
        return self.result

    def _wait_for_start(self) -> None:
        while not (self.journal_file.exists() and self.log.exists() and '"started"' in self.log.read_text()):
            self._require_alive()
            time.sleep(0.05)
        lines = (json.loads(line) for line in self.log.read_text().splitlines())
        self._metrics = next(line["url"] for line in lines if line["event"] == "metrics")

    def _require_alive(self) -> None:
        if not self.process.is_alive():
            raise SoakFailed(f"the keeper ended with {self.process.exitcode}: {self.log.read_text()[-2000:]}")

    def _live(self, journal: Journal, number: int) -> None:
        self.market.next_interval(trade=number % self.trade_every == 0)
        blocks = 0
        while not self._at_rest(journal):
            self._require_alive()
            if self.pace.is_due(self.process):
                if blocks == MOST_BLOCKS:
                    self.result.intervals_without_decision += 1
                    break
                self.market.mine()
                self.pace.mined(self.process)
                blocks += 1
            time.sleep(0.01)

    def _at_rest(self, journal: Journal) -> bool:
        """Whether this interval's decision was made and nothing waits."""
        last = journal.last_tick_block()
        if last is None or last.timestamp // self.market.interval < self.market.now() // self.market.interval:
            return False
        waiting = journal.unresolved_transactions(development_address("keeper"))
        return not (waiting or journal.open_orders() or journal.unsigned_orders())

    def _take_stock(self, began: float) -> None:
        self.result.connections_broken += self.cable.pull()
        self.result.samples.append(self._sample())
        self._count()
        self.result.seconds = round(time.monotonic() - began, 1)

    def _sample(self) -> Sample:
        pid = self.process.pid
        with urlopen(self._metrics, timeout=20) as response:
            found = {
                one.name: one.value
                for family in text_string_to_metric_families(response.read().decode())
                for one in family.samples
                if not one.labels
            }
        counted = found["plimsoll_tick_seconds_sum"], found["plimsoll_tick_seconds_count"]
        seconds, count = (now - before for now, before in zip(counted, self._counted, strict=True))
        self._counted = counted
        rows, newest, oldest = self._look_into_the_journal()
        return Sample(
            day=round((self.market.driver.time - self._began) / DAY, 2),
            ticks=newest,
            rss_mb=round(resident_mb(pid), 2),
            descriptors=len(os.listdir(f"/proc/{pid}/fd")),
            threads=len(os.listdir(f"/proc/{pid}/task")),
            tick_seconds=round(seconds / max(1.0, count), 4),
            rows=rows,
            oldest_days=round((self.market.now() - oldest) / DAY, 2),
            journal_bytes=size(self.journal_file),
            wal_bytes=size(self.journal_file.with_name("journal.sqlite-wal")),
            cache_bytes=sum(size(one) for one in (self.folder / "cache").iterdir()),
            anvil_mb=round(resident_mb(self.market.sandbox.anvil.pid), 1),
        )

    def _look_into_the_journal(self) -> tuple[dict[str, int], int, int]:
        """Rows by table, the newest decision's id, and the oldest one's time; by other code than the keeper's."""
        database = sqlite3.connect(f"file:{self.journal_file}?mode=ro", uri=True, timeout=20)
        try:
            rows = {table: int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in TABLES}
            newest, oldest = database.execute("SELECT max(id), min(block_timestamp) FROM ticks").fetchone()
        finally:
            database.close()
        return rows, int(newest), int(oldest)

    def _count(self) -> None:
        """What the chain says was done."""
        vault = self.market.vault.vault
        self.result.settlements = int(vault.functions.order_nonce().call())
        nonce = self.market.vault.web3.eth.get_transaction_count(development_address("keeper"))
        self.result.other_transactions = int(nonce) - self.result.settlements


def resident_mb(pid: int | None) -> float:
    """Resident memory of a process, in 10**6 bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES / 1e6


def size(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def summed_up(result: Result) -> Result:
    """Compare the first quarter with the last, and say what is not as it should be."""
    samples = result.samples
    quarter = max(1, len(samples) // 4)
    first, second, last = samples[:quarter], samples[quarter : 2 * quarter] or samples[:quarter], samples[-quarter:]
    result.days, result.ticks = samples[-1].day, samples[-1].ticks
    result.rss_mb_first_quarter = round(mean(one.rss_mb for one in first), 2)
    result.rss_mb_last_quarter = round(mean(one.rss_mb for one in last), 2)
    result.rss_growth = round(result.rss_mb_last_quarter / result.rss_mb_first_quarter - 1, 4)
    # Whoever asks for metrics has a thread and a socket for as long: compare the most with the most.
    result.descriptors_max_first_quarter = max(one.descriptors for one in first)
    result.descriptors_max_last_quarter = max(one.descriptors for one in last)
    result.threads_max_first_quarter = max(one.threads for one in first)
    result.threads_max_last_quarter = max(one.threads for one in last)
    result.tick_s_first_quarter = round(mean(one.tick_seconds for one in first), 4)
    result.tick_s_last_quarter = round(mean(one.tick_seconds for one in last), 4)
    result.journal_rows_max_second_quarter = max(sum(one.rows.values()) for one in second)
    result.journal_rows_max_last_quarter = max(sum(one.rows.values()) for one in last)
    result.journal_bytes_second_quarter = max(one.journal_bytes for one in second)
    result.journal_bytes_end = samples[-1].journal_bytes
    result.wal_bytes_max = max(one.wal_bytes for one in samples)
    result.oldest_days_max = max(one.oldest_days for one in samples)
    result.problems = problems(result)
    return result


def problems(result: Result) -> list[str]:
    """What a keeper that runs for ever would perish of."""
    found = []
    if result.rss_growth >= 0.10:
        found.append(f"memory grew by {result.rss_growth:.1%}")
    for kind in ("descriptors", "threads"):
        before, after = (getattr(result, f"{kind}_max_{quarter}_quarter") for quarter in ("first", "last"))
        if after > before:
            found.append(f"{kind} grew from {before} to {after}")
    if result.days > result.keep_days + 2 and result.oldest_days_max > result.keep_days + 2:
        found.append(f"the journal keeps {result.oldest_days_max} days, {result.keep_days} are wanted")
    if result.days > 2 * result.keep_days:
        if result.journal_rows_max_last_quarter > 1.1 * result.journal_rows_max_second_quarter:
            found.append("the journal's rows grew")
        if result.journal_bytes_end > 1.1 * result.journal_bytes_second_quarter:
            found.append("the journal's file grew")
    return found


def run_soak(
    sandbox: Sandbox,
    folder: Path,
    *,
    intervals: int,
    keep_days: float,
    seed: int = 3,
    trade_every: int = 6,
    sample_every: int = 6,
    cold: bool = True,
    note: Callable[[Result], object] = lambda result: None,
) -> Result:
    """Follow a keeper over so many intervals on a sandbox of one's own; see `Soak.sail` for `note`."""
    folder.mkdir(parents=True, exist_ok=True)
    days = intervals / 6
    soak = Soak(sandbox, folder, days=days, seed=seed, keep_days=keep_days, trade_every=trade_every, cold=cold)
    return soak.sail(intervals, sample_every, note)


def as_json(result: Result) -> dict[str, Any]:
    return asdict(result) | {"cpus": os.cpu_count()}
