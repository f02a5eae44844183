# SPDX-License-Identifier: Apache-2.0
"""``ape run appoint``: add or remove a signer, replace the curator or the guardian."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scripts._command import ScriptError, VaultCommand, answer, json_option
from scripts._timelock import Progress, Sender, at_once, choose_sender, sender_options, through_owner
from scripts._vaults import StandingVault, deployments_option, open_vault, vault_option

if TYPE_CHECKING:
    from offchain.settle.safe_batch import BatchCall

OFFICES = {
    "add_signer": "--add-signer",
    "remove_signer": "--remove-signer",
    "set_curator": "--curator",
    "set_guardian": "--guardian",
}
"""Option by the mandate's function."""
NOBODY = "0x" + "0" * 40
NOT_A_STOPPER = "roles: not owner, curator or guardian"


@click.command(cls=VaultCommand)
@click.option("--add-signer", help="Address that may sign orders from then on.")
@click.option("--remove-signer", help="Address whose orders are void from then on.")
@click.option("--curator", "set_curator", help="Address that may tighten limits; the zero address for nobody.")
@click.option("--guardian", "set_guardian", help="Address that may stop the vault; the zero address for nobody.")
@sender_options
@vault_option
@deployments_option
@json_option
def cli(
    provider: Any,
    add_signer: str | None,
    remove_signer: str | None,
    set_curator: str | None,
    set_guardian: str | None,
    alias: str | None,
    keyfile: Path | None,
    batch: Path | None,
    address: str | None,
    folder: Path,
    as_json: bool,
) -> None:
    """Change who may do what; give one of the four.

    A signer is removed at once, by guardian or curator, and by the owner after the delay. The rest is the owner's:
    its first run schedules it, a second one does it when the delay is over. With the office of guardian goes the
    right to cancel what is scheduled.

    Example: ape run appoint --network ethereum:local:foundry --remove-signer 0x... --account guardian
    """
    wanted = [
        (function, account)
        for function, account in zip(OFFICES, (add_signer, remove_signer, set_curator, set_guardian), strict=True)
        if account is not None
    ]
    if len(wanted) != 1:
        raise ScriptError(f"give one of {', '.join(OFFICES.values())}")
    [(function, account)] = wanted
    sender = choose_sender(provider, alias, keyfile, batch)
    standing = open_vault(provider, folder, address)
    progress = appoint(sender, standing, function, account)
    answer(
        {**progress.document(), "call": function, "account": account},
        [f"call     {function}({account})", *progress.lines()],
        as_json=as_json,
    )


def appoint(sender: Sender, standing: StandingVault, function: str, account: str) -> Progress:
    """Take the next step of an appointment.

    Raises
    ------
    ScriptError
        Not an address, or the account may not schedule for the owner.
    Reverted
        The contract refuses, with its own reason.
    """
    from eth_utils import is_hex_address, to_checksum_address

    from offchain.abi import contract_abi
    from offchain.settle.node import Reverted
    from offchain.settle.safe_batch import batch_call

    if not is_hex_address(account):
        raise ScriptError(f"{OFFICES[function]} {account}: not an address; give 0x and 40 hexadecimal digits")
    account = str(to_checksum_address(account))
    if stands(standing, function, account):
        return Progress("so already")
    call = batch_call(standing.mandate.address, contract_abi("Mandate"), function, [account])
    if function == "remove_signer":
        try:
            return at_once(sender, call)
        except Reverted as refusal:
            if refusal.reason != NOT_A_STOPPER:
                raise
    if function == "set_guardian":
        return through_owner(sender, standing, [call, *_hand_over_cancelling(standing, account)])
    return through_owner(sender, standing, [call])


def _hand_over_cancelling(standing: StandingVault, guardian: str) -> Iterator[BatchCall]:
    """What the timelock has to do with itself, so that who is dismissed cancels nothing any more."""
    from offchain.abi import contract_abi
    from offchain.settle.safe_batch import batch_call

    timelock, old = standing.timelock, standing.mandate.guardian()
    canceller = timelock.CANCELLER_ROLE()
    # Who proposes cancels by that office.
    changes = {"revokeRole": old, "grantRole": guardian}
    for function, account in changes.items():
        if account != NOBODY and not timelock.hasRole(timelock.PROPOSER_ROLE(), account):
            yield batch_call(timelock.address, contract_abi("Timelock"), function, [canceller, account])


def stands(standing: StandingVault, function: str, account: str) -> bool:
    """Whether the appointment would change nothing."""
    mandate = standing.mandate
    if function in ("add_signer", "remove_signer"):
        return bool(mandate.is_signer(account)) == (function == "add_signer")
    return bool((mandate.curator() if function == "set_curator" else mandate.guardian()) == account)
