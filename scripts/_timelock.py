# SPDX-License-Identifier: Apache-2.0
"""What only the owner may do: scheduled with the timelock by a first run, done by a second when the delay is over."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from offchain.settle.safe_batch import BatchCall, batch_call, batch_document
from scripts._accounts import account_options, choose_account
from scripts._command import ScriptError
from scripts._vaults import StandingVault, transact

DONE = "done"
"""Outcome of what has happened on the chain."""


@dataclass(frozen=True, slots=True)
class Sender:
    """An account that sends transactions, or a file for a Safe that will."""

    provider: Any
    account: Any | None
    batch: Path | None

    def send(self, call: BatchCall) -> str | None:
        """Send the call and return its transaction; or write the batch, which is none yet.

        Raises
        ------
        Reverted
            The contract would refuse, with its own reason.
        """
        if self.batch is None:
            receipt = transact(self.provider, self.account, call.to, call.data)
            return str(receipt["transactionHash"].to_0x_hex())
        document = batch_document([call], chain_id=self.provider.chain_id, name=f"Plimsoll {call.function['name']}")
        self.batch.parent.mkdir(parents=True, exist_ok=True)
        self.batch.write_text(json.dumps(document, indent=2) + "\n")
        return None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something has come.

    Attributes
    ----------
    outcome
        In words.
    ready_at
        Unix seconds when the delay is over, while it runs.
    transaction
        Hash of what was sent, if anything.
    batch
        File that a Safe has to sign, if one was written.
    """

    outcome: str
    ready_at: int | None = None
    transaction: str | None = None
    batch: Path | None = None

    def document(self) -> Mapping[str, Any]:
        """As a script answers a program."""
        return {
            "outcome": self.outcome,
            "ready_at": self.ready_at,
            "transaction": self.transaction,
            "batch": None if self.batch is None else str(self.batch),
        }

    def lines(self) -> list[str]:
        """As a script answers a person."""
        return [
            f"outcome  {self.outcome}",
            *([f"ready    {moment(self.ready_at)}; run this again then"] if self.ready_at is not None else []),
            *([f"tx       {self.transaction}"] if self.transaction is not None else []),
            *([f"batch    {self.batch}, for the Safe Transaction Builder"] if self.batch is not None else []),
        ]


def sender_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--account``, ``--keyfile`` and ``--safe-batch``."""
    option = click.option(
        "--safe-batch",
        "batch",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Instead of an account: write the call to this file, for a Safe that holds the role.",
    )
    return account_options(option(command))


def choose_sender(provider: Any, alias: str | None, keyfile: Path | None, batch: Path | None) -> Sender:
    """Return who sends.

    Raises
    ------
    ScriptError
        Neither or several were named.
    """
    if batch is None:
        return Sender(provider, choose_account(provider, alias, keyfile), None)
    if alias is not None or keyfile is not None:
        raise ScriptError("--safe-batch: nothing is signed here; leave --account and --keyfile out")
    return Sender(provider, None, batch)


def at_once(sender: Sender, call: BatchCall) -> Progress:
    """Do what a role may do without delay."""
    transaction = sender.send(call)
    return Progress(DONE if sender.batch is None else "done when the Safe has signed", None, transaction, sender.batch)


def through_owner(
    sender: Sender, standing: StandingVault, actions: Sequence[BatchCall], matter: str = "this is the owner's decision"
) -> Progress:
    """Take the next step towards the owner's doing it: schedule it, wait, or execute it.

    Parameters
    ----------
    actions
        Calls that happen together, in this order.
    matter
        Why it takes the owner, for who may not ask it.

    Raises
    ------
    ScriptError
        The account may not propose to the owner.
    Reverted
        A contract refuses, with its own reason.
    """
    from offchain.abi import contract_abi

    timelock, abi = standing.timelock, contract_abi("Timelock")
    operation = free_operation(timelock, actions)
    ready_at = int(timelock.get_timestamp(operation.identifier))
    if ready_at == 0:
        require_proposer(sender, standing, matter)
        delay = int(timelock.get_minimum_delay())
        transaction = sender.send(batch_call(timelock.address, abi, operation.schedule, [*operation.arguments, delay]))
        if transaction is None:
            return Progress("scheduled when the Safe has signed", None, None, sender.batch)
        return Progress("scheduled", int(timelock.get_timestamp(operation.identifier)), transaction)
    if not timelock.is_operation_ready(operation.identifier):
        return Progress("waiting for the delay", ready_at)
    return at_once(sender, batch_call(timelock.address, abi, operation.execute, operation.arguments))


def require_proposer(sender: Sender, standing: StandingVault, matter: str) -> None:
    """Refuse an account that the owner does not hear; a Safe finds out itself."""
    timelock = standing.timelock
    if sender.account is not None and not timelock.hasRole(timelock.PROPOSER_ROLE(), sender.account.address):
        raise ScriptError(f"{matter}, which only a proposer of the owner {standing.mandate.owner()} may schedule")


@dataclass(frozen=True, slots=True)
class Operation:
    """What the timelock schedules and executes, and the functions that do it."""

    identifier: bytes
    arguments: tuple[Any, ...]
    schedule: str
    execute: str


def free_operation(timelock: Any, actions: Sequence[BatchCall]) -> Operation:
    """Return the first operation of these calls that is not done: each can be done once, by its salt."""
    targets, payloads = [action.to for action in actions], [action.data for action in actions]
    for salt in range(2**16):
        once = (bytes(32), salt.to_bytes(32, "big"))
        if len(actions) == 1:
            arguments = (targets[0], 0, payloads[0], *once)
            operation = Operation(timelock.hash_operation(*arguments), arguments, "schedule", "execute")
        else:
            together = (targets, [0] * len(actions), payloads, *once)
            operation = Operation(timelock.hash_operation_batch(*together), together, "schedule_batch", "execute_batch")
        if not timelock.is_operation_done(operation.identifier):
            return operation
    raise ScriptError("this was done too often; schedule it with a salt of your own")


def moment(timestamp: int) -> str:
    """Unix seconds for a reader."""
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M:%S} UTC"
