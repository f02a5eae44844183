# SPDX-License-Identifier: Apache-2.0
"""Local keys: standard keystore files, as geth, ape and eth-account write them."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any, Protocol

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_typing import Hash32
from eth_utils.address import to_checksum_address

from offchain.errors import PlimsollError


class KeyfileError(PlimsollError):
    """A keystore file that is missing, is not one, does not open with the passphrase, or that others may read."""


class ExposedFileError(KeyfileError):
    """A file with a secret that others may read or change.

    Attributes
    ----------
    found
        Which file, and its mode.
    mending
        The command that closes it.
    """

    def __init__(self, name: str, path: Path, mode: int) -> None:
        self.found = f"{name} {path}: others may use it (mode {mode:o})"
        self.mending = f"chmod 600 {quote(str(path))}"
        super().__init__(f"{self.found}; close it: {self.mending}")


@dataclass(frozen=True, slots=True)
class RawTransaction:
    """A signed transaction, ready to be broadcast and broadcast again."""

    hash: str
    raw: str
    """0x-prefixed."""


class TransactionSigner(Protocol):
    """Whoever pays for transactions."""

    @property
    def address(self) -> str:
        """Checksummed address."""
        ...

    def sign_transaction(self, transaction: dict[str, Any]) -> RawTransaction:
        """Sign an EIP-1559 transaction given as JSON-RPC field names and integers."""
        ...


@dataclass(frozen=True, slots=True)
class LocalSigner:
    """A private key in memory; it signs orders and transactions and shows neither in `repr`."""

    account: LocalAccount = field(repr=False)

    @property
    def address(self) -> str:
        """Checksummed address of the key."""
        return str(self.account.address)

    def sign_digest(self, digest: bytes) -> bytes:
        """Sign 32 bytes as they are; 65 bytes ``r || s || v``."""
        return bytes(self.account.unsafe_sign_hash(Hash32(digest)).signature)

    def sign_transaction(self, transaction: dict[str, Any]) -> RawTransaction:
        """Sign an EIP-1559 transaction given as JSON-RPC field names and integers."""
        signed = self.account.sign_transaction(transaction)
        return RawTransaction(hash="0x" + bytes(signed.hash).hex(), raw="0x" + bytes(signed.raw_transaction).hex())


def keyfile_address(path: Path) -> str | None:
    """Address a keystore file declares in clear, where it does."""
    address = _read_keyfile(path).get("address")
    return to_checksum_address(address) if isinstance(address, str) else None


def refuse_exposed(path: Path, name: str) -> None:
    """Refuse a file that somebody else may read or change.

    Where it is another user's, as a mounted secret is, the group that it was given to may.

    Parameters
    ----------
    path
        A file; what is none, such as a pipe, is let through.
    name
        What it is, for the message.

    Raises
    ------
    ExposedFileError
        Names the command that closes it.
    """
    if os.name != "posix":
        return
    try:
        found = path.stat()
    except OSError:
        return  # whoever reads it says what is wrong
    others = stat.S_IRWXO | (stat.S_IRWXG if found.st_uid == os.geteuid() else 0)
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISREG(found.st_mode) and mode & others:
        raise ExposedFileError(name, path, mode)


def open_keyfile(path: Path, passphrase: str) -> LocalSigner:
    """Decrypt a keystore file.

    Raises
    ------
    ExposedFileError
        When others may read it.
    KeyfileError
        When the file cannot be read, is not a keystore, or the passphrase is wrong.
    """
    refuse_exposed(path, "keyfile")
    keyfile = _read_keyfile(path)
    try:
        key = Account.decrypt(keyfile, passphrase)
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise KeyfileError(
                f"keyfile {path}: wrong passphrase; give it by prompt, --passphrase-file or PLIMSOLL_PASSPHRASE"
            ) from None
        raise KeyfileError(f"keyfile {path}: cannot be decrypted ({error})") from None
    except (KeyError, TypeError, NotImplementedError) as error:
        raise KeyfileError(f"keyfile {path}: not a version 3 keystore ({error!r})") from None
    return LocalSigner(Account.from_key(key))


def _read_keyfile(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise KeyfileError(f"keyfile {path}: {error.strerror or error}; --account takes a keystore file") from None
    except ValueError:
        raise KeyfileError(
            f"keyfile {path}: not JSON; --account takes an encrypted keystore, never a bare key"
        ) from None
    if not isinstance(content, dict) or not ("crypto" in content or "Crypto" in content):
        raise KeyfileError(f"keyfile {path}: no `crypto` section; --account takes an encrypted version 3 keystore")
    return content
