# SPDX-License-Identifier: Apache-2.0
"""``ape run set_limits``: bring a vault's limits to those of a mandate file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scripts._accounts import account_options, choose_account
from scripts._command import ScriptError, VaultCommand, answer, json_option
from scripts._timelock import DONE, Progress, Sender, through_owner
from scripts._vaults import StandingVault, deployments_option, open_vault, vault_option

if TYPE_CHECKING:
    from offchain.mandate import Mandate


@click.command(cls=VaultCommand)
@click.option(
    "--mandate", "file", type=click.Path(path_type=Path), required=True, help="YAML file with the new limits."
)
@account_options
@vault_option
@deployments_option
@json_option
def cli(
    provider: Any,
    file: Path,
    alias: str | None,
    keyfile: Path | None,
    address: str | None,
    folder: Path,
    as_json: bool,
) -> None:
    """Set the limits of a mandate file: at once where nothing loosens, otherwise after the delay.

    What loosens is scheduled with the timelock by the owner's first run and set by a second one when the delay is
    over. Orders signed under the old limits are void from then on.

    Example: ape run set_limits --network ethereum:local:foundry --mandate mandates/blue-chip.yaml --account curator
    """
    from offchain.mandate import load_mandate

    mandate = load_mandate(file)
    account = choose_account(provider, alias, keyfile)
    standing = open_vault(provider, folder, address)
    require_same_assets(standing, mandate)
    limits = mandate.vault_limits.as_struct()
    wanted = bytes(standing.mandate.hash_limits(limits))
    if wanted == bytes(standing.mandate.hash_limits(standing.mandate.limits())):
        progress = Progress("already in force")
    else:
        progress = set_or_schedule(Sender(provider, account, None), standing, limits, wanted)
    limits_hash = "0x" + wanted.hex()
    answer(
        {**progress.document(), "limits_hash": limits_hash},
        [f"hash     {limits_hash}", *progress.lines()],
        as_json=as_json,
    )


def set_or_schedule(sender: Sender, standing: StandingVault, limits: tuple[Any, ...], wanted: bytes) -> Progress:
    """Do what the contracts allow now.

    Raises
    ------
    ScriptError
        The limits loosen something and the account may not schedule for the owner.
    Reverted
        The contract refuses for another reason, which it names.
    """
    from offchain.abi import contract_abi
    from offchain.settle.node import Reverted
    from offchain.settle.safe_batch import batch_call

    mandate, abi = standing.mandate.address, contract_abi("Mandate")
    set_them = batch_call(mandate, abi, "set_limits", [limits])
    try:
        return Progress("set", None, sender.send(set_them))
    except Reverted as refusal:
        if refusal.reason not in ("limits: looser and not approved", "roles: not owner or curator"):
            raise
    approve = batch_call(mandate, abi, "approve_limits", [wanted])
    approval = through_owner(sender, standing, [approve], "the limits loosen something")
    return Progress("set", None, sender.send(set_them)) if approval.outcome == DONE else approval


def require_same_assets(standing: StandingVault, mandate: Mandate) -> None:
    """Refuse limits that were written for other assets, or the same in another order."""
    mine = [asset.address.lower() for asset in mandate.ordered_assets]
    theirs = [address.lower() for address in standing.vault.tokens()]
    if mine != theirs:
        raise ScriptError(f"--mandate: its assets are not those of the vault {standing.vault.address}, in this order")
