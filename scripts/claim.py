# SPDX-License-Identifier: Apache-2.0
"""``ape run claim``: fetch what was left behind when leaving in kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from scripts._accounts import account_options, choose_account
from scripts._command import ScriptError, VaultCommand, answer, json_option
from scripts._positions import POSITION, claims_of, debts_approved
from scripts._vaults import (
    AssetName,
    StandingVault,
    contract,
    deployments_option,
    open_vault,
    token,
    transact,
    vault_option,
    whole,
)


@click.command(cls=VaultCommand)
@click.option("--asset", "text", required=True, help=f"Symbol or address; `{POSITION}` for what was lent and owed.")
@account_options
@vault_option
@deployments_option
@json_option
def cli(
    provider: Any,
    text: str,
    alias: str | None,
    keyfile: Path | None,
    address: str | None,
    folder: Path,
    as_json: bool,
) -> None:
    """Take the tokens of a claim, or a position's receipt tokens against the debt that belongs to it.

    Example: ape run claim --network ethereum:local:foundry --asset LINK --account alice
    """
    account = choose_account(provider, alias, keyfile)
    standing = open_vault(provider, folder, address)
    names = standing.asset_names()
    if text.lower() == POSITION:
        tokens = receipt_tokens(standing)
    else:
        tokens = [(names[place_of(names, text)], names[place_of(names, text)].address)]
    before = [int(token(one).balanceOf(account.address)) for _, one in tokens]
    if text.lower() == POSITION:
        receipts = claim_positions(provider, standing, account)
    else:
        call = standing.vault.claim.encode_input(place_of(names, text), account.address)
        receipts = [transact(provider, account, standing.vault.address, call)]
    got = [int(token(one).balanceOf(account.address)) - was for (_, one), was in zip(tokens, before, strict=True)]
    answer(
        {
            "account": account.address,
            "transactions": [one["transactionHash"].to_0x_hex() for one in receipts],
            "paid": {place: str(amount) for (_, place), amount in zip(tokens, got, strict=True)},
        },
        [
            *(
                f"{name.symbol:<8} {whole(amount, name.decimals)}  of token {place}"
                for (name, place), amount in zip(tokens, got, strict=True)
            ),
            *(f"tx       {one['transactionHash'].to_0x_hex()}" for one in receipts),
        ],
        as_json=as_json,
    )


def place_of(names: Sequence[AssetName], text: str) -> int:
    """Index of an asset by its symbol or address."""
    for index, one in enumerate(names):
        if text.lower() in (one.symbol.lower(), one.address.lower()):
            return index
    raise ScriptError(f"--asset {text}: not an asset; they are {', '.join(one.symbol for one in names)}, {POSITION}")


def receipt_tokens(standing: StandingVault) -> list[tuple[AssetName, str]]:
    """Tokens that stand for what is lent, at every venue."""
    found = []
    for venue in standing.vault.venues():
        at = contract(venue, "AaveV3")
        found += [(one, str(at.receipt(index))) for index, one in enumerate(standing.asset_names())]
    return [(one, address) for one, address in found if int(address, 16)]


def claim_positions(provider: Any, standing: StandingVault, account: Any) -> list[Any]:
    """Claim at every venue where the account has a claim, repaying what belongs to it."""
    vault, receipts = standing.vault, []
    for one in claims_of(standing, account.address):
        with debts_approved(provider, standing, account, one.owed, "get it first"):
            call = vault.claim_position.encode_input(one.venue, account.address)
            receipts.append(transact(provider, account, vault.address, call))
    if not receipts:
        raise ScriptError(f"--asset {POSITION}: {account.address} has no claim to a position of {vault.address}")
    return receipts
