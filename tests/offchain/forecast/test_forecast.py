# SPDX-License-Identifier: Apache-2.0
"""Forecasts: deterministic, in stated units, and blind to the future."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from Crypto.Hash import keccak

from offchain.forecast import Forecast, ForecastError, make_forecast
from offchain.forecast.expected import implied_returns
from offchain.forecast.model import MAX_SCENARIOS, MIN_RETURNS, horizon_scenarios, model_hash
from offchain.mandate import Mandate, load_mandate
from offchain.market.history import PriceHistory
from offchain.market.snapshot import AssetState, Block, BreakerState, Snapshot, VaultState

MANDATES = Path(__file__).parents[3] / "mandates"
STEP = 240 * 60
NOW = 1_767_225_600 // STEP * STEP + 500
"""A block some minutes after a grid time."""


@pytest.fixture(scope="module", params=["blue-chip", "dollar-reserve"])
def any_mandate(request: pytest.FixtureRequest) -> Mandate:
    return load_mandate(MANDATES / f"{request.param}.yaml")


@pytest.fixture(scope="module")
def mandate() -> Mandate:
    return load_mandate(MANDATES / "blue-chip.yaml")


def snapshot(mandate: Mandate, timestamp: int = NOW) -> Snapshot:
    """A vault at a time; a forecast looks at nothing else."""
    return Snapshot(
        chain_id=1,
        block=Block(100, "0x01", "0x02", timestamp, 10**9),
        vault=VaultState("0xa", "0xb", "0xc", 0, BreakerState.ACTIVE, 0, 0, 0, 0, 0, 0, "0x03", mandate.vault_limits),
        assets=tuple(AssetState(a.symbol, a.address, a.decimals, 0, 10**18, timestamp) for a in mandate.ordered_assets),
        pools=(),
    )


def history(mandate: Mandate, rows: int, last: int = NOW, seed: int = 1) -> PriceHistory:
    """Random walks with 60 % volatility, the base asset standing still."""
    step = mandate.execution.grid_minutes * 60
    rng = np.random.default_rng(seed)
    shocks = rng.standard_normal((rows, len(mandate.symbols))) * 0.6 * np.sqrt(step / (365 * 86_400))
    shocks[:, 0] *= 1e-3
    shocks[:, 1:] += 0.5 * shocks[:, 1:2]
    timestamps = np.arange(rows, dtype=np.int64) * step + (last // step - rows + 1) * step
    return PriceHistory(mandate.symbols, timestamps, 100 * np.exp(np.cumsum(shocks, axis=0)))


def same(left: Forecast, right: Forecast) -> bool:
    """Equal to the bit."""
    return (
        left.expected_returns.tobytes() == right.expected_returns.tobytes()
        and left.covariance.tobytes() == right.covariance.tobytes()
        and left.model_hash == right.model_hash
    )


def test_a_forecast_has_the_mandates_shape(any_mandate: Mandate) -> None:
    forecast = make_forecast(snapshot(any_mandate), history(any_mandate, 400), any_mandate)
    n = len(any_mandate.symbols)
    assert forecast.symbols == any_mandate.symbols
    assert (forecast.expected_returns.shape, forecast.covariance.shape) == ((n,), (n, n))
    assert forecast.horizon_days == any_mandate.objective.horizon_days
    assert np.linalg.eigvalsh(forecast.covariance)[0] >= 0


def test_volatility_is_per_year(mandate: Mandate) -> None:
    forecast = make_forecast(snapshot(mandate), history(mandate, 361), mandate)
    expected = 0.6 * np.sqrt([1.5**2, 1 + 0.5**2, 1 + 0.5**2, 1 + 0.5**2])
    np.testing.assert_allclose(np.sqrt(np.diag(forecast.covariance))[1:], expected, rtol=0.25)


def test_the_same_arguments_give_the_same_bits(any_mandate: Mandate) -> None:
    first = make_forecast(snapshot(any_mandate), history(any_mandate, 400), any_mandate)
    assert same(first, make_forecast(snapshot(any_mandate), history(any_mandate, 400), any_mandate))


def test_rows_after_the_block_change_nothing(any_mandate: Mandate) -> None:
    honest = history(any_mandate, 400)
    step = any_mandate.execution.grid_minutes * 60
    future = honest.timestamps[-1] + step * np.arange(1, 6)
    poisoned = PriceHistory(
        honest.symbols,
        np.concatenate([honest.timestamps, future]),
        np.vstack([honest.prices, np.full((5, len(honest.symbols)), np.nan)]),
    )
    now = snapshot(any_mandate)
    assert same(make_forecast(now, honest, any_mandate), make_forecast(now, poisoned, any_mandate))


def test_rows_before_the_window_change_nothing(mandate: Mandate) -> None:
    long = history(mandate, 500)
    window = PriceHistory(long.symbols, long.timestamps[-361:].copy(), long.prices[-361:].copy())
    assert same(make_forecast(snapshot(mandate), long, mandate), make_forecast(snapshot(mandate), window, mandate))


def test_the_benchmark_is_the_optimum_of_the_implied_returns(mandate: Mandate) -> None:
    forecast = make_forecast(snapshot(mandate), history(mandate, 361), mandate)
    weights = np.array(mandate.benchmark_weights)
    gamma = mandate.objective.risk_aversion
    # Gradient of mu'w - gamma/2 w'Sw, zero at the unconstrained optimum.
    gradient = forecast.expected_returns - gamma * forecast.covariance @ weights
    np.testing.assert_allclose(gradient, 0, atol=1e-12)


def test_implied_returns_of_one_asset_are_gamma_times_variance() -> None:
    np.testing.assert_allclose(implied_returns(np.array([[0.36]]), np.array([1.0]), 2.0), [0.72])


def test_model_hash_sees_every_part() -> None:
    returns, covariance = np.array([0.1, 0.2]), np.eye(2)
    hashes = {
        model_hash(("A", "B"), 30.0, returns, covariance),
        model_hash(("B", "A"), 30.0, returns, covariance),
        model_hash(("A", "B"), 31.0, returns, covariance),
        model_hash(("A", "B"), 30.0, np.nextafter(returns, 1), covariance),
        model_hash(("A", "B"), 30.0, returns, np.nextafter(covariance, 2)),
    }
    assert len(hashes) == 5


def test_model_hash_is_the_published_encoding() -> None:
    message = b'["plimsoll forecast 1",["A"]]' + struct.pack("<3d", 30.0, 0.5, 0.25)
    digest = keccak.new(digest_bits=256, data=message).hexdigest()
    assert model_hash(("A",), 30.0, np.array([0.5]), np.array([[0.25]])) == "0x" + digest


@pytest.mark.parametrize("rows", [0, 1, MIN_RETURNS])
def test_too_short_a_history_is_refused(mandate: Mandate, rows: int) -> None:
    with pytest.raises(ForecastError, match=f"{rows} prices at intervals of 240 minutes, 31 needed"):
        make_forecast(snapshot(mandate), history(mandate, rows), mandate)


def test_the_shortest_history_is_enough(mandate: Mandate) -> None:
    assert make_forecast(snapshot(mandate), history(mandate, MIN_RETURNS + 1), mandate).model_hash


def test_a_history_from_the_past_only_counts_inside_the_window(mandate: Mandate) -> None:
    with pytest.raises(ForecastError, match="0 prices"):
        make_forecast(snapshot(mandate), history(mandate, 400, last=NOW - 61 * 86_400), mandate)


@pytest.mark.parametrize("price", [np.nan, np.inf, 0.0, -1.0])
def test_a_price_that_is_none_is_named(mandate: Mandate, price: float) -> None:
    good = history(mandate, 361)
    prices = good.prices.copy()
    prices[100, 2] = price
    with pytest.raises(ForecastError, match=f"the price of WBTC at time {good.timestamps[100]}"):
        make_forecast(snapshot(mandate), PriceHistory(good.symbols, good.timestamps, prices), mandate)


def test_a_gap_in_the_grid_is_refused(mandate: Mandate) -> None:
    good = history(mandate, 361)
    keep = np.arange(361) != 50
    with pytest.raises(ForecastError, match="not on a grid of 240 minutes"):
        make_forecast(snapshot(mandate), PriceHistory(good.symbols, good.timestamps[keep], good.prices[keep]), mandate)


def test_another_universes_history_is_refused(mandate: Mandate) -> None:
    good = history(mandate, 361)
    wrong = replace(good, symbols=(*good.symbols[:4], "stETH"))
    with pytest.raises(ForecastError, match="wrong history"):
        make_forecast(snapshot(mandate), wrong, mandate)


def test_scenarios_are_what_happened_about_what_is_expected() -> None:
    rng = np.random.default_rng(0)
    returns = rng.normal(1e-4, 0.002, (5_000, 3))
    expected = np.array([0.05, -0.1, 0.4])
    scenarios = horizon_scenarios(returns, expected, 8_760.0, 30.0)
    assert scenarios.shape == (MAX_SCENARIOS, 3)
    assert scenarios.mean(axis=0) == pytest.approx(expected * 30 / 365, abs=3e-3)
    assert scenarios.std(axis=0) == pytest.approx(np.full(3, 0.002 * np.sqrt(720)), rel=0.05)
    assert horizon_scenarios(np.array([[-0.9], [0.9]]), np.zeros(1), 8_760.0, 30.0).min() == -1.0
