# SPDX-License-Identifier: Apache-2.0
"""`plimsoll demo`: only typer and the standard library at the top, see `offchain.cli`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from offchain.web.record import RunRecord

SEED = 43


def demo(
    days: Annotated[float, typer.Option("--days", help="Simulated days; fewer than 60 show less and check less.")] = 60,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of prices, flow and base fee; the run repeats.")] = SEED,
    prices: Annotated[
        Path | None, typer.Option("--prices", help="CSV of recorded prices in the long format instead of simulated.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the report, the summary and the journal.")] = Path(
        "out/demo"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else.")] = False,
) -> None:
    """Deploy a vault on mainnet in a box and keep it through sixty days with a crash, until everybody has left.

    Then stake on credit through a crash of stETH: with the keeper, without it, and at fixed leverage. Writes
    report.html and summary.json.
    """
    import json
    import time

    import structlog
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from offchain.demo.scenario import Scenario, play
    from offchain.keeper.logs import configure_logs
    from offchain.web.report import write_report
    from offchain.web.summary import summary as summary_of
    from offchain.web.summary import write_summary

    started = time.monotonic()
    scenario = Scenario(days, seed, prices, out)
    scenario.path()  # what cannot be played is refused before an earlier report is removed
    prepare(out)
    columns = (
        SpinnerColumn(),
        TextColumn("day {task.completed:4.1f} of {task.total:g}"),
        BarColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with (out / "keeper.log").open("w") as log, bar:
        configure_logs(log)
        task = bar.add_task("days", total=days)
        try:
            record = play(scenario, bar.console.print, lambda day: bar.update(task, completed=day))
        finally:
            structlog.reset_defaults()
    report, summary = out / "report.html", out / "summary.json"
    write_report(record, report)
    write_summary(record, summary)
    seconds = time.monotonic() - started
    if as_json:
        paths = {"report": str(report), "summary": str(summary), "journal": str(scenario.journal)}
        typer.echo(
            json.dumps({"totals": summary_of(record)["totals"], "seconds": round(seconds, 1), **paths}, indent=2)
        )
        return
    for line in closing_words(record):
        typer.echo(line)
    typer.echo(f"Report   {report}")
    typer.echo(f"Summary  {summary}")
    typer.echo(f"Journal  {scenario.journal} (plimsoll replay checks that its plans can be repeated)")
    typer.echo(f"Took {seconds:.0f} s.")


def prepare(out: Path) -> None:
    """Make the folder and remove what an earlier run left: a journal belongs to one chain."""
    import shutil

    out.mkdir(parents=True, exist_ok=True)
    for name in ("journal.sqlite", "report.html", "summary.json"):
        for path in out.glob(f"{name}*"):
            path.unlink()
    shutil.rmtree(out / "deployments", ignore_errors=True)


def closing_words(record: RunRecord) -> list[str]:
    """What happened, in a few lines."""
    from textwrap import fill

    from offchain.web.record import WAD, totals
    from offchain.web.report import loan_paragraph

    sums = totals(record)
    trips = [f"{one.state.name} for {one.reason}" for one in record.breaker_events]
    return [
        f"{sums.settlements} settlements, {sums.over_two_venues} over several pools, "
        f"{sums.outside_and_not_closer} outside the mandate and no closer to it",
        f"Execution cost ${sums.realised_cost_usd:,.0f} on ${sums.traded_usd:,.0f} traded "
        f"(planned ${sums.planned_cost_usd:,.0f}), gas ${sums.gas_cost_usd:,.0f}; "
        f"sandwiched {sums.sandwiched} times for ${sums.attacker_profit_usd:,.0f}",
        f"Worst drawdown {sums.worst_drawdown_bps / 100:.1f} %, breaker: {', then '.join(trips) or 'never tripped'}",
        f"Deposited ${sums.deposited_usd:,.0f}, paid out ${sums.redeemed_usd:,.0f}, "
        f"left in the vault ${record.final_value / WAD:.6f}",
        *([fill(loan_paragraph(record.loan), 120)] if record.loan is not None else []),
    ]
