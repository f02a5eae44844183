# SPDX-License-Identifier: Apache-2.0
"""Sandboxes that outlive the command that started them, and how to find them again."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from offchain.errors import PlimsollError
from offchain.sandbox.anvil import CACHE
from offchain.sandbox.rpc import NodeUnreachable, Rpc

RUNNING = CACHE / "sandbox" / "running"


class NoSandbox(PlimsollError):
    """No sandbox runs where one was asked for."""


class SeveralSandboxes(PlimsollError):
    """More than one runs and the port was not given."""


class StillRunning(PlimsollError):
    """The node did not end when told to."""


@dataclass(frozen=True, slots=True)
class Background:
    """A sandbox running in the background."""

    port: int
    pid: int
    rpc_url: str
    log: str
    started_at: int
    """Unix seconds."""

    def save(self) -> None:
        """Write the pid file."""
        RUNNING.mkdir(parents=True, exist_ok=True)
        _record(self.port).write_text(json.dumps(asdict(self)) + "\n")

    def alive(self) -> bool:
        """Whether the process exists and a sandbox answers on its port."""
        from offchain.settle.development import is_sandbox

        try:
            os.kill(self.pid, 0)
            return is_sandbox(Rpc(self.rpc_url, timeout=5))
        except (ProcessLookupError, PermissionError, NodeUnreachable):
            return False

    def stop(self, timeout: float = 30.0) -> None:
        """End the node and forget it.

        Raises
        ------
        StillRunning
            It is still there after `timeout` seconds.
        """
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout
        while _exists(self.pid):
            if time.monotonic() > deadline:
                raise StillRunning(f"anvil (pid {self.pid}) does not end; see {self.log}")
            time.sleep(0.01)
        _record(self.port).unlink(missing_ok=True)


def running() -> Iterator[Background]:
    """Every sandbox in the background; records of dead ones are removed on the way."""
    for path in sorted(RUNNING.glob("*.json")):
        try:
            found = Background(**json.loads(path.read_text()))
        except (json.JSONDecodeError, TypeError):
            path.unlink(missing_ok=True)
            continue
        if found.alive():
            yield found
        else:
            path.unlink(missing_ok=True)


def find(port: int | None) -> Background:
    """The sandbox on the port, or the only one that runs.

    Raises
    ------
    NoSandbox, SeveralSandboxes
    """
    found = [one for one in running() if port in (None, one.port)]
    if not found:
        where = "" if port is None else f" on port {port}"
        raise NoSandbox(f"no sandbox runs in the background{where}; start one with `plimsoll sandbox up`")
    if len(found) > 1:
        raise SeveralSandboxes(f"several sandboxes run; choose with --port: {', '.join(str(x.port) for x in found)}")
    return found[0]


def start(port: int, **options: Any) -> Background:
    """Run a sandbox in the background.

    Parameters
    ----------
    port
        0 for a free one.
    options
        As `offchain.sandbox.standup.prepare` takes them.
    """
    from offchain.sandbox.standup import prepare

    log = RUNNING / f"anvil-{port or os.getpid()}.log"
    anvil = prepare(port or None, log=log, **options).start(detached=True)
    assert anvil.pid is not None
    background = Background(anvil.port, anvil.pid, anvil.rpc_url, str(log), int(time.time()))
    background.save()
    return background


def _record(port: int) -> Path:
    return RUNNING / f"{port}.json"


def _exists(pid: int) -> bool:
    try:
        # Our own child stays a zombie until it is waited for.
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
