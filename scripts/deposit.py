# SPDX-License-Identifier: Apache-2.0
"""``ape run deposit``: pay base asset into a vault for shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from offchain.settle.units import base_units
from scripts._accounts import account_options, choose_account
from scripts._command import ScriptError, VaultCommand, answer, json_option
from scripts._vaults import (
    BREAKER_STATES,
    SHARE_DECIMALS,
    StandingVault,
    deployments_option,
    open_vault,
    transact,
    vault_option,
    whole,
)


@click.command(cls=VaultCommand)
@click.option("--amount", required=True, help="Whole units of the base asset, such as 1000 or 0.5.")
@account_options
@vault_option
@deployments_option
@json_option
def cli(
    provider: Any,
    amount: str,
    alias: str | None,
    keyfile: Path | None,
    address: str | None,
    folder: Path,
    as_json: bool,
) -> None:
    """Approve exactly the amount, deposit it, and print the shares and the fee.

    Example: ape run deposit --network ethereum:local:foundry --amount 1000 --account alice
    """
    account = choose_account(provider, alias, keyfile)
    standing = open_vault(provider, folder, address)
    vault, base, decimals = standing.vault, standing.base, standing.base_decimals
    assets = base_units(amount, decimals, "--amount")
    if vault.maxDeposit(account.address) == 0:
        raise ScriptError(f"deposits are closed: {why_closed(standing)}; `ape run status` shows more")
    held = base.balanceOf(account.address)
    if held < assets:
        raise ScriptError(f"--amount {amount}: {account.address} holds {whole(held, decimals)} of the base asset")
    fee = assets - fair_price(standing, assets)
    if base.allowance(account.address, vault.address) != assets:
        transact(provider, account, base.address, base.approve.encode_input(vault.address, assets))
    before = vault.balanceOf(account.address)
    receipt = transact(provider, account, vault.address, vault.deposit.encode_input(assets, account.address))
    shares = vault.balanceOf(account.address) - before
    transaction = receipt["transactionHash"].to_0x_hex()
    answer(
        {
            "transaction": transaction,
            "block": receipt["blockNumber"],
            "account": account.address,
            "assets": str(assets),
            "shares": str(shares),
            "fee": str(fee),
            "gas_used": receipt["gasUsed"],
        },
        [
            f"shares   {whole(shares, SHARE_DECIMALS)}",
            f"fee      {whole(fee, decimals)} of {whole(assets, decimals)}, stays in the vault",
            f"gas      {receipt['gasUsed']:,}",
            f"tx       {transaction}",
        ],
        as_json=as_json,
    )


def fair_price(standing: StandingVault, assets: int) -> int:
    """What the shares of a deposit are worth, base units."""
    return int(standing.vault.convertToAssets(standing.vault.previewDeposit(assets)))


def why_closed(standing: StandingVault) -> str:
    """Name the reason why a vault takes no deposits."""
    if not standing.vault.mark_is_live():
        return "the oracle's prices are not live"
    state = standing.mandate.breaker_state()
    if state > 0:
        return f"the breaker stands at {BREAKER_STATES[state]}"
    return "the value per share is below the breaker's line, and anybody may trip it"
