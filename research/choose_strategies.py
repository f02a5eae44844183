# SPDX-License-Identifier: Apache-2.0
"""Choose each strategy's parameters on data to the end of 2020, and write the choice down.

    python -m research.choose_strategies PRICES.csv.gz GAS.csv.gz

The rule: of a strategy's candidates the one with the highest Sharpe ratio after every cost, August 2019 to December
2020. Every candidate counts as a trial when the test's ratios are deflated.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from offchain.backtest.performance import judge
from offchain.backtest.sweep import MarketSpec, sweep
from research.strategies import BASELINE, CANDIDATES, CHOICE, candidates, canonical_hash, digest, market

SINCE, UNTIL = "2019-08-01", "2021-01-01"
TEST: dict[str, Any] = {
    "from": "2021-01-01",
    "until": "2025-01-01",
    "deposit_usd": 1_000_000,
    "attacked": True,
    "base_fees": "daily average gas prices, known a day later",
    "pools": "modelled, default depth",
    "order": "Sharpe ratio of daily returns after every cost and the keeper's gas, no risk-free rate, 365 days a year",
    "interval": "95 %, stationary bootstrap, block length by Politis and White, 1,000 samples, seed 0",
    "deflated": "over all candidates of all strategies; variance of the nine strategies' ratios",
    "beats": f"95 % interval, days drawn in pairs, of the Sharpe ratio less that of {BASELINE} lies above 0",
}


def chosen(spec: MarketSpec, journal: Path) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Each strategy's choice, and every candidate with its figures."""
    choice, table = {}, []
    for strategy in CANDIDATES:
        settings, cells = zip(*candidates(strategy), strict=True)
        best = None
        for setting, result in zip(settings, sweep(cells, spec, journal=journal), strict=True):
            if result.run is None:
                raise SystemExit(f"{result.name}: {result.problem}")
            figures = judge(result.name, result.run)
            row = {
                "strategy": strategy,
                "set": setting,
                "sharpe": round(figures.sharpe.estimate, 4),
                "annual_return": round(figures.annual_return, 4),
                "max_drawdown": round(figures.max_drawdown, 4),
                "turnover": round(figures.turnover, 2),
                "cost_bps": round(figures.cost_bps, 1),
            }
            print(row, flush=True)
            table.append(row)
            if best is None or row["sharpe"] > best["sharpe"]:
                best = row
        assert best is not None
        choice[strategy] = best["set"]
    return choice, table


def main() -> None:
    """Run the choice and write it."""
    prices, gas = Path(sys.argv[1]), Path(sys.argv[2])
    choice, table = chosen(market(prices, gas, SINCE, UNTIL), Path("out/research/strategies.jsonl"))
    fixed = {"chosen": choice, "test": TEST, "trials": len(table)}
    document = {
        **fixed,
        "made_on": {"from": SINCE, "until": UNTIL},
        "candidates": table,
        "data_sha256": digest(prices, gas),
        "hash": canonical_hash(fixed),
    }
    CHOICE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(choice, document["hash"])


if __name__ == "__main__":
    main()
