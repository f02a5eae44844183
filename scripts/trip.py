# SPDX-License-Identifier: Apache-2.0
"""``ape run trip``: stop a vault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scripts._accounts import account_options, choose_account
from scripts._command import VaultCommand, answer, json_option
from scripts._vaults import BREAKER_REASONS, BREAKER_STATES, deployments_option, open_vault, transact, vault_option


@click.command(cls=VaultCommand)
@click.option(
    "--to",
    "state",
    type=click.Choice(["reduce-only", "halted"]),
    help="Guardian, curator or owner: stop it at once. Without it the breaker's table is applied, by anyone.",
)
@account_options
@vault_option
@deployments_option
@json_option
def cli(
    provider: Any,
    state: str | None,
    alias: str | None,
    keyfile: Path | None,
    address: str | None,
    folder: Path,
    as_json: bool,
) -> None:
    """Apply the breaker's table, or stop the vault without a condition.

    Example: ape run trip --network ethereum:local:foundry --to halted --account guardian
    """
    account = choose_account(provider, alias, keyfile)
    standing = open_vault(provider, folder, address)
    mandate = standing.mandate
    if state is None:
        call = mandate.trip.encode_input()
    else:
        call = mandate.guardian_trip.encode_input(BREAKER_STATES.index(state.replace("-", "_").upper()))
    receipt = transact(provider, account, mandate.address, call)
    now, why = BREAKER_STATES[mandate.breaker_state()], BREAKER_REASONS[mandate.breaker_reason()]
    transaction = receipt["transactionHash"].to_0x_hex()
    answer(
        {"breaker": now, "breaker_reason": why, "block": receipt["blockNumber"], "transaction": transaction},
        [f"breaker  {now} ({why})", f"tx       {transaction}"],
        as_json=as_json,
    )
