# SPDX-License-Identifier: Apache-2.0
"""Test the committed choice once on what came after it: 2021 to 2024, walk-forward.

    python -m research.calibration PRICES.csv.gz             # writes docs/research/results.json and figures
    python -m research.calibration PRICES.csv.gz --rehearse  # the same code on the second half of 2020, writes nothing

Refuses to run unless the choice is committed as it stands. When there are results already, it only checks that it
finds the same ones again.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from offchain.forecast.evaluation import diebold_mariano
from offchain.forecast.volatility import Garch, Sample, walk_forward
from offchain.risk.arrays import BoolArray, FloatArray
from offchain.risk.tails import walk_forward as tail_walk
from offchain.risk.tails.coverage import Coverage, coverage, exceedances
from offchain.risk.tails.models import FilteredTail, tail_model
from research.choose import CHOICE, REFIT, UNTIL
from research.forecasts import daily_loss, measured_of, mixed, returns_of, single_forecasts
from research.panel import Panel, load_panel

RESULTS = CHOICE.with_name("results.json")
SIGNIFICANCE = 0.01


def committed_choice() -> tuple[dict[str, Any], str]:
    """Return the choice and the commit that made it; stop unless the file is as committed and its hash is right."""
    choice: dict[str, Any] = json.loads(CHOICE.read_text(encoding="utf-8"))
    canonical = json.dumps(choice["chosen"] | choice["test"], sort_keys=True, separators=(",", ":"))
    if choice["hash"] != "0x" + hashlib.sha256(canonical.encode()).hexdigest():
        raise SystemExit(f"{CHOICE}: its hash does not fit; the choice was edited")
    git = ["git", "-C", str(CHOICE.parent)]
    commit = subprocess.run(
        [*git, "log", "-1", "--format=%H", "--", CHOICE.name], capture_output=True, text=True, check=False
    ).stdout.strip()
    clean = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", CHOICE.name], check=False).returncode == 0
    if not commit or not clean:
        raise SystemExit(f"{CHOICE}: commit it before the test")
    return choice, commit


def gaussian_limits(sample: Sample, first: int, every: int, levels: tuple[float, ...]) -> FloatArray:
    """Value at risk by GARCH(1,1) with normal errors, in time: shape (levels, T), NaN before the first forecast."""
    out = np.full((len(levels), len(sample)), np.nan)
    plain = Sample(sample.returns)
    for block in walk_forward(len(plain), first, every):
        fit = Garch().fit(plain.head(block.start))
        deviations = np.sqrt(fit.variances(plain.head(block.end))[block.start : block.end])
        for row, level in enumerate(levels):
            out[row, block.start : block.end] = -(fit.parameters["mu"] + deviations * fit.quantile(1.0 - level))
    return out


def covered(hits: BoolArray, level: float) -> dict[str, Any]:
    """One asset's coverage at one level."""
    found: Coverage = coverage(hits, level)
    return {
        "days": found.periods,
        "exceedances": found.exceedances,
        "rate": round(found.exceedances / found.periods, 5),
        "kupiec_p": round(found.unconditional.p_value, 5),
        "christoffersen_p": round(found.conditional.p_value, 5),
        "accepted": found.accepted(SIGNIFICANCE),
    }


