# SPDX-License-Identifier: Apache-2.0
"""Tests of value at risk and expected shortfall against published figures, and forecasts that never look ahead."""

from __future__ import annotations

import math

import numpy as np
import pytest

from offchain.risk.arrays import RiskError
from offchain.risk.prices import load_prices
from offchain.risk.tails import (
    coverage,
    exceedances,
    location_scale_draw,
    shortfall_tests,
    tail_model,
    tail_of,
    walk_forward,
)
from offchain.risk.tails.models import GRID, Normal
from tests.support.recorded import recorded

NAMES = [f"{prefix}{name}" for prefix in ("", "filtered-") for name in ("historical", "normal", "student", "pareto")]


def record(size: int, seed: int) -> np.ndarray:
    """Returns whose volatility clusters and whose surprises have fat tails."""
    rng = np.random.default_rng(seed)
    variance, returns = 4e-4, np.empty(size)
    for t in range(size):
        returns[t] = math.sqrt(variance * 0.5) * rng.standard_t(4)
        variance = 8e-6 + 0.1 * returns[t] ** 2 + 0.88 * variance
    return returns


def hits(count: int, total: int) -> np.ndarray:
    """Exceedances at the start of a record."""
    marks = np.zeros(total, dtype=bool)
    marks[:count] = True
    return marks


@pytest.mark.parametrize(
    ("total", "level", "fewest", "most"),
    [
        (255, 0.99, 1, 6),
        (510, 0.99, 2, 10),
        (1_000, 0.99, 5, 16),
        (255, 0.95, 7, 20),
        (510, 0.95, 17, 35),
        (1_000, 0.95, 38, 64),
    ],
)
def test_kupiecs_table_of_acceptable_numbers(total: int, level: float, fewest: int, most: int) -> None:
    # Kupiec (1995), non-rejection regions at five per cent; without any exceedance in 255 days 5.13 is not accepted.
    for count, accepted in ((fewest, True), (most, True), (fewest - 1, False), (most + 1, False)):
        assert (coverage(hits(count, total), level).unconditional.p_value > 0.05) == accepted, count


def test_jorions_example() -> None:
    # Value at Risk (3rd edition), chapter 6: J.P. Morgan in 1998, 20 exceptions in 252 days at 95 %.
    assert coverage(hits(20, 252), 0.95).unconditional.statistic == pytest.approx(3.91, abs=5e-3)


def test_christoffersens_statistics_by_hand() -> None:
    marks = np.array([0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], dtype=bool)
    # Pairs: none-none 10, none-one 3, one-none 3, one-one 3.
    null = 6 * math.log(6 / 19) + 13 * math.log(13 / 19)
    free = 10 * math.log(10 / 13) + 3 * math.log(3 / 13) + 6 * math.log(0.5)
    ours = coverage(marks, 0.9)
    assert ours.independence.statistic == pytest.approx(2 * (free - null))
    count = 2 * (6 * math.log(0.3 / 0.1) + 14 * math.log(0.7 / 0.9))
    assert ours.unconditional.statistic == pytest.approx(count)
    assert ours.conditional.statistic == pytest.approx(count + 2 * (free - null))
    assert ours.conditional.p_value == pytest.approx(math.exp(-ours.conditional.statistic / 2))


def test_clusters_are_seen_though_the_number_is_right() -> None:
    spread, cluster = np.zeros(1_000, dtype=bool), np.zeros(1_000, dtype=bool)
    spread[::20] = True
    cluster[400:450] = True
    assert coverage(spread, 0.95).unconditional.p_value == coverage(cluster, 0.95).unconditional.p_value
    assert coverage(cluster, 0.95).independence.p_value < 1e-6
    assert not coverage(cluster, 0.95).accepted()


@pytest.mark.parametrize("count", [0, 100])
def test_none_and_all_are_judged(count: int) -> None:
    ours = coverage(hits(count, 100), 0.95)
    assert ours.unconditional.p_value < 0.05
    assert 0 <= ours.conditional.p_value <= 1


def test_size_of_the_tests_under_the_truth() -> None:
    rng = np.random.default_rng(0)
    judged = [coverage(rng.random(1_000) < 0.05, 0.95) for _ in range(400)]
    assert np.mean([one.unconditional.p_value < 0.05 for one in judged]) == pytest.approx(0.05, abs=0.03)
    assert np.mean([one.conditional.p_value < 0.05 for one in judged]) == pytest.approx(0.06, abs=0.04)


def test_exceedances_want_matching_series() -> None:
    assert exceedances([-0.1, 0.1, -0.3], [0.2, 0.2, 0.2]).tolist() == [False, False, True]
    with pytest.raises(RiskError, match="align"):
        exceedances([0.1], [0.1, 0.2])
    with pytest.raises(RiskError, match="at least two"):
        coverage([True], 0.95)


