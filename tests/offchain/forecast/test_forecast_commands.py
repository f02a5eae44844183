# SPDX-License-Identifier: Apache-2.0
"""`plimsoll forecast` as one types it: every model and distribution, bad files, figures."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from offchain.cli import app
from offchain.errors import PlimsollError
from offchain.forecast.report import EQUATIONS
from offchain.forecast.volatility.registry import FAMILY
from tests.support.recorded import recorded

RUNNER = CliRunner()
START = 1_609_459_200
DAY = 86_400
ERRORS = ("normal", "t", "skewt")


def run(*arguments: str | Path) -> Result:
    result = RUNNER.invoke(app, ["forecast", *(str(one) for one in arguments)])
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def read(*arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json").stdout, parse_constant=pytest.fail)
    return found


def failure(*arguments: str | Path) -> str:
    result = RUNNER.invoke(app, ["forecast", *(str(one) for one in arguments)])
    assert isinstance(result.exception, PlimsollError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


@pytest.fixture(scope="module")
def returns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Daily returns in per cent whose volatility clusters."""
    rng = np.random.default_rng(0)
    lines, h = ["return"], 9.0
    for _ in range(700):
        value = np.sqrt(h) * rng.standard_t(6) * np.sqrt(4 / 6)
        h = 0.4 + 0.1 * value**2 + 0.86 * h
        lines.append(repr(float(value)))
    file = tmp_path_factory.mktemp("returns") / "returns.csv"
    file.write_text("\n".join(lines))
    return file


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Daily bars of three assets that move together, one of them younger."""
    rng = np.random.default_rng(1)
    market = 0.02 * rng.standard_normal((450, 24))
    lines = ["time,symbol,open,high,low,close"]
    for symbol, first in (("BTC", 0), ("ETH", 0), ("SOL", 100)):
        path = 100 * np.exp(np.cumsum((market + 0.02 * rng.standard_normal((450, 24))) / np.sqrt(24)))
        path = np.concatenate([[100.0], path])
        for day in range(first, 450):
            part = path[24 * day : 24 * day + 25]
            lines.append(
                f"{START + DAY * day},{symbol},{float(part[0])!r},{float(part.max())!r},{float(part.min())!r},{float(part[-1])!r}"
            )
    file = tmp_path_factory.mktemp("bars") / "bars.csv"
    file.write_text("\n".join(lines))
    return file


@pytest.mark.parametrize("errors", ERRORS)
@pytest.mark.parametrize("model", FAMILY)
def test_the_family_with_every_distribution(returns: Path, model: str, errors: str) -> None:
    found = read("vol", "--model", model, "--errors", errors, "--returns", returns, "--horizon", "5")
    names = {"mu", "omega", "alpha", "beta"}
    names |= {"gamma"} if model != "garch" else set()
    names |= {"normal": set(), "t": {"nu"}, "skewt": {"nu", "lambda"}}[errors]
    assert set(found["parameters"]) == set(found["standard_errors"]) == names
    assert found["log_likelihood"] < 0.0
    path = found["forecast"]
    assert len(path["variance"]) == 5
    assert path["horizon_volatility"] == pytest.approx(sum(path["variance"]) ** 0.5)
    assert path["annual_volatility"] == pytest.approx((sum(path["variance"]) / 5 * 365) ** 0.5)
    assert found == read("vol", "--model", f"{model}-{errors}", "--returns", returns, "--horizon", "5")


@pytest.mark.parametrize("model", [name for name in EQUATIONS if name not in (*FAMILY, "realised")])
def test_every_other_model_on_bars(bars: Path, model: str) -> None:
    found = read("vol", "--model", model, "--returns", bars, "--column", "ETH")
    assert found["series"] == "ETH"
    # Two per cent each of the market's and of its own.
    assert found["forecast"]["annual_volatility"] == pytest.approx(0.02 * (2 * 365) ** 0.5, rel=0.35)
    assert found["equation"] == EQUATIONS[model]


def test_the_recommended_model_and_its_text(bars: Path) -> None:
    shown = run("vol", "--model", "recommended", "--returns", bars, "--column", "BTC", "--horizon", "30").stdout
    assert "weight_har" in shown
    assert "weight_garch" in shown
    assert "... to 30" in shown


def test_realised_volatility_of_days_from_hours(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    prices = 100 * np.exp(np.cumsum(0.005 * rng.standard_normal(24 * 60)))
    file = tmp_path / "hourly.csv"
    file.write_text("time,close\n" + "\n".join(f"{START + 3_600 * t},{p}" for t, p in enumerate(prices)))
    found = read("vol", "--model", "realised", "--returns", file)
    logs = np.diff(np.log(prices))
    assert found["forecast"]["rows_per_year"] == 365.0
    assert found["forecast"]["volatility"][0] == pytest.approx(0.005 * 24**0.5, rel=0.1)
    assert found["observations"] in (len(logs) // 24, len(logs) // 24 - 1)
    assert "finer than half a day" in failure("vol", "--model", "realised", "--returns", _daily(tmp_path))


def _daily(folder: Path) -> Path:
    file = folder / "daily.csv"
    file.write_text("time,close\n" + "\n".join(f"{START + DAY * t},{100 + t % 7}" for t in range(90)))
    return file


def test_implied_volatility_is_a_forecast(tmp_path: Path) -> None:
    quotes = tmp_path / "quotes.csv"
    quotes.write_text("expiry_years,iv\n0.1,0.8\n0.5,0.6\n")
    found = read("vol", "--model", "implied", "--quotes", quotes, "--horizon", "30", "--premium", "1.1")
    assert found["forecast"]["annual_volatility"] == pytest.approx(0.8 / 1.1**0.5, rel=0.01)
    quotes.write_text("expiry_years,iv\n0.1,0.8\n0.5,-1\n")
    assert "row 3, column iv: '-1'" in failure("vol", "--model", "implied", "--quotes", quotes)
    quotes.write_text("expiry_years,iv\n0.1,0.9\n0.5,0.2\n")
    assert "calendar arbitrage" in failure("vol", "--model", "implied", "--quotes", quotes)
    assert "--quotes FILE" in failure("vol", "--model", "implied")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("r\n0.1\nabc\n", "row 3, column r: 'abc' is not a number"),
        ("a,b\n1,2\n", "several columns \\(a, b\\); say which with --column"),
        ("time,r\n2024-01-02,1\n2024-01-01,2\n", "row 3: 2024-01-01 is earlier"),
        ("time,r\n2024-01-02,1\nyesterday,2\n", "row 3, column time: 'yesterday' is not a time"),
        ("time,r\n2024-01-02,1\n2024-01-03\n", "row 3: has 1 cells where the header has 2"),
        ("r\n" + "0.5\n" * 100, "all 100 returns are 0.5"),
        ("r\n0.5\n0.1\n", "2 returns, at least 60 needed"),
        ("time,close\n2024-01-01,100\n2024-01-02,0\n", "no two prices|returns need two|usable"),
    ],
)
def test_a_file_of_no_use_is_named_with_its_row(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "returns.csv"
    file.write_text(text)
    assert re.search(said, failure("vol", "--model", "garch", "--returns", file))


def test_mended_rows_are_told_with_their_rule(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    prices = 100 * np.exp(np.cumsum(0.02 * rng.standard_normal(200)))
    lines = ["time,close", *(f"{START + DAY * t},{p}" for t, p in enumerate(prices))]
    lines[50] = lines[50].rsplit(",", 1)[0] + ",-5"
    lines[60] = lines[60].rsplit(",", 1)[0] + ",0"
    lines.insert(80, lines[79])
    del lines[100:108]
    file = tmp_path / "prices.csv"
    file.write_text("\n".join(lines))
    problems = " | ".join(read("vol", "--model", "ewma", "--returns", file)["problems"])
    for said in ("row 51: '-5' is not", "row 61: '0' is not", "row 81", "row 101", "gap"):
        assert said in problems
    result = RUNNER.invoke(app, ["forecast", "vol", "--model", "ewma", "--returns", str(file)])
    assert "note: " in result.stderr
    assert "note: " not in result.stdout


def test_a_replaced_asset_counts_from_its_replacement_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    old, new = (100 * np.exp(np.cumsum(0.02 * rng.standard_normal(90))) for _ in range(2))
    file = tmp_path / "prices.csv"
    days = np.concatenate([old, 1_000 * new])
    file.write_text("time,close\n" + "\n".join(f"{START + DAY * t},{p}" for t, p in enumerate(days)))
    found = read("vol", "--model", "close_to_close", "--returns", file)
    assert found["observations"] == 89
    assert any("was another asset before" in one for one in found["problems"])


def test_what_a_model_lacks_is_said(returns: Path, bars: Path) -> None:
    assert "no volatility model is called 'arima'; there are garch" in failure(
        "vol", "--model", "arima", "--returns", returns
    )
    assert "parkinson needs open, high, low and close" in failure("vol", "--model", "parkinson", "--returns", returns)
    assert "no measure is called 'ticks'" in failure(
        "vol", "--model", "har", "--measure", "ticks", "--returns", returns
    )
    assert "BTC, ETH, SOL" in failure("vol", "--model", "garch", "--returns", bars)
    assert "needs --returns FILE" in failure("vol", "--model", "garch")
    assert "nowhere.csv" in failure("vol", "--model", "garch", "--returns", "nowhere.csv")


def test_figures_of_forecasts_made_in_time(bars: Path, tmp_path: Path) -> None:
    shown = run("vol", "--model", "garch", "--returns", bars, "--column", "ETH", "--plot", tmp_path).stdout
    page = (tmp_path / "volatility.html").read_text()
    assert str(tmp_path / "volatility.html") in shown
    assert page.count("<section>") == 1, "200 forecasts are too few for a window of value at risk"
    assert '"name":"forecast"' in page


def test_covariance_of_a_file(bars: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.csv"
    weights.write_text("symbol,weight\nBTC,0.5\nETH,0.5\n")
    found = read("cov", "--prices", bars, "--model", "factor", "--weights", weights, "--fewest-bets", "1.2")
    assert found["symbols"] == ["BTC", "ETH", "SOL"]
    np.testing.assert_allclose(np.array(found["correlation"]) + 0.5 * np.eye(3), 0.5 + np.eye(3), atol=0.12)
    assert found["weights"] == {"BTC": 0.5, "ETH": 0.5, "SOL": 0.0}
    assert found["diversification_ratio"] == pytest.approx((4 / 3) ** 0.5, rel=0.05)
    assert set(found["caps"]) == {"BTC", "ETH", "SOL"}
    assert any("SOL starts at" in one for one in found["problems"])
    assert any("lack an asset" in one for one in found["problems"])
    weights.write_text("symbol,weight\nDOGE,1\n")
    assert "weights: no asset DOGE; there are BTC" in failure("cov", "--prices", bars, "--weights", weights)


def test_a_single_asset_has_no_correlations_and_that_is_said(bars: Path) -> None:
    found = read("cov", "--prices", bars, "--asset", "BTC")
    assert found["mean_crash_correlation"] is None
    assert any("no correlations in crashes" in one for one in found["problems"])


def test_regimes_of_a_file(bars: Path, tmp_path: Path) -> None:
    found = read("regimes", "--prices", bars, "--asset", "BTC", "--asset", "ETH", "--errors", "normal")
    assert sum(found["now"]) == pytest.approx(1.0)
    assert [one["volatility"] for one in found["states"]] == sorted(one["volatility"] for one in found["states"])
    run("regimes", "--prices", bars, "--plot", tmp_path)
    assert (tmp_path / "regimes.html").stat().st_size > 1_000_000
    assert "normal or t" in failure("regimes", "--prices", bars, "--errors", "cauchy")


def test_the_benchmark_from_the_command_line() -> None:
    file = recorded("reference/bollerslev_ghysels_dem_gbp.txt")
    found = read("vol", "--model", "garch", "--returns", file)
    assert found["log_likelihood"] == pytest.approx(-1106.6079, abs=5e-5)
    assert found["parameters"]["beta"] == pytest.approx(0.805974, abs=5e-7)


def test_help_needs_no_numerics() -> None:
    heavy = "{'numpy', 'numba', 'scipy', 'plotly', 'rich'}"
    code = f"import sys, offchain.forecast.commands; print(sorted({heavy} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


@pytest.mark.parametrize("seconds", [0.0, 1.5])
def test_what_takes_longer_than_a_second_shows_itself_on_a_terminal(seconds: float) -> None:
    code = f"import time\nfrom offchain.waiting import waiting\nwith waiting('thinking'): time.sleep({seconds})"
    ours, theirs = os.openpty()
    subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    try:
        shown = os.read(ours, 65_536)
    except OSError:  # Nothing was written, and the other end is closed.
        shown = b""
    os.close(ours)
    assert (b"thinking" in shown) == (seconds > 1.0)
