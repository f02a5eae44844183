# SPDX-License-Identifier: Apache-2.0
"""The demonstration as a user runs it, shortened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.offchain.keeper.test_secrets import PASSPHRASE, PATH_KEY, RPC_PASSWORD, TOKEN, files_below, found_in
from tests.support.contracts import PROJECT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]


SECRET = {
    "PLIMSOLL_PASSPHRASE": PASSPHRASE,
    "PLIMSOLL_RPC": f"https://user:{RPC_PASSWORD}@node.example.org/v3/{PATH_KEY}",
    "PLIMSOLL_TELEGRAM_TOKEN": TOKEN,
}
"""What the user's environment may well hold; the demonstration needs none of it."""


def demo(out: Path) -> dict[str, object]:
    command = [Path(sys.executable).with_name("plimsoll"), "demo", "--days", "3", "--out", out, "--json"]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=PROJECT, timeout=300, env=os.environ | SECRET
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert found_in({"stdout": run.stdout, "stderr": run.stderr}) == []
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


def test_no_file_it_writes_holds_a_secret(shown: Path) -> None:
    files = files_below(shown)
    assert {"report.html", "summary.json", "journal.sqlite"} <= set(files)
    assert found_in(files) == []


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
