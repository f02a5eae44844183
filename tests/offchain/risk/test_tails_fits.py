# SPDX-License-Identifier: Apache-2.0
"""Fitted tails against published figures, other implementations and distributions known beforehand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from offchain.risk.arrays import RiskError
from offchain.risk.measures import expected_shortfall, value_at_risk
from offchain.risk.tails import (
    ParetoTail,
    StudentCopula,
    StudentT,
    VolatilityRecursion,
    filtered_scenarios,
    fit_copula,
    fit_joint,
    fit_pareto,
    fit_student,
    hill,
    smoothed_volatility,
    smoothing,
    standardised,
)
from offchain.risk.tails.copula import copula_likelihood
from offchain.risk.tails.models import Normal


def test_table_of_mcneil_frey_and_embrechts() -> None:
    # Quantitative Risk Management (2005), table 2.1: 10,000 in a stock with 20 % a year over one of 250 days.
    deviation = 10_000 * 0.2 / math.sqrt(250)
    normal, student = Normal(0.0, deviation), StudentT(0.0, deviation * math.sqrt(0.5), 4.0)
    levels = (0.9, 0.95, 0.975, 0.99, 0.995)
    assert [normal.value_at_risk(a) for a in levels] == pytest.approx([162.1, 208.1, 247.9, 294.3, 325.8], abs=0.1)
    assert [student.value_at_risk(a) for a in levels] == pytest.approx([137.1, 190.7, 248.3, 335.1, 411.8], abs=0.1)
    assert [normal.expected_shortfall(a) for a in levels] == pytest.approx([222, 260.9, 295.7, 337.1, 365.8], abs=0.1)


def test_student_shortfall_is_the_mean_beyond() -> None:
    one = StudentT(0.001, 0.02, 3.5)
    tail = one.sample(2_000_000)
    assert one.value_at_risk(0.99) == pytest.approx(value_at_risk(tail, 0.99), rel=1e-3)
    assert one.expected_shortfall(0.99) == pytest.approx(expected_shortfall(tail, 0.99), rel=3e-3)


@pytest.mark.parametrize("freedom", [2.5, 4.0, 8.0])
def test_student_fit_is_scipys_maximum(freedom: float) -> None:
    returns = 0.002 + 0.03 * np.random.default_rng(3).standard_t(freedom, 3_000)
    ours = fit_student(returns)
    theirs = stats.t.fit(returns)
    assert (ours.freedom, ours.location, ours.scale) == pytest.approx(theirs, rel=2e-3, abs=2e-5)
    assert stats.t.logpdf(returns, ours.freedom, ours.location, ours.scale).sum() >= (
        stats.t.logpdf(returns, *theirs).sum() - 1e-6
    )


def test_student_fit_of_a_normal_sample_has_thin_tails() -> None:
    ours = fit_student(np.random.default_rng(1).standard_normal(5_000))
    assert ours.freedom > 20
    assert ours.deviation == pytest.approx(1.0, abs=0.03)


def test_student_fit_survives_outliers_and_ties() -> None:
    assert fit_student([0.0] * 10 + [1e-9, 5.0, -3.0]).scale > 0
    with pytest.raises(RiskError, match="do not vary"):
        fit_student([0.1] * 20)


def test_pareto_fit_is_scipys_maximum() -> None:
    returns = -np.random.default_rng(4).standard_t(3, 4_000)
    ours = fit_pareto(returns, threshold_level=0.95)
    excess = np.sort(-returns)[-200:] - ours.threshold
    shape, _, scale = stats.genpareto.fit(excess, floc=0)
    assert (ours.shape, ours.scale) == pytest.approx((shape, scale), rel=1e-3, abs=1e-4)
    assert ours.exceedances == 200


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.25, 0.6])
def test_pareto_fit_finds_the_shape_behind_the_sample(shape: float) -> None:
    losses = stats.genpareto.rvs(shape, scale=0.02, size=60_000, random_state=5)
    ours = fit_pareto(-losses, threshold_level=0.9)
    assert ours.shape == pytest.approx(shape, abs=0.05)
    for level in (0.95, 0.99, 0.999):
        assert ours.value_at_risk(level) == pytest.approx(stats.genpareto.ppf(level, shape, scale=0.02), rel=0.08)


def test_pareto_shortfall_is_the_mean_beyond() -> None:
    tail = ParetoTail(0.05, 0.3, 0.02, 0.1, 100)
    beyond = tail.quantile((np.arange(2_000_000) + 0.5) / 2_000_000 * 0.1)
    assert tail.value_at_risk(0.99) == pytest.approx(float(tail.quantile(np.array([0.1]))[0]))
    assert tail.expected_shortfall(0.99) == pytest.approx(beyond.mean(), rel=2e-3)
    assert ParetoTail(0.05, 1.1, 0.02, 0.1, 100).expected_shortfall(0.99) == math.inf
    limit = ParetoTail(0.05, 1e-12, 0.02, 0.1, 100)
    assert limit.value_at_risk(0.99) == pytest.approx(ParetoTail(0.05, 1e-7, 0.02, 0.1, 100).value_at_risk(0.99))


def test_pareto_says_what_it_cannot_do() -> None:
    with pytest.raises(RiskError, match="below the threshold"):
        fit_pareto(np.random.default_rng(0).standard_normal(500)).value_at_risk(0.5)
    with pytest.raises(RiskError, match="5 losses of 50"):
        fit_pareto(np.random.default_rng(0).standard_normal(50))
    with pytest.raises(RiskError, match="equal the threshold"):
        fit_pareto(-np.ones(500))


def test_hill_estimator_of_a_power_tail() -> None:
    losses = np.random.default_rng(6).pareto(3.0, 100_000) + 1
    assert hill(-losses, 2_000) == pytest.approx(3.0, rel=0.05)
    with pytest.raises(RiskError):
        hill([0.1, 0.2, 0.3], 2)


def test_smoothing_is_the_weighted_mean_of_what_was_known() -> None:
    returns = np.random.default_rng(7).normal(0, 0.02, 60)
    ours = smoothed_volatility(returns, 0.9)
    assert math.isnan(ours[0])
    for t in (1, 2, 30, 60):
        weights = 0.9 ** np.arange(t)[::-1]
        assert ours[t] == pytest.approx(math.sqrt(weights @ returns[:t] ** 2 / weights.sum()))


def test_poisoned_future_leaves_past_volatility_alone() -> None:
    returns = np.random.default_rng(8).normal(0, 0.02, 200)
    poisoned = returns.copy()
    poisoned[100:] = 9.0
    assert np.array_equal(smoothed_volatility(returns)[:101], smoothed_volatility(poisoned)[:101], equal_nan=True)
    recursion = VolatilityRecursion(1e-6, 0.1, 0.85, 0.05)
    assert np.array_equal(recursion.volatility(returns, 0.02)[:101], recursion.volatility(poisoned, 0.02)[:101])


def test_recursion_by_hand() -> None:
    recursion = VolatilityRecursion(1e-5, 0.05, 0.9, gamma=0.1, mean=0.001)
    ours = recursion.volatility([0.03, -0.02], 0.02)
    first = 1e-5 + 0.05 * 0.029**2 + 0.9 * 0.0004
    assert ours**2 == pytest.approx([0.0004, first, 1e-5 + 0.15 * 0.021**2 + 0.9 * first])
    with pytest.raises(RiskError, match="negative"):
        VolatilityRecursion(0.0, -0.1, 0.9)


def test_filtered_scenarios_over_one_period_are_scaled_surprises() -> None:
    surprises = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    ours = filtered_scenarios(surprises, 0.05, smoothing())
    assert ours.returns.tolist() == pytest.approx([-0.1, -0.05, 0.0, 0.05, 0.1])
    assert ours.value_at_risk(0.8) == pytest.approx(0.05)
    assert ours.expected_shortfall(0.8) == pytest.approx(0.1)


def test_filtered_scenarios_over_a_horizon_have_the_expected_variance() -> None:
    surprises = np.random.default_rng(9).standard_normal(4_000)
    surprises = (surprises - surprises.mean()) / surprises.std()
    recursion = VolatilityRecursion(2e-6, 0.08, 0.9)
    long_run, persistence = 2e-6 / 0.02, 0.98
    ours = filtered_scenarios(surprises, 0.02, recursion, horizon=10, count=200_000, seed=1)
    expected = sum(long_run + persistence**k * (0.0004 - long_run) for k in range(10))
    assert np.log1p(ours.returns).var() == pytest.approx(expected, rel=0.02)
    again = filtered_scenarios(surprises, 0.02, recursion, horizon=10, count=200_000, seed=1)
    assert np.array_equal(ours.returns, again.returns)


def test_standardised_returns_start_where_volatility_is_known() -> None:
    assert standardised([0.1, 0.2, 0.3], [math.nan, 0.1, 0.1, 0.5]) == pytest.approx([2.0, 3.0])
    with pytest.raises(RiskError, match=r"volatility\[2\] is not positive"):
        standardised([0.1, 0.2, 0.3], [0.1, 0.1, 0.0])
    with pytest.raises(RiskError, match="3 returns"):
        standardised([0.1, 0.2, 0.3], [0.1])


def test_copula_fit_finds_the_copula_behind_the_sample() -> None:
    correlation = np.array([[1.0, 0.7, 0.3], [0.7, 1.0, 0.5], [0.3, 0.5, 1.0]])
    ranks = StudentCopula(correlation, 4.0).draw(6_000, seed=2)
    # Margins of any kind leave the dependence as it is.
    values = np.column_stack([stats.norm.ppf(ranks[:, 0]), np.exp(3 * ranks[:, 1]), stats.t.ppf(ranks[:, 2], 3)])
    ours = fit_copula(values)
    assert ours.correlation == pytest.approx(correlation, abs=0.03)
    assert ours.freedom == pytest.approx(4.0, rel=0.15)


def test_copula_likelihood_is_joint_density_over_margins() -> None:
    correlation = np.array([[1.0, -0.4], [-0.4, 1.0]])
    ranks = np.random.default_rng(1).random((50, 2))
    x = stats.t.ppf(ranks, 5)
    theirs = stats.multivariate_t.logpdf(x, shape=correlation, df=5).sum() - stats.t.logpdf(x, 5).sum()
    assert copula_likelihood(ranks, correlation, 5.0) == pytest.approx(theirs)


def test_tail_dependence_is_how_often_extremes_meet() -> None:
    copula = StudentCopula(np.array([[1.0, 0.6], [0.6, 1.0]]), 3.0)
    ranks = copula.draw(2_000_000, seed=3)
    both = np.mean((ranks[:, 0] < 2e-3) & (ranks[:, 1] < 2e-3)) / 2e-3
    assert copula.tail_dependence()[0, 1] == pytest.approx(both, abs=0.03)


def test_joint_scenarios_keep_margins_and_repeat() -> None:
    rng = np.random.default_rng(10)
    common = rng.standard_t(4, 3_000)
    returns = 0.02 * np.column_stack([common + rng.standard_normal(3_000), common, rng.standard_t(3, 3_000)])
    fitted = fit_joint(returns)
    drawn = fitted.draw(100_000, seed=4)
    assert np.array_equal(drawn, fitted.draw(100_000, seed=4))
    assert not np.array_equal(drawn, fitted.draw(100_000, seed=5))
    for column in range(3):
        for level in (0.05, 0.5, 0.95):
            assert np.quantile(drawn[:, column], level) == pytest.approx(
                np.quantile(returns[:, column], level), rel=0.1, abs=2e-3
            )
    assert drawn.min() >= -1
    assert np.abs(drawn).max() > np.abs(returns).max(), "tails go on where the sample ends"
    ranks = stats.spearmanr(drawn).statistic, stats.spearmanr(returns).statistic
    assert ranks[0] == pytest.approx(ranks[1], abs=0.05)


def test_copula_of_redundant_assets_is_still_positive_definite() -> None:
    rng = np.random.default_rng(11)
    one = rng.standard_normal(300)
    fitted = fit_copula(np.column_stack([one, one, 2 * one, rng.standard_normal(300)]))
    assert np.linalg.eigvalsh(fitted.correlation)[0] > 0
    with pytest.raises(RiskError, match="column 1"):
        fit_copula(np.column_stack([one, np.ones(300)]))
