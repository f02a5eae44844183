# SPDX-License-Identifier: Apache-2.0
"""Expected shortfall over scenarios, by cutting planes on a warm simplex.

With losses L = -R x over s equally likely scenarios, CVaR at level beta is the mean of the worst
(1 - beta) s of them, the last one in part. Its subgradient at x is minus the mean of those
scenarios' returns, so every x gives a plane below it. A linear program in HiGHS over
the planes so far gives the next x and a lower bound; CVaR there gives an upper bound and the next
plane. Scenarios never enter the linear program one by one, which is what makes the textbook form slow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.errors import ProblemInvalidError, SolverError
from offchain.allocate.terms import expected_shortfall

FloatArray = NDArray[np.float64]

_ROUNDS = 2000
_LEVEL = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Shortfall:
    """Minimise aversion * CVaR(x) - linear'x over lower <= x <= upper, sum x = total, rows x <= rooms.

    Attributes
    ----------
    scenarios
        Shape (s, n): returns, equally likely.
    level
        beta in (0, 1), such as 0.95.
    linear, lower, upper
        Shape (n,).
    aversion
        Worth of a unit of CVaR; positive.
    rows, rooms
        Shapes (m, n), (m,).
    """

    scenarios: FloatArray
    level: float
    linear: FloatArray
    lower: FloatArray
    upper: FloatArray
    total: float
    aversion: float
    rows: FloatArray
    rooms: FloatArray

    @classmethod
    def build(
        cls,
        scenarios: FloatArray,
        level: float = 0.95,
        *,
        linear: FloatArray | float = 0.0,
        lower: FloatArray | float = 0.0,
        upper: FloatArray | float = 1.0,
        total: float = 1.0,
        aversion: float = 1.0,
        rows: FloatArray | None = None,
        rooms: FloatArray | None = None,
    ) -> Shortfall:
        """Fill in what is not said and check what is.

        Raises
        ------
        ProblemInvalidError
            Names what has no meaning.
        """
        scenarios = np.ascontiguousarray(scenarios, np.float64)
        if scenarios.ndim != 2 or not scenarios.size or not np.isfinite(scenarios).all():
            raise ProblemInvalidError(f"scenarios of shape {scenarios.shape} must be a matrix of finite returns")
        if not 0 < level < 1 or not aversion > 0 or not np.isfinite(aversion):
            raise ProblemInvalidError(f"level {level} must lie between 0 and 1, aversion {aversion} above 0")
        count = scenarios.shape[1]

        def full(value: FloatArray | float) -> FloatArray:
            array = np.ascontiguousarray(np.broadcast_to(np.asarray(value, np.float64), (count,)))
            if not np.isfinite(array).all():
                raise ProblemInvalidError(f"bounds and returns must be finite: {array}")
            return array

        low, high = full(lower), full(upper)
        if (low > high).any() or not low.sum() - 1e-12 <= total <= high.sum() + 1e-12:
            raise ProblemInvalidError(f"bounds that sum to [{low.sum():g}, {high.sum():g}] do not allow {total:g}")
        rows = np.zeros((0, count)) if rows is None else np.ascontiguousarray(rows, np.float64)
        rooms = np.zeros(0) if rooms is None else np.ascontiguousarray(rooms, np.float64)
        return cls(scenarios, level, full(linear), low, high, total, aversion, rows, rooms)

    def cut(self, x: FloatArray) -> tuple[float, FloatArray]:
        """CVaR at x and its subgradient, shape (n,)."""
        return expected_shortfall(self.scenarios, self.level, x)

    def value(self, x: FloatArray) -> float:
        """What is minimised."""
        return self.aversion * self.cut(x)[0] - float(self.linear @ x)


@dataclass(frozen=True, slots=True, eq=False)
class ShortfallAnswer:
    """Weights with the CVaR there, the objective, a lower bound on it, the worst violation, and planes needed."""

    x: FloatArray
    shortfall: float
    value: float
    bound: float
    primal_residual: float
    planes: int

    @property
    def gap(self) -> float:
        """No weights are better by more than this."""
        return self.value - self.bound


def minimise_shortfall(problem: Shortfall, tolerance: float = 1e-8, start: FloatArray | None = None) -> ShortfallAnswer:
    """Solve by cutting planes.

    Parameters
    ----------
    tolerance
        Gap at which to end.
    start
        Shape (n,): where the first planes are taken; the middle of the bounds by default.

    Raises
    ------
    SolverError
        Limits exclude each other, or the gap does not close.
    """
    import highspy

    count = problem.scenarios.shape[1]
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("threads", 1)
    model.setOptionValue("primal_feasibility_tolerance", 1e-10)
    model.setOptionValue("dual_feasibility_tolerance", 1e-10)
    costs = np.append(-problem.linear, problem.aversion)
    least = -float(np.abs(problem.scenarios).max() * np.abs(np.stack([problem.lower, problem.upper])).max() * count)
    low, high = np.append(problem.lower, least), np.append(problem.upper, -least)
    places = np.arange(count + 1, dtype=np.int32)
    empty = np.zeros(0)
    model.addCols(count + 1, costs, low, high, 0, np.zeros(0, np.int32), np.zeros(0, np.int32), empty)
    model.addRow(problem.total, problem.total, count, places[:count], np.ones(count))
    for row, room in zip(problem.rows, problem.rooms, strict=True):
        model.addRow(-highspy.kHighsInf, room, count, places[:count], row)
    middle = (problem.lower + problem.upper) / 2 if start is None else start
    best, best_value, bound, planes = middle, np.inf, -np.inf, 0

    def cut(x: FloatArray) -> float:
        """Add the plane at x; what is minimised there."""
        nonlocal planes
        shortfall, gradient = problem.cut(x)
        # CVaR is positively homogeneous: the plane passes through the origin.
        model.addRow(0.0, highspy.kHighsInf, count + 1, places, np.append(-gradient, 1.0))
        planes += 1
        return problem.aversion * shortfall - float(problem.linear @ x)

    there = cut(middle)
    if abs(middle.sum() - problem.total) < 1e-12 and bool((problem.rows @ middle <= problem.rooms).all()):
        best_value = there
    for _ in range(_ROUNDS):
        model.run()
        if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise SolverError(f"HiGHS answers {model.getModelStatus()}; are the limits compatible?")
        found = np.array(model.getSolution().col_value)[:count]
        bound = max(bound, float(model.getInfo().objective_function_value))
        # A second plane between the newest point and the best so far steadies the search.
        for x in (found,) if best_value == np.inf else (found, best + _LEVEL * (found - best)):
            value = cut(x)
            if value < best_value:
                best, best_value = x, value
        if best_value - bound <= tolerance:
            break
    else:
        raise SolverError(f"the cutting planes end {best_value - bound:.1e} apart; raise the tolerance")
    missed = [float((problem.lower - best).max()), float((best - problem.upper).max()), abs(best.sum() - problem.total)]
    if len(problem.rooms):
        missed.append(float((problem.rows @ best - problem.rooms).max()))
    return ShortfallAnswer(best, problem.cut(best)[0], best_value, bound, max(0.0, *missed), planes)
