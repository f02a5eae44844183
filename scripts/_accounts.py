# SPDX-License-Identifier: Apache-2.0
"""Who signs: an ape account, a keystore file, or on a sandbox a role."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from scripts._command import ScriptError

PASSPHRASE_VARIABLE = "PLIMSOLL_PASSPHRASE"


def account_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--account`` and ``--keyfile``."""
    command = click.option(
        "--keyfile",
        type=click.Path(path_type=Path),
        help=f"A keystore file instead; {PASSPHRASE_VARIABLE} opens it, or a prompt.",
    )(command)
    return click.option(
        "--account",
        "alias",
        help=f"Alias of an ape account ({PASSPHRASE_VARIABLE} opens it), or on a sandbox a role such as alice.",
    )(command)


def choose_account(provider: Any, alias: str | None, keyfile: Path | None) -> Any:
    """Return the ape account that signs, refused where its key has no business.

    Raises
    ------
    ScriptError
        None or both were named, or there is no such account.
    NotADevelopmentKey, NotASandbox
        A real key on a sandbox, or a development key elsewhere.
    KeyfileError
        The keystore does not open, or others may read it.
    """
    from offchain.settle.development import check_signer, is_sandbox

    if (alias is None) == (keyfile is None):
        raise ScriptError("give either --account or --keyfile")
    if keyfile is not None:
        account = _from_keyfile(keyfile)
    else:
        assert alias is not None
        account = _from_alias(alias, sandbox=is_sandbox(provider.web3))
    check_signer(provider.web3, account.address)
    return account


def _from_alias(alias: str, *, sandbox: bool) -> Any:
    from ape import accounts
    from ape_accounts.accounts import ApeSigner, KeyfileAccount

    from offchain.settle.development import ROLES, development_key

    if sandbox and alias in ROLES:
        return ApeSigner(private_key=development_key(alias))
    if alias not in accounts.aliases:
        roles = f" and no role; roles are {', '.join(ROLES)}" if sandbox else "; `ape accounts list` names them"
        raise ScriptError(f"--account {alias}: no ape account of this alias{roles}")
    account = accounts.load(alias)
    if isinstance(account, KeyfileAccount) and PASSPHRASE_VARIABLE in os.environ:
        return _from_keyfile(account.keyfile_path)
    return account


def _from_keyfile(path: Path) -> Any:
    from ape_accounts.accounts import ApeSigner

    from offchain.keeper.open import read_passphrase
    from offchain.settle.accounts import keyfile_address, open_keyfile, refuse_exposed

    keyfile_address(path)
    refuse_exposed(path, "--keyfile")
    signer = open_keyfile(path, read_passphrase(path, None))
    return ApeSigner(private_key="0x" + bytes(signer.account.key).hex())
