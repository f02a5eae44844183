# SPDX-License-Identifier: Apache-2.0
"""`plimsoll keeper ...`: only typer and the standard library at the top, see `offchain.cli`."""

from __future__ import annotations

import typer

app = typer.Typer(
    help="Run and watch the keeper, which plans, signs and settles.",
    epilog="Example: plimsoll keeper status --journal .plimsoll/journal.sqlite --json",
    no_args_is_help=True,
)


@app.callback()
def root() -> None:
    """Run and watch the keeper, which plans, signs and settles."""
