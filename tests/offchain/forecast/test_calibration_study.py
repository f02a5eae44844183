# SPDX-License-Identifier: Apache-2.0
"""The calibration study: its choice unedited and made first, its counts right, its document true, its results again."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import Any

import pytest
from scipy.stats import binom, chi2

from offchain.forecast.volatility import Combination, Garch, Har, recommended
from research.calibration import RESULTS, committed_choice
from research.calibration import test as run_test
from research.choose import CHOICE
from research.panel import load_panel
from tests.support.contracts import PROJECT
from tests.support.recorded import recorded

PRICES = "prices/binance_spot_1d_2018_2024.csv.gz"


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text())
    return found


@pytest.fixture(scope="module")
def choice() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(CHOICE.read_text())
    return found


def cells(results: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (model, level, row[level][model])
        for row in results["by_asset"].values()
        for level in ("0.95", "0.99")
        for model in ("recommended", "gaussian")
    ]


def test_the_choice_is_unedited_and_the_results_belong_to_it(choice: dict[str, Any], results: dict[str, Any]) -> None:
    canonical = json.dumps(choice["chosen"] | choice["test"], sort_keys=True, separators=(",", ":"))
    assert choice["hash"] == "0x" + hashlib.sha256(canonical.encode()).hexdigest() == results["choice"]


def test_the_choice_was_committed_before_the_results(results: dict[str, Any]) -> None:
    git = ["git", "-C", str(PROJECT)]
    if subprocess.run([*git, "cat-file", "-e", results["choice_commit"]], capture_output=True, check=False).returncode:
        pytest.skip("the history is not here")
    _, commit = committed_choice()
    first = subprocess.run(
        [*git, "log", "--diff-filter=A", "--format=%H", "--", str(RESULTS)], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    assert commit == results["choice_commit"]
    assert commit != first
    assert subprocess.run([*git, "merge-base", "--is-ancestor", commit, first], check=False).returncode == 0


def test_what_is_recommended_is_what_was_chosen(choice: dict[str, Any]) -> None:
    assert choice["chosen"]["volatility"] == [one.name for one in recommended().members]
    assert recommended() == Combination((Har(), Garch()))


def test_acceptance_follows_from_the_counts(results: dict[str, Any]) -> None:
    for _, level, one in cells(results):
        rate, expected = one["exceedances"] / one["days"], 1 - float(level)
        counts = (one["exceedances"], one["days"])
        ratio = 2 * (binom.logpmf(*counts, rate) - binom.logpmf(*counts, expected))
        assert one["kupiec_p"] == pytest.approx(chi2.sf(ratio, 1), abs=1e-5)
        assert one["accepted"] == (min(one["kupiec_p"], one["christoffersen_p"]) > 0.01)
    both = [
        all(row[level]["recommended"]["accepted"] for level in ("0.95", "0.99")) for row in results["by_asset"].values()
    ]
    assert results["accepted_share"] == sum(both) / len(both) >= 0.8


def test_the_document_says_what_came_out(results: dict[str, Any]) -> None:
    text = (PROJECT / "docs" / "research-method.md").read_text()
    for model, label in (("recommended", "recommended"), ("gaussian", "Gaussian GARCH(1,1)")):
        for level in ("0.95", "0.99"):
            own = [one for which, at, one in cells(results) if (which, at) == (model, level)]
            days, beyond = (sum(one[name] for one in own) for name in ("days", "exceedances"))
            expected, accepted = (1 - float(level)) * days, sum(one["accepted"] for one in own)
            row = f"| {label} | {float(level):.0%} | {days:,} | {beyond:,} ({beyond / days:.2%}) | {expected:,.0f} | {accepted} |"
            assert row.replace("%", " %") in text
    for name, one in results["diebold_mariano"].items():
        row = f"| {one['mean_difference']:.4f} | {one['statistic']:.2f} |"
        assert row in text, name


@pytest.mark.slow
def test_the_results_come_again(choice: dict[str, Any], results: dict[str, Any]) -> None:
    file = recorded(PRICES)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == choice["data_sha256"]
    found = run_test(load_panel(file, choice["test"]["until"]), choice, choice["test"]["from"])
    assert found["accepted"] == results["accepted"]
    for name, one in found["diebold_mariano"].items():
        assert one["statistic"] == pytest.approx(results["diebold_mariano"][name]["statistic"], abs=0.02)
