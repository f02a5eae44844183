# SPDX-License-Identifier: Apache-2.0
"""`plimsoll risk` and `plimsoll options` as one types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from offchain.cli import app
from offchain.errors import PlimsollError
from offchain.risk.options.black import black_76
from tests.support.recorded import recorded

RUNNER = CliRunner()


def run(*arguments: str | Path) -> Result:
    result = RUNNER.invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def read(*arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json").stdout, parse_constant=pytest.fail)
    return found


def failure(*arguments: str | Path) -> str:
    result = RUNNER.invoke(app, [str(one) for one in arguments])
    assert isinstance(result.exception, PlimsollError)
    assert "\n" not in str(result.exception)
    return str(result.exception)


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """Hourly prices of two assets in the wide layout, with one bad cell."""
    rng = np.random.default_rng(0)
    values = 100 * np.exp(np.cumsum(0.01 * rng.standard_t(4, (300, 2)), axis=0))
    lines = ["time,ETH,SOL", *(f"{1_700_000_000 // 3600 * 3600 + 3600 * t},{a},{b}" for t, (a, b) in enumerate(values))]
    lines[100] = lines[100].rsplit(",", 1)[0] + ",-5"
    (tmp_path / "prices.csv").write_text("\n".join(lines))
    return tmp_path / "prices.csv"


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """Options on a smile, one of them below its intrinsic value."""
    lines = ["type,strike,expiry_years,forward,price"]
    for years in (0.1, 0.5):
        for strike in np.linspace(70, 140, 15):
            sigma = 0.6 + 0.3 * (np.log(strike / 100) / np.sqrt(years)) ** 2 * 0.2
            is_call = bool(strike >= 100)
            price = float(black_76(100.0, strike, years, sigma, is_call=is_call).price)
            lines.append(f"{'call' if is_call else 'put'},{strike},{years},100,{price!r}")
    lines.append("call,60,0.5,100,39")
    (tmp_path / "chain.csv").write_text("\n".join(lines))
    return tmp_path / "chain.csv"


def test_risk_as_json(prices: Path) -> None:
    found = read("risk", "--prices", prices, "--samples", "20", "--model", "historical", "--level", "0.9")
    assert found["periods_per_year"] == 8_760
    assert found["weights"] == {"ETH": 0.5, "SOL": 0.5}
    assert [(row["model"], row["level"]) for row in found["tails"]] == [("historical", 0.9), ("t-copula", 0.9)]
    assert {one["kind"]: one["row"] for one in found["problems"]} == {"bad_price": 101, "gap_filled": 102}
    assert found["stress"][0]["name"] == "march-2020"


def test_risk_as_text_with_weights_and_figures(prices: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.csv"
    weights.write_text("symbol,weight\nETH,0.6\n")
    shown = run(
        "risk", "--prices", prices, "--weights", weights, "--samples", "20", "--plot", tmp_path / "plots"
    ).stdout
    assert "Weights: ETH 60.00%" in shown
    assert "march-2020" in shown
    assert "2 more concern assets without a weight" in shown
    assert (tmp_path / "plots" / "risk.html").stat().st_size > 1_000_000


def test_risk_of_a_window(prices: Path) -> None:
    arguments = ("risk", "--prices", prices, "--samples", "5", "--model", "historical")
    found = read(*arguments, "--start", "2023-11-16", "--end", "2023-11-20T12:00:00")
    assert (found["start"], found["end"]) == ("2023-11-16T01:00Z", "2023-11-20T12:00Z")
    assert "not this window" in failure(*arguments, "--start", "2030-01-01")


def test_risk_names_what_is_wrong(prices: Path, tmp_path: Path) -> None:
    assert "nowhere.csv" in failure("risk", "--prices", tmp_path / "nowhere.csv")
    assert "no DOGE" in failure("risk", "--prices", prices, "--benchmark", "DOGE")
    assert "'gauss'" in failure("risk", "--prices", prices, "--model", "gauss", "--samples", "5")
    assert "between 0 and 1" in failure("risk", "--prices", prices, "--level", "95")


def test_greeks_as_json(chain: Path) -> None:
    found = read("options", "greeks", "--chain", chain)
    assert len(found["rows"]) == 30
    row = found["rows"][0]
    terms = (row["forward"], row["strike"], row["expiry_years"], row["volatility"])
    ours = black_76(*terms, is_call=row["is_call"])
    assert row["vega"] == pytest.approx(float(ours.vega))
    assert "per 1.00 of volatility" in found["units"]
    assert [(one["kind"], one["row"]) for one in found["problems"]] == [("no_volatility", 32)]


def test_units_are_the_callers(chain: Path) -> None:
    plain, exchange = (read("options", "greeks", "--chain", chain, "--units", one) for one in ("plain", "exchange"))
    assert exchange["rows"][3]["vega"] == pytest.approx(plain["rows"][3]["vega"] / 100)
    assert exchange["rows"][3]["theta"] == pytest.approx(plain["rows"][3]["theta"] / 365)


def test_volatilities_as_json_and_text(chain: Path) -> None:
    found = read("options", "iv", "--chain", chain)
    assert found["solved"] == 30
    assert found["reasons"] == {"ok": 30, "below_intrinsic": 1}
    assert found["rows"][-1] == {
        "row": 32, "contract": "60 call in 0.5 years", "strike": 60.0, "expiry_years": 0.5, "iv": None, "bid_iv": None,
        "ask_iv": None, "given_iv": None, "reason": "below_intrinsic",
    }  # fmt: skip
    assert "30 ok, 1 below_intrinsic" in run("options", "iv", "--chain", chain).stdout


def test_surface_as_json_text_and_figure(chain: Path, tmp_path: Path) -> None:
    (found,) = read("options", "surface", "--chain", chain)["surfaces"]
    assert [row["options"] for row in found["slices"]] == [15, 15]
    assert found["lowest_butterfly"] >= 0
    assert found["lowest_calendar"] >= 0
    assert found["within_quotes"] is None
    assert found["slices"][0]["at_the_money"] == pytest.approx(0.6, abs=0.02)
    shown = run("options", "surface", "--chain", chain, "--plot", tmp_path / "plots").stdout
    assert "no arbitrage" in shown
    assert (tmp_path / "plots" / "surface.html").stat().st_size > 1_000_000


def test_exchange_export_agrees_with_the_exchange() -> None:
    found = read("options", "greeks", "--chain", recorded("options/deribit_btc_2020-05-21_full_greeks.csv.gz"))
    difference = found["largest_difference"]
    limits = {"delta": 2e-4, "gamma": 1e-5, "vega": 5e-3, "rho": 2e-3, "theta": 5e-3}
    assert {name for name in limits if difference[name] > limits[name]} == set()


def test_options_name_what_is_wrong(chain: Path, tmp_path: Path) -> None:
    assert "nowhere.csv" in failure("options", "iv", "--chain", tmp_path / "nowhere.csv")
    assert "no options on BTC" in failure("options", "surface", "--chain", chain, "--underlying", "BTC")


def test_help_needs_no_numerics() -> None:
    code = "import sys, offchain.risk.commands; print(sorted({'numpy', 'numba', 'scipy', 'plotly'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
