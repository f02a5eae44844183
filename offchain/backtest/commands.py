# SPDX-License-Identifier: Apache-2.0
"""`plimsoll backtest` and `replay`: only typer and the standard library at the top, see `offchain.cli`."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from offchain.backtest.replay import ReplayedTick
    from offchain.backtest.sweep import Cell, MarketSpec

EPILOG = (
    "Example: plimsoll backtest --mandate mandates/blue-chip.yaml --prices prices.csv --start 2021-01-01 "
    "--vary objective.risk_aversion=3,6,12 --workers 2 --out out/backtest"
)


def backtest(
    mandate: Annotated[list[Path], typer.Option("--mandate", help="A mandate; give several to compare them.")],
    prices: Annotated[list[Path], typer.Option("--prices", help="Price file: long, wide or one asset.")],
    start: Annotated[str | None, typer.Option("--start", help="Date or time of the first deposit, UTC.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="Date or time of the last step, UTC.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the tear sheet, the JSON and the journal.")] = Path(
        "out/backtest"
    ),
    vary: Annotated[
        list[str] | None, typer.Option("--vary", help="field=value,value,...: every combination becomes a run.")
    ] = None,
    deposit: Annotated[float, typer.Option("--deposit", min=1.0, help="First deposit, USD.")] = 1_000_000.0,
    gas: Annotated[str, typer.Option("--gas", help="Base fee in gwei, or a CSV of base fees.")] = "20",
    depth: Annotated[float, typer.Option("--depth", min=1e-6, help="Multiplies the modelled pools' depth.")] = 1.0,
    attacked: Annotated[bool, typer.Option("--attacked", help="Every settlement meets a sandwich bot.")] = False,
    lag: Annotated[int, typer.Option("--lag", min=0, help="Steps that the forecast's data are behind.")] = 0,
    borrow_rate: Annotated[
        float | None, typer.Option("--borrow-rate", help="Of a loan, a year (0.02 is 2 %); else the lending market's.")
    ] = None,
    supply_rate: Annotated[
        float | None, typer.Option("--supply-rate", help="Of collateral, a year; else the lending market's.")
    ] = None,
    staking_yield: Annotated[
        float, typer.Option("--staking-yield", help="Of staking tokens without a series of their own, a year.")
    ] = 0.03,
    keeper_stops: Annotated[
        str | None, typer.Option("--keeper-stops", help="Date or time from which no keeper is there, UTC.")
    ] = None,
    trials: Annotated[
        int, typer.Option("--trials", min=0, help="Attempts made elsewhere, for the deflated Sharpe ratio.")
    ] = 0,
    workers: Annotated[str, typer.Option("--workers", help="Number of processes, or ray.")] = "1",
    fresh: Annotated[bool, typer.Option("--fresh", help="Run again what the journal already holds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON on stdout, and nothing else.")] = False,
) -> None:
    """Run mandates over recorded prices: the keeper's own decisions, the vault's own limits, every cost."""
    from offchain.backtest.errors import BacktestError
    from offchain.backtest.lending import LendingRates
    from offchain.backtest.settings import BacktestSettings
    from offchain.backtest.sweep import sweep
    from offchain.backtest.tear_sheet import document, performances, tear_sheet

    settings = BacktestSettings(
        deposit_usd=deposit,
        attacked=attacked,
        lag_rows=lag,
        rates=LendingRates(borrow_rate, supply_rate),
        keeper_stops=_time(keeper_stops, "--keeper-stops"),
    )
    market, notes = _market(prices, start, end, gas, depth, staking_yield)
    cells = _cells(mandate, vary or [], settings)
    out.mkdir(parents=True, exist_ok=True)
    journal = out / "cells.jsonl"
    if fresh:
        journal.unlink(missing_ok=True)
    number: int | str = int(workers) if workers.isdigit() else workers
    results = _with_progress(
        cells,
        as_json,
        lambda done, progress: sweep(cells, market, journal=journal, workers=number, done=done, progress=progress),
    )
    if all(result.run is None for result in results):
        raise BacktestError("; ".join(dict.fromkeys(f"{one.name}: {one.problem}" for one in results)))
    figures = performances(results, trials)
    title = "Backtest: " + ", ".join(path.stem for path in mandate)
    told = document(results, figures, title) | {"price_problems": notes}
    (out / "backtest.json").write_text(json.dumps(told) + "\n", encoding="utf-8")
    (out / "backtest.html").write_text(tear_sheet(results, figures, title, **_context(market)), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(told))
        return
    for note in notes[:5]:
        typer.echo(f"note: {note}")
    if len(notes) > 5:
        typer.echo(f"note: and {len(notes) - 5} more, see the JSON")
    for note in dict.fromkeys(note for one in results if one.run is not None for note in one.run.notes):
        typer.echo(f"note: {note}")
    _print_table(results, figures)
    typer.echo(f"Tear sheet: {out / 'backtest.html'}  JSON: {out / 'backtest.json'}")


def replay(
    journal: Annotated[str, typer.Argument(help="A keeper's journal.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else.")] = False,
) -> None:
    """Run every recorded snapshot through the backtest: the plans must be the keeper's, to the bit."""
    from rich.console import Console
    from rich.progress import track

    from offchain.backtest.replay import replay as replay_journal
    from offchain.keeper.journal import Journal
    from offchain.keeper.logs import configure_logs

    configure_logs()
    console = Console(stderr=True)
    hidden = as_json or not console.is_terminal
    with Journal.read(journal) as opened:
        total = sum(opened.tick_counts().values())
        ticks = track(replay_journal(opened), "ticks", total=total, console=console, transient=True, disable=hidden)
        results = list(ticks)
    told = _replayed(results, total)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    else:
        for one in told["different"]:
            typer.echo(f"Tick {one['tick']} (block {one['block']}) differs: {', '.join(one['differences'])}")
        for one in told["solvers"]:
            typer.echo(f"{one['ticks']} plans were solved by {one['then']}, now by {one['now']}")
        settled = told["settlements"]
        typer.echo(f"{told['ticks']} ticks replayed, {told['identical']} plans identical")
        if told["without_snapshot"]:
            typer.echo(
                f"{told['without_snapshot']} ticks were rebuilt from the chain, which keeps no plans: not replayed"
            )
        typer.echo(
            f"{settled['replayed']} settlements simulated, {settled['refused']} refused by the simulated vault; a "
            f"leg's rate on the chain differs by {settled['largest_difference_bps']:.3g} bps at most"
        )
    if told["different"]:
        raise typer.Exit(1)


