# SPDX-License-Identifier: Apache-2.0
"""The demonstration as a user runs it, shortened."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.contracts import PROJECT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]


def demo(out: Path) -> dict[str, object]:
    command = [Path(sys.executable).with_name("plimsoll"), "demo", "--days", "3", "--out", out, "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]
    answer: dict[str, object] = json.loads(run.stdout)
    return answer


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    demo(out)
    return out


def test_summary_tells_of_settlements_breaker_redemptions_and_totals(shown: Path) -> None:
    summary = json.loads((shown / "summary.json").read_text())
    assert {"tx", "block", "value_before", "value_after", "loss_bps", "gas_used", "weights", "bounds", "legs"} <= set(
        summary["settlements"][0]
    )
    assert summary["breaker"]["state"] == "REDUCE_ONLY"
    assert summary["breaker"]["reason"] == "drawdown"
    assert {one["kind"] for one in summary["redemptions"]} >= {"redeem in kind"}
    assert summary["totals"]["outside_and_not_closer"] == 0
    assert summary["totals"]["final_supply"] == "0"


def test_report_needs_nothing_from_elsewhere(shown: Path) -> None:
    report = (shown / "report.html").read_text()
    assert "<svg" in report
    assert 'src="http' not in report


def test_the_same_seed_gives_the_same_chain(shown: Path, tmp_path: Path) -> None:
    demo(tmp_path)
    assert (tmp_path / "summary.json").read_text() == (shown / "summary.json").read_text()


def test_the_whole_journal_replays_to_identical_plans(shown: Path) -> None:
    command = [Path(sys.executable).with_name("plimsoll"), "replay", shown / "journal.sqlite", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]
    answer = json.loads(run.stdout)
    assert answer["ticks"] == answer["identical"] > 10
    assert answer["settlements"]["refused"] == 0
