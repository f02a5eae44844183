# SPDX-License-Identifier: Apache-2.0
"""``ape run set_limits``: bring a vault's limits to those of a mandate file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scripts._accounts import account_options, choose_account
from scripts._command import ScriptError, VaultCommand, answer, json_option
from scripts._vaults import StandingVault, deployments_option, open_vault, transact, vault_option

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
    if wanted == bytes(standing.mandate.mandate_hash()):
        outcome, ready_at, receipt = "already in force", None, None
    else:
        outcome, ready_at, receipt = set_or_schedule(provider, standing, account, limits, wanted)
    transaction = None if receipt is None else receipt["transactionHash"].to_0x_hex()
    answer(
        {"outcome": outcome, "mandate_hash": "0x" + wanted.hex(), "ready_at": ready_at, "transaction": transaction},
        [
            f"limits   {outcome}",
            f"hash     0x{wanted.hex()}",
            *([f"ready    {moment(ready_at)}; run this again then"] if ready_at is not None else []),
            *([f"tx       {transaction}"] if transaction is not None else []),
        ],
        as_json=as_json,
    )


def set_or_schedule(
    provider: Any, standing: StandingVault, account: Any, limits: tuple[Any, ...], wanted: bytes
) -> tuple[str, int | None, Any]:
    """Do what the contracts allow now; return the outcome, when it can be set if not yet, and the receipt if any.

    Raises
    ------
    ScriptError
        The limits loosen something and the account may not schedule for the owner.
    Reverted
        The contract refuses for another reason, which it names.
    """
    from offchain.settle.node import Reverted

    mandate, timelock = standing.mandate, standing.timelock
    set_them = mandate.set_limits.encode_input(limits)
    try:
        return "set", None, transact(provider, account, mandate.address, set_them)
    except Reverted as refusal:
        if refusal.reason not in ("limits: looser and not approved", "roles: not owner or curator"):
            raise
    if not timelock.hasRole(timelock.PROPOSER_ROLE(), account.address):
        raise ScriptError(
            f"the limits loosen something, which only a proposer of the owner {mandate.owner()} may schedule"
        )
    # Calldata of the approval; an operation is named by it, and by how often these limits have been approved.
    approve = bytes(mandate.approve_limits.encode_input(wanted))
    operation = free_operation(timelock, mandate.address, approve)
    ready_at = int(timelock.get_timestamp(timelock.hash_operation(*operation)))
    if ready_at == 0:
        schedule = timelock.schedule.encode_input(*operation, mandate.delay())
        receipt = transact(provider, account, timelock.address, schedule)
        ready_at = int(timelock.get_timestamp(timelock.hash_operation(*operation)))
        return "scheduled, because something loosens", ready_at, receipt
    if not timelock.is_operation_ready(timelock.hash_operation(*operation)):
        return "waiting for the delay", ready_at, None
    transact(provider, account, timelock.address, timelock.execute.encode_input(*operation))
    return "set", None, transact(provider, account, mandate.address, set_them)


def free_operation(timelock: Any, target: str, payload: bytes) -> tuple[Any, ...]:
    """Return the first operation with this call that is not done: each can be done once, by its salt."""
    for salt in range(2**16):
        operation = (target, 0, payload, bytes(32), salt.to_bytes(32, "big"))
        if not timelock.is_operation_done(timelock.hash_operation(*operation)):
            return operation
    raise ScriptError("these limits were approved too often; schedule them with a salt of your own")


def require_same_assets(standing: StandingVault, mandate: Mandate) -> None:
    """Refuse limits that were written for other assets, or the same in another order."""
    mine = [asset.address.lower() for asset in mandate.ordered_assets]
    theirs = [address.lower() for address in standing.vault.tokens()]
    if mine != theirs:
        raise ScriptError(f"--mandate: its assets are not those of the vault {standing.vault.address}, in this order")


def moment(timestamp: int) -> str:
    """Unix seconds for a reader."""
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M:%S} UTC"
