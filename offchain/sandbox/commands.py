# SPDX-License-Identifier: Apache-2.0
"""`plimsoll sandbox`: mainnet in a box, in the background."""

from __future__ import annotations

from typing import Annotated, Any, Self

import typer

app = typer.Typer(
    help="Mainnet in a box: real protocols at their real addresses on a local node.",
    short_help="Mainnet in a box: real protocols on a local node.",
    epilog="Example: plimsoll sandbox up --port 8545",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
WhichPort = Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Which one, where several run.")]


@app.command(short_help="Start a sandbox in the background.", epilog="Example: plimsoll sandbox up --block-time 12")
def up(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 for a free one.")] = 8545,
    block_time: Annotated[
        float | None,
        typer.Option("--block-time", min=0.1, help="Seconds between blocks; without it, a block a transaction."),
    ] = None,
    hardfork: Annotated[
        str | None, typer.Option("--hardfork", help="Rules such as cancun; the newest without it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Start a sandbox in the background; the first time it is built, which takes half a minute."""
    from offchain.sandbox import background
    from offchain.sandbox.keys import PASSWORD, write_accounts

    known = [one for one in background.running() if one.port == port]
    if known:
        started = known[0]
    else:
        with _Progress(quiet=as_json) as progress:
            started = background.start(port, block_time=block_time, hardfork=hardfork, progress=progress)
    accounts = write_accounts()
    keys = accounts.parent / "keys"
    if as_json:
        _print_json(
            {
                "rpc_url": started.rpc_url,
                "port": started.port,
                "pid": started.pid,
                "already_running": bool(known),
                "accounts": str(accounts),
                "keys": str(keys),
                "password": PASSWORD,
                "log": started.log,
            }
        )
        return
    typer.echo(f"A sandbox {'already runs' if known else 'runs'} at {started.rpc_url} (pid {started.pid}).")
    typer.echo(f"Accounts: {accounts}")
    typer.echo(f"Key files: {keys}/ROLE.json, password {PASSWORD!r}")
    typer.echo("It answers chain id 1 and is not the real chain: sign there with these keys only.")
    typer.echo(f"Stop it with: plimsoll sandbox down --port {started.port}")


@app.command(epilog="Example: plimsoll sandbox down")
def down(port: WhichPort = None, as_json: Json = False) -> None:
    """Stop the sandbox; what happened on it is forgotten."""
    from offchain.sandbox import background

    found = background.find(port)
    found.stop()
    if as_json:
        _print_json({"stopped": found.rpc_url, "port": found.port, "pid": found.pid})
    else:
        typer.echo(f"Stopped the sandbox at {found.rpc_url}.")


@app.command(epilog="Example: plimsoll sandbox status --json")
def status(port: WhichPort = None, as_json: Json = False) -> None:
    """Show the head, the feeds and the pools of the sandbox."""
    from dataclasses import asdict

    from offchain.sandbox import background
    from offchain.sandbox.rpc import Rpc
    from offchain.sandbox.status import status as ask

    found = background.find(port)
    answer = ask(Rpc(found.rpc_url))
    if as_json:
        _print_json({"pid": found.pid, "log": found.log, **asdict(answer)})
        return

    from datetime import UTC, datetime

    from rich.console import Console
    from rich.table import Column, Table

    console = Console()
    when = f"{datetime.fromtimestamp(answer.timestamp, UTC):%Y-%m-%d %H:%M:%S} UTC by its own clock"
    console.print(f"{answer.rpc_url} (pid {found.pid}), deployments in {answer.deployments}.json")
    console.print(f"block {answer.block}, {when}, base fee {answer.base_fee / 1e9:.3f} gwei")
    feeds = Table("feed", "price", "age", Column("proxy", no_wrap=True), box=None)
    for feed in answer.feeds:
        feeds.add_row(feed.name, f"{feed.price:,.6g}", f"{answer.timestamp - feed.updated_at} s", feed.proxy)
    pools = Table(Column("pool", no_wrap=True), "price", Column("address", no_wrap=True), box=None)
    for pool in answer.pools:
        pools.add_row(pool.name, f"{pool.price:,.8g}", pool.address)
    console.print(feeds)
    console.print(pools)


@app.command(epilog="Example: plimsoll sandbox give alice 100 WETH")
def give(
    role: Annotated[str, typer.Argument(help="Whose account, such as alice.")],
    amount: Annotated[str, typer.Argument(help="Whole tokens, such as 100 or 0.5.")],
    symbol: Annotated[str, typer.Argument(help="Token, such as WETH.")],
    port: WhichPort = None,
    as_json: Json = False,
) -> None:
    """Give a development account tokens."""
    from offchain.sandbox import addresses, background
    from offchain.sandbox.chain import Chain
    from offchain.sandbox.rpc import Rpc
    from offchain.sandbox.tokens import gift
    from offchain.settle.development import development_address
    from offchain.settle.units import base_units

    receiver = development_address(role)
    if symbol not in addresses.TOKENS:
        raise typer.BadParameter(f"{symbol}: no token of the sandbox; they are {', '.join(addresses.TOKENS)}")
    units = base_units(amount, addresses.DECIMALS[symbol], "amount")
    chain = Chain(Rpc(background.find(port).rpc_url), development_address("market"))
    chain.impersonate(chain.sender)
    chain.send_all(gift(chain, symbol, receiver, units))
    if as_json:
        _print_json({"receiver": receiver, "token": addresses.TOKENS[symbol], "amount": str(units)})
    else:
        typer.echo(f"{role} ({receiver}) has {amount} {symbol} more.")


class _Progress:
    """One line of progress while the state is built; nothing when it only has to be loaded."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, stage: str, done: float) -> None:
        if self._quiet:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("sandbox", total=1.0)
        self._bar.update(self._task, description=f"sandbox: {stage}", completed=done)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _print_json(document: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(document, indent=2))
