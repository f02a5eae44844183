# SPDX-License-Identifier: Apache-2.0
"""The `plimsoll` command.

Only typer and the standard library are imported at the top here and in every
``commands`` module, so that help answers at once; a command imports the rooms
it needs when it runs.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from offchain.errors import PlimsollError
from offchain.keeper import commands as keeper_commands

USER_ERROR = 2
BUG = 1

app = typer.Typer(
    name="plimsoll",
    help="A crypto portfolio vault with a load line: optimised off-chain, refused on-chain when it breaks its mandate.",
    epilog="Example: plimsoll mandate check mandates/blue-chip.yaml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
mandate_app = typer.Typer(
    help="Read and check mandates.",
    epilog="Example: plimsoll mandate check mandates/blue-chip.yaml",
    no_args_is_help=True,
)
app.add_typer(mandate_app, name="mandate")
app.add_typer(keeper_commands.app, name="keeper")

_options = {"debug": False}


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(f"plimsoll {metadata.version('plimsoll')}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options that come before the command."""
    _options["debug"] = debug


def main() -> None:
    """Run the command line; a failure is one line on stderr.

    Exit codes: 0 done, 2 bad input or a refusal (the line names the culprit),
    1 an unexpected error (``--debug`` shows where).
    """
    try:
        app()
    except PlimsollError as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(BUG)
    except Exception as error:
        if _options["debug"]:
            raise
        print(
            f"error: unexpected {type(error).__name__}: {_one_line(error)} (run again with `plimsoll --debug ...`"
            " to see where, and please report it)",
            file=sys.stderr,
        )
        sys.exit(BUG)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    main()
