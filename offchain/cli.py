# SPDX-License-Identifier: Apache-2.0
"""The `plimsoll` command.

Only typer and the standard library are imported at the top here and in every
``commands`` module, so that help answers at once; a command imports the rooms
it needs when it runs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from offchain.backtest import commands as backtest_commands
from offchain.demo import commands as demo_commands
from offchain.errors import PlimsollError
from offchain.forecast import commands as forecast_commands
from offchain.keeper import commands as keeper_commands
from offchain.keeper import journal_commands
from offchain.market import commands as market_commands
from offchain.risk import commands as risk_commands
from offchain.route import commands as route_commands
from offchain.sandbox import commands as sandbox_commands
from offchain.settle import commands as settle_commands

USER_ERROR = 2
BUG = 1
INTERRUPTED = 130
USAGE_ERROR: Any = typer.BadParameter.__base__
"""Base of what typer refuses in a command line; it has no other public name."""

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
app.add_typer(journal_commands.app, name="journal")
app.command(
    short_help="Show what the keeper would do now; sends nothing.",
    epilog="Example: plimsoll plan --rpc http://127.0.0.1:8545 --vault 0x... --mandate mandates/blue-chip.yaml",
)(keeper_commands.plan)
app.command(
    short_help="Make a journal's plans again and compare them.", epilog="Example: plimsoll replay journal.sqlite --json"
)(backtest_commands.replay)
app.command(short_help="Run mandates over recorded prices, with every cost.", epilog=backtest_commands.EPILOG)(
    backtest_commands.backtest
)
app.command(short_help="Sell a basket of tokens for one through many pools.", epilog=route_commands.EPILOG)(
    route_commands.route
)
app.command(
    short_help="Examine what a keeper needs, and say what to do.",
    epilog="Example: plimsoll doctor --rpc http://127.0.0.1:8545 --vault 0x... --mandate mandates/blue-chip.yaml "
    "--account keeper.json --signer optimizer.json",
)(keeper_commands.doctor)
app.add_typer(sandbox_commands.app, name="sandbox")
app.command(epilog=settle_commands.EPILOG)(settle_commands.safe)
app.add_typer(forecast_commands.app, name="forecast")
app.add_typer(market_commands.app, name="data")
app.command(
    short_help="Measure a portfolio: ratios, drawdowns, tails, stress.",
    epilog="Example: plimsoll risk --prices prices.csv --weights weights.csv",
)(risk_commands.risk)
app.add_typer(risk_commands.options_app, name="options")
app.command(
    short_help="Sixty days of a vault with a crash, in a sandbox.", epilog="Example: plimsoll demo --out out/demo"
)(demo_commands.demo)

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
    from offchain.market.url_secrets import refuse_shown_secrets

    refuse_shown_secrets(sys.argv)
    _options["debug"] = debug


@mandate_app.command(
    short_help="Check a mandate and show its rules.",
    epilog="Example: plimsoll mandate check mandates/blue-chip.yaml --json",
)
def check(
    file: Annotated[Path, typer.Argument(help="The mandate.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the mandate as JSON.")] = False,
) -> None:
    """Check a mandate and show its bounds; the first mistake is named in one line."""
    from offchain.mandate import load_mandate
    from offchain.mandate.summary import summary_lines

    mandate = load_mandate(file)
    if as_json:
        typer.echo(mandate.model_dump_json(indent=2))
        return
    for line in summary_lines(mandate):
        typer.echo(line)


def main() -> None:
    """Run the command line; a failure is one line on stderr.

    Exit codes: 0 done, 1 an unexpected error (``--debug`` shows where) or what a command says of itself, 2 bad
    input or a refusal (the line names the culprit), 130 interrupted.
    """
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except USAGE_ERROR as error:
        _refuse_usage(error)
    except typer.Abort:
        sys.exit(INTERRUPTED)
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


def _refuse_usage(error: Any) -> NoReturn:
    message = error.format_message()
    if "\n" in message:
        error.show()  # the help of a group that was called without a command
    else:
        hint = "" if error.ctx is None else f" (see `{error.ctx.command_path} --help`)"
        print(f"error: {message.rstrip('.')}{hint}", file=sys.stderr)
    sys.exit(USER_ERROR)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    main()
