# SPDX-License-Identifier: Apache-2.0
"""Recorded crashes are what the prices say, and shocks do what they claim."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from offchain.risk.arrays import RiskError
from offchain.risk.prices import load_prices
from offchain.risk.stress import (
    event,
    events,
    record_event,
    shock,
    stress_path,
    stress_portfolio,
    stressed_covariance,
    volatility_shock,
    worst_case,
)
from tests.support import stress_events
from tests.support.recorded import recorded

NAMES = ("march-2020", "may-2021", "terra-2022", "ftx-2022", "usdc-2023")
COVARIANCE = np.array([[0.64, 0.3, 0.0], [0.3, 0.36, 0.01], [0.0, 0.01, 0.0025]])


def test_library_has_the_five_events_with_dates_and_sources() -> None:
    assert tuple(events()) == NAMES
    for one in events().values():
        assert one.start < one.days[0] < one.days[-1]
        assert set(one.returns) == set(one.trough) == set(one.sources)
        assert all(len(values) == len(one.days) for values in one.returns.values())
        assert all(one.sources.values())


def test_events_are_what_the_recorded_prices_say() -> None:
    for file in stress_events.FILES:
        recorded(str(file.relative_to(stress_events.DATA)))
    assert stress_events.encoded(stress_events.compute()) == stress_events.OUT.read_text()


def test_facts_everyone_remembers() -> None:
    march, ftx, usdc = event("march-2020"), event("ftx-2022"), event("usdc-2023")
    assert march.returns["BTC"][march.days.index("2020-03-12")] == pytest.approx(-0.395, abs=0.005)
    assert march.returns["ETH"][march.days.index("2020-03-12")] == pytest.approx(-0.445, abs=0.005)
    assert ftx.returns["SOL"][ftx.days.index("2022-11-09")] == pytest.approx(-0.42, abs=0.01)
    assert usdc.trough["USDC"] < -0.08
    assert event("may-2021").trough["ETH"] < event("may-2021").trough["BTC"] < -0.4


def test_unknown_event_is_named() -> None:
    with pytest.raises(RiskError, match="'tulips'; there are march-2020"):
        event("tulips")


def test_wrapped_assets_share_the_record() -> None:
    path = stress_path(event("march-2020"), ["WETH", "WBTC", "wstETH"])
    assert path.returns[:, 0].tolist() == list(event("march-2020").returns["ETH"])
    assert path.returns[:, 1].tolist() == list(event("march-2020").returns["BTC"])
    assert path.returns[:, 2].tolist() == list(event("march-2020").returns["ETH"])
    assert path.stand_ins == {}
    assert stress_path(event("ftx-2022"), ["wstETH"]).returns[:, 0].tolist() == list(event("ftx-2022").returns["stETH"])


def test_assets_without_a_record_have_a_stand_in_that_is_told() -> None:
    one = event("march-2020")
    path = stress_path(one, ["USDC", "SOL", "PEPE"], {"SOL": "ETH"})
    assert path.stand_ins == {"USDC": "one dollar", "SOL": "ETH", "PEPE": f"median of {len(one.symbols)} assets"}
    assert np.all(path.returns[:, 0] == 0)
    assert path.returns[4, 2] == pytest.approx(np.median([values[4] for values in one.returns.values()]))
    with pytest.raises(RiskError, match="no record of DOGEX, the stand-in of SOL"):
        stress_path(one, ["SOL"], {"SOL": "DOGEX"})


def test_portfolio_is_held_through_the_event() -> None:
    one = event("march-2020")
    (result,) = stress_portfolio(["BTC", "ETH"], [0.5, 0.3], [one])
    growth = {name: np.cumprod(1 + np.array(one.returns[name])) for name in ("BTC", "ETH")}
    value = 0.2 + 0.5 * growth["BTC"] + 0.3 * growth["ETH"]
    assert result.total == pytest.approx(value[-1] - 1)
    assert result.worst == pytest.approx(value.min() - 1)
    assert result.worst_date == "2020-03-12"
    assert result.at_troughs == pytest.approx(0.5 * one.trough["BTC"] + 0.3 * one.trough["ETH"])
    assert result.at_troughs <= result.worst


def test_all_events_by_default() -> None:
    assert [one.name for one in stress_portfolio(["BTC"], [1.0])] == list(NAMES)
    with pytest.raises(RiskError, match="2 weights"):
        stress_portfolio(["BTC"], [0.5, 0.5])


def test_own_event_from_own_prices(tmp_path: Path) -> None:
    lines = [f"2024-01-{day:02d}T{hour:02d}:00Z,A,{price}" for day, hour, price in
             [(1, 0, 90), (1, 12, 100), (2, 0, 40), (2, 12, 80), (3, 0, 90), (3, 12, 120)]]  # fmt: skip
    file = tmp_path / "prices.csv"
    file.write_text("\n".join(["time,symbol,close", *lines]))
    one = record_event("mine", "Mine", "2024-01-01", "2024-01-03", [(load_prices(file), ["A"], "me")])
    assert one.days == ("2024-01-02", "2024-01-03")
    assert one.returns["A"] == (-0.2, 0.5)
    assert one.trough["A"] == -0.6
    with pytest.raises(RiskError, match="no price on 2024-01-04"):
        record_event("mine", "Mine", "2024-01-01", "2024-01-04", [(load_prices(file), ["A"], "me")])


def test_chosen_shock() -> None:
    assert shock(["A", "B", "USDC"], {"USDC": -0.12}, others=-0.3).tolist() == [-0.3, -0.3, -0.12]
    with pytest.raises(RiskError, match="names C"):
        shock(["A"], {"C": -0.1})
    with pytest.raises(RiskError, match="more than everything"):
        shock(["A"], {"A": -1.1})


def test_volatility_shock_by_hand() -> None:
    ours = volatility_shock(COVARIANCE, 3.0, 1.0)
    assert ours[0] == pytest.approx(math.exp(-3 * 0.8 / math.sqrt(365)) - 1)
    assert np.all(volatility_shock(COVARIANCE, 1e3, 365.0) >= -1)


def test_worst_case_is_the_minimum_over_the_ellipsoid() -> None:
    weights = np.array([0.5, 0.2, 0.3])
    ours = worst_case(weights, COVARIANCE, 2.0, 10.0)
    radius = 2.0 * math.sqrt(10 / 365)
    assert float(ours @ np.linalg.solve(COVARIANCE, ours)) == pytest.approx(radius**2)
    directions = np.random.default_rng(0).standard_normal((20_000, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    others = radius * directions @ np.linalg.cholesky(COVARIANCE).T
    assert float(weights @ ours) <= (others @ weights).min()
    assert worst_case(np.zeros(3), COVARIANCE, 2.0, 10.0).tolist() == [0, 0, 0]


def test_stressed_covariance_moves_correlations_to_one() -> None:
    assert stressed_covariance(COVARIANCE) == pytest.approx(COVARIANCE)
    stressed = stressed_covariance(COVARIANCE, correlation=0.5, volatility=2.0)
    deviations = np.sqrt(np.diag(stressed))
    assert deviations == pytest.approx(2 * np.sqrt(np.diag(COVARIANCE)))
    before = COVARIANCE / np.sqrt(np.outer(np.diag(COVARIANCE), np.diag(COVARIANCE)))
    assert stressed / np.outer(deviations, deviations) == pytest.approx(0.5 * before + 0.5)
    assert np.linalg.eigvalsh(stressed)[0] > 0
    with pytest.raises(RiskError, match="correlation"):
        stressed_covariance(COVARIANCE, correlation=1.5)
