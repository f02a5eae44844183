# SPDX-License-Identifier: Apache-2.0
"""``ape run resume``: bring a vault's breaker back to ACTIVE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scripts._command import ScriptError, VaultCommand, answer, json_option
from scripts._timelock import choose_sender, sender_options, through_owner
from scripts._vaults import BREAKER_REASONS, BREAKER_STATES, deployments_option, open_vault, vault_option


@click.command(cls=VaultCommand)
@sender_options
@vault_option
@deployments_option
@json_option
def cli(
    provider: Any,
    alias: str | None,
    keyfile: Path | None,
    batch: Path | None,
    address: str | None,
    folder: Path,
    as_json: bool,
) -> None:
    """Resume from the trip that stands: the owner's first run schedules it, a second one does it after the delay.

    It names the state, its reason and the time of the trip, so that it resumes from no other; the peak starts anew at
    the value per share of then, and prices have to be live.

    Example: ape run resume --network ethereum:local:foundry --account owner
    """
    from offchain.abi import contract_abi
    from offchain.settle.safe_batch import batch_call

    sender = choose_sender(provider, alias, keyfile, batch)
    standing = open_vault(provider, folder, address)
    mandate = standing.mandate
    state, reason, tripped_at = mandate.breaker_state(), mandate.breaker_reason(), mandate.tripped_at()
    if not state:
        raise ScriptError("the breaker is ACTIVE; there is nothing to resume from")
    action = batch_call(mandate.address, contract_abi("Mandate"), "resume", [state, reason, tripped_at])
    progress = through_owner(sender, standing, [action])
    trip = {"state": BREAKER_STATES[state], "reason": BREAKER_REASONS[reason], "tripped_at": int(tripped_at)}
    answer(
        {**progress.document(), **trip},
        [f"breaker  {trip['state']}, {trip['reason']}", *progress.lines()],
        as_json=as_json,
    )