def test_acerbi_and_szekelys_critical_value() -> None:
    # "Back-testing expected shortfall" (2014): for a normal distribution, 250 days and 97.5 %, Z2 is below -0.70 in
    # five per cent of records.
    one = Normal(0.0, 1.0)
    limit, mean = one.value_at_risk(0.975), one.expected_shortfall(0.975)
    truth = np.random.default_rng(1).standard_normal(250)
    draw = location_scale_draw(np.zeros(250), 1.0, np.random.default_rng(2).standard_normal(400_000))
    ours = shortfall_tests(truth, np.full(250, limit), np.full(250, mean), 0.975, draw, samples=20_000)
    assert ours.z2.critical == pytest.approx(-0.70, abs=0.02)


def test_statistics_of_expected_shortfall_by_hand() -> None:
    returns, limit, mean = np.array([-0.1, 0.02, -0.3, 0.05, -0.2]), np.full(5, 0.15), np.full(5, 0.2)
    draw = location_scale_draw(np.zeros(5), 0.1, [-1.0, 1.0, 2.0])
    ours = shortfall_tests(returns, limit, mean, 0.8, draw, samples=10)
    assert ours.z1.statistic == pytest.approx(-(1.5 + 1.0) / 2 + 1)
    assert ours.z2.statistic == pytest.approx(-(1.5 + 1.0) / 1 + 1)
    assert math.isnan(shortfall_tests(returns, np.full(5, 1.0), mean, 0.8, draw, samples=10).z1.p_value)


def test_thin_forecasts_of_fat_tails_are_rejected() -> None:
    rng = np.random.default_rng(3)
    truth = rng.standard_t(3, 1_500) / math.sqrt(3)
    one = Normal(0.0, 1.0)
    size = truth.size
    draw = location_scale_draw(np.zeros(size), 1.0, one.sample())
    ours = shortfall_tests(
        truth, np.full(size, one.value_at_risk(0.975)), np.full(size, one.expected_shortfall(0.975)), 0.975, draw,
        samples=1_000,
    )  # fmt: skip
    assert ours.z1.p_value < 0.01


def test_p_values_repeat() -> None:
    walked = walk_forward(record(700, 4), tail_model("filtered-historical"), 0.95, refit=20)
    assert walked.shortfall(samples=200, seed=5) == walked.shortfall(samples=200, seed=5)


def test_grid_of_a_normal_stands_for_it() -> None:
    assert Normal(1.0, 2.0).sample().size == GRID.size
    assert Normal(1.0, 2.0).sample().mean() == pytest.approx(1.0)


@pytest.mark.parametrize("name", NAMES)
def test_poisoned_future_leaves_past_forecasts_alone(name: str) -> None:
    returns = record(360, 6)
    poisoned = returns.copy()
    poisoned[300:] = 5.0 * np.random.default_rng(7).standard_normal(60)
    clean, other = (walk_forward(one, tail_model(name), 0.95, window=200, refit=25) for one in (returns, poisoned))
    known = 300 - 200 + 1
    assert np.array_equal(clean.value_at_risk[:known], other.value_at_risk[:known])
    assert np.array_equal(clean.expected_shortfall[:known], other.expected_shortfall[:known])
    assert not np.array_equal(clean.value_at_risk[known:], other.value_at_risk[known:])


@pytest.mark.parametrize("name", NAMES)
def test_last_forecast_is_the_one_for_now(name: str) -> None:
    returns = record(260, 8)
    walked = walk_forward(returns, tail_model(name), 0.95, window=250)
    assert walked.expected_shortfall[0] > walked.value_at_risk[0] > 0
    if not name.startswith("filtered"):
        ours = tail_of(returns[:250], tail_model(name), 0.95)
        assert ours == pytest.approx((walked.value_at_risk[0], walked.expected_shortfall[0]))


def test_filter_may_come_from_elsewhere() -> None:
    returns = record(600, 9)
    volatility = np.full(600, 0.02)
    walked = walk_forward(returns, tail_model("filtered-historical"), 0.95, window=300, volatility=volatility)
    plain = walk_forward(returns, tail_model("historical"), 0.95, window=300)
    assert walked.value_at_risk == pytest.approx(plain.value_at_risk)
    with pytest.raises(RiskError, match="600 returns"):
        walk_forward(returns, tail_model("filtered-normal"), 0.95, window=300, volatility=volatility[1:])


def test_window_must_fit() -> None:
    with pytest.raises(RiskError, match="window 500"):
        walk_forward(record(400, 1), tail_model("normal"), 0.95)
    with pytest.raises(RiskError, match="no tail model is called 'gauss'"):
        tail_model("gauss")


def test_filtered_tails_cover_bitcoin_and_normal_ones_do_not() -> None:
    table = load_prices(recorded("prices/binance_spot_1d_2018_2024.csv.gz"))
    returns = table.returns()[:, table.column("BTC")]
    good = walk_forward(returns, tail_model("filtered-pareto"), 0.99, refit=20)
    thin = walk_forward(returns, tail_model("normal"), 0.99, refit=20)
    assert good.coverage().accepted()
    assert good.shortfall(samples=500).z1.p_value > 0.05
    assert thin.coverage().exceedances > 1.5 * thin.coverage().expected
    assert thin.shortfall(samples=500).z2.p_value < 0.05