def test(panel: Panel, choice: dict[str, Any], since: str) -> dict[str, Any]:
    """Everything the results hold."""
    chosen = choice["chosen"]
    levels = tuple(float(level) for level in choice["test"]["levels"])
    members = list(chosen["volatility"])
    singles = single_forecasts(panel, sorted({*members, "garch", "ewma"}))
    best = mixed(panel, singles, members) if len(members) > 1 else singles[members[0]]
    start = panel.day(since)
    assets: dict[str, Any] = {}
    for index, (symbol, sample) in enumerate(zip(panel.symbols, panel.samples, strict=True)):
        offset = panel.offsets[index]
        deviation = np.sqrt(best[index, offset : offset + len(sample)])
        known = np.flatnonzero(np.isfinite(deviation))
        if known.size <= chosen["window"] + 1:
            continue
        # From the later of the test's first day and the day on which a window of surprises is there.
        begin = max(int(known[chosen["window"]]), start - offset)
        gaussian = gaussian_limits(sample, chosen["first"], chosen["every"], levels)
        row: dict[str, Any] = {}
        for number, level in enumerate(levels):
            walked = tail_walk(
                sample.returns[known[0] :],
                FilteredTail(tail_model(chosen["tail"])),
                level,
                window=chosen["window"],
                refit=REFIT,
                volatility=deviation[known[0] :],
            )
            limits = np.full(len(sample), np.nan)
            limits[known[0] + chosen["window"] :] = walked.value_at_risk
            came = sample.returns[begin:]
            row[f"{level:g}"] = {
                "recommended": covered(exceedances(came, limits[begin:]), level),
                "gaussian": covered(exceedances(came, gaussian[number, begin:]), level),
            }
        assets[symbol] = row
    accepted = {
        model: {f"{level:g}": sum(row[f"{level:g}"][model]["accepted"] for row in assets.values()) for level in levels}
        | {"both": sum(all(row[f"{level:g}"][model]["accepted"] for level in levels) for row in assets.values())}
        for model in ("recommended", "gaussian")
    }
    where = np.isfinite(best) & np.isfinite(singles["garch"]) & np.isfinite(singles["ewma"])
    squares, measured = returns_of(panel) ** 2, measured_of(panel)
    past = where.copy()
    past[:, start:] = False
    scale = float(squares[past].sum() / measured[past].sum())
    losses = {
        proxy: {
            name: daily_loss(one, realised, where)[start:]
            for name, one in (("recommended", best), ("garch", singles["garch"]), ("ewma", singles["ewma"]))
        }
        for proxy, realised in (("squared", squares), ("range", scale * measured))
    }
    tests = {}
    for proxy, by_name in losses.items():
        for other in ("garch", "ewma"):
            found = diebold_mariano(by_name["recommended"], by_name[other])
            tests[f"{proxy}_{other}"] = {
                "mean_difference": round(found.mean, 6),
                "statistic": round(found.statistic, 3),
                "p_value": float(f"{found.p_value:.4g}"),
                "days": found.observations,
            }
    share = accepted["recommended"]["both"] / len(assets)
    primary = [tests[f"squared_{other}"] for other in ("garch", "ewma")]
    return {
        "assets": len(assets),
        "accepted": accepted,
        "accepted_share": round(share, 4),
        "aim_coverage_met": share >= choice["test"]["aim_coverage"],
        "losses": {p: {n: round(float(v.mean()), 5) for n, v in by.items()} for p, by in losses.items()},
        "diebold_mariano": tests,
        "aim_loss_met": all(one["statistic"] < 0 and one["p_value"] < choice["test"]["aim_p"] for one in primary),
        "by_asset": assets,
        "daily": {
            "first_day": int(panel.days[start]),
            **{
                f"{proxy}_{other}": [
                    round(float(value), 5) for value in losses[proxy]["recommended"] - losses[proxy][other]
                ]
                for proxy in losses
                for other in ("garch", "ewma")
            },
        },
    }


def main() -> None:
    """Run the test, or rehearse it."""
    file = Path(sys.argv[1])
    if "--rehearse" in sys.argv:
        choice = json.loads(CHOICE.read_text(encoding="utf-8"))
        found = test(load_panel(file, UNTIL), choice, "2020-07-01")
        found.pop("daily")
        print(json.dumps(found, indent=1))
        return
    choice, commit = committed_choice()
    if hashlib.sha256(file.read_bytes()).hexdigest() != choice["data_sha256"]:
        raise SystemExit(f"{file}: not the file that the choice was made on")
    found = test(load_panel(file, choice["test"]["until"]), choice, choice["test"]["from"])
    results = {"choice": choice["hash"], "choice_commit": commit, **found}
    if RESULTS.exists():
        before = json.loads(RESULTS.read_text(encoding="utf-8"))
        same = {k: v for k, v in before.items() if k != "daily"} == json.loads(
            json.dumps({k: v for k, v in results.items() if k != "daily"})
        )
        print("the same results again" if same else "DIFFERENT results; those written stay")
        raise SystemExit(0 if same else 1)
    RESULTS.write_text(json.dumps(results) + "\n", encoding="utf-8")
    print(json.dumps({k: v for k, v in results.items() if k != "daily"}, indent=1))


if __name__ == "__main__":
    main()
