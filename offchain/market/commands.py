# SPDX-License-Identifier: Apache-2.0
"""`plimsoll data`: only typer and the standard library at the top, see `offchain.cli`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Fetch history into a local store: bars from exchanges, feed rounds and pool events from a node.",
    short_help="Fetch history into a local store.",
    epilog="Example: plimsoll data pull --exchange kraken --symbol BTC/USD --since 2024-01-01 --store history",
    no_args_is_help=True,
)

StoreOption = Annotated[Path, typer.Option("--store", help="Folder of the store.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else.")]


def _day(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date; write 2024-01-31") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


@app.command(
    short_help="Fetch bars from an exchange's public endpoints.",
    epilog="Example: plimsoll data pull --exchange kraken --symbol BTC/USD --symbol ETH/USD --since 2024-01-01",
)
def pull(
    symbol: Annotated[list[str], typer.Option("--symbol", help="Market, such as BTC/USDT; repeatable.")],
    since: Annotated[str, typer.Option("--since", help="First day, such as 2020-01-01 (UTC).")],
    exchange: Annotated[str, typer.Option("--exchange", help="As ccxt calls it.")] = "binance",
    interval: Annotated[str, typer.Option("--interval", help="Of the bars: 1d, 1h, ...")] = "1d",
    until: Annotated[str | None, typer.Option("--until", help="Day after the last; default now.")] = None,
    store: StoreOption = Path("history"),
    as_json: JsonOption = False,
) -> None:
    """Fetch closed bars from an exchange's public endpoints; a second pull goes on where the first stopped."""
    from offchain.market.pull import open_exchange, pull_bars
    from offchain.market.store import Store

    first, end = _day(since), _day(until) if until else None
    source = open_exchange(exchange)
    with Store(store) as opened:
        pulled = {one: pull_bars(source, opened, one, interval, first, end) for one in symbol}
    if as_json:
        found = {name: {"added": one.added, "first": one.first} for name, one in pulled.items()}
        told = {"exchange": exchange, "interval": interval, "symbols": found, "store": str(store)}
        typer.echo(json.dumps(told, indent=2))
        return
    for name, one in pulled.items():
        start = "" if one.first is None else f", the first of {datetime.fromtimestamp(one.first, UTC):%Y-%m-%d %H:%M}"
        typer.echo(f"{exchange} {name} {interval}: {one.added} new bars in {store}{start}")


@app.command(
    short_help="Fetch feed rounds and pool events from a node.",
    epilog="Example: plimsoll data sync --rpc http://127.0.0.1:8545 --mandate mandates/blue-chip.yaml --days 30",
)
def sync(
    rpc: Annotated[str, typer.Option("--rpc", envvar="PLIMSOLL_RPC", help="URL of a node that keeps logs.")],
    mandate: Annotated[Path, typer.Option("--mandate", help="Whose feeds and pools.")],
    store: StoreOption = Path("history"),
    days: Annotated[float, typer.Option("--days", min=0.01, help="How far back an empty store begins.")] = 30.0,
    from_block: Annotated[
        int | None, typer.Option("--from-block", min=0, help="Where events begin in an empty store.")
    ] = None,
    confirmations: Annotated[int, typer.Option("--confirmations", min=0, help="Newest blocks left out.")] = 12,
    as_json: JsonOption = False,
) -> None:
    """Fetch feed rounds and pool events from a node; a second sync goes on where the first stopped."""
    from offchain.mandate import load_mandate
    from offchain.market.rpc import NodeClient
    from offchain.market.store import Store
    from offchain.market.sync import sync as sync_store

    rules = load_mandate(mandate)
    with NodeClient(rpc) as client, Store(store) as opened:
        done = sync_store(
            client,
            rules,
            opened,
            days=days,
            first_block=from_block,
            confirmations=confirmations,
            report=lambda said: typer.echo(said, err=True),
        )
    if as_json:
        found = {"block": done.block, "rounds": done.rounds, "events": done.events, "first_block": done.first_block}
        typer.echo(json.dumps(found | {"store": str(store)}, indent=2))
        return
    typer.echo(f"{done.rounds} new rounds and {done.events} new pool events to block {done.block} in {store}")


@app.command(epilog="Example: plimsoll data status --store history --json")
def status(store: StoreOption = Path("history"), as_json: JsonOption = False) -> None:
    """Say what a store holds."""
    from offchain.market.store import Store

    with Store(store, read_only=True) as opened:
        found = opened.holdings()
    if as_json:
        rows = [
            {"table": one.table, "series": one.series, "rows": one.rows, "first": one.first, "last": one.last}
            for one in found
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    for one in found:
        span = " to ".join(datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in (one.first, one.last))
        typer.echo(f"{one.table:<12} {one.series:<46} {one.rows:>8} rows, {span}")
    if not found:
        typer.echo(f"{store} is empty")


@app.command(
    short_help="Write a table as Parquet or CSV.",
    epilog="Example: plimsoll data export --table bars --out prices.parquet",
)
def export(
    out: Annotated[Path, typer.Option("--out", help="File ending in .parquet or .csv.")],
    table: Annotated[str, typer.Option("--table", help="bars, rounds or pool_events.")] = "bars",
    store: StoreOption = Path("history"),
    as_json: JsonOption = False,
) -> None:
    """Write a table as Parquet or CSV; bars come in the layout that the other commands read."""
    from offchain.market.store import Store

    with Store(store, read_only=True) as opened:
        rows = opened.export(table, out)
    typer.echo(json.dumps({"file": str(out), "rows": rows}) if as_json else f"{rows} rows in {out}")
