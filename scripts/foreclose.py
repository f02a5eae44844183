# SPDX-License-Identifier: Apache-2.0
"""``ape run foreclose``: take over the debt of a claim that its owner abandoned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from scripts._accounts import account_options, choose_account
from scripts._command import ScriptError, VaultCommand, answer, json_option
from scripts._positions import Claim, claims_of
from scripts._vaults import AssetName, deployments_option, open_vault, transact, vault_option, whole

POSITION_FORECLOSED = "PositionForeclosed(address,address,uint256,uint256[],uint256[])"


@click.command(cls=VaultCommand)
@click.option("--of", "claimant", required=True, help="Address of the account whose claim it is.")
@account_options
@vault_option
@deployments_option
@json_option
def cli(
    provider: Any,
    claimant: str,
    alias: str | None,
    keyfile: Path | None,
    address: str | None,
    folder: Path,
    as_json: bool,
) -> None:
    """Give those who stay the debt of a claim to a position, and collateral of it that pays for it. Anybody.

    The chain allows it while the claim's own health factor is below the mandate's deleverage trigger. What collateral
    is left stays the account's claim, free of debt.

    Example: ape run foreclose --network ethereum:local:foundry --of ADDRESS --account bob
    """
    account = choose_account(provider, alias, keyfile)
    standing = open_vault(provider, folder, address)
    owing = [one for one in claims_of(standing, claimant) if any(one.owed)]
    if not owing:
        raise ScriptError(f"--of {claimant}: has no claim to a position of {standing.vault.address} that owes anything")
    vault, names = standing.vault, standing.asset_names()
    receipts = [
        transact(provider, account, vault.address, vault.foreclose.encode_input(one.venue, claimant)) for one in owing
    ]
    done = list(map(foreclosed, owing, receipts))
    transactions = [one["transactionHash"].to_0x_hex() for one in receipts]
    answer(
        {
            "account": claimant,
            "foreclosed": [
                {"venue": one.venue, "health_factor": health(one.health_factor)}
                | {what: by_symbol(names, amounts) for what, amounts in one.amounts()}
                for one in done
            ],
            "transactions": transactions,
        },
        [*(line for one in done for line in lines(names, one)), *(f"tx       {one}" for one in transactions)],
        as_json=as_json,
    )


class Foreclosed(NamedTuple):
    """What came of a claim; base units by asset."""

    venue: int
    health_factor: int
    """Before, at 1e18."""
    collateral: Sequence[int]
    debt: Sequence[int]
    """Both fell to those who stay."""
    left: Sequence[int]
    """The account's, without debt."""

    def amounts(self) -> Iterator[tuple[str, Sequence[int]]]:
        """What fell to whom, by name."""
        yield from (("collateral", self.collateral), ("debt", self.debt), ("left", self.left))


def foreclosed(claim: Claim, receipt: Any) -> Foreclosed:
    """Read what the chain says of a claim that was foreclosed."""
    from eth_abi import decode
    from eth_utils import keccak

    [log] = [one for one in receipt["logs"] if one["topics"][0] == keccak(text=POSITION_FORECLOSED)]
    collateral, debt = decode(["uint256[]", "uint256[]"], bytes(log["data"]))
    left = [max(0, held - taken) for held, taken in zip(claim.held, collateral, strict=True)]
    return Foreclosed(claim.venue, claim.health_factor, collateral, debt, left)


def health(factor: int) -> float:
    """A health factor at 1e18 as a number."""
    return factor / 10**18


def by_symbol(names: Sequence[AssetName], amounts: Sequence[int]) -> dict[str, str]:
    """Base units by symbol, where there are any."""
    return {one.symbol: str(amount) for one, amount in zip(names, amounts, strict=True) if amount}


def lines(names: Sequence[AssetName], done: Foreclosed) -> Iterator[str]:
    """What came of a claim, for a person."""
    yield f"venue    {done.venue}: health factor {health(done.health_factor):.4f} before"
    whose = {
        "collateral": "falls to the vault",
        "debt": "is the vault's to repay",
        "left": "stays a claim without debt",
    }
    for what, amounts in done.amounts():
        for one, amount in zip(names, amounts, strict=True):
            if amount:
                yield f"{one.symbol:<8} {whole(amount, one.decimals)} {whose[what]}"
