# SPDX-License-Identifier: Apache-2.0
"""Run the committed choice of every strategy once on what came after it: 2021 to 2024, every cost in.

    python -m research.strategy_table PRICES.csv.gz GAS.csv.gz  # writes docs/research/strategies.json

Refuses to run unless the choice is committed as it stands. When there are results already, it only checks that it
finds the same ones again.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from offchain.backtest.performance import LEVEL, SAMPLES, Performance, sharpe_of
from offchain.backtest.records import BacktestRun, FloatArray
from offchain.backtest.results import Result
from offchain.backtest.sweep import MarketSpec, sweep
from offchain.backtest.tear_sheet import by_sharpe, performances
from offchain.risk.measures import bootstrap
from research.strategies import BASELINE, CHOICE, canonical_hash, chosen_cell, digest, market

RESULTS = CHOICE.with_name("strategies.json")


def committed_choice() -> tuple[dict[str, Any], str]:
    """Return the choice and the commit that made it; stop unless the file is as committed and its hash is right."""
    choice: dict[str, Any] = json.loads(CHOICE.read_text(encoding="utf-8"))
    if choice["hash"] != canonical_hash({key: choice[key] for key in ("chosen", "test", "trials")}):
        raise SystemExit(f"{CHOICE}: its hash does not fit; the choice was edited")
    git = ["git", "-C", str(CHOICE.parent)]
    log = subprocess.run(
        [*git, "log", "-1", "--format=%H", "--", CHOICE.name], capture_output=True, text=True, check=False
    )
    clean = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", CHOICE.name], check=False).returncode == 0
    if not log.stdout.strip() or not clean:
        raise SystemExit(f"{CHOICE}: commit it before the test")
    return choice, log.stdout.strip()


def run_all(choice: dict[str, Any], spec: MarketSpec, journal: Path) -> list[Result]:
    """Every strategy over the test's years."""
    cells = [chosen_cell(strategy, values) for strategy, values in choice["chosen"].items()]
    results = sweep(cells, spec, journal=journal)
    for result in results:
        if result.run is None:
            raise SystemExit(f"{result.name}: {result.problem}")
    return results


def rows_of(results: Sequence[Result], trials: int) -> list[dict[str, Any]]:
    """The table, best first; `trials` are all candidates that were ever tried."""
    runs: dict[str, BacktestRun] = {one.name: one.run for one in results if one.run is not None}
    figures = performances(results, trials - len(results))
    base = runs[BASELINE].track
    return [_row(one, runs[one.name], base.net_returns, base.steps_per_year) for one in sorted(figures, key=by_sharpe)]


def _row(one: Performance, run: BacktestRun, base: FloatArray, per_year: float) -> dict[str, Any]:
    pair = np.column_stack([run.track.net_returns, base])
    ahead = bootstrap(
        lambda rows: sharpe_of(rows[:, 0], per_year) - sharpe_of(rows[:, 1], per_year),
        pair, level=LEVEL, samples=SAMPLES, seed=0,
    )  # fmt: skip
    same = one.name == BASELINE
    return {
        "strategy": one.name,
        "sharpe": round(one.sharpe.estimate, 3),
        "low": round(one.sharpe.low, 3),
        "high": round(one.sharpe.high, 3),
        "deflated": round(one.deflated, 4),
        "annual_return": round(one.annual_return, 4),
        "annual_volatility": round(one.annual_volatility, 4),
        "max_drawdown": round(one.max_drawdown, 4),
        "turnover": round(one.turnover, 2),
        "cost_bps": round(one.cost_bps, 1),
        "gross_sharpe": round(one.gross_sharpe, 3),
        "settlements": one.settlements,
        "refused_days": sum(count for said, count in run.decisions.items() if "refused" in said),
        "ahead": None if same else round(ahead.estimate, 3),
        "ahead_low": None if same else round(ahead.low, 3),
        "ahead_high": None if same else round(ahead.high, 3),
        "beats": None if same else bool(math.isfinite(ahead.low) and ahead.low > 0.0),
    }


def table_of(rows: Sequence[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    head = (
        "strategy", "Sharpe", "95 % interval", "deflated", "return", "volatility", "drawdown", "turnover a year",
        "cost, bps a year", "ahead of 1/N", "beats 1/N",
    )  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    for row in rows:
        same = row["ahead"] is None
        cells = (
            row["strategy"], f"{row['sharpe']:.2f}", f"{row['low']:.2f} to {row['high']:.2f}", f"{row['deflated']:.0%}",
            f"{row['annual_return']:.1%}", f"{row['annual_volatility']:.1%}", f"{row['max_drawdown']:.1%}",
            f"{row['turnover']:.2f}", f"{row['cost_bps']:.0f}",
            "" if same else f"{row['ahead']:+.2f} ({row['ahead_low']:+.2f} to {row['ahead_high']:+.2f})",
            "" if same else ("yes" if row["beats"] else "not shown"),
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run the test once, or check that it gives the same again."""
    prices, gas = Path(sys.argv[1]), Path(sys.argv[2])
    choice, commit = committed_choice()
    if digest(prices, gas) != choice["data_sha256"]:
        raise SystemExit(f"{prices}, {gas}: not the files that the choice was made on")
    spec = market(prices, gas, choice["test"]["from"], choice["test"]["until"])
    rows = rows_of(run_all(choice, spec, Path("out/research/strategies.jsonl")), choice["trials"])
    results = {"choice": choice["hash"], "choice_commit": commit, "trials": choice["trials"], "rows": rows}
    if RESULTS.exists():
        same = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] == json.loads(json.dumps(rows))
        print("the same results again" if same else "DIFFERENT results; those written stay")
        raise SystemExit(0 if same else 1)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table_of(rows))


if __name__ == "__main__":
    main()
