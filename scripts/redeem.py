# SPDX-License-Identifier: Apache-2.0
"""``ape run redeem``: leave a vault, for base asset or in kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from scripts._accounts import account_options, choose_account
from scripts._command import ScriptError, VaultCommand, answer, json_option
from scripts._vaults import (
    SHARE_DECIMALS,
    AssetName,
    StandingVault,
    base_units,
    deployments_option,
    open_vault,
    transact,
    vault_option,
    whole,
)

REDEEMED_IN_KIND = "RedeemedInKind(address,address,address,uint256,uint256[],uint256)"


@click.command(cls=VaultCommand)
@click.option("--shares", required=True, help="Number of shares; all; or max, what can be had for base asset now.")
@click.option("--in-kind", is_flag=True, help="Take a part of every token held. Works always, without any price.")
@click.option(
    "--skip", "skipped", multiple=True, help="With --in-kind: leave this token as a claim. Symbol or address."
)
@account_options
@vault_option
@deployments_option
@json_option
def cli(
    provider: Any,
    shares: str,
    in_kind: bool,
    skipped: tuple[str, ...],
    alias: str | None,
    keyfile: Path | None,
    address: str | None,
    folder: Path,
    as_json: bool,
) -> None:
    """Burn shares for base asset at live prices, or with --in-kind for a part of everything.

    Example: ape run redeem --network ethereum:local:foundry --shares all --in-kind --skip LINK --account alice
    """
    account = choose_account(provider, alias, keyfile)
    standing = open_vault(provider, folder, address)
    if skipped and not in_kind:
        raise ScriptError("--skip: only with --in-kind; for base asset nothing else is paid")
    amount = chosen_shares(standing, shares, account.address, in_kind=in_kind)
    names = standing.asset_names()
    mask = skip_mask(names, skipped)
    if in_kind:
        receipt, amounts = leave_in_kind(provider, standing, account, amount, mask)
    else:
        receipt, paid = leave_for_base(provider, standing, account, amount)
        names, amounts = names[:1], [paid]
    left = int(standing.vault.balanceOf(account.address))
    transaction = receipt["transactionHash"].to_0x_hex()
    answer(
        {
            "transaction": transaction,
            "block": receipt["blockNumber"],
            "account": account.address,
            "shares": str(amount),
            "shares_left": str(left),
            "paid": {one.symbol: str(paid) for one, paid in zip(names, amounts, strict=True)},
            "claims": [one.symbol for index, one in enumerate(names) if mask >> index & 1],
            "gas_used": receipt["gasUsed"],
        },
        [
            *(line(one, paid, bool(mask >> i & 1)) for i, (one, paid) in enumerate(zip(names, amounts, strict=True))),
            f"shares   {whole(amount, SHARE_DECIMALS)} burned, {whole(left, SHARE_DECIMALS)} left",
            f"gas      {receipt['gasUsed']:,}",
            f"tx       {transaction}",
        ],
        as_json=as_json,
    )


def line(asset: AssetName, paid: int, claimed: bool) -> str:
    """What somebody got of one asset."""
    claim = "  as a claim: call claim() on the vault when it moves again" if claimed and paid else ""
    return f"{asset.symbol:<8} {whole(paid, asset.decimals)}{claim}"


def chosen_shares(standing: StandingVault, text: str, holder: str, *, in_kind: bool) -> int:
    """Share base units to burn.

    Raises
    ------
    ScriptError
        The account has fewer, or the vault cannot pay so many in base asset now.
    """
    held = int(standing.vault.balanceOf(holder))
    if held == 0:
        raise ScriptError(f"{holder} has no shares of {standing.vault.address}")
    most = held if in_kind else int(standing.vault.maxRedeem(holder))
    named = {"all": held, "max": most}
    wanted = named[text] if text in named else base_units(text, SHARE_DECIMALS, "--shares")
    if wanted > held:
        raise ScriptError(f"--shares {text}: {holder} has {whole(held, SHARE_DECIMALS)}")
    if wanted > most or most == 0:
        raise ScriptError(
            f"--shares {text}: {whole(most, SHARE_DECIMALS)} can be had for base asset now; "
            "give --shares max, or --in-kind for the rest"
        )
    return wanted


def leave_for_base(provider: Any, standing: StandingVault, account: Any, amount: int) -> tuple[Any, int]:
    """Redeem for base asset; return the receipt and what was paid."""
    vault, base = standing.vault, standing.base
    before = base.balanceOf(account.address)
    receipt = transact(
        provider, account, vault.address, vault.redeem.encode_input(amount, account.address, account.address)
    )
    return receipt, int(base.balanceOf(account.address)) - before


def leave_in_kind(
    provider: Any, standing: StandingVault, account: Any, amount: int, mask: int
) -> tuple[Any, Sequence[int]]:
    """Redeem in kind; return the receipt and what was paid or recorded of each asset."""
    from eth_abi import decode
    from eth_utils import keccak

    vault = standing.vault
    receipt = transact(
        provider,
        account,
        vault.address,
        vault.redeem_in_kind.encode_input(amount, account.address, account.address, mask),
    )
    [log] = [one for one in receipt["logs"] if one["topics"][0] == keccak(text=REDEEMED_IN_KIND)]
    _, amounts, _ = decode(["uint256", "uint256[]", "uint256"], bytes(log["data"]))
    return receipt, amounts


def skip_mask(names: Sequence[AssetName], skipped: tuple[str, ...]) -> int:
    """Bit i for asset i; `ScriptError` for a token that the vault does not hold."""
    mask = 0
    for text in skipped:
        matches = [i for i, one in enumerate(names) if text.lower() in (one.symbol.lower(), one.address.lower())]
        if not matches:
            raise ScriptError(f"--skip {text}: not an asset; they are {', '.join(one.symbol for one in names)}")
        mask |= 1 << matches[0]
    return mask
