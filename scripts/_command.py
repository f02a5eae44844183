# SPDX-License-Identifier: Apache-2.0
"""What every ape script shares: connecting, and failing in one line."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
from ape.cli import ConnectedProviderCommand
from ape.exceptions import ApeException, ContractLogicError, ProviderNotConnectedError
from ape.logging import logger

from offchain.errors import PlimsollError

MAINNET_VARIABLE = "PLIMSOLL_MAINNET_RPC"
HOST_VARIABLE = "APE_FOUNDRY_HOST"
USER_ERROR = 2

NETWORKS = f"""\b
Networks:
  ethereum:local:foundry         the sandbox that `plimsoll sandbox up` started, or the anvil
                                 at {HOST_VARIABLE}; without either a sandbox for as long as
                                 the command runs
  ethereum:mainnet-fork:foundry  a fork of the node at {MAINNET_VARIABLE}, for as long as the
                                 command runs; or the fork at {HOST_VARIABLE}
  ethereum:mainnet:node          the node at {MAINNET_VARIABLE}
"""


# What the libraries of ape say about one another helps nobody here.
warnings.filterwarnings("ignore", module="pydantic_settings.*")


class ScriptError(PlimsollError):
    """Something that was asked of a script and cannot be done."""


class Refusal(click.ClickException):
    """Ends a script with one line and exit code 2."""

    exit_code = USER_ERROR

    def show(self, file: Any = None) -> None:
        """Print the line."""
        click.echo(f"error: {self.format_message()}", err=True)


class VaultCommand(ConnectedProviderCommand):
    """A command on a connected chain; it fails with one line that says what to do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, epilog=NETWORKS, **kwargs)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            raise Refusal(f"{error.format_message().rstrip('.')} (see `ape run {self.name} --help`)") from error
        except ApeException as error:
            raise Refusal(_one_line(error)) from error

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.params.get("as_json"):
            # Ape's notes go to stdout.
            logger.set_level("ERROR")
        try:
            _aim(ctx.params.get("network"))
            return super().invoke(ctx)
        except ContractLogicError as error:
            raise Refusal(f"the chain refuses: {_one_line(error.revert_message)}") from error
        except (PlimsollError, ApeException, ProviderNotConnectedError) as error:
            raise Refusal(_one_line(error)) from error


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")(command)


def answer(document: Mapping[str, Any], lines: Iterable[str], *, as_json: bool) -> None:
    """Print a result for a program or for a person."""
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        for line in lines:
            click.echo(line)


def _aim(provider: Any) -> None:
    """Say where ape-foundry shall connect, before it does."""
    network = "local" if provider is None else provider.network.name
    if network.startswith("mainnet") and not os.environ.get(MAINNET_VARIABLE):
        raise ScriptError(f"--network: {network} needs a node; set {MAINNET_VARIABLE} to its URL")
    if network != "local" or HOST_VARIABLE in os.environ:
        return
    from offchain.sandbox import background

    found = list(background.running())
    if len(found) > 1:
        urls = ", ".join(one.rpc_url for one in found)
        raise ScriptError(f"--network: several sandboxes run; set {HOST_VARIABLE} to one of {urls}")
    if found:
        os.environ[HOST_VARIABLE] = found[0].rpc_url


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
