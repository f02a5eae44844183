# SPDX-License-Identifier: Apache-2.0
"""`plimsoll keeper run` in a process of its own, as an operator starts it."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offchain.sandbox.keys import PASSWORD, keyfile
from tests.chaos import worker
from tests.support.vaults import DeployedVault

PRELOADED = ["offchain.keeper.keeper", "offchain.keeper.commands", "offchain.allocate", "cvxpy", "tests.chaos.worker"]


def process_context(*, cold: bool) -> Any:
    """How processes begin: from nothing, or forked from one that has imported everything, which is quicker."""
    context: Any = multiprocessing.get_context("spawn" if cold else "forkserver")
    if not cold:
        context.set_forkserver_preload(PRELOADED)
    return context


def start_keeper(
    context: Any,
    vault: DeployedVault,
    *,
    rpc: str,
    journal: Path,
    cache: Path,
    log: Path,
    armed: Path | None = None,
    environment: Mapping[str, str] | None = None,
    **options: object,
) -> Any:
    """Start a keeper and return its process; `options` are those of the command.

    Parameters
    ----------
    armed
        Where the step at which it dies is read from, see `worker.run`.
    """
    given = {
        "rpc": rpc,
        "vault": vault.address,
        "mandate": vault.file,
        "account": keyfile("keeper"),
        "signer": keyfile("optimizer"),
        "journal": journal,
        "poll": 0.02,
        **options,
    }
    arguments = ["keeper", "run"]
    for name, value in given.items():
        arguments += [f"--{name.replace('_', '-')}", str(value)]
    variables = {"PLIMSOLL_PASSPHRASE": PASSWORD, "PLIMSOLL_CACHE_DIR": str(cache), **(environment or {})}
    process = context.Process(target=worker.run, args=(arguments, armed, log, variables))
    process.start()
    return process


def stop_keeper(process: Any, patience: float = 20.0) -> None:
    """Ask it to stop, and insist after a while."""
    if process is None or not process.is_alive():
        return
    process.terminate()
    process.join(patience)
    if process.is_alive():
        process.kill()
        process.join()


class Pace:
    """When the next block may come, so that a busy machine slows the chain down as it slows the keeper.

    Parameters
    ----------
    seconds
        Between blocks on an idle machine.
    work
        Processor seconds that the keeper should have had in between.
    """

    def __init__(self, seconds: float, work: float = 0.01) -> None:
        self._seconds, self._work = seconds, work
        self._at, self._pid, self._spent = 0.0, 0, 0.0

    def is_due(self, process: Any, *, started: bool = True) -> bool:
        """Whether it is time; while the keeper starts blocks come slower, so that orders do not all expire."""
        if time.monotonic() - self._at < (self._seconds if started else 5 * self._seconds):
            return False
        spent = processor_seconds(process.pid)
        worked = spent - (self._spent if process.pid == self._pid else 0.0)
        return worked >= (self._work if started else 20 * self._work)

    def mined(self, process: Any) -> None:
        """Note that a block was mined now."""
        self._at, self._pid, self._spent = time.monotonic(), process.pid, processor_seconds(process.pid)


def processor_seconds(pid: int) -> float:
    """Processor time that a process has had; 0 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
