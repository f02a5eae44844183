# SPDX-License-Identifier: Apache-2.0
"""Compiles the product's contracts, and those that play its enemies, for tests; writes the ABIs.

``python -m tests.support.contracts`` rewrites ``offchain/abi``.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from offchain.settle.deployment import EXTENSIONS

PROJECT = Path(__file__).parents[2]
CONTRACTS = PROJECT / "contracts"
DEPLOYABLE = ("Vault", *EXTENSIONS, "Mandate", "PriceOracle", "Alarms", "Timelock", "AaveV3", "BalancerV2")
ACTORS = Path(__file__).parent / "vyper"


@dataclass(frozen=True)
class Compiled:
    name: str
    abi: list[dict[str, Any]]
    bytecode: str
    runtime_size: int


VENUES = ("AaveV3", "BalancerV2")


@cache
def compiled(name: str) -> Compiled:
    """Compile a contract of ours, or take the output cached under the hash of all sources."""
    if name in VENUES:
        return replace(_compiled(f"venues/{name}", CONTRACTS), name=name)
    one = _compiled(name, CONTRACTS)
    if name != "Vault":
        return one
    # What the vault runs by delegatecall are its own events.
    abi = list(one.abi)
    for extension in EXTENSIONS:
        abi = [*(e for e in compiled(extension).abi if e["type"] == "event" and e not in abi), *abi]
    return replace(one, abi=abi)


@cache
def compiled_actor(name: str) -> Compiled:
    """Compile ``tests/support/vyper/NAME.vy``: hostile tokens and feeds, wallets, puppets."""
    return _compiled(name, ACTORS)


def _compiled(name: str, folder: Path) -> Compiled:
    # Actors import modules of the product.
    sources = sorted({path for root in (CONTRACTS, folder) for path in root.rglob("*.vy*")})
    sources.append(PROJECT / "requirements.lock")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    cached = PROJECT / ".cache" / "vyper" / f"{name.replace('/', '-')}-{digest}.json"
    if not cached.exists():
        run = subprocess.run(
            [
                Path(sys.executable).with_name("vyper"),
                "-W",
                "error",
                "--evm-version",
                "cancun",
                "-f",
                "abi,bytecode,bytecode_runtime",
                folder / f"{name}.vy",
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=PROJECT,
        )
        if run.returncode != 0:
            raise RuntimeError(run.stderr)
        abi, bytecode, runtime = run.stdout.strip().splitlines()
        cached.parent.mkdir(parents=True, exist_ok=True)
        partial = cached.with_suffix(f".{os.getpid()}")
        partial.write_text(
            json.dumps({"abi": json.loads(abi), "bytecode": bytecode, "runtime_size": len(runtime) // 2 - 1})
        )
        partial.replace(cached)
    document = json.loads(cached.read_text())
    return Compiled(name, document["abi"], document["bytecode"], document["runtime_size"])


if __name__ == "__main__":
    for contract in DEPLOYABLE:
        target = PROJECT / "offchain" / "abi" / f"{contract}.json"
        target.write_text(json.dumps(compiled(contract).abi, indent=1) + "\n")
        print(f"{contract}: {compiled(contract).runtime_size} bytes")
