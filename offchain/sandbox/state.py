# SPDX-License-Identifier: Apache-2.0
"""The sandbox's state on disk: built when its inputs change, trimmed, shared by everyone."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from offchain.errors import PlimsollError
from offchain.sandbox import standup
from offchain.sandbox.anvil import CACHE, KEPT_STATES, PROJECT, Anvil
from offchain.sandbox.chain import Chain
from offchain.settle.development import development_address

STATES = CACHE / "sandbox"

BLOCK_HASHES = "0x0000f90827f1c53a10cb7a02335b175320002935"
"""EIP-2935's contract of past block hashes."""

OWN_CONTRACTS = ("StandInToken", "SilentToken", "StakedToken", "StakedRatioFeed")

INPUTS = (
    "package.json",
    *(f"contracts/sandbox/{name}.vy" for name in ("stand_in", *OWN_CONTRACTS)),
    "offchain/settle/development.py",
    *(
        f"offchain/sandbox/{name}.py"
        for name in (
            "aave",
            "addresses",
            "artifacts",
            "balancer",
            "chain",
            "chainlink",
            "compiler",
            "contract",
            "prices",
            "standup",
            "state",
            "tokens",
            "uniswap",
        )
    ),
)
"""What the state depends on, relative to the project."""


UNUSED_AFTER = 7 * 86400
"""Seconds after which a state that nobody loaded is removed."""


class NoCheckout(PlimsollError):
    """The sources that the sandbox is built from are not there."""


def state_hash() -> str:
    """Hash of everything the state is made from."""
    digest = hashlib.sha256()
    for pattern in INPUTS:
        for path in sorted(PROJECT.glob(pattern)):
            digest.update(path.relative_to(PROJECT).as_posix().encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def saved_state(progress: standup.Progress | None = None) -> Path:
    """Path of the state file, built when it is missing; safe to call from several processes.

    Raises
    ------
    NoCheckout
        The package is installed without the project around it.
    """
    from filelock import FileLock

    if not (PROJECT / "package.json").exists():
        raise NoCheckout(f"{PROJECT} is not a checkout of plimsoll; the sandbox is built from one: run it there")
    path = STATES / f"state-{state_hash()}.json"
    if path.exists():
        path.touch()
        return path
    STATES.mkdir(parents=True, exist_ok=True)
    with FileLock(STATES / "build.lock"):
        if not path.exists():
            build_state(path, progress)
            _forget_old_states()
    return path


def build_state(path: Path, progress: standup.Progress | None = None) -> None:
    """Stand the sandbox up on a node of its own and write its state; the same bytes every time."""
    with Anvil(timestamp=standup.GENESIS_TIMESTAMP, keep_states=1, options=standup.BUILD_OPTIONS) as anvil:
        chain = Chain(anvil.rpc, development_address("market"), manual=True)
        standup.build(chain, progress or (lambda stage, done: None))
        state = trimmed(standup.dumped_state(anvil.rpc))
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(state, separators=(",", ":")))
    partial.replace(path)


def _forget_old_states() -> None:
    for old in STATES.glob("state-*.json"):
        if time.time() - old.stat().st_mtime > UNUSED_AFTER:
            old.unlink(missing_ok=True)


def trimmed(state: dict[str, Any]) -> dict[str, Any]:
    """Leave out the past: keep accounts, the first block, which names the chain, and the last ones.

    Anvil hashes the whole state at each block it mines, so what is dead is worth dropping:
    slots that hold zero, and the ring buffer of the hashes of blocks that are gone.
    """
    for address, account in state["accounts"].items():
        storage = {} if address.lower() == BLOCK_HASHES else account.get("storage", {})
        account["storage"] = {slot: value for slot, value in storage.items() if int(value, 16) != 0}
    oldest = int(state["best_block_number"]) - KEPT_STATES
    blocks = {int(block["header"]["number"], 16): block | {"transactions": []} for block in state["blocks"]}
    return state | {
        "blocks": [block for number, block in sorted(blocks.items()) if number == 0 or number > oldest],
        "transactions": [],
        "historical_states": None,
    }
