# SPDX-License-Identifier: Apache-2.0
"""``ape run set_successor``: let another price oracle answer for a vault's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scripts._command import ScriptError, VaultCommand, answer, json_option
from scripts._timelock import Progress, choose_sender, sender_options, through_owner
from scripts._vaults import StandingVault, contract, deployments_option, open_vault, vault_option

ZERO_ADDRESS = "0x" + "00" * 20


@click.command(cls=VaultCommand)
@click.option(
    "--oracle", "successor", required=True, help="Its address; the zero address returns to the vault's own table."
)
@sender_options
@vault_option
@deployments_option
@json_option
def cli(
    provider: Any,
    successor: str,
    alias: str | None,
    keyfile: Path | None,
    batch: Path | None,
    address: str | None,
    folder: Path,
    as_json: bool,
) -> None:
    """Name the successor of a replaceable oracle: scheduled by the owner's first run, done by a second one.

    It has to price the same assets in the same order, and to be live both times. Write its feeds into the mandate
    file afterwards: the keeper refuses to start on a file that says otherwise.

    Example: ape run set_successor --network ethereum:local:foundry --oracle 0x... --account owner
    """
    from eth_utils import is_hex_address, to_checksum_address

    from offchain.abi import contract_abi
    from offchain.settle.safe_batch import batch_call

    if not is_hex_address(successor):
        raise ScriptError(f"--oracle {successor}: not an address; give 0x and 40 hexadecimal digits")
    successor = str(to_checksum_address(successor))
    sender = choose_sender(provider, alias, keyfile, batch)
    standing = open_vault(provider, folder, address)
    require_replaceable(standing)
    if standing.oracle.successor() == successor:
        progress = Progress("so already")
    else:
        if successor != ZERO_ADDRESS:
            require_live(provider, standing, successor)
        action = batch_call(standing.oracle.address, contract_abi("PriceOracle"), "set_successor", [successor])
        progress = through_owner(sender, standing, [action])
    answer(
        {**progress.document(), "oracle": standing.oracle.address, "successor": successor},
        [f"oracle   {standing.oracle.address}", f"answers  {successor}", *progress.lines()],
        as_json=as_json,
    )


def require_replaceable(standing: StandingVault) -> None:
    """Refuse an oracle that stays what it is."""
    owner = standing.oracle.owner()
    if owner == ZERO_ADDRESS:
        raise ScriptError("this vault's oracle has no owner and stays what it is: `oracle.replaceable` was not set")
    if owner != standing.timelock.address:
        raise ScriptError(f"this vault's oracle belongs to {owner}, which is not the timelock on record")


def require_live(provider: Any, standing: StandingVault, successor: str) -> None:
    """Refuse what the oracle would refuse when the delay is over."""
    if not len(provider.get_code(successor)):
        raise ScriptError(f"--oracle {successor}: there is no contract; deploy the oracle first")
    live, prices = contract(successor, "PriceOracle").try_prices()
    count = int(standing.oracle.length())
    if len(prices) != count:
        raise ScriptError(f"--oracle {successor}: prices {len(prices)} assets, the vault has {count}")
    if not live:
        raise ScriptError(f"--oracle {successor}: not every price is live; see its statuses()")
