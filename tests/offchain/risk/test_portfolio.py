# SPDX-License-Identifier: Apache-2.0
"""Weights from files, portfolios with assets missing, and the report on them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from offchain.risk.arrays import RiskError
from offchain.risk.encode import jsonable, to_json
from offchain.risk.figures import write_risk
from offchain.risk.portfolio import portfolio_returns, read_weights
from offchain.risk.prices import PriceFileError, PriceTable, load_prices
from offchain.risk.report import UNITS, RiskStudy, study_risk

DAY = 86_400


def table_of(folder: Path, seed: int = 0, days: int = 700) -> PriceTable:
    """Two assets, the second listed 30 days later."""
    rng = np.random.default_rng(seed)
    lines = ["time,symbol,close"]
    for symbol, first in (("BTC", 0), ("NEW", 30)):
        prices = 100 * np.exp(np.cumsum(0.03 * rng.standard_t(4, days)))
        lines += [f"{1_600_000_000 // DAY * DAY + DAY * day},{symbol},{prices[day]}" for day in range(first, days)]
    file = folder / "prices.csv"
    file.write_text("\n".join(lines))
    return load_prices(file)


def file_of(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("w.csv", "symbol,weight\nBTC,0.6\n\nETH,0.4\n"),
        ("w.json", '{"BTC": 0.6, "ETH": 0.4}'),
        ("w.yaml", "BTC: 0.6\nETH: 0.4\n"),
    ],
)
def test_weights_from_every_kind_of_file(tmp_path: Path, name: str, text: str) -> None:
    assert read_weights(file_of(tmp_path, name, text)) == {"BTC": 0.6, "ETH": 0.4}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("w.csv", "asset,weight\nBTC,1\n", "columns symbol and weight, found asset, weight"),
        ("w.csv", "symbol,weight\nBTC,half\n", "row 2: 'half' is not a weight"),
        ("w.csv", "symbol,weight\nBTC,0.5\nBTC,0.5\n", "row 3: BTC is there twice"),
        ("w.csv", "symbol,weight\nBTC\n", "row 2: has 1 cells"),
        ("w.csv", "symbol,weight\n", "no weights"),
        ("w.json", '{"BTC": "nan"}', "BTC: 'nan' is not a weight"),
        ("w.json", "[1]", "expected a mapping"),
        ("w.yaml", "BTC: [", "cannot be read"),
    ],
)
def test_bad_weights_name_the_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(RiskError, match=said):
        read_weights(file_of(tmp_path, name, text))


def test_missing_file_of_weights(tmp_path: Path) -> None:
    with pytest.raises(RiskError, match=r"nowhere\.csv"):
        read_weights(tmp_path / "nowhere.csv")


def test_periods_without_an_asset_are_dropped(tmp_path: Path) -> None:
    table = table_of(tmp_path)
    held = portfolio_returns(table, {"BTC": 0.5, "NEW": 0.3})
    assert held.returns.size == 669
    returns = table.returns()[30:]
    assert held.returns == pytest.approx(returns @ [0.5, 0.3])
    assert (held.dropped, held.spread) == (0, 0)


def test_weight_of_missing_assets_can_be_shared(tmp_path: Path) -> None:
    table = table_of(tmp_path)
    held = portfolio_returns(table, {"BTC": 0.5, "NEW": 0.3}, missing="spread")
    assert held.returns.size == 699
    assert held.spread == 30
    assert held.returns[:30] == pytest.approx(0.8 * table.returns()[:30, 0])


def test_equal_weights_by_default_and_zero_weights_do_not_count(tmp_path: Path) -> None:
    table = table_of(tmp_path)
    assert portfolio_returns(table).weights.tolist() == [0.5, 0.5]
    assert portfolio_returns(table, {"BTC": 1.0, "NEW": 0.0}).returns.size == 699
    with pytest.raises(RiskError, match="every weight is zero"):
        portfolio_returns(table, {"BTC": 0.0})
    with pytest.raises(PriceFileError, match="no DOGE"):
        portfolio_returns(table, {"DOGE": 1.0})


def test_assets_that_never_meet_are_told(tmp_path: Path) -> None:
    lines = ["time,A,B", "2024-01-01,1,", "2024-01-02,1,", "2024-01-03,,1", "2024-01-04,,1", "2024-01-05,,1"]
    table = load_prices(file_of(tmp_path, "p.csv", "\n".join(lines)))
    with pytest.raises(RiskError, match=r"0 periods .* A 1, B 2"):
        portfolio_returns(table)


def test_poisoned_future_leaves_past_portfolio_returns_alone(tmp_path: Path) -> None:
    table = table_of(tmp_path)
    prices = table.prices.copy()
    prices[500:] *= np.random.default_rng(1).uniform(0.01, 100, prices[500:].shape)
    other = PriceTable(table.symbols, table.timestamps, DAY, prices, table.joined, None, ())
    one, two = (portfolio_returns(each, missing="spread").returns for each in (table, other))
    assert np.array_equal(one[:499], two[:499])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> RiskStudy:
    """A study of a portfolio against one of its assets."""
    table = table_of(tmp_path_factory.mktemp("prices"))
    return study_risk(
        table, {"BTC": 0.5, "NEW": 0.3}, benchmark="BTC", models=("normal", "filtered-pareto"), window=250, samples=60
    )


def test_report_has_every_measure_with_interval_and_unit(study: RiskStudy) -> None:
    report = study.report
    assert set(report.measures) == set(report.units) == set(UNITS)
    for one in report.measures.values():
        assert one.low <= one.high
    assert report.measures["beta"].estimate == pytest.approx(0.5, abs=0.1)
    assert report.measures["max_drawdown"].estimate == report.drawdown.depth
    assert report.periods_per_year == 365


def test_report_tells_the_next_periods_tail_and_how_models_did(study: RiskStudy) -> None:
    rows = {(row.model, row.level): row for row in study.report.tails}
    walked = {(name, level) for name in ("normal", "filtered-pareto") for level in (0.95, 0.99)}
    assert set(rows) == walked | {("t-copula", 0.95), ("t-copula", 0.99)}
    for key in walked:
        row = rows[key]
        assert 0 < row.value_at_risk < row.expected_shortfall
        assert row.coverage is not None
        assert row.coverage.periods == 419
        assert row.shortfall is not None


def test_report_repeats(study: RiskStudy, tmp_path: Path) -> None:
    arguments = {"benchmark": "BTC", "models": ("normal", "filtered-pareto"), "window": 250, "samples": 60}
    again = study_risk(table_of(tmp_path), {"BTC": 0.5, "NEW": 0.3}, **arguments)  # type: ignore[arg-type]
    strip = {"problems": None}
    assert {**jsonable(again.report), **strip} == {**jsonable(study.report), **strip}


def test_short_record_has_no_tests_of_its_tails(tmp_path: Path) -> None:
    report = study_risk(table_of(tmp_path, days=150), models=("normal",), samples=20).report
    assert report.tails[0].coverage is None
    assert report.tails[0].value_at_risk > 0


def test_report_is_strict_json(study: RiskStudy) -> None:
    read = json.loads(to_json(study.report), parse_constant=pytest.fail)
    assert read["weights"] == {"BTC": 0.5, "NEW": 0.3}
    assert read["problems"][0]["rule"] == "no price before its first row"
    assert read["stress"][0]["stand_ins"] == {"NEW": "median of 13 assets"}
    assert len(read["correlation"]) == 2


def test_tails_of_the_joint_distribution_are_near_those_of_the_record(study: RiskStudy) -> None:
    rows = {(row.model, row.level): row for row in study.report.tails}
    for level in (0.95, 0.99):
        assert rows["t-copula", level].value_at_risk == pytest.approx(
            rows["filtered-pareto", level].value_at_risk, rel=0.5
        )


def test_record_too_short_for_a_model_says_so(tmp_path: Path) -> None:
    report = study_risk(table_of(tmp_path, days=80), models=("historical", "pareto"), samples=20).report
    notes = {row.model: row.note for row in report.tails}
    assert notes["historical"] == ""
    assert "take more returns" in notes["pareto"]
    assert math.isnan(next(row for row in report.tails if row.model == "pareto").value_at_risk)


def test_portfolio_that_never_moves_has_a_report(tmp_path: Path) -> None:
    lines = ["time,USDC", *(f"2024-01-{day:02d},1.0" for day in range(1, 31))]
    report = study_risk(load_prices(file_of(tmp_path, "p.csv", "\n".join(lines))), samples=10).report
    assert report.deflated_sharpe is None
    assert report.measures["max_drawdown"].estimate == 0.0
    assert json.loads(to_json(report))["measures"]["sharpe"]["estimate"] is None


def test_benchmark_must_have_returns_throughout(tmp_path: Path) -> None:
    with pytest.raises(RiskError, match="NEW has no return in 30"):
        study_risk(table_of(tmp_path), {"BTC": 1.0}, benchmark="NEW", models=("normal",), samples=5)


def test_numbers_that_are_none_become_null() -> None:
    assert jsonable({"a": math.nan, "b": np.array([1.0, math.inf]), "c": np.float64(2.0), "d": np.bool_(True)}) == {
        "a": None, "b": [1.0, None], "c": 2.0, "d": True,
    }  # fmt: skip
    with pytest.raises(TypeError):
        jsonable(object())


def test_figures_open_without_a_network(study: RiskStudy, tmp_path: Path) -> None:
    page = write_risk(study, tmp_path / "plots").read_text()
    assert page.count("<section>") == 4
    assert "Plotly.newPlot" in page
    assert 'src="http' not in page
    assert "<script src" not in page


def test_folder_that_cannot_be_written_is_named(study: RiskStudy, tmp_path: Path) -> None:
    blocked = file_of(tmp_path, "plots", "")
    with pytest.raises(RiskError, match="plots"):
        write_risk(study, blocked)
