# SPDX-License-Identifier: Apache-2.0
"""Feed rounds kept on disk between runs: a SQLite file that may be deleted at any time."""

from __future__ import annotations

import os
import secrets
import sqlite3
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from platformdirs import user_cache_path

from offchain.market.rounds import PHASE_BITS, Round

CACHE_VARIABLE = "PLIMSOLL_CACHE_DIR"
_MAX_ANCHORS = 32
_SCHEMA = """
CREATE TABLE IF NOT EXISTS feed (key TEXT PRIMARY KEY, version TEXT NOT NULL, exhausted INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS round (
    key TEXT NOT NULL, phase INTEGER NOT NULL, number INTEGER NOT NULL, answer TEXT NOT NULL,
    updated_at INTEGER NOT NULL, PRIMARY KEY (key, phase, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS anchor (
    key TEXT NOT NULL, block INTEGER NOT NULL, hash TEXT NOT NULL, phase INTEGER NOT NULL,
    number INTEGER NOT NULL, PRIMARY KEY (key, block)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A block by whose hash a feed was read: while it is canonical, so is every round up to `round_id`."""

    block: int
    hash: str
    round_id: int


@dataclass(slots=True)
class FeedRounds:
    """What is known of one feed: all rounds from the first to the last, without a hole."""

    chain: str
    """Chain id and hash of its first block."""
    proxy: str
    """The feed's address."""
    rounds: list[Round] = field(default_factory=list)
    """Oldest first."""
    exhausted: bool = False
    """Whether the feed has no rounds before the first."""
    anchors: list[Anchor] = field(default_factory=list)
    """By block number."""
    version: str = ""
    """What the file held when it was last read or written by us."""
    unsaved: list[Round] | None = field(default_factory=list)
    """Rounds that the file lacks; `None` when it holds others than these."""

    @property
    def key(self) -> str:
        """Under which the file keeps it."""
        return f"{self.chain}:{self.proxy}"

    def append(self, newer: list[Round]) -> None:
        """Add rounds after the last."""
        self.rounds = self.rounds + newer
        self._remember(newer)

    def prepend(self, older: list[Round]) -> None:
        """Add rounds before the first."""
        self.rounds = older + self.rounds
        self._remember(older)

    def _remember(self, fresh: list[Round]) -> None:
        if self.unsaved is not None:
            self.unsaved = self.unsaved + fresh

    def truncate(self, round_id: int) -> None:
        """Forget every round after `round_id` and every anchor that vouches for one."""
        self.unsaved = None
        self.rounds = [one for one in self.rounds if one.id <= round_id]
        self.anchors = [anchor for anchor in self.anchors if anchor.round_id <= round_id]
        self.exhausted = self.exhausted and bool(self.rounds)

    def forget_before(self, time: int) -> None:
        """Drop from memory what was answered before a time, but for the answer that held then; the file keeps it."""
        held = bisect_right(self.rounds, time, key=lambda one: one.updated_at) - 1
        if held > 0:
            self.rounds = self.rounds[held:]
            self.exhausted = False

    def add_anchor(self, anchor: Anchor) -> None:
        """Remember a block; old ones thin out geometrically, so that some survive for forks of any depth."""
        self.anchors = [one for one in self.anchors if one.block < anchor.block] + [anchor]
        while len(self.anchors) > _MAX_ANCHORS:
            known = self.anchors

            def crowding(i: int, known: list[Anchor] = known) -> float:
                return (known[i + 1].block - known[i - 1].block) / (known[-1].block - known[i].block)

            del self.anchors[min(range(1, len(known) - 1), key=crowding)]


def default_directory() -> Path:
    """``$PLIMSOLL_CACHE_DIR`` or the user's cache directory."""
    configured = os.environ.get(CACHE_VARIABLE)
    if configured:
        return Path(configured)
    return user_cache_path("plimsoll")


class RoundCache:
    """Rounds by feed. Several processes may share a file: the last writer of a feed replaces what it did not read.

    Parameters
    ----------
    directory
        Where ``rounds.sqlite`` lives; see `default_directory`. A directory that cannot be
        written is logged, and the rounds stay in memory.
    """

    def __init__(self, directory: Path | None = None) -> None:
        path = (directory or default_directory()) / "rounds.sqlite"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = self._open(path)
        except (OSError, sqlite3.Error) as error:
            structlog.get_logger().warning("history.cache", path=str(path), problem=str(error), effect="kept in memory")
            self._database = self._open(":memory:")

    @staticmethod
    def _open(path: Path | str) -> sqlite3.Connection:
        database = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.executescript(_SCHEMA)
        except sqlite3.Error:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def load(self, chain: str, proxy: str) -> FeedRounds:
        """Everything known of a feed; empty for one that was never saved."""
        key = FeedRounds(chain, proxy).key
        with self._transaction("DEFERRED") as database:
            row = database.execute("SELECT version, exhausted FROM feed WHERE key = ?", (key,)).fetchone()
            if row is None:
                return FeedRounds(chain, proxy)
            rounds = database.execute(
                "SELECT phase, number, answer, updated_at FROM round WHERE key = ? ORDER BY phase, number", (key,)
            ).fetchall()
            anchors = database.execute(
                "SELECT block, hash, phase, number FROM anchor WHERE key = ? ORDER BY block", (key,)
            ).fetchall()
        return FeedRounds(
            chain=chain,
            proxy=proxy,
            rounds=[Round(phase << PHASE_BITS | number, int(answer), at) for phase, number, answer, at in rounds],
            exhausted=bool(row[1]),
            anchors=[Anchor(block, hash_, phase << PHASE_BITS | number) for block, hash_, phase, number in anchors],
            version=row[0],
        )

    def save(self, feed: FeedRounds) -> None:
        """Write a feed back: what the file lacks, or all of it where the file holds something else."""
        version = secrets.token_hex(8)
        try:
            with self._transaction("IMMEDIATE") as database:
                row = database.execute("SELECT version FROM feed WHERE key = ?", (feed.key,)).fetchone()
                fresh = feed.unsaved
                if fresh is None or (row[0] if row else "") != feed.version:
                    database.execute("DELETE FROM round WHERE key = ?", (feed.key,))
                    fresh = feed.rounds
                database.execute("INSERT OR REPLACE INTO feed VALUES (?, ?, ?)", (feed.key, version, feed.exhausted))
                database.executemany(
                    "INSERT OR REPLACE INTO round VALUES (?, ?, ?, ?, ?)",
                    [(feed.key, one.phase, one.number, str(one.answer), one.updated_at) for one in fresh],
                )
                database.execute("DELETE FROM anchor WHERE key = ?", (feed.key,))
                database.executemany(
                    "INSERT INTO anchor VALUES (?, ?, ?, ?, ?)",
                    [(feed.key, one.block, one.hash, *divmod(one.round_id, 1 << PHASE_BITS)) for one in feed.anchors],
                )
        except sqlite3.Error as error:
            structlog.get_logger().warning("history.cache", problem=str(error), effect="not saved")
            return
        feed.version = version
        feed.unsaved = []

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        self._database.execute(f"BEGIN {kind}")
        try:
            yield self._database
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
