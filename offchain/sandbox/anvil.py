# SPDX-License-Identifier: Apache-2.0
"""An anvil process that belongs to whoever started it."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from offchain.errors import PlimsollError
from offchain.sandbox.rpc import NodeUnreachable, Rpc

PROJECT = Path(__file__).resolve().parents[2]
"""Folder of the checkout, where node_modules/ and .cache/ are."""

CACHE = PROJECT / ".cache"

GAS_LIMIT = 60_000_000
"""Block gas limit; mainnet's since the end of 2025."""


KEPT_STATES = 96
"""More than the 64 blocks by which anvil's "finalized" is behind."""


class AnvilMissing(PlimsollError):
    """The anvil binary is not installed."""


class AnvilFailed(PlimsollError):
    """Anvil ended before it answered."""


class PortBusy(PlimsollError):
    """Somebody else listens on the port."""


def anvil_binary(project: Path = PROJECT) -> Path:
    """Path of the anvil binary: the one npm installed, else the one on PATH."""
    for candidate in sorted(project.glob("node_modules/@foundry-rs/anvil-*/bin/anvil*")):
        if os.access(candidate, os.X_OK):
            return candidate
    found = shutil.which("anvil")
    if found is None:
        raise AnvilMissing("anvil is not installed; run `make setup`, which fetches @foundry-rs/anvil from npm")
    return Path(found)


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on, chosen by the OS."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_port(port: int) -> None:
    """Refuse a port where something already listens: one would talk to the wrong chain."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise PortBusy(f"port {port} is in use; stop what listens there or choose another port")


class Anvil:
    """One anvil child process on the loopback, stopped with this process at the latest.

    Parameters
    ----------
    port
        None for a free one.
    chain_id
        None to keep the one of the chain forked.
    load_state, dump_state
        State file to start from, and to write when stopped.
    fork_url, fork_block
        Node to fork, at its head unless a block is given.
    timestamp
        Unix time at which the chain's clock starts; the machine's clock otherwise.
    hardfork
        ``"cancun"``, ``"prague"``, ...; anvil's newest otherwise, but on a fork of chain id 1
        the one in force on mainnet at the head's timestamp.
    block_time
        Seconds between blocks; None mines a block for each transaction.
    accounts
        Number of unlocked accounts of anvil's own test mnemonic.
    keep_states
        Number of past blocks whose state can be asked for, at least 1. Anvil by
        itself writes every block's to disk, megabytes each, and gets slower with each.
    options
        Further command-line options, as anvil spells them.
    log
        File for anvil's output.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        chain_id: int | None = 1,
        load_state: Path | None = None,
        dump_state: Path | None = None,
        fork_url: str | None = None,
        fork_block: int | None = None,
        timestamp: int | None = None,
        hardfork: str | None = None,
        block_time: float | None = None,
        accounts: int = 0,
        keep_states: int = KEPT_STATES,
        options: Sequence[str] = (),
        log: Path | None = None,
        project: Path = PROJECT,
    ) -> None:
        if port is not None:
            check_port(port)
        self._chosen_port = port
        self._binary = anvil_binary(project)
        self._home = project / ".cache" / "anvil-home"
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._rpc: Rpc | None = None
        self.port = 0
        arguments: dict[str, object] = {
            "--chain-id": chain_id,
            "--load-state": load_state,
            "--dump-state": dump_state,
            "--fork-url": fork_url,
            "--fork-block-number": fork_block,
            "--timestamp": timestamp,
            "--hardfork": hardfork,
            "--block-time": block_time,
            "--accounts": accounts,
            "--gas-limit": GAS_LIMIT,
            "--prune-history": keep_states,
        }
        self._arguments = [str(x) for pair in arguments.items() if pair[1] is not None for x in pair] + list(options)
        if fork_url is not None:
            # Anvil otherwise caches the storage of chain 1 on disk and would serve one sandbox's to the next.
            self._arguments.append("--no-storage-caching")

    def start(self, timeout: float = 30.0, detached: bool = False) -> Self:
        """Run anvil and return when it answers.

        Parameters
        ----------
        timeout
            Seconds to wait for the first answer.
        detached
            Leave it running when this process ends.

        Raises
        ------
        AnvilFailed
            It ended, or did not answer in time; the message carries its last words.
        """
        self._home.mkdir(parents=True, exist_ok=True)
        log = self._log or self._home / f"anvil-{os.getpid()}-{time.monotonic_ns()}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        self.port = self._chosen_port or free_port()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(self._binary), "--host", "127.0.0.1", "--port", str(self.port), *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "HOME": str(self._home)},
                start_new_session=detached,
            )
        if not detached:
            atexit.register(self.stop)
        rpc = Rpc(self.rpc_url)
        deadline = time.monotonic() + timeout
        pause = 0.005
        while True:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                words = log.read_text(errors="replace").strip().splitlines()
                raise AnvilFailed(f"anvil did not start: {words[-1] if words else 'no output'} (log: {log})")
            try:
                rpc.call("eth_chainId")
                break
            except NodeUnreachable:
                time.sleep(pause)
                pause = min(pause * 1.5, 0.1)
        # The port was free a moment ago; make sure that who answers is our child.
        if self._process.poll() is not None:
            raise AnvilFailed(f"anvil ended while starting, and port {self.port} answers: try again")
        if self._log is None and not detached:
            log.unlink(missing_ok=True)
        self._rpc = rpc
        return self

    @property
    def rpc_url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def rpc(self) -> Rpc:
        """A client of the running node."""
        if self._rpc is None:
            raise AnvilFailed("anvil is not running; call start() first")
        return self._rpc

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def stop(self, timeout: float = 30.0) -> None:
        """End our own child, and only it; harmless when it has ended."""
        process, self._process = self._process, None
        if self._rpc is not None:
            self._rpc.close()
            self._rpc = None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        return self.start() if self._process is None else self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
