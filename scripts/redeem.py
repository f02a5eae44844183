# SPDX-License-Identifier: Apache-2.0
"""``ape run redeem``: leave a vault, for base asset or in kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scripts._accounts import account_options, choose_account
from scripts._command import ScriptError, VaultCommand
from scripts._vaults import (
    SHARE_DECIMALS,
    StandingVault,
    base_units,
    deployments_option,
    mined,
    open_vault,
    vault_option,
    whole,
)

if TYPE_CHECKING:
    from offchain.mandate import Mandate


@click.command(cls=VaultCommand)
@click.option("--shares", required=True, help="Number of shares; all; or max, what can be had for base asset now.")
@click.option("--in-kind", is_flag=True, help="Take a part of every token held. Works always, without any price.")
@click.option("--skip", "skipped", multiple=True, help="With --in-kind: leave this token as a claim. Symbol or address.")
@account_options
@vault_option
@deployments_option
def cli(
    provider: Any,
    shares: str,
    in_kind: bool,
    skipped: tuple[str, ...],
    alias: str | None,
    keyfile: Path | None,
    address: str | None,
    folder: Path,
) -> None:
    """Burn shares for base asset at live prices, or with --in-kind for a part of everything.

    Example: ape run redeem --network ethereum:local:foundry --shares all --in-kind --skip LINK --account alice
    """
    account = choose_account(provider, alias, keyfile)
    standing = open_vault(provider, folder, address)
    if skipped and not in_kind:
        raise ScriptError("--skip: only with --in-kind; for base asset nothing else is paid")
    amount = chosen_shares(standing, shares, account.address, in_kind=in_kind)
    if in_kind:
        leave_in_kind(provider, standing, account, amount, skipped)
    else:
        leave_for_base(provider, standing, account, amount)
    left = standing.vault.balanceOf(account.address)
    click.echo(f"shares   {whole(amount, SHARE_DECIMALS)} burned, {whole(left, SHARE_DECIMALS)} left")


def chosen_shares(standing: StandingVault, text: str, holder: str, *, in_kind: bool) -> int:
    """Share base units to burn.

    Raises
    ------
    ScriptError
        The account has fewer, or the vault cannot pay so many in base asset now.
    """
    held = standing.vault.balanceOf(holder)
    if held == 0:
        raise ScriptError(f"{holder} has no shares of {standing.vault.address}")
    most = held if in_kind else standing.vault.maxRedeem(holder)
    if text == "max":
        wanted = most
    else:
        wanted = held if text == "all" else base_units(text, SHARE_DECIMALS, "--shares")
    if wanted > held:
        raise ScriptError(f"--shares {text}: {holder} has {whole(held, SHARE_DECIMALS)}")
    if wanted > most or most == 0:
        raise ScriptError(
            f"--shares {text}: {whole(most, SHARE_DECIMALS)} can be had for base asset now; "
            "give --shares max, or --in-kind for the rest"
        )
    return int(wanted)


def leave_for_base(provider: Any, standing: StandingVault, account: Any, amount: int) -> None:
    """Redeem for base asset and say what was paid."""
    vault, base = standing.vault, standing.base
    fair = vault.convertToAssets(amount)
    before = base.balanceOf(account.address)
    receipt = mined(provider, vault.redeem(amount, account.address, account.address, sender=account))
    paid = base.balanceOf(account.address) - before
    click.echo(f"paid     {whole(paid, standing.base_decimals)}")
    click.echo(f"fee      {whole(max(0, fair - paid), standing.base_decimals)}, stays in the vault")
    click.echo(f"tx       {receipt['transactionHash'].to_0x_hex()}")


def leave_in_kind(
    provider: Any, standing: StandingVault, account: Any, amount: int, skipped: tuple[str, ...]
) -> None:
    """Redeem in kind and say what was paid and what is claimed."""
    vault = standing.vault
    tokens = list(vault.tokens())
    names = asset_names(standing, tokens)
    mask = skip_mask(names, tokens, skipped)
    request = vault.redeem_in_kind(amount, account.address, account.address, mask, sender=account)
    receipt = mined(provider, request)
    amounts = next(iter(request.decode_logs(vault.RedeemedInKind))).amounts
    for index, ((symbol, decimals), paid) in enumerate(zip(names, amounts, strict=True)):
        claim = "  as a claim: call claim() when it moves again" if mask >> index & 1 else ""
        click.echo(f"{symbol:<8} {whole(paid, decimals)}{claim}")
    click.echo(f"tx       {receipt['transactionHash'].to_0x_hex()}")


def asset_names(standing: StandingVault, tokens: list[str]) -> list[tuple[str, int]]:
    """Symbol and decimals of each asset; as the mandate names them, where its file is at hand."""
    mandate = recorded_mandate(standing)
    if mandate is None:
        feeds = standing.deployment.arguments["PriceOracle"][0]
        return [(address[:8], int(feed[5])) for address, feed in zip(tokens, feeds, strict=True)]
    return [(asset.symbol, asset.decimals) for asset in mandate.ordered_assets]


def recorded_mandate(standing: StandingVault) -> Mandate | None:
    """The mandate a vault was deployed from, unless its file is gone or is another vault's now."""
    from offchain.mandate import MandateError, load_mandate

    try:
        mandate = load_mandate(standing.deployment.mandate_file)
    except MandateError:
        return None
    addresses = [asset.address.lower() for asset in mandate.ordered_assets]
    return mandate if addresses == [one.lower() for one in standing.vault.tokens()] else None


def skip_mask(names: list[tuple[str, int]], tokens: list[str], skipped: tuple[str, ...]) -> int:
    """Bit i for asset i; `ScriptError` for a token that the vault does not hold."""
    mask = 0
    for text in skipped:
        matches = [
            index
            for index, ((symbol, _), address) in enumerate(zip(names, tokens, strict=True))
            if text.lower() in (symbol.lower(), address.lower())
        ]
        if not matches:
            raise ScriptError(f"--skip {text}: not an asset; they are {', '.join(symbol for symbol, _ in names)}")
        mask |= 1 << matches[0]
    return mask
