# SPDX-License-Identifier: Apache-2.0
"""What an operator names on the command line, opened: addresses, keystores, the journal's place."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Protocol

from offchain.errors import PlimsollError
from offchain.settle.accounts import TransactionSigner, keyfile_address, open_keyfile, refuse_exposed
from offchain.settle.signing import OrderSigner

PASSPHRASE_VARIABLE = "PLIMSOLL_PASSPHRASE"

KMS_PREFIX = "kms:"
"""What a key in AWS KMS is named by, before its id, alias or ARN."""


class AccountSigner(TransactionSigner, OrderSigner, Protocol):
    """A key that can do both: pay for transactions and sign orders."""


class InputError(PlimsollError):
    """Something given on the command line that cannot be used."""


def parse_address(text: str, option: str) -> str:
    """Checksum an address; the option is named when it is none.

    Raises
    ------
    InputError
        Not 0x and 40 hexadecimal digits, or mixed case with a wrong checksum.
    """
    from eth_utils.address import is_checksum_address, is_hex_address, to_checksum_address

    if not text.startswith("0x") or not is_hex_address(text):
        raise InputError(f"{option} {text}: not an address; give 0x and 40 hexadecimal digits")
    mixed = text[2:] not in (text[2:].lower(), text[2:].upper())
    if mixed and not is_checksum_address(text):
        raise InputError(f"{option} {text}: its checksum is wrong, so a digit may be; copy the address again")
    return str(to_checksum_address(text))


def default_journal(chain_id: int, vault: str) -> Path:
    """Where a vault's journal is when nobody says otherwise."""
    from platformdirs import user_state_path

    return user_state_path("plimsoll") / "journals" / f"{chain_id}-{vault}.sqlite"


def open_signers(
    account: Path, signer: Path | None, passphrase_file: Path | None
) -> tuple[AccountSigner, AccountSigner]:
    """Open the keys of who pays and who signs orders; where only one is given it is both.

    Parameters
    ----------
    account, signer
        Keystore files, or ``kms:`` and the name of a key in AWS KMS.

    Raises
    ------
    KeyfileError
        A file that is missing, is no keystore, does not open, or that others may read.
    KmsError
        A key in KMS that cannot be used.
    InputError
        No passphrase can be had.
    """
    names = [account] if signer is None else [account, signer]
    for name in names:
        if kms_key(name) is None:
            keyfile_address(name)
            refuse_exposed(name, "keyfile")
    opened = [_open_signer(name, passphrase_file) for name in names]
    return opened[0], opened[-1]


def kms_key(name: Path) -> str | None:
    """Which key in KMS is meant; `None` for a keystore file."""
    text = str(name)
    return text.removeprefix(KMS_PREFIX) if text.startswith(KMS_PREFIX) else None


def declared_address(name: Path) -> str | None:
    """Address of a key, where it can be had without a passphrase."""
    key = kms_key(name)
    if key is None:
        return keyfile_address(name)
    from offchain.settle.kms import KmsSigner

    return KmsSigner(key).address


def _open_signer(name: Path, passphrase_file: Path | None) -> AccountSigner:
    key = kms_key(name)
    if key is None:
        return open_keyfile(name, read_passphrase(name, passphrase_file))
    from offchain.settle.kms import KmsSigner

    return KmsSigner(key)


def read_passphrase(keyfile: Path, passphrase_file: Path | None) -> str:
    """Passphrase from a file's first line, else the environment, else a prompt.

    Raises
    ------
    ExposedFileError
        Others may read the file.
    InputError
        It cannot be read, or there is no terminal to ask on.
    """
    if passphrase_file is not None:
        refuse_exposed(passphrase_file, "--passphrase-file")
        try:
            return passphrase_file.read_text().split("\n")[0]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--passphrase-file {passphrase_file}: cannot be read ({error})") from None
    given = os.environ.get(PASSPHRASE_VARIABLE)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise InputError(f"keyfile {keyfile}: no passphrase; set {PASSPHRASE_VARIABLE} or give --passphrase-file")
    from getpass import getpass

    return getpass(f"Passphrase of {keyfile}: ")