def _replayed(results: list[ReplayedTick], total: int) -> dict[str, Any]:
    """What a replay found, JSON-ready."""
    different = [one for one in results if not one.identical]
    gaps = [abs(one.settlement_bps) for one in results if one.settlement_bps is not None]
    refused = sum(bool(one.simulated_refusal) for one in results)
    return {
        "ticks": len(results),
        "without_snapshot": total - len(results),
        "identical": len(results) - len(different),
        "different": [
            {"tick": one.tick, "block": one.block_number, "differences": one.differences} for one in different
        ],
        "solvers": [
            {"then": then, "now": now, "ticks": ticks}
            for (then, now), ticks in Counter(one.solvers for one in results if one.solvers is not None).items()
        ],
        "settlements": {
            "replayed": len(gaps) + refused,
            "refused": refused,
            "largest_difference_bps": max(gaps, default=0.0),
        },
    }


def _market(
    prices: list[Path], start: str | None, end: str | None, gas: str, depth: float, staking_yield: float
) -> tuple[MarketSpec, list[str]]:
    from offchain.backtest.gas import load_base_fees
    from offchain.backtest.sweep import MarketSpec
    from offchain.risk.prices import load_prices

    table = load_prices(prices)
    shift = table.step_seconds if table.bars is not None else 0
    fees = _number(gas)
    base_fees = load_base_fees(gas, table.timestamps + shift) if fees is None else fees
    times = _time(start, "--start"), _time(end, "--end")
    market = MarketSpec(table, base_fees, *times, depth, staking_yield=staking_yield)
    return market, [str(problem) for problem in table.problems]


def _cells(files: list[Path], vary: list[str], settings: Any) -> list[Cell]:
    from offchain.backtest.sweep import Cell
    from offchain.backtest.variation import Variation
    from offchain.backtest.variation import vary as combinations
    from offchain.mandate import load_mandate

    variations = [Variation.parse(text) for text in vary]
    cells = []
    for file in files:
        for said, varied in combinations(load_mandate(file), variations):
            cells.append(Cell(f"{file.stem} ({said})" if said else file.stem, varied, settings))
    return cells


def _context(market: MarketSpec) -> dict[str, Any]:
    """The benchmark's equity and the market's regimes, where the prices have bitcoin."""
    from offchain.backtest.regime_bands import market_context

    return market_context(market)


def _with_progress(cells: list[Cell], quiet: bool, run: Any) -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, quiet=quiet)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("backtests", total=len(cells))

        steps = progress.add_task("steps", total=None, visible=False)

        def done(result: Any, resumed: bool) -> None:
            progress.update(task, advance=1, description=result.name[:40])

        def stepped(name: str, done: int, total: int) -> None:
            progress.update(steps, completed=done, total=total, description=f"steps of {name[:31]}", visible=True)

        return run(done, stepped)


def _print_table(results: Any, figures: Any) -> None:
    from offchain.backtest.tear_sheet import by_sharpe

    width = max([len(one.name) for one in figures] + [8])
    typer.echo(
        f"{'run':<{width}} {'Sharpe':>7} {'interval':>15} {'deflated':>9} {'return':>8} {'vol':>7} {'drawdown':>9} "
        f"{'turnover':>9} {'cost bps':>9} {'settled':>8} {'trips':>6}"
    )
    for one in sorted(figures, key=by_sharpe):
        interval = f"{one.sharpe.low:.2f}..{one.sharpe.high:.2f}"
        typer.echo(
            f"{one.name:<{width}} {one.sharpe.estimate:>7.2f} {interval:>15} {one.deflated:>9.1%} "
            f"{one.annual_return:>8.1%} {one.annual_volatility:>7.1%} {one.max_drawdown:>9.1%} {one.turnover:>9.2f} "
            f"{one.cost_bps:>9.1f} {one.settlements:>8} {one.trips:>6}"
        )
    for one in figures:
        if one.max_leverage > 1.0:
            typer.echo(f"{one.name}: {one.loan_in_words}")
    for result in results:
        if result.run is None:
            typer.echo(f"{result.name}: not run: {result.problem}")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _time(text: str | None, option: str) -> int | None:
    from offchain.backtest.errors import BacktestError

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BacktestError(f"{option} {text}: not a date; write it as 2021-01-01 or 2021-01-01T12:00") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
