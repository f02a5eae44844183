# SPDX-License-Identifier: Apache-2.0
"""Measures of a record against hand computation, closed forms and other implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from offchain.risk.arrays import RiskError
from offchain.risk.measures import (
    annual_return,
    annual_volatility,
    beta,
    calmar_ratio,
    conditional_drawdown,
    downside_deviation,
    drawdowns,
    entropic_value_at_risk,
    expected_shortfall,
    information_ratio,
    longest_drawdown,
    max_drawdown,
    omega_ratio,
    sharpe_ratio,
    sortino_ratio,
    time_under_water,
    tracking_error,
    ulcer_index,
    value_at_risk,
    wealth,
)

# The mixed returns of the empyrical library's tests, whose figures are for 252 days.
MIXED = np.array([1, 10, -4, 2, 3, 2, 1, -10]) / 100
RNG = np.random.default_rng(17)
LONG = 0.03 * RNG.standard_t(4, 2_000) + 0.001
OTHER = 0.5 * LONG + 0.01 * RNG.standard_normal(2_000)


def test_figures_of_empyrical() -> None:
    assert sharpe_ratio(MIXED, 252) == pytest.approx(1.7238613961706866, rel=1e-12)
    assert sortino_ratio(MIXED, 252) == pytest.approx(2.605531251673693, rel=1e-12)
    assert calmar_ratio(np.append(0.0, MIXED), 252) == pytest.approx(19.135925373194233, rel=1e-12)
    assert annual_volatility(MIXED, 252) == pytest.approx(0.9136465399704637, rel=1e-12)
    assert downside_deviation(MIXED, 252) == pytest.approx(0.6044832503882965, rel=1e-12)
    assert max_drawdown(MIXED).depth == pytest.approx(0.1)


def test_year_has_365_days_when_told_so() -> None:
    assert sharpe_ratio(MIXED, 365) == pytest.approx(MIXED.mean() / MIXED.std(ddof=1) * math.sqrt(365))
    assert annual_return([0.01] * 365, 365) == pytest.approx(1.01**365 - 1)
    assert annual_return([0.01] * 24, 8_760) == pytest.approx(1.01**8_760 - 1)


def test_hourly_and_daily_records_of_one_process_agree() -> None:
    hourly = 1e-5 + 0.004 * np.random.default_rng(3).standard_normal(24 * 2_000)
    daily = np.prod(1 + hourly.reshape(-1, 24), axis=1) - 1
    assert annual_volatility(daily, 365) == pytest.approx(annual_volatility(hourly, 8_760), rel=0.05)
    assert annual_return(daily, 365) == pytest.approx(annual_return(hourly, 8_760), rel=1e-9)


def test_risk_free_rate_and_target_are_per_year() -> None:
    assert sharpe_ratio(MIXED, 365, risk_free=0.365) == pytest.approx(
        (MIXED - 0.001).mean() / MIXED.std(ddof=1) * math.sqrt(365)
    )
    short = np.minimum(MIXED - 0.001, 0)
    assert sortino_ratio(MIXED, 365, target=0.365) == pytest.approx(
        (MIXED - 0.001).mean() / math.sqrt(np.mean(short**2)) * math.sqrt(365)
    )


def test_omega_by_hand() -> None:
    assert omega_ratio(MIXED) == pytest.approx(19 / 14)
    assert omega_ratio(MIXED, 0.01) == pytest.approx((9 + 1 + 2 + 1) / (5 + 11))


def test_drawdown_by_hand() -> None:
    returns = [0.1, -0.2, 0.05, 0.25, -0.1, -0.1, 0.3]
    assert wealth(returns)[-1] == pytest.approx(np.prod(1 + np.array(returns)))
    assert drawdowns(returns) == pytest.approx([0, 0.2, 0.16, 0, 0.1, 0.19, 0], abs=1e-12)
    worst = max_drawdown(returns)
    assert (worst.peak, worst.trough, worst.recovery) == (1, 2, 4)
    assert worst.depth == pytest.approx(0.2)
    assert time_under_water(returns).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert longest_drawdown(returns) == 2
    assert ulcer_index(returns) == pytest.approx(math.sqrt((0.04 + 0.0256 + 0.01 + 0.0361) / 7))


def test_drawdown_from_the_start_counts_and_may_not_recover() -> None:
    worst = max_drawdown([-0.3, 0.1, -0.5])
    assert (worst.peak, worst.trough, worst.recovery) == (0, 3, None)
    assert worst.depth == pytest.approx(1 - 0.7 * 1.1 * 0.5)
    assert longest_drawdown([-0.3, 0.1, -0.5]) == 3


def test_record_without_a_drawdown() -> None:
    assert max_drawdown([0.01, 0.0, 0.02]).depth == 0.0
    assert math.isnan(calmar_ratio([0.01, 0.0, 0.02], 365))
    assert ulcer_index([0.01, 0.02]) == 0.0


def test_conditional_drawdown_lies_between_mean_and_maximum() -> None:
    falls = np.sort(drawdowns(LONG))[::-1]
    assert conditional_drawdown(LONG, 0.95) == pytest.approx(falls[:100].mean())
    assert falls.mean() < conditional_drawdown(LONG, 0.95) < falls[0]
    assert conditional_drawdown(LONG, 0.99999) == pytest.approx(max_drawdown(LONG).depth)


def test_uncompounded_conditional_drawdown_is_the_linear_programmes() -> None:
    from scipy.optimize import linprog

    returns, level = LONG[:60], 0.9
    falls = drawdowns(returns, compounded=False)
    # min a + 1 / ((1 - level) T) sum z  subject to  z >= fall - a, z >= 0.
    size = falls.size
    cost = np.append(1.0, np.full(size, 1 / ((1 - level) * size)))
    rows = np.column_stack([-np.ones(size), -np.eye(size)])
    best = linprog(cost, A_ub=rows, b_ub=-falls, bounds=[(None, None), *[(0, None)] * size])
    assert conditional_drawdown(returns, level, compounded=False) == pytest.approx(best.fun)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99, 0.997])
def test_shortfall_and_value_at_risk_satisfy_rockafellar_and_uryasev(level: float) -> None:
    losses = -LONG
    at_risk = value_at_risk(LONG, level)
    expected = at_risk + np.maximum(losses - at_risk, 0).mean() / (1 - level)
    assert expected_shortfall(LONG, level) == pytest.approx(expected, rel=1e-12)
    for other in (0.9 * at_risk, 1.1 * at_risk):
        assert other + np.maximum(losses - other, 0).mean() / (1 - level) > expected


def test_value_at_risk_is_the_smallest_loss_exceeded_seldom_enough() -> None:
    returns = -np.arange(1.0, 21.0)
    assert value_at_risk(returns, 0.95) == 19.0
    assert value_at_risk(returns, 0.949) == 19.0
    assert value_at_risk(returns, 0.951) == 20.0
    assert expected_shortfall(returns, 0.95) == 20.0
    assert expected_shortfall(returns, 0.9) == 19.5
    assert expected_shortfall(returns, 0.925) == pytest.approx((20 + 0.5 * 19) / 1.5)


def test_entropic_value_at_risk_of_a_normal_sample() -> None:
    sample = np.random.default_rng(1).normal(0.001, 0.02, 200_000)
    assert entropic_value_at_risk(sample, 0.95) == pytest.approx(
        -0.001 + 0.02 * math.sqrt(-2 * math.log(0.05)), rel=5e-3
    )


def test_entropic_value_at_risk_is_the_dual_optimum() -> None:
    # The worst mean over reweightings within a relative entropy of -ln(1 - level): an exponential tilt of the losses.
    from scipy.optimize import brentq

    losses, level = -LONG[:100], 0.9

    def tilted(t: float) -> np.ndarray:
        weights = np.exp(t * (losses - losses.max()))
        return weights / weights.sum()

    def entropy(t: float) -> float:
        weights = tilted(t)
        return float(np.sum(weights * np.log(weights * losses.size)))

    t = brentq(lambda t: entropy(t) + math.log(1 - level), 0.0, 1_000.0)
    assert entropic_value_at_risk(LONG[:100], level) == pytest.approx(float(tilted(t) @ losses), rel=1e-8)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999, 0.999999])
def test_tail_measures_are_ordered(level: float) -> None:
    measures = (value_at_risk(LONG, level), expected_shortfall(LONG, level), entropic_value_at_risk(LONG, level))
    assert measures[0] <= measures[1] <= measures[2] + 1e-9
    assert measures[2] <= -LONG.min() + 1e-12


def test_constant_returns_have_constant_tails() -> None:
    for measure in (value_at_risk, expected_shortfall, entropic_value_at_risk):
        assert measure([0.01] * 10, 0.9) == pytest.approx(-0.01)
    assert math.isnan(sharpe_ratio([0.01] * 10, 365))


def test_against_a_benchmark() -> None:
    difference = OTHER - LONG
    assert tracking_error(OTHER, LONG, 365) == pytest.approx(difference.std(ddof=1) * math.sqrt(365))
    assert information_ratio(OTHER, LONG, 365) == pytest.approx(sharpe_ratio(difference, 365))
    assert beta(OTHER, LONG) == pytest.approx(np.polyfit(LONG, OTHER, 1)[0])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: sharpe_ratio([0.1, math.nan, 0.2], 365), r"returns\[1\] is nan"),
        (lambda: sharpe_ratio([0.1], 365), "at least 2"),
        (lambda: value_at_risk([0.1, 0.2], 95), "between 0 and 1"),
        (lambda: tracking_error([0.1, 0.2], [0.1, 0.2, 0.3], 365), "align"),
        (lambda: drawdowns([[0.1], [0.2]]), "one-dimensional"),
    ],
)
def test_bad_input_is_named(call, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RiskError, match=said):
        call()


def test_poisoned_future_leaves_past_drawdowns_alone() -> None:
    poisoned = LONG.copy()
    poisoned[1_000:] = np.tile([0.9, -0.9], 500)
    assert np.array_equal(drawdowns(LONG)[:1_000], drawdowns(poisoned)[:1_000])
    assert np.array_equal(time_under_water(LONG)[:1_000], time_under_water(poisoned)[:1_000])
