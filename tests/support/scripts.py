# SPDX-License-Identifier: Apache-2.0
"""Runs the ape scripts as a user would: in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.contracts import PROJECT

BINARIES = Path(sys.executable).parent
TIMEOUT = 180


@dataclass(frozen=True)
class Outcome:
    """How a script ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """What it printed with ``--json``."""
        assert self.code == 0, self.stderr[-2000:]
        document: dict[str, Any] = json.loads(self.stdout)
        return document

    @property
    def refusal(self) -> str:
        """The one line with which it refused."""
        assert self.code == 2, (self.code, self.stdout[-2000:], self.stderr[-2000:])
        lines = [line for line in self.stderr.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.stderr
        assert "Traceback" not in self.stderr
        return lines[0]


@dataclass(frozen=True)
class Scripts:
    """The ape scripts on one network.

    `host` is the anvil that ape-foundry connects to, ``"auto"`` for one of its own;
    `upstream` the node that it forks.
    """

    deployments: Path
    ape_data: Path
    network: str = "ethereum:local:foundry"
    host: str | None = None
    upstream: str | None = None

    def run(self, script: str, *arguments: str, passphrase: str | None = None) -> Outcome:
        """Run one script to its end."""
        anvil = next(PROJECT.glob("node_modules/@foundry-rs/anvil-*/bin"))
        given = {
            "APE_FOUNDRY_HOST": self.host,
            "PLIMSOLL_MAINNET_RPC": self.upstream,
            "PLIMSOLL_PASSPHRASE": passphrase,
        }
        environment = {name: value for name, value in os.environ.items() if name not in given}
        environment |= {name: value for name, value in given.items() if value is not None}
        environment |= {
            # Vyper's own must be found first, or ape-vyper tries to download one.
            "PATH": os.pathsep.join([str(BINARIES), str(anvil), os.environ["PATH"]]),
            "APE_DATA_FOLDER": str(self.ape_data),
            "PLIMSOLL_DEPLOYMENTS": str(self.deployments),
            # Of the libraries' own about one another.
            "PYTHONWARNINGS": "ignore",
        }
        run = subprocess.run(
            [BINARIES / "ape", "run", script, "--network", self.network, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=PROJECT,
            env=environment,
            timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
        )
        return Outcome(run.returncode, run.stdout, run.stderr)

    def json(self, script: str, *arguments: str) -> dict[str, Any]:
        """Run one script that must succeed and return its JSON answer."""
        return self.run(script, "--json", *arguments).document
