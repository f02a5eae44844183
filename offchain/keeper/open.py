# SPDX-License-Identifier: Apache-2.0
"""What an operator names on the command line, opened: addresses, keystores, the journal's place."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from offchain.errors import PlimsollError
from offchain.settle.accounts import LocalSigner, keyfile_address, open_keyfile

_KEY_LENGTH = 20
"""Providers' keys in a path are longer than anything else there."""

PASSPHRASE_VARIABLE = "PLIMSOLL_PASSPHRASE"


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


def refuse_shown_secret(url: str, option: str, arguments: Sequence[str]) -> None:
    """Refuse a URL with a password or a provider's key on the command line: every user of the machine sees that.

    Raises
    ------
    InputError
        Names the variable that takes it instead.
    """
    shown = any(url in argument for argument in arguments)
    secret = next((found for one in url.split(",") if (found := _secret_in(one.strip()))), "")
    if shown and secret:
        variable = "PLIMSOLL_" + option.strip("-").replace("-", "_").upper()
        raise InputError(f"{option}: it holds {secret}, which the process list shows; put it into {variable} instead")


def _secret_in(url: str) -> str:
    """What a URL holds that is nobody's business; empty when nothing does."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.password:
        return "a password"
    keyed = parts.hostname and any(len(piece) >= _KEY_LENGTH and piece.isalnum() for piece in parts.path.split("/"))
    return "a key" if keyed or (parts.hostname and parts.scheme.startswith(("http", "ws")) and parts.query) else ""


def default_journal(chain_id: int, vault: str) -> Path:
    """Where a vault's journal is when nobody says otherwise."""
    from platformdirs import user_state_path

    return user_state_path("plimsoll") / "journals" / f"{chain_id}-{vault}.sqlite"


def open_signers(account: Path, signer: Path | None, passphrase_file: Path | None) -> tuple[LocalSigner, LocalSigner]:
    """Decrypt the keystores of who pays and who signs orders; one file may do both.

    Raises
    ------
    KeyfileError
        A file that is missing, is no keystore or does not open.
    InputError
        No passphrase can be had.
    """
    files = [account] if signer is None else [account, signer]
    for path in files:
        keyfile_address(path)
    opened = [open_keyfile(path, read_passphrase(path, passphrase_file)) for path in files]
    return opened[0], opened[-1]


def read_passphrase(keyfile: Path, passphrase_file: Path | None) -> str:
    """Passphrase from a file's first line, else the environment, else a prompt.

    Raises
    ------
    InputError
        The file cannot be read, or there is no terminal to ask on.
    """
    if passphrase_file is not None:
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
