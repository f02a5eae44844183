# SPDX-License-Identifier: Apache-2.0
"""The simulated market has the shape of the one it stands for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kurtosis

from offchain.sandbox.paths import MARKET_SYMBOLS, PricePath, PricePathError
from offchain.sandbox.simulator import LAWS, Crash, Regime, continued_from_the_sandbox, simulate

ROWS_A_DAY = 48
RISKY = MARKET_SYMBOLS[:3]


@pytest.fixture(scope="module")
def years() -> PricePath:
    return simulate(11, days=365 * 8)


def log_returns(path: PricePath) -> np.ndarray:
    return np.diff(np.log(path.prices[:, :3]), axis=0)


def test_same_seed_gives_same_path_and_another_seed_another() -> None:
    first, again, other = (simulate(seed, days=10, crash=Crash(4, -0.3)) for seed in (3, 3, 4))
    assert np.array_equal(first.prices, again.prices)
    assert not np.allclose(first.prices, other.prices)


def test_daily_returns_have_fat_tails(years: PricePath) -> None:
    daily = log_returns(years).reshape(-1, ROWS_A_DAY, 3).sum(axis=1)
    assert np.all(kurtosis(daily, fisher=False) > 4.0)


def test_volatility_is_that_of_crypto_majors(years: PricePath) -> None:
    volatility = log_returns(years).std(axis=0) * np.sqrt(ROWS_A_DAY * 365)
    eth, btc, link = volatility
    assert btc < eth < link
    assert np.all((volatility > 0.5) & (volatility < 1.2))


def test_correlation_rises_with_distress(years: PricePath) -> None:
    assert years.regimes is not None
    by_regime = [
        np.corrcoef(log_returns(years)[years.regimes[1:] == regime].T)[np.triu_indices(3, 1)].mean()
        for regime in Regime
    ]
    assert by_regime == sorted(by_regime)
    for regime, measured in zip(Regime, by_regime, strict=True):
        assert measured == pytest.approx(LAWS[regime].correlation, abs=0.05)


def test_absolute_returns_cluster(years: PricePath) -> None:
    daily = np.abs(log_returns(years).reshape(-1, ROWS_A_DAY, 3).sum(axis=1)[:, 0])
    assert np.corrcoef(daily[:-1], daily[1:])[0, 1] > 0.1


def test_placed_crash_has_exactly_its_depth_and_is_the_only_one() -> None:
    path = simulate(5, days=60, start=1_000_000, crash=Crash(day=35, depth=-0.42))
    eth = path.series("ETH")
    begin, end = 35 * ROWS_A_DAY, 37 * ROWS_A_DAY
    assert eth[end] / eth[begin] - 1 == pytest.approx(-0.42, abs=1e-12)
    assert path.regimes is not None
    crashing = path.timestamps[path.regimes == Regime.CRASH]
    assert crashing.min() > path.timestamps[begin]
    assert crashing.max() <= path.timestamps[end]
    assert path.series("LINK")[end] / path.series("LINK")[begin] < eth[end] / eth[begin]


def test_steth_discount_widens_in_a_crash_and_heals() -> None:
    path = simulate(5, days=90, crash=Crash(day=35, depth=-0.4))
    discount = 1 - path.series("stETH") / path.series("ETH")
    before, during, after = discount[: 35 * ROWS_A_DAY], discount[37 * ROWS_A_DAY], discount[-1]
    assert before.max() < 0.01
    assert during > 0.015
    assert after < during / 2


def test_stablecoins_stay_near_one_dollar() -> None:
    path = simulate(5, days=60, crash=Crash(day=35, depth=-0.4))
    for symbol in ("USDC", "USDT", "DAI"):
        assert np.abs(path.series(symbol) - 1).max() < 0.01


def test_path_begins_at_the_prices_asked_for() -> None:
    path = simulate(5, days=1, start_prices={"ETH": 1_234.0, "stETH": 1_230.0, "USDC": 0.999})
    assert path.at(path.start) == pytest.approx(
        {"ETH": 1_234.0, "BTC": 60_000.0, "LINK": 15.0, "stETH": 1_230.0, "USDC": 0.999, "USDT": 1.0, "DAI": 1.0}
    )


@pytest.mark.parametrize("crash", [Crash(day=9, depth=-0.4), Crash(day=1, depth=0.1), Crash(day=1, depth=-1.0)])
def test_impossible_crash_is_refused(crash: Crash) -> None:
    with pytest.raises(PricePathError, match="crash"):
        simulate(1, days=10, crash=crash)


def test_between_rows_prices_run_straight_in_logarithms() -> None:
    path = PricePath(("ETH",), np.array([0, 100]), np.array([[1_000.0], [4_000.0]]))
    assert path.at(50)["ETH"] == pytest.approx(2_000.0)
    with pytest.raises(PricePathError, match="outside"):
        path.at(101)


def test_times_between_is_open_on_the_left() -> None:
    path = PricePath(("ETH",), np.array([0, 10, 20, 30]), np.ones((4, 1)))
    assert path.times_between(0, 20) == [10, 20]


def test_path_refuses_what_is_no_price() -> None:
    with pytest.raises(PricePathError, match="BTC at time 1"):
        PricePath(("ETH", "BTC"), np.array([0, 1]), np.array([[1.0, 1.0], [1.0, -2.0]]))
    with pytest.raises(PricePathError, match="increase"):
        PricePath(("ETH",), np.array([1, 1]), np.ones((2, 1)))


def test_moved_and_scaled_paths_keep_their_returns() -> None:
    path = simulate(5, days=1)
    other = path.starting_at(1_700_000_000).scaled_to({"ETH": 2_000.0})
    assert other.start == 1_700_000_000
    assert other.series("ETH")[0] == 2_000.0
    assert np.allclose(log_returns(other), log_returns(path))
    assert np.array_equal(other.series("BTC"), path.series("BTC"))


def test_recorded_returns_continue_from_the_sandboxs_prices() -> None:
    path = simulate(5, days=1).scaled_to({"ETH": 195.0, "stETH": 190.0, "BTC": 7_900.0, "LINK": 3.8, "USDC": 1.01})
    moved = continued_from_the_sandbox(path)
    assert moved.at(moved.start) == pytest.approx(
        {"ETH": 3_000, "BTC": 60_000, "LINK": 15, "stETH": 3_000 * 190 / 195, "USDC": 1.01, "USDT": 1, "DAI": 1}
    )
    assert np.allclose(log_returns(moved), log_returns(path))
