# SPDX-License-Identifier: Apache-2.0
"""How the keeper's loop is doing, kept for whoever asks while it runs."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from offchain.market.snapshot import Block

ALIVE_SECONDS = 300.0
"""A loop that has not turned for so long hangs."""
READY_SECONDS = 60.0
"""A keeper that has not seen the chain for so long watches nothing."""
TICK_BUCKETS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8)


@dataclass
class Health:
    """Written by the keeper's loop, read by other threads."""

    recovered: bool = False
    head: Block | None = None
    turned_at: float = field(default_factory=time.monotonic)
    """When the loop last began a turn, successful or not."""
    seen_at: float | None = None
    """When the node last answered with a head."""
    problem: str = ""
    """What failed last; empty once the loop went through again."""
    failures: Counter[str] = field(default_factory=Counter)
    """Turns that failed, by ``node`` or ``journal``."""
    tick_seconds: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """Sum and count of the time from a new block to the end of its decision."""
    tick_buckets: Counter[float] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def turn(self) -> None:
        """Note that the loop begins a turn."""
        self.turned_at = time.monotonic()

    def saw(self, head: Block) -> None:
        """Note a head, and that all went well with it."""
        self.head, self.seen_at, self.problem = head, time.monotonic(), ""

    def failed(self, kind: str, problem: str) -> None:
        """Note a turn that failed."""
        self.failures[kind] += 1
        self.problem = problem

    def ticked(self, seconds: float) -> None:
        """Note how long a decision took."""
        with self._lock:
            self.tick_seconds[0] += seconds
            self.tick_seconds[1] += 1
            for bound in TICK_BUCKETS:
                self.tick_buckets[bound] += seconds <= bound

    def dead(self) -> list[str]:
        """Why the process should be restarted; empty while it need not."""
        since = time.monotonic() - self.turned_at
        return [f"the loop has not turned for {since:.0f} seconds"] if since > ALIVE_SECONDS else []

    def not_ready(self) -> list[str]:
        """Why it cannot keep its vault just now; empty when it can."""
        reasons = self.dead()
        if not self.recovered:
            reasons.append("the journal is still being reconciled with the chain")
        if self.seen_at is None or time.monotonic() - self.seen_at > READY_SECONDS:
            reasons.append("the node has not shown a head lately")
        if self.problem:
            reasons.append(self.problem)
        return reasons
