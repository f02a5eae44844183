# SPDX-License-Identifier: Apache-2.0
"""How sure one can be: block bootstrap and the deflated Sharpe ratio."""

from __future__ import annotations

import math

import numpy as np
import pytest

from offchain.risk.arrays import RiskError
from offchain.risk.measures import (
    block_indices,
    block_length,
    bootstrap,
    deflated_sharpe,
    expected_best_sharpe,
    minimum_record,
    probabilistic_sharpe,
    sharpe_ratio,
)


def autoregression(size: int, slope: float, seed: int) -> np.ndarray:
    """Return a first-order autoregression with unit innovations."""
    from scipy.signal import lfilter

    return lfilter([1.0], [1.0, -slope], np.random.default_rng(seed).standard_normal(size))


def test_example_of_the_deflated_sharpe_paper() -> None:
    # Bailey and Lopez de Prado (2014): annual ratio 2.5 over 1,250 of 250 days, variance 1/2 over the trials.
    sharpe, variance = 2.5 / math.sqrt(250), 0.5 / 250
    threshold = expected_best_sharpe(100, variance)
    assert threshold == pytest.approx(0.1132, abs=5e-5)
    assert probabilistic_sharpe(sharpe, 1_250, benchmark=threshold, skew=-3, kurtosis=10) == pytest.approx(
        0.9004, abs=5e-5
    )
    fewer = expected_best_sharpe(46, variance)
    assert probabilistic_sharpe(sharpe, 1_250, benchmark=fewer, skew=-3, kurtosis=10) == pytest.approx(0.9505, abs=5e-5)


def test_expected_best_of_many_ratios() -> None:
    best = np.random.default_rng(0).standard_normal((20_000, 50)).max(axis=1)
    assert expected_best_sharpe(50, 1.0) == pytest.approx(best.mean(), rel=0.02)
    assert expected_best_sharpe(1, 1.0) == 0.0


def test_deflated_sharpe_of_luck_is_a_coin_toss() -> None:
    rng = np.random.default_rng(4)
    judged = []
    for _ in range(60):
        trials = rng.standard_normal((20, 500))
        ratios = trials.mean(axis=1) / trials.std(axis=1, ddof=1)
        judged.append(deflated_sharpe(trials[np.argmax(ratios)], 20, float(ratios.var(ddof=1))).probability)
    assert 0.35 < float(np.mean(judged)) < 0.65


def test_probability_without_trials_is_the_probabilistic_ratio() -> None:
    returns = 0.1 + autoregression(300, 0.0, 5)
    scaled = (returns - returns.mean()) / returns.std()
    ratio = returns.mean() / returns.std(ddof=1)
    ours = deflated_sharpe(returns, 1, 0.0)
    assert ours.threshold == 0.0
    assert ours.probability == pytest.approx(
        probabilistic_sharpe(ratio, 300, skew=float((scaled**3).mean()), kurtosis=float((scaled**4).mean()))
    )


def test_minimum_record_is_where_the_probability_reaches_the_level() -> None:
    periods = minimum_record(0.1, skew=-1.0, kurtosis=6.0, level=0.95)
    assert probabilistic_sharpe(0.1, math.ceil(periods), skew=-1.0, kurtosis=6.0) >= 0.95
    assert probabilistic_sharpe(0.1, math.floor(periods), skew=-1.0, kurtosis=6.0) < 0.95
    assert minimum_record(0.1, benchmark=0.2) == math.inf


@pytest.mark.parametrize("slope", [0.3, 0.7, 0.9])
def test_block_length_of_an_autoregression(slope: float) -> None:
    # For it the optimum is known: (2 rho / (1 - rho^2))^(2/3) T^(1/3) for the stationary kind.
    size = 50_000
    found = block_length(autoregression(size, slope, 6))
    best = (2 * slope / (1 - slope**2)) ** (2 / 3) * size ** (1 / 3)
    assert found.stationary == pytest.approx(best, rel=0.25)
    assert found.circular == pytest.approx(found.stationary * 1.5 ** (1 / 3))


def test_block_length_is_near_that_of_arch() -> None:
    # arch 7.2's optimal_block_length gives 23.19 and 26.55 for this series; it counts the first quiet lag as loud.
    found = block_length(autoregression(2_000, 0.6, 8))
    assert (found.stationary, found.circular) == pytest.approx((23.19, 26.55), rel=0.1)


def test_block_length_without_dependence_is_short() -> None:
    assert block_length(autoregression(2_000, 0.0, 9)).stationary < 3
    assert block_length(np.ones(50)).stationary == 1.0


@pytest.mark.parametrize("kind", ["stationary", "circular"])
def test_indices_run_in_blocks_that_wrap(kind: str) -> None:
    positions = block_indices(100, 400, 10.0, kind=kind, seed=1)  # type: ignore[arg-type]
    steps = (np.diff(positions, axis=1) % 100 != 1).mean()
    assert steps == pytest.approx(0.1, abs=0.012)
    assert np.bincount(positions.ravel(), minlength=100).min() > 0.8 * 400
    assert np.array_equal(positions, block_indices(100, 400, 10.0, kind=kind, seed=1))  # type: ignore[arg-type]


def test_blocks_see_dependence_that_single_draws_miss() -> None:
    series = autoregression(3_000, 0.8, 10)
    blocks = bootstrap(np.mean, series, samples=400)
    single = bootstrap(np.mean, series, samples=400, block=1.0)
    # The standard error of its mean is 1 / (1 - 0.8) / root T; single draws know only the spread, a third of it.
    assert (blocks.high - blocks.low) / (2 * 1.96) == pytest.approx(5 / math.sqrt(3_000), rel=0.2)
    assert single.high - single.low < 0.45 * (blocks.high - blocks.low)


def test_interval_covers_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(80):
        found = bootstrap(np.mean, autoregression(300, 0.4, 100 + seed), level=0.9, samples=200, seed=seed)
        covered += found.low <= 0.0 <= found.high
    assert 0.78 <= covered / 80 <= 0.97


def test_interval_of_a_sharpe_ratio_is_reproducible() -> None:
    series = 0.05 + autoregression(400, 0.2, 11)
    one = bootstrap(lambda x: sharpe_ratio(x, 365), series, samples=300, seed=3)
    assert one == bootstrap(lambda x: sharpe_ratio(x, 365), series, samples=300, seed=3)
    assert one.low < one.estimate < one.high


def test_rows_of_several_assets_stay_together() -> None:
    series = autoregression(500, 0.3, 12)
    rows = np.column_stack([series, 2 * series])
    found = bootstrap(lambda x: float(np.corrcoef(x.T)[0, 1]), rows, samples=50)
    assert found.low == pytest.approx(1.0)


def test_bad_input_is_refused() -> None:
    with pytest.raises(RiskError):
        block_indices(10, 0, 5.0)
    with pytest.raises(RiskError):
        block_length([1.0, 2.0])
    with pytest.raises(RiskError):
        deflated_sharpe([0.1] * 10, 5, 0.1)
    with pytest.raises(RiskError):
        expected_best_sharpe(0, 0.1)
    with pytest.raises(RiskError):
        probabilistic_sharpe(5.0, 100, skew=3.0, kurtosis=3.0)
