# SPDX-License-Identifier: Apache-2.0
"""Creation code of the sandbox's own Vyper contracts, compiled once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from offchain.errors import PlimsollError
from offchain.sandbox.anvil import CACHE, PROJECT
from offchain.sandbox.artifacts import Artifact

SOURCES = PROJECT / "contracts" / "sandbox"


class CompilerMissing(PlimsollError):
    """Vyper is not installed and the contract was never compiled here."""


class CompilationFailed(PlimsollError):
    """The compiler refused the source."""


def sandbox_artifact(name: str) -> Artifact:
    """Compile ``contracts/sandbox/NAME.vy``, or take the output cached under the sources' hash.

    Raises
    ------
    CompilerMissing
        The source changed and there is no ``vyper`` beside this interpreter nor on PATH.
    """
    source = SOURCES / f"{name}.vy"
    # Contracts import one another, so a change of any compiles all of them again.
    sources = b"".join(path.read_bytes() for path in sorted(SOURCES.glob("*.vy")))
    digest = hashlib.sha256(sources).hexdigest()[:16]
    cached = CACHE / "vyper" / f"{name}-{digest}.json"
    if not cached.exists():
        output = _compile(source)
        cached.parent.mkdir(parents=True, exist_ok=True)
        partial = cached.with_suffix(f".{os.getpid()}")
        partial.write_text(output)
        partial.replace(cached)
    document = json.loads(cached.read_text())
    return Artifact(name, tuple(document["abi"]), document["bytecode"].removeprefix("0x"))


def _compile(source: Path) -> str:
    beside = Path(sys.executable).with_name("vyper")
    compiler = str(beside) if beside.exists() else shutil.which("vyper")
    if compiler is None:
        raise CompilerMissing(
            f"vyper is needed to compile {source.name}; run `make setup` or install plimsoll[contracts]"
        )
    run = subprocess.run(
        [compiler, "-f", "abi,bytecode", "--evm-version", "cancun", str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise CompilationFailed(f"{source}: {run.stderr.strip().splitlines()[-1] if run.stderr else 'no output'}")
    abi, bytecode = run.stdout.strip().splitlines()
    return json.dumps({"abi": json.loads(abi), "bytecode": bytecode})
