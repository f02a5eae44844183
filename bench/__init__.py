# SPDX-License-Identifier: Apache-2.0
"""Timings against named peers, both in one process: `python -m bench [NAME ...]` writes out/bench.json.

A module here that has ``rows() -> list[dict]`` is a benchmark. A row has ``name``, ``size``, ``ours_s``, ``peer``,
``peer_s`` and ``ratio`` = peer_s / ours_s, and whatever else shows that both did the same work.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]


def median_seconds(call: Callable[[], object], runs: int) -> float:
    """Median time of several calls after one that warms up."""
    call()
    gc.collect()
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def compare(ours: Callable[[], object], peer: Callable[[], object], *, runs: int = 15, peer_runs: int = 0) -> Row:
    """Time both in turns, so that a busy machine slows both."""
    rounds = 3
    mine, theirs = [], []
    for _ in range(rounds):
        mine.append(median_seconds(ours, runs))
        theirs.append(median_seconds(peer, peer_runs or runs))
    ours_s, peer_s = min(mine), min(theirs)
    return {"ours_s": ours_s, "peer_s": peer_s, "ratio": peer_s / ours_s}
