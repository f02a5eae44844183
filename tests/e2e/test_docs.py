# SPDX-License-Identifier: Apache-2.0
"""The commands in the documentation do what it says."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from offchain.sandbox.anvil import free_port
from tests.support.contracts import PROJECT

DOCUMENTS = sorted(
    path for path in (PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")) if "```sh" in path.read_text()
)
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


SLOW = ("backtest.md", "engine.md", "operations.md")


def _marked(path: Path) -> object:
    return pytest.param(path, marks=pytest.mark.slow if path.name in SLOW else (), id=path.name)


@pytest.mark.parametrize("document", map(_marked, DOCUMENTS))
def test_commands_run_as_written(document: Path, tmp_path: Path) -> None:
    port = free_port()
    script = "\n".join(BLOCK.findall(document.read_text()))
    # Nothing else changes: a free port, and files that are written go to a folder of the test's own.
    script = script.replace("plimsoll sandbox up", f"plimsoll sandbox up --port {port}")
    script = script.replace("plimsoll sandbox down", f"plimsoll sandbox down --port {port}")
    script = script.replace("plimsoll sandbox status", f"plimsoll sandbox status --port {port}")
    script = script.replace(":8545", f":{port}").replace("out/", f"{tmp_path}/")
    script = re.sub(r"(ape run \w+)", rf"\1 --deployments {tmp_path}/deployments", script)
    environment = {**os.environ, "APE_FOUNDRY_HOST": f"http://127.0.0.1:{port}"}
    try:
        run = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=360,
            check=False,
        )
    finally:
        subprocess.run(["plimsoll", "sandbox", "down", "--port", str(port)], capture_output=True, check=False)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]


@pytest.mark.parametrize(
    "document", [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))], ids=lambda path: path.name
)
def test_links_lead_somewhere(document: Path) -> None:
    broken = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert not broken
