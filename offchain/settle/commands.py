# SPDX-License-Identifier: Apache-2.0
"""`plimsoll safe`: what the owner or the curator does, as a file for a Safe to sign."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from offchain.settle.safe_batch import BatchCall

CONTRACTS = ("Mandate", "Timelock", "Vault", "PriceOracle")
EPILOG = "Example: plimsoll safe --chain-id 1 --call 'Mandate 0x... guardian_trip 2' --out halt.json"


def safe(
    calls: Annotated[
        list[str],
        typer.Option(
            "--call", help="CONTRACT ADDRESS FUNCTION ARGUMENTS, arrays and structs as JSON; may be repeated."
        ),
    ],
    chain_id: Annotated[int, typer.Option("--chain-id", help="Chain the Safe stands on.")],
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    name: Annotated[str, typer.Option("--name", help="Name that the builder shows.")] = "Plimsoll",
    account: Annotated[str, typer.Option("--safe", help="Address of the Safe.")] = "",
    timelock: Annotated[
        str, typer.Option("--timelock", help="Address of the mandate's owner, where only the owner may do it.")
    ] = "",
    delay: Annotated[int, typer.Option("--delay", help="With --timelock: schedule, to wait this many seconds.")] = 0,
    salt: Annotated[str, typer.Option("--salt", help="With --timelock: hexadecimal, the same both times.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else.")] = False,
) -> None:
    """Write calls as a batch for the Safe Transaction Builder.

    What only the owner may do goes through the timelock in two batches: one with --delay schedules it, one without
    executes it when the delay is over.
    """
    from offchain.settle.safe_batch import BatchError, batch_document, through_timelock

    if (delay or salt) and not timelock:
        raise BatchError("--delay and --salt belong to --timelock; give its address")
    batch = [_read(text) for text in calls]
    if timelock:
        try:
            seed = bytes.fromhex(salt.removeprefix("0x"))
        except ValueError:
            raise BatchError(f"--salt {salt}: not hexadecimal") from None
        batch = [through_timelock(batch, timelock, delay=delay or None, salt=seed)]
    document = batch_document(batch, chain_id=chain_id, name=name, safe=account)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=2) + "\n")
    if as_json:
        done = [{"to": call.to, "function": call.function["name"]} for call in batch]
        typer.echo(json.dumps({"file": str(out), "calls": done, "checksum": document["meta"]["checksum"]}))
        return
    for call in batch:
        typer.echo(f"{call.to} {call.function['name']}")
    count = "1 transaction" if len(batch) == 1 else f"{len(batch)} transactions"
    typer.echo(f"{count} in {out}, checksum {document['meta']['checksum']}")


def _read(text: str) -> BatchCall:
    from offchain.abi import contract_abi
    from offchain.settle.safe_batch import BatchError, batch_call

    try:
        contract, address, function, *arguments = shlex.split(text)
    except ValueError:
        raise BatchError(f"--call {text!r}: give CONTRACT ADDRESS FUNCTION ARGUMENTS") from None
    if contract not in CONTRACTS:
        raise BatchError(f"--call {text!r}: {contract} is none of {', '.join(CONTRACTS)}")
    return batch_call(address, contract_abi(contract), function, [_argument(one) for one in arguments])


def _argument(text: str) -> Any:
    """Numbers, truth values and lists are JSON; addresses and hexadecimal bytes are not."""
    try:
        return json.loads(text)
    except ValueError:
        return text
