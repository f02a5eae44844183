# SPDX-License-Identifier: Apache-2.0
"""``ape run redeem``: leave a vault, for base asset or in kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import click

from offchain.settle.units import base_units
from scripts._accounts import account_options, choose_account
from scripts._command import ScriptError, VaultCommand, answer, json_option
from scripts._positions import POSITION, debts_approved, read_positions
from scripts._vaults import (
    SHARE_DECIMALS,
    AssetName,
    StandingVault,
    deployments_option,
    open_vault,
    transact,
    vault_option,
    whole,
)

REDEEMED_IN_KIND = "RedeemedInKind(address,address,address,uint256,uint256[],uint256)"
POSITION_REDEEMED = "PositionRedeemed(address,uint256,uint256[],uint256[],bool)"
SKIP_VENUES = 16
"""First bit of the mask that stands for a venue."""


@click.command(cls=VaultCommand)
@click.option("--shares", required=True, help="Number of shares; all; or max, what can be had for base asset now.")
@click.option("--in-kind", is_flag=True, help="Take a part of every token held. Works always, without any price.")
@click.option(
    "--skip",
    "skipped",
    multiple=True,
    help="With --in-kind: leave this token as a claim. Symbol, address, or `position` for what is lent and owed.",
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

    Where the vault owes, who leaves in kind brings that part of the debt and gets the venue's receipt tokens; with
    --skip position both become a claim instead.

    Example: ape run redeem --network ethereum:local:foundry --shares all --in-kind --skip LINK --account alice
    """
    account = choose_account(provider, alias, keyfile)
    standing = open_vault(provider, folder, address)
    if skipped and not in_kind:
        raise ScriptError("--skip: only with --in-kind; for base asset nothing else is paid")
    amount = chosen_shares(standing, shares, account.address, in_kind=in_kind)
    names = standing.asset_names()
    mask = skip_mask(names, skipped, len(standing.vault.venues()))
    fee_bps = exit_fee_bps(standing, amount, in_kind=in_kind)
    if in_kind:
        left_with = leave_in_kind(provider, standing, account, amount, mask)
    else:
        left_with = leave_for_base(provider, standing, account, amount)
        names = names[:1]
    receipt, amounts = left_with.receipt, left_with.paid
    left = int(standing.vault.balanceOf(account.address))
    transaction = receipt["transactionHash"].to_0x_hex()
    answer(
        {
            "transaction": transaction,
            "block": receipt["blockNumber"],
            "account": account.address,
            "shares": str(amount),
            "shares_left": str(left),
            "exit_fee_bps": fee_bps,
            "paid": {one.symbol: str(paid) for one, paid in zip(names, amounts, strict=True)},
            "receipts": {one.symbol: str(got) for one, got in zip(names, left_with.receipts, strict=False) if got},
            "debt_brought": {one.symbol: str(debt) for one, debt in zip(names, left_with.debts, strict=False) if debt},
            "claims": [
                *(one.symbol for index, one in enumerate(names) if mask >> index & 1),
                *([POSITION] if mask >> SKIP_VENUES else []),
            ],
            "gas_used": receipt["gasUsed"],
        },
        [
            *(line(one, paid, bool(mask >> i & 1)) for i, (one, paid) in enumerate(zip(names, amounts, strict=True))),
            *position_lines(names, left_with, claimed=bool(mask >> SKIP_VENUES)),
            f"shares   {whole(amount, SHARE_DECIMALS)} burned, {whole(left, SHARE_DECIMALS)} left",
            f"fee      {fee_bps} bps of what they were worth, stays in the vault",
            f"gas      {receipt['gasUsed']:,}",
            f"tx       {transaction}",
        ],
        as_json=as_json,
    )


def line(asset: AssetName, paid: int, claimed: bool) -> str:
    """What somebody got of one asset."""
    claim = f"  as a claim: `ape run claim --asset {asset.symbol}` when it moves again" if claimed and paid else ""
    return f"{asset.symbol:<8} {whole(paid, asset.decimals)}{claim}"


