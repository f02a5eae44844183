# SPDX-License-Identifier: Apache-2.0
from itertools import product
from typing import Any

import numpy as np
import pytest

from offchain.allocate.bounds import Frame
from offchain.allocate.errors import SolverError
from offchain.allocate.objective import mean_variance
from offchain.allocate.program import Objective, solve


def _frame(weights: Any, **more: Any) -> Frame:
    weights = np.asarray(weights, float)
    count = len(weights)
    fields = {
        "weights": weights,
        "lower": np.zeros(count),
        "upper": np.ones(count),
        "least": np.zeros(count),
        "most": np.ones(count),
        "excess_lower": np.zeros(count),
        "excess_upper": np.zeros(count),
        "floor": -weights,
        "ceiling": np.ones(count),
        "cleared": np.zeros(count, bool),
        "turnover": 1.0,
        "loss": 1.0,
    }
    return Frame(**(fields | more))


def _free(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pools that charge nothing: what comes in cannot be worth more than what goes out."""
    return np.ones((1, count)), np.zeros(1)


def _objective(vaults: Any) -> Objective:
    return mean_variance(vaults.forecast(), vaults.mandate.objective.risk_aversion)


def test_without_costs_and_limits_the_benchmark_is_the_optimum(vaults: Any) -> None:
    answer = solve(_frame([1, 0, 0, 0, 0]), _objective(vaults), *_free(5))
    after = np.array([1, 0, 0, 0, 0]) + answer.change
    benchmark = np.array(vaults.mandate.benchmark_weights)
    assert after[0] == pytest.approx(benchmark[0], abs=1e-4)
    assert _objective(vaults).value(after) == pytest.approx(_objective(vaults).value(benchmark), abs=1e-9)


def test_costs_make_a_region_without_trade(vaults: Any) -> None:
    # Every mixture of buying and selling prices bounds what can be traded.
    cuts = np.array([[1.0, *(1 + 0.003 * np.array(signs))] for signs in product((-1, 1), repeat=4)])
    rooms = np.zeros(len(cuts))
    benchmark = np.array(vaults.mandate.benchmark_weights)
    near, far = (benchmark + np.array([-shift, shift, 0, 0, 0]) for shift in (0.005, 0.15))
    assert np.abs(solve(_frame(near), _objective(vaults), cuts, rooms).change).max() < 1e-7
    assert solve(_frame(far), _objective(vaults), cuts, rooms).change[1] < -0.02


def test_a_shadow_price_is_what_relaxing_the_limit_is_worth(vaults: Any) -> None:
    objective, step = _objective(vaults), 1e-4
    start = np.array([0.2, 0.3, 0.27, 0.08, 0.15])
    upper = np.array([1, 0.2, 1, 1, 1])
    for name, tight, loose in (
        ("upper", {"upper": upper}, {"upper": upper + np.array([0, step, 0, 0, 0])}),
        ("lower", {"lower": np.array([0.4, 0, 0, 0, 0])}, {"lower": np.array([0.4 - step, 0, 0, 0, 0])}),
        ("turnover", {"turnover": 0.01, "upper": upper + 0.06}, {"turnover": 0.01 + step, "upper": upper + 0.06}),
    ):
        before = solve(
            _frame([0.6, 0.1, 0.1, 0.1, 0.1] if name == "turnover" else start, **tight), objective, *_free(5)
        )
        after = solve(_frame([0.6, 0.1, 0.1, 0.1, 0.1] if name == "turnover" else start, **loose), objective, *_free(5))
        assert before.shadow_prices[name].sum() == pytest.approx((after.value - before.value) / step, rel=0.05)
        assert before.shadow_prices[name].sum() > 1e-4


def test_violations_are_removed_all_by_the_same_part() -> None:
    objective = Objective(np.ones(3), np.zeros((3, 3)), penalty=1.0)
    frame = _frame(
        [1, 0, 0],
        lower=np.array([0, 0.4, 0.2]),
        excess_lower=np.array([0, 0.4, 0.2]),
        turnover=0.3,
    )
    answer = solve(frame, objective, *_free(3))
    assert answer.standing == pytest.approx(0.5, abs=1e-6)
    assert answer.change == pytest.approx([-0.3, 0.2, 0.1], abs=1e-6)


def test_the_answer_does_not_depend_on_what_was_solved_before(vaults: Any) -> None:
    frame, objective = _frame([0.5, 0.2, 0.1, 0.1, 0.1]), _objective(vaults)
    first = solve(frame, objective, *_free(5))
    solve(_frame([0.1, 0.2, 0.5, 0.1, 0.1], turnover=0.05), objective, *_free(5))
    again = solve(frame, objective, *_free(5))
    assert np.array_equal(first.change, again.change)
    assert first.value == again.value


def test_numbers_that_are_none_are_named(vaults: Any) -> None:
    with pytest.raises(SolverError, match="linear"):
        solve(_frame([1, 0, 0, 0, 0]), Objective(np.full(5, np.nan), np.zeros((5, 5))), *_free(5))


def test_limits_that_nothing_satisfies_are_not_answered(vaults: Any) -> None:
    frame = _frame([0.5, 0.2, 0.1, 0.1, 0.1], lower=np.array([0, 0.6, 0.6, 0, 0]), loss=0.1)
    with pytest.raises(SolverError, match="Infeasible"):
        solve(frame, _objective(vaults), *_free(5))
