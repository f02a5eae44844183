# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from offchain.allocate.errors import ProblemInvalidError, SolverError
from offchain.allocate.solvers import PieceSolver, Raw, Weights, default_solvers, judge, solve_weights
from offchain.allocate.solvers.shortfall import Shortfall, minimise_shortfall


def _problem(seed: int, *, rows: int = 0) -> Weights:
    """Any mean-variance program: tight or loose bounds, free or dear trades, flat or steep risk."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 30))
    root = rng.normal(size=(count, count)) * 10 ** rng.uniform(-2, 0)
    gram = root @ root.T + 10 ** rng.uniform(-5, -1) * np.eye(count)
    lower = rng.choice((0.0, 0.2), count) / count
    upper = lower + rng.uniform(0.5, 4, count) / count
    upper[0] += max(0.0, 1.05 - upper.sum())
    held = rng.dirichlet(np.ones(count)) if rng.random() < 0.8 else np.zeros(count)
    cost = rng.choice((0.0, 1e-3, 0.05), count)
    inside = lower + (upper - lower) * (1 - lower.sum()) / (upper - lower).sum()
    slopes = rng.normal(size=(rows, count))
    return Weights.build(
        gram, rng.normal(0, 0.1, count), lower, upper, cost=cost, held=held, rows=slopes,
        rooms=slopes @ inside + 0.01 * rng.random(rows),
    )  # fmt: skip


def _by_cvxpy(problem: Weights) -> float:
    x = cp.Variable(len(problem.linear))
    utility = problem.linear @ x - cp.quad_form(x, cp.psd_wrap(problem.gram)) / 2
    cost = problem.cost @ cp.abs(x - problem.held)
    limits = [cp.sum(x) == problem.total, x >= problem.lower, x <= problem.upper]
    if len(problem.rooms):
        limits.append(problem.rows @ x <= problem.rooms)
    model = cp.Problem(cp.Maximize(utility - cost), limits)
    model.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    return float(model.value)


def test_the_kernel_finds_clarabels_optimum_and_proves_it() -> None:
    for seed in range(60):
        problem = _problem(seed)
        answer = solve_weights(problem, (PieceSolver(),))
        assert answer.value == pytest.approx(_by_cvxpy(problem), abs=1e-8)
        assert answer.gap <= 1e-8
        assert answer.primal_residual <= 1e-11


def test_a_warm_start_changes_nothing_but_the_time() -> None:
    solver = PieceSolver(warm=True)
    first = _problem(3)
    rng = np.random.default_rng(0)
    for _ in range(30):
        problem = replace(first, linear=first.linear + rng.normal(0, 0.01, len(first.linear)))
        warm, cold = judge(problem, solver.solve(problem), ""), solve_weights(problem, (PieceSolver(),))
        assert warm.gap <= 1e-8
        assert warm.value == pytest.approx(cold.value, abs=1e-9)


@pytest.mark.parametrize("solver", default_solvers()[1:], ids=lambda solver: solver.name)
@pytest.mark.parametrize("rows", [0, 3])
def test_every_solvers_answer_proves_itself(solver: Any, rows: int) -> None:
    proven = 0
    for seed in range(6):
        problem = _problem(seed, rows=rows)
        answer = judge(problem, solver.solve(problem), solver.name)
        assert (
            answer.value - 1e-6 <= _by_cvxpy(problem) <= answer.value + answer.gap + 1e-9 + 10 * answer.primal_residual
        )
        proven += answer.within(1e-6)
    assert proven >= 5


def test_the_gap_bounds_how_far_any_answer_is_from_the_optimum() -> None:
    rng = np.random.default_rng(1)
    for seed in range(30):
        problem = _problem(seed)
        best = _by_cvxpy(problem)
        x = problem.lower + (problem.upper - problem.lower) * rng.random(len(problem.lower))
        x += (problem.total - x.sum()) / len(x)
        if (x < problem.lower).any() or (x > problem.upper).any():
            continue
        answer = judge(problem, Raw(x, float(rng.normal()), np.zeros(0), "guess"), "guess")
        assert best <= answer.value + answer.gap + 1e-9


class _Careless:
    """A solver that is always sure of itself."""

    name = "careless"

    def __init__(self, x: Any) -> None:
        self.x = x

    def takes(self, problem: Weights) -> bool:
        return True

    def solve(self, problem: Weights) -> Raw:
        if self.x is None:
            raise ArithmeticError("gave up")
        return Raw(self.x, 0.0, np.zeros(0), "optimal")


def test_a_wrong_answer_is_handed_to_the_next_solver() -> None:
    problem = _problem(4)
    wrong = np.full(len(problem.linear), 1 / len(problem.linear))
    answer = solve_weights(problem, (_Careless(None), _Careless(wrong), _Careless(wrong * np.nan), PieceSolver()))
    assert answer.solver == "active set"
    with pytest.raises(SolverError, match=r"careless: ArithmeticError gave up; careless: violation .* gap .*optimal"):
        solve_weights(problem, (_Careless(None), _Careless(wrong)))


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("linear", np.array([np.nan, 0.1]), "linear is not finite"),
        ("gram", np.array([[1.0, 2.0], [0.0, 1.0]]), "gram is not symmetric"),
        ("gram", np.eye(3), r"gram \(3, 3\)"),
        ("cost", -1.0, "cost .* must not be negative"),
        ("lower", np.array([0.6, 0.6]), "total 1 is outside what the bounds allow"),
        ("lower", np.array([1.5, 0.0]), "lower bound of weight 0 is above its upper"),
        ("upper", np.inf, "upper is not finite"),
    ],
)
def test_numbers_without_meaning_are_named(field: str, value: Any, named: str) -> None:
    fields: dict[str, Any] = {"gram": np.eye(2), "linear": np.zeros(2)} | {field: value}
    with pytest.raises(ProblemInvalidError, match=named):
        Weights.build(fields.pop("gram"), fields.pop("linear"), **fields)


def test_the_least_shortfall_is_that_of_the_linear_program() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        count, scenarios = int(rng.integers(2, 12)), int(rng.integers(20, 400))
        returns = rng.standard_t(3, (scenarios, count)) * 0.03 + 1e-3
        level, linear, upper = float(rng.uniform(0.6, 0.97)), rng.normal(0, 0.01, count), max(0.4, 2 / count)
        slopes = rng.normal(size=(2, count))
        rooms = slopes @ np.full(count, 1 / count) + 0.01
        problem = Shortfall.build(returns, level, linear=linear, upper=upper, aversion=2.0, rows=slopes, rooms=rooms)
        answer = minimise_shortfall(problem)
        x, threshold = cp.Variable(count), cp.Variable()
        tail = threshold + cp.sum(cp.pos(-returns @ x - threshold)) / ((1 - level) * scenarios)
        limits = [cp.sum(x) == 1, x >= 0, x <= upper, slopes @ x <= rooms]
        model = cp.Problem(cp.Minimize(2 * tail - linear @ x), limits)
        model.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
        assert answer.value == pytest.approx(float(model.value), abs=1e-7)
        assert answer.gap <= 1e-8
        assert answer.primal_residual <= 1e-9


def test_shortfall_within_limits_that_exclude_each_other_is_refused() -> None:
    returns = np.random.default_rng(0).normal(size=(50, 2))
    problem = Shortfall.build(returns, rows=np.array([[1.0, 1.0]]), rooms=np.array([0.5]))
    with pytest.raises(SolverError, match="compatible"):
        minimise_shortfall(problem)
    with pytest.raises(ProblemInvalidError, match="finite returns"):
        Shortfall.build(np.array([[np.nan, 1.0]]))