def position_lines(names: Sequence[AssetName], left: Left, *, claimed: bool) -> Iterator[str]:
    """What somebody got of the vault's positions, and brought for its debts."""
    how = (
        f"as a claim: `ape run claim --asset {POSITION}` against its debt"
        if claimed
        else "in the venue's receipt tokens"
    )
    for one, got, brought in zip(names, left.receipts, left.debts, strict=False):
        if got:
            yield f"{one.symbol:<8} {whole(got, one.decimals)}  {how}"
        if brought:
            yield f"{one.symbol:<8} {whole(brought, one.decimals)} of debt {'stay with it' if claimed else 'repaid'}"


def exit_fee_bps(standing: StandingVault, shares: int, *, in_kind: bool) -> int:
    """What leaving costs; the last one to leave in kind pays nothing."""
    if in_kind and shares == int(standing.vault.totalSupply()):
        return 0
    return int(standing.mandate.limits().exit_fee_bps)


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
    if most == 0:
        raise ScriptError(f"--shares {text}: nothing can be had for base asset now; leave with --in-kind")
    if wanted > most:
        raise ScriptError(
            f"--shares {text}: {whole(most, SHARE_DECIMALS)} can be had for base asset now; "
            "give --shares max, or --in-kind for the rest"
        )
    return wanted


class Left(NamedTuple):
    """What somebody left with; base units by asset."""

    receipt: Any
    paid: Sequence[int]
    """Paid out, or recorded as a claim."""
    receipts: Sequence[int] = ()
    """Of what the vault had lent, as receipt tokens or as a claim."""
    debts: Sequence[int] = ()
    """Repaid for the vault, or left with the claim."""


def leave_for_base(provider: Any, standing: StandingVault, account: Any, amount: int) -> Left:
    """Redeem for base asset."""
    vault, base = standing.vault, standing.base
    before = base.balanceOf(account.address)
    receipt = transact(
        provider, account, vault.address, vault.redeem.encode_input(amount, account.address, account.address)
    )
    return Left(receipt, [int(base.balanceOf(account.address)) - before])


def leave_in_kind(provider: Any, standing: StandingVault, account: Any, amount: int, mask: int) -> Left:
    """Redeem in kind, bringing the debt that goes with the shares unless it stays with a claim."""
    from eth_abi import decode
    from eth_utils import keccak

    vault = standing.vault
    call = vault.redeem_in_kind.encode_input(amount, account.address, account.address, mask)
    debts = [0] * len(standing.vault.tokens()) if mask >> SKIP_VENUES else part_of_debts(standing, amount)
    with debts_approved(provider, standing, account, debts, f"get it first, or leave with --skip {POSITION}"):
        receipt = transact(provider, account, vault.address, call)
    logs = receipt["logs"]
    [log] = [one for one in logs if one["topics"][0] == keccak(text=REDEEMED_IN_KIND)]
    _, amounts, _ = decode(["uint256", "uint256[]", "uint256"], bytes(log["data"]))
    receipts, debts = [0] * len(amounts), [0] * len(amounts)
    for one in (one for one in logs if one["topics"][0] == keccak(text=POSITION_REDEEMED)):
        held, owed, _ = decode(["uint256[]", "uint256[]", "bool"], bytes(one["data"]))
        receipts = [sum(pair) for pair in zip_longest(receipts, held, fillvalue=0)]
        debts = [sum(pair) for pair in zip_longest(debts, owed, fillvalue=0)]
    return Left(receipt, amounts, receipts, debts)


def part_of_debts(standing: StandingVault, shares: int) -> list[int]:
    """Most that goes with shares of what the vault owes, base units by asset: the part, rounded up, and one unit."""
    supply = int(standing.vault.totalSupply())
    return [-(-debt * shares // supply) + 1 if debt else 0 for debt in read_positions(standing).owed]


def skip_mask(names: Sequence[AssetName], skipped: tuple[str, ...], venues: int) -> int:
    """Bit i for asset i, those from `SKIP_VENUES` on for venues; `ScriptError` for what the vault does not hold."""
    mask = 0
    for text in skipped:
        if text.lower() == POSITION:
            mask |= ((1 << venues) - 1) << SKIP_VENUES
            continue
        matches = [i for i, one in enumerate(names) if text.lower() in (one.symbol.lower(), one.address.lower())]
        if not matches:
            raise ScriptError(f"--skip {text}: not an asset; they are {', '.join(one.symbol for one in names)}")
        mask |= 1 << matches[0]
    return mask
