# SPDX-License-Identifier: Apache-2.0
"""The study of the strategies: its choice is the mandates', its table the documentation's, its figures come again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from research import strategies
from research.choose_strategies import TEST
from research.strategies import CANDIDATES, CHOICE, ROOT, canonical_hash, chosen_cell
from research.strategy_table import RESULTS, rows_of, run_all, table_of
from tests.support.recorded import recorded

PRICES, GAS = "prices/binance_spot_1d_2018_2024.csv.gz", "onchain/gas/etherscan_daily_export-AvgGasPrice.csv.gz"


@pytest.fixture(scope="module")
def choice() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(CHOICE.read_text())
    return found


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text())
    return found


def test_the_choice_is_unedited_and_the_results_belong_to_it(choice: dict[str, Any], results: dict[str, Any]) -> None:
    assert canonical_hash({key: choice[key] for key in ("chosen", "test", "trials")}) == choice["hash"]
    assert results["choice"] == choice["hash"]
    assert choice["test"] == json.loads(json.dumps(TEST))
    assert choice["trials"] == len(choice["candidates"]) == results["trials"]


@pytest.mark.parametrize("strategy", CANDIDATES)
def test_the_mandates_hold_what_was_chosen(strategy: str, choice: dict[str, Any]) -> None:
    cell = chosen_cell(strategy, choice["chosen"][strategy])
    assert cell.mandate == chosen_cell(strategy, {}).mandate


def test_the_documentation_shows_the_results(results: dict[str, Any]) -> None:
    assert table_of(results["rows"]) in (ROOT / "docs" / "backtest.md").read_text()


@pytest.mark.slow
def test_the_results_come_again(choice: dict[str, Any], results: dict[str, Any], tmp_path: Any) -> None:
    prices, gas = recorded(PRICES), recorded(GAS)
    assert strategies.digest(prices, gas) == choice["data_sha256"]
    spec = strategies.market(prices, gas, TEST["from"], TEST["until"])
    found = rows_of(run_all(choice, spec, tmp_path / "cells.jsonl"), choice["trials"])
    written = {row["strategy"]: row for row in results["rows"]}
    for row in found:
        # Solvers move in their last digits from version to version; what is said of a strategy must not.
        assert row["sharpe"] == pytest.approx(written[row["strategy"]]["sharpe"], abs=0.03)
        assert row["max_drawdown"] == pytest.approx(written[row["strategy"]]["max_drawdown"], abs=0.02)
        assert row["beats"] == written[row["strategy"]]["beats"]
