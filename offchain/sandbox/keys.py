# SPDX-License-Identifier: Apache-2.0
"""Development keys as key files, for whatever wants a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from offchain.sandbox.anvil import CACHE
from offchain.settle.development import (
    ROLES,
    development_address,
    development_key,
    require_development_key,
)

__all__ = [
    "KEYS",
    "PASSWORD",
    "ROLES",
    "development_address",
    "development_key",
    "keyfile",
    "require_development_key",
    "write_accounts",
    "write_keyfiles",
]

KEYS: Final = CACHE / "sandbox" / "keys"

PASSWORD: Final = "plimsoll"
"""Of every development key file; the keys themselves are no secret either."""

LIGHT_SCRYPT: Final = 2**12


def keyfile(role: str, folder: Path = KEYS) -> Path:
    """Key file of a role, written when it is missing: a web3 keystore under `PASSWORD`.

    Raises
    ------
    UnknownRole
        There is no such role.
    """
    from eth_account import Account

    path = folder / f"{role}.json"
    if not path.exists():
        key = bytes.fromhex(development_key(role)[2:])
        keystore: dict[str, Any] = Account.encrypt(key, PASSWORD, kdf="scrypt", iterations=LIGHT_SCRYPT)
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        # Wallets refuse or bemoan key files that others may read.
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(keystore, file)
        partial.replace(path)
    return path


def write_keyfiles(folder: Path = KEYS) -> Mapping[str, Path]:
    """Key file of every role."""
    return {role: keyfile(role, folder) for role in ROLES}


def write_accounts(folder: Path = KEYS) -> Path:
    """A JSON list of the development accounts beside their key files; returns its path."""
    accounts = [
        {
            "role": role,
            "address": development_address(role),
            "private_key": development_key(role),
            "keyfile": str(path),
            "password": PASSWORD,
        }
        for role, path in write_keyfiles(folder).items()
    ]
    path = folder.parent / "accounts.json"
    path.write_text(json.dumps(accounts, indent=2) + "\n")
    return path
