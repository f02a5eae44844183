# SPDX-License-Identifier: Apache-2.0
"""Sweeps: every combination, resumed where they stopped, the same on one process and on two."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offchain.backtest import results as results_module
from offchain.backtest.errors import BacktestError
from offchain.backtest.performance import judge
from offchain.backtest.records import BacktestRun
from offchain.backtest.results import Result, decode, encode, read_journal
from offchain.backtest.sweep import Cell, MarketSpec, sweep
from offchain.backtest.tear_sheet import document, performances, tear_sheet
from offchain.backtest.variation import Variation, vary
from offchain.mandate import Mandate
from offchain.risk.prices import PriceTable
from tests.offchain.backtest.conftest import START, Market

DAY = 86_400


@pytest.fixture(scope="module")
def spec(mandate: Mandate) -> MarketSpec:
    """Forty-five days of prices with names as exchanges have them."""
    path = Market(mandate, days=44).path()
    return MarketSpec(
        PriceTable(
            symbols=("ETH", "BTC", "LINK"),
            timestamps=path.timestamps,
            step_seconds=DAY,
            prices=path.prices[:, 1:4].copy(),
            joined=np.ones((len(path), 3), dtype=np.bool_),
            bars=None,
            problems=(),
        ),
        base_fees=10.0,
    )


@pytest.fixture(scope="module")
def cells(mandate: Mandate) -> list[Cell]:
    variations = [Variation.parse("objective.risk_aversion=3,12")]
    return [Cell(name, varied) for name, varied in vary(mandate, variations)]


@pytest.fixture(scope="module")
def swept(cells: list[Cell], spec: MarketSpec) -> list[Result]:
    return sweep(cells, spec)


def test_a_run_survives_the_journal_to_the_bit(base_run: BacktestRun) -> None:
    back = decode(json.loads(json.dumps(encode(Result("one", base_run))))).run
    assert back is not None
    assert back.mandate == base_run.mandate
    assert back.settlements == base_run.settlements
    assert back.events == base_run.events
    assert np.array_equal(back.track.weights, base_run.track.weights)
    assert np.array_equal(back.track.net_returns, base_run.track.net_returns)


def test_what_is_in_the_journal_is_not_run_again(
    cells: list[Cell], spec: MarketSpec, swept: list[Result], tmp_path: Path
) -> None:
    journal = tmp_path / "cells.jsonl"
    told: list[tuple[str, bool]] = []
    sweep(cells[:1], spec, journal=journal, done=lambda result, resumed: told.append((result.name, resumed)))
    # A process that died while it wrote: half a line.
    journal.write_text(journal.read_text() + '{"format":1,"key":"ab')
    again = sweep(cells, spec, journal=journal, done=lambda result, resumed: told.append((result.name, resumed)))
    assert told == [(cells[0].name, False), (cells[0].name, True), (cells[1].name, False)]
    for one, other in zip(again, swept, strict=True):
        assert one.run is not None
        assert other.run is not None
        assert np.array_equal(one.run.track.value, other.run.track.value)
    assert len(read_journal(journal)) == 2


def test_a_change_of_code_or_of_prices_makes_other_cells(
    cells: list[Cell], spec: MarketSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = cells[0].key(spec)
    assert cells[0].key(replace(spec, start=START)) != key
    assert cells[1].key(spec) != key
    monkeypatch.setattr("offchain.backtest.sweep.source_digest", lambda: "other")
    assert cells[0].key(spec) != key
    assert results_module.source_digest() == results_module.source_digest()


@pytest.mark.slow
def test_two_processes_give_what_one_does(cells: list[Cell], spec: MarketSpec, swept: list[Result]) -> None:
    for one, other in zip(sweep(cells, spec, workers=2), swept, strict=True):
        assert one.name == other.name
        assert one.run is not None
        assert other.run is not None
        assert np.array_equal(one.run.track.value, other.run.track.value)


@pytest.mark.slow
def test_a_ray_cluster_of_two_nodes_gives_what_one_process_does(
    cells: list[Cell], spec: MarketSpec, swept: list[Result]
) -> None:
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="ray is not installed")
    import ray

    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, logging_level="ERROR")
    try:
        for one, other in zip(sweep(cells, spec, workers="ray"), swept, strict=True):
            assert one.run is not None
            assert other.run is not None
            assert np.array_equal(one.run.track.value, other.run.track.value)
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_without_ray_it_says_so(cells: list[Cell], spec: MarketSpec) -> None:
    try:
        import ray  # noqa: F401
    except ImportError:
        with pytest.raises(BacktestError, match="the package ray is not installed"):
            sweep(cells, spec, workers="ray")


def test_a_cell_that_cannot_run_says_why_and_stops_no_other(mandate: Mandate, spec: MarketSpec) -> None:
    assets = tuple(
        asset.model_copy(update={"symbol": "SOL"}) if asset.symbol == "LINK" else asset for asset in mandate.assets
    )
    results = sweep([Cell("strange", mandate.model_copy(update={"assets": assets}))], spec)
    assert results[0].run is None
    assert "no series of SOL" in results[0].problem
    told = document(results, performances(results), "one")
    assert told["runs"] == [{"name": "strange", "problem": results[0].problem}]
    assert "no series of SOL" in tear_sheet(results, (), "one")


def test_a_file_that_is_no_journal_is_refused(cells: list[Cell], spec: MarketSpec, tmp_path: Path) -> None:
    journal = tmp_path / "notes.txt"
    journal.write_text("remember the milk\nand bread\n")
    with pytest.raises(BacktestError, match=r"notes.txt, line 1: not a sweep's journal"):
        sweep(cells, spec, journal=journal)


# Variations.


def test_every_combination_is_tried(mandate: Mandate) -> None:
    variations = [
        Variation.parse("objective.risk_aversion=2, 6"),
        Variation.parse("assets.WETH.max_weight_bps=4500,5000"),
        Variation.parse("objective.covariance.half_life_days=10"),
    ]
    found = dict(vary(mandate, variations))
    assert len(found) == 4
    name = "objective.risk_aversion=6, assets.WETH.max_weight_bps=5000, objective.covariance.half_life_days=10"
    varied = found[name]
    assert varied.objective.risk_aversion == 6
    assert next(asset for asset in varied.assets if asset.symbol == "WETH").max_weight_bps == 5000
    assert list(vary(mandate, [])) == [("", mandate)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("objective.risk=1", "no 'risk' there; it has risk_aversion"),
        ("goal.risk_aversion=1", "the mandate has no 'goal'"),
        ("assets.SOL.max_weight_bps=1", "the mandate has no 'SOL'"),
        ("objective.risk_aversion=-1", "objective.risk_aversion"),
        ("objective.risk_aversion", "write it as objective.risk_aversion=2,6,20"),
    ],
)
def test_a_variation_that_cannot_be_is_named(mandate: Mandate, text: str, said: str) -> None:
    with pytest.raises(BacktestError, match=said):
        list(vary(mandate, [Variation.parse(text)]))


# Figures and sheet.


def test_more_trials_deflate_the_ratio(base_run: BacktestRun) -> None:
    alone = judge("one", base_run)
    many = judge("one", base_run, [0.5, 1.0, 1.5, -0.5, 0.0, alone.sharpe.estimate] * 5)
    assert many.trials == 30
    assert many.deflated < alone.deflated
    assert many.sharpe == alone.sharpe
    assert alone.sharpe.low < alone.sharpe.estimate < alone.sharpe.high


def test_costs_separate_gross_from_net(base_run: BacktestRun) -> None:
    figures = judge("one", base_run)
    track = base_run.track
    spent = float((track.fees + track.impact + track.sandwich + track.basis + track.gas).sum())
    assert figures.costs.total == pytest.approx(spent)
    assert figures.gross_sharpe > figures.sharpe.estimate
    assert figures.trips == 1


def test_the_sheet_needs_nothing_else_and_holds_every_run(swept: list[Result]) -> None:
    figures = performances(swept, trials=3)
    assert {one.trials for one in figures} == {5}
    text = tear_sheet(swept, figures, "A <title>")
    assert text.startswith("<!doctype html>")
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    assert "A &lt;title&gt;" in text
    for result in swept:
        assert result.name in text
    told = json.loads(json.dumps(document(swept, figures, "t")))
    series = told["runs"][0]["series"]
    assert len(series["equity"]) == len(series["time"]) == len(series["weights"])
