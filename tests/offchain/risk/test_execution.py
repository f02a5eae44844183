# SPDX-License-Identifier: Apache-2.0
"""Optimal execution against Almgren and Chriss's own example."""

from __future__ import annotations

import math

import numpy as np
import pytest

from offchain.risk.arrays import RiskError
from offchain.risk.execution import ImpactModel, cost_of, optimal_schedule

MODEL = ImpactModel(volatility=0.95, spread=0.0625, permanent=2.5e-7, temporary=2.5e-6)


def test_the_papers_example() -> None:
    ours = optimal_schedule(1e6, 5.0, 5, 1e-6, MODEL)
    assert ours.urgency == pytest.approx(0.6070761632, rel=1e-9)
    assert 1 / ours.urgency == pytest.approx(1.64724, abs=5e-6)
    assert ours.holdings == pytest.approx([1e6, 541955.6, 289854.2, 147897.5, 62141.8, 0], abs=0.06)
    assert ours.expected_cost == pytest.approx(911226.99, abs=5e-3)
    assert math.sqrt(ours.variance) == pytest.approx(603430.67, abs=5e-3)


@pytest.mark.parametrize(
    ("aversion", "cost", "variance", "utility", "half_life"),
    [(1e-9, 0.6625, 1.0812, 0.6636, 51.3), (5e-9, 0.6625, 1.074, 0.6679, 22.94), (9e-9, 0.6626, 1.0669, 0.6722, 17.1)],
)
def test_published_frontier(aversion: float, cost: float, variance: float, utility: float, half_life: float) -> None:
    ours = optimal_schedule(1e6, 5.0, 5, aversion, MODEL)
    assert ours.expected_cost / 1e6 == pytest.approx(cost, abs=5.1e-5)
    assert ours.variance / 1e12 == pytest.approx(variance, abs=5.1e-5)
    assert (ours.expected_cost + aversion * ours.variance) / 1e6 == pytest.approx(utility, abs=5.1e-5)
    assert 1 / ours.urgency == pytest.approx(half_life, abs=0.006 if half_life != 51.3 else 0.05)


def test_schedule_is_the_minimum() -> None:
    best = optimal_schedule(1e6, 5.0, 5, 1e-6, MODEL)
    rng = np.random.default_rng(0)
    for _ in range(200):
        other = best.holdings.copy()
        other[1:-1] += rng.normal(0, 2e4, 4)
        worse = cost_of(other, 1.0, MODEL)
        assert worse.expected_cost + 1e-6 * worse.variance > best.expected_cost + 1e-6 * best.variance


def test_without_aversion_it_sells_evenly_and_with_much_at_once() -> None:
    assert optimal_schedule(100.0, 5.0, 4, 0.0, MODEL).trades == pytest.approx(25.0)
    assert optimal_schedule(100.0, 5.0, 5, 1e6, MODEL).trades[0] == pytest.approx(100.0)


def test_out_of_range_is_refused() -> None:
    with pytest.raises(RiskError, match="out of range"):
        optimal_schedule(1.0, 0.0, 5, 0.0, MODEL)
    with pytest.raises(RiskError, match="more intervals"):
        optimal_schedule(1.0, 100.0, 1, 0.0, MODEL)
