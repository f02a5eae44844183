# SPDX-License-Identifier: Apache-2.0
"""The vault and its extensions share one storage: where a variable lies must not depend on whose code runs."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from offchain.settle.deployment import EXTENSIONS
from tests.support.contracts import CONTRACTS, PROJECT
from tests.support.evm import reverts
from tests.support.lending import Lending
from tests.support.world import ONE, product_abi


@cache
def layout(name: str) -> dict[str, Any]:
    vyper = Path(sys.executable).with_name("vyper")
    command = [vyper, "--evm-version", "cancun", "-f", "layout", CONTRACTS / f"{name}.vy"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT)
    storage: dict[str, Any] = json.loads(answer.stdout)["storage_layout"]
    return storage


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_every_variable_lies_at_the_same_slot(extension: str) -> None:
    assert layout(extension) == layout("Vault")


def test_called_directly_the_extensions_refuse(lending: Lending) -> None:
    vault = lending.world.vault
    claims = vault.__class__(vault.evm, vault.claims_extension(), product_abi("VaultClaims"))
    extension = vault.__class__(vault.evm, vault.extension(), product_abi("VaultExtension"))
    for name, arguments in {
        "redeem_in_kind": (ONE, "alice", "alice", 0),
        "deposit_in_kind": (ONE, "alice", [1] * 5),
        "deleverage": (0, 0, 1, 1),
        "recover": (vault.address, "alice"),
        "mint": (ONE, "alice"),
        "withdraw": (1, "alice", "alice"),
        "redeem": (1, "alice", "alice"),
        "run_leg": (0, (2, 0, 0, 0, 1, 0), 1),
    }.items():
        with reverts("vault: not called by a vault"):
            getattr(extension, name)(*arguments, sender="attacker")
    for name in ("claim_position", "foreclose"):
        with reverts("vault: not called by a vault"):
            getattr(claims, name)(0, "alice", sender="attacker")
    with reverts("custody: no claim"):
        claims.claim(0, "alice", sender="attacker")
