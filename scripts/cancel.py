# SPDX-License-Identifier: Apache-2.0
"""``ape run cancel``: void an order that must not settle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scripts._accounts import account_options, choose_account
from scripts._command import VaultCommand, answer, json_option
from scripts._vaults import deployments_option, open_vault, transact, vault_option


@click.command(cls=VaultCommand)
@click.option(
    "--nonce", type=click.IntRange(min=0), help="Of the order, which must be the next one; that one by default."
)
@account_options
@vault_option
@deployments_option
@json_option
def cli(
    provider: Any,
    nonce: int | None,
    alias: str | None,
    keyfile: Path | None,
    address: str | None,
    folder: Path,
    as_json: bool,
) -> None:
    """Use up an order's nonce, so that nothing signed with it can settle. Signer, curator, guardian or owner.

    Example: ape run cancel --network ethereum:local:foundry --account guardian
    """
    account = choose_account(provider, alias, keyfile)
    standing = open_vault(provider, folder, address)
    vault = standing.vault
    cancelled = int(vault.order_nonce()) if nonce is None else nonce
    receipt = transact(provider, account, vault.address, vault.cancel.encode_input(cancelled))
    transaction = receipt["transactionHash"].to_0x_hex()
    answer(
        {"cancelled": cancelled, "order_nonce": int(vault.order_nonce()), "transaction": transaction},
        [f"nonce    {cancelled} is void, the next order has {vault.order_nonce()}", f"tx       {transaction}"],
        as_json=as_json,
    )
