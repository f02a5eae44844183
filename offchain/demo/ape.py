# SPDX-License-Identifier: Apache-2.0
"""Runs the project's ape scripts as a person would: each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offchain.errors import PlimsollError
from offchain.sandbox.anvil import CACHE, PROJECT, anvil_binary

TIMEOUT = 300.0
"""Seconds; the first run compiles the contracts."""

_OURS = ("APE_FOUNDRY_HOST", "PLIMSOLL_MAINNET_RPC", "PLIMSOLL_PASSPHRASE")


class ScriptFailed(PlimsollError):
    """A script that had to succeed did not."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a script ended."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class ApeScripts:
    """The ape scripts on one network.

    Attributes
    ----------
    deployments
        Folder of the deployment records.
    network
        As ape spells it.
    host
        URL of the anvil that ape-foundry connects to, ``"auto"`` for one of its own; without
        it the scripts choose.
    upstream
        URL of the node that a fork is made of.
    ape_data
        Ape's data folder; never the user's own, because a local node here plays mainnet.
    """

    deployments: Path
    network: str = "ethereum:local:foundry"
    host: str | None = None
    upstream: str | None = None
    ape_data: Path = CACHE / "ape"

    def run(self, script: str, *arguments: str, passphrase: str | None = None) -> Outcome:
        """Run a script to its end, whatever that is."""
        ape = Path(sys.executable).with_name("ape")
        if not ape.exists():
            raise ScriptFailed(f"ape is not installed beside {sys.executable}; run `make setup`")
        run = subprocess.run(
            [ape, "run", script, "--network", self.network, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=PROJECT,
            env=self._environment(passphrase),
            timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
        )
        return Outcome(run.returncode, run.stdout, run.stderr)

    def answer(self, script: str, *arguments: str, passphrase: str | None = None) -> Mapping[str, Any]:
        """Run a script and return its JSON answer.

        Raises
        ------
        ScriptFailed
            It did not succeed; the message is its own last line.
        """
        outcome = self.run(script, "--json", *arguments, passphrase=passphrase)
        if outcome.code != 0:
            raise ScriptFailed(f"ape run {script}: {_last_line(outcome)}")
        try:
            answer: Mapping[str, Any] = json.loads(outcome.stdout)
        except json.JSONDecodeError:
            raise ScriptFailed(f"ape run {script}: no JSON in its answer: {outcome.stdout[:200]!r}") from None
        return answer

    def _environment(self, passphrase: str | None) -> dict[str, str]:
        given = dict(zip(_OURS, (self.host, self.upstream, passphrase), strict=True))
        environment = {name: value for name, value in os.environ.items() if name not in given}
        environment |= {name: value for name, value in given.items() if value is not None}
        # The compiler beside us must be found first, or ape-vyper tries to download one.
        found_first = [str(Path(sys.executable).parent), str(anvil_binary().parent), environment.get("PATH", "")]
        return environment | {
            "PATH": os.pathsep.join(found_first),
            "APE_DATA_FOLDER": str(self.ape_data),
            "PLIMSOLL_DEPLOYMENTS": str(self.deployments),
            # What the libraries of ape say about one another helps nobody here.
            "PYTHONWARNINGS": "ignore",
        }


def _last_line(outcome: Outcome) -> str:
    lines: Sequence[str] = (outcome.stderr.strip() or outcome.stdout.strip()).splitlines()
    return lines[-1].removeprefix("error: ") if lines else f"ended with code {outcome.code}"
