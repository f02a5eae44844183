# SPDX-License-Identifier: Apache-2.0
"""Interfaces of the deployed contracts, as the compiler gives them (`make abi`)."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def contract_abi(name: str) -> list[dict[str, Any]]:
    """The ABI of a contract of ``contracts/`` by name; the vault's has the events of its extension."""
    entries: list[dict[str, Any]] = json.loads(files(__name__).joinpath(f"{name}.json").read_text())
    return entries
