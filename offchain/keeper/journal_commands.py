# SPDX-License-Identifier: Apache-2.0
"""`plimsoll journal`: only typer and the standard library at the top, see `offchain.cli`."""

from __future__ import annotations

from typing import Annotated

import typer

from offchain.keeper.commands import JsonOption, MandateOption, RpcOption, VaultOption

app = typer.Typer(
    help="Look after the keeper's journal.",
    epilog="Example: plimsoll journal rebuild --rpc http://127.0.0.1:8545 --vault 0x... "
    "--mandate mandates/blue-chip.yaml --journal new.sqlite",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    """Keep the commands of this group under its name, even while there is one."""


@app.command(
    short_help="Write a new journal from what the chain holds.",
    epilog="Example: plimsoll journal rebuild --rpc http://127.0.0.1:8545 --vault 0x... "
    "--mandate mandates/blue-chip.yaml --journal new.sqlite",
)
def rebuild(
    rpc: RpcOption,
    vault: VaultOption,
    mandate: MandateOption,
    journal: Annotated[
        str, typer.Option("--journal", envvar="PLIMSOLL_JOURNAL", help="New file, or empty PostgreSQL database.")
    ],
    from_block: Annotated[int, typer.Option("--from-block", min=0, help="At or before the vault's deployment.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Write a new journal from what the chain holds: every settlement, every trip. Stop the keeper first."""
    import json

    from offchain.keeper.journal import Journal
    from offchain.keeper.logs import configure_logs
    from offchain.keeper.open import parse_address
    from offchain.keeper.rebuild import rebuild as rebuild_journal
    from offchain.mandate import load_mandate
    from offchain.market.rpc import NodeClient
    from offchain.settle.node import Node

    configure_logs()
    rules = load_mandate(mandate)
    address = parse_address(vault, "--vault")
    with NodeClient(rpc) as client:
        client.require_chain(rules.chain_id)
        with Journal.open(journal, chain_id=rules.chain_id, vault=address) as opened:
            found = rebuild_journal(Node(client), opened, address, rules, first_block=from_block)
            place = str(opened.path)
    if as_json:
        document = {"journal": place, "settlements": found.settlements, "trips": found.trips}
        typer.echo(json.dumps({**document, "unreadable": found.unreadable}, indent=2))
        return
    typer.echo(f"{place}: {found.settlements} settlements and {found.trips} trips")
    for transaction in found.unreadable:
        typer.echo(f"Not read: {transaction} settled through another contract")
