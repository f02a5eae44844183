# SPDX-License-Identifier: Apache-2.0
"""Choose the models on data to the end of 2020, and write the choice down before anything later is looked at.

    python -m research.choose PRICES.csv.gz

The rule. Volatility: of the mixtures and single models, that whose worse Diebold-Mariano statistic of the two against
GARCH(1,1) and EWMA is best over July 2019 to December 2020, by quasi-likelihood with squared returns, cross-sectional
mean a day: that is what the test will ask. Tail: the least mean pinball loss at 95 and 99 %, relative to normal
surprises, over the same rows for every window, among those whose coverage at least as many assets accept as any other.
The training period was looked at before the rule was settled, which is what it is for; later data was not.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from offchain.forecast.evaluation import diebold_mariano
from offchain.risk.arrays import FloatArray
from offchain.risk.tails.coverage import coverage, exceedances
from offchain.risk.tails.models import FilteredTail, tail_model
from offchain.risk.tails.walk_forward import walk_forward
from research.forecasts import EVERY, FIRST, daily_loss, measured_of, mixed, returns_of, single_forecasts
from research.panel import Panel, load_panel

UNTIL = "2020-12-31"
VALIDATION = "2019-07-01"
CHOICE = Path(__file__).parents[1] / "docs" / "research" / "choice.json"

SINGLES = ("ewma", "garch", "garch-t", "garch-skewt", "gjr", "gjr-t", "egarch-t", "har")
MIXTURES = (
    ("har", "garch"),
    ("har", "garch-t"),
    ("har", "gjr-t"),
    ("har", "garch", "ewma"),
    ("har", "garch", "gjr-t"),
    ("har", "garch", "gjr-t", "ewma"),
)
TAILS = ("historical", "student", "pareto")
WINDOWS = (100, 175, 250)
LEVELS = (0.95, 0.99)
REFIT = 5
"""Rows between two fits of a tail."""
LEAST_ROWS = 250
"""Rows with a forecast that an asset needs beyond the longest window for its coverage to count."""


def pinball(returns: FloatArray, value_at_risk: FloatArray, level: float) -> float:
    """Mean loss of a quantile forecast (Koenker and Bassett, 1978)."""
    away = returns + value_at_risk
    return float(np.mean(away * ((1.0 - level) - (away < 0.0))))


def volatility_table(panel: Panel, forecasts: dict[str, FloatArray]) -> list[dict[str, Any]]:
    """Mean losses of each model, and its tests against GARCH and EWMA."""
    start = panel.day(VALIDATION)
    where = np.all([np.isfinite(one) for one in forecasts.values()], axis=0)
    squares, measured = returns_of(panel) ** 2, measured_of(panel)
    scale = float(squares[where].sum() / measured[where].sum())
    losses = {
        name: [daily_loss(one, realised, where)[start:] for realised in (squares, scale * measured)]
        for name, one in forecasts.items()
    }
    rows = []
    for name, both in losses.items():
        row: dict[str, Any] = {"model": name}
        for proxy, loss, garch, ewma in zip(("squared", "range"), both, losses["garch"], losses["ewma"], strict=True):
            row[f"loss_{proxy}"] = round(float(loss.mean()), 5)
            for other, against in (("garch", garch), ("ewma", ewma)):
                if name != other:
                    test = diebold_mariano(loss, against)
                    row[f"t_{other}_{proxy}"] = round(test.statistic, 2)
        rows.append(row)
    return sorted(rows, key=_worse_statistic)


def _worse_statistic(row: dict[str, Any]) -> float:
    return max(float(row.get(f"t_{other}_squared", 0.0)) for other in ("garch", "ewma"))


def tail_table(panel: Panel, variances: FloatArray) -> list[dict[str, Any]]:
    """Coverage and pinball loss of each tail model on one volatility forecast, on the same rows for each."""
    losses: dict[tuple[str, int], list[float]] = {}
    accepted: dict[tuple[str, int], int] = {}
    assets = 0
    for index, sample in enumerate(panel.samples):
        start = panel.offsets[index]
        deviation = np.sqrt(variances[index, start : start + len(sample)])
        known = np.isfinite(deviation)
        rows = int(known.sum()) - max(WINDOWS)
        if rows < LEAST_ROWS:
            continue
        assets += 1
        returns, deviation = sample.returns[known], deviation[known]
        for window in WINDOWS:
            for tail in (*TAILS, "normal"):
                fits = True
                for level in LEVELS:
                    model = FilteredTail(tail_model(tail))
                    walked = walk_forward(returns, model, level, window=window, refit=REFIT, volatility=deviation)
                    came, limit = walked.returns[-rows:], walked.value_at_risk[-rows:]
                    losses.setdefault((tail, window), []).append(pinball(came, limit, level))
                    fits = fits and coverage(exceedances(came, limit), level).accepted(0.01)
                accepted[tail, window] = accepted.get((tail, window), 0) + fits
    base = np.array(losses["normal", max(WINDOWS)])
    table = [
        {
            "tail": tail,
            "window": window,
            "assets": assets,
            "accepted": accepted[tail, window],
            "relative_pinball": round(float(np.mean(np.array(loss) / base)), 5),
        }
        for (tail, window), loss in losses.items()
    ]
    return sorted(table, key=lambda row: (-int(str(row["accepted"])), float(str(row["relative_pinball"]))))


def main() -> None:
    """Run the choice and write it."""
    file = Path(sys.argv[1])
    panel = load_panel(file, UNTIL)
    assert int(panel.days[-1]) <= int(panel.days[0]) + panel.day(UNTIL) * 86_400
    singles = single_forecasts(panel, SINGLES)
    forecasts = {**singles, **{"+".join(members): mixed(panel, singles, members) for members in MIXTURES}}
    table = volatility_table(panel, forecasts)
    best = str(table[0]["model"])
    tails = tail_table(panel, forecasts[best])
    tail = tails[0]
    choice: dict[str, Any] = {
        "chosen": {
            "volatility": best.split("+"),
            "tail": tail["tail"],
            "window": tail["window"],
            "first": FIRST,
            "every": EVERY,
        },
        "test": {
            "from": "2021-01-01",
            "until": "2024-12-31",
            "levels": LEVELS,
            "refit_tail": REFIT,
            "coverage": "Kupiec and Christoffersen's conditional test at 1 %, both levels, per asset",
            "aim_coverage": 0.8,
            "gaussian": "garch with normal errors, normal quantile",
            "loss": "quasi-likelihood, squared returns; ranges as a second measure",
            "against": ["garch", "ewma"],
            "diebold_mariano": "daily cross-sectional mean, Newey-West with 4 (T/100)^(2/9) lags, two-sided",
            "aim_p": 0.05,
        },
        "made_on": {"until": UNTIL, "validation_from": VALIDATION, "assets": list(panel.symbols)},
        "volatility_table": table,
        "tail_table": tails,
        "data_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    canonical = json.dumps(choice["chosen"] | choice["test"], sort_keys=True, separators=(",", ":"))
    choice["hash"] = "0x" + hashlib.sha256(canonical.encode()).hexdigest()
    CHOICE.parent.mkdir(parents=True, exist_ok=True)
    CHOICE.write_text(json.dumps(choice, indent=1) + "\n", encoding="utf-8")
    for row in (*table, *tails):
        print(row)
    print(choice["chosen"], choice["hash"])


if __name__ == "__main__":
    main()
