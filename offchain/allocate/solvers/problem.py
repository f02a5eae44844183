# SPDX-License-Identifier: Apache-2.0
"""A quadratic program over weights, an answer to it, and what the answer proves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.errors import ProblemInvalidError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Maximise linear'x - x'Gx / 2 - sum cost |x - held| over bounds, a budget and rows.

    Attributes
    ----------
    gram
        Shape (n, n), symmetric positive semidefinite: risk aversion times covariance.
    linear, cost, held, lower, upper
        Shapes (n,): expected returns, proportional costs (not negative), holdings before, finite bounds.
    total
        What the weights add up to.
    rows, rooms
        Shapes (m, n), (m,): ``rows @ x <= rooms``.
    """

    gram: FloatArray
    linear: FloatArray
    cost: FloatArray
    held: FloatArray
    lower: FloatArray
    upper: FloatArray
    total: float
    rows: FloatArray
    rooms: FloatArray

    @classmethod
    def build(
        cls,
        gram: FloatArray,
        linear: FloatArray,
        lower: FloatArray | float = 0.0,
        upper: FloatArray | float = 1.0,
        *,
        cost: FloatArray | float = 0.0,
        held: FloatArray | None = None,
        total: float = 1.0,
        rows: FloatArray | None = None,
        rooms: FloatArray | None = None,
    ) -> Weights:
        """Fill in what is not said and check what is.

        Raises
        ------
        ProblemInvalidError
            Names the field that is not finite, does not fit, or leaves nothing to choose from.
        """
        count = len(linear)

        def full(value: FloatArray | float) -> FloatArray:
            return np.ascontiguousarray(np.broadcast_to(np.asarray(value, np.float64), (count,)))

        problem = cls(
            np.ascontiguousarray(gram, np.float64),
            full(linear),
            full(cost),
            full(0.0 if held is None else held),
            full(lower),
            full(upper),
            float(total),
            np.zeros((0, count)) if rows is None else np.ascontiguousarray(rows, np.float64),
            np.zeros(0) if rooms is None else np.ascontiguousarray(rooms, np.float64),
        )
        problem.check()
        return problem

    def check(self) -> None:
        """Raise as `build` does."""
        count = len(self.linear)
        if self.gram.shape != (count, count) or self.rows.shape != (len(self.rooms), count):
            raise ProblemInvalidError(f"gram {self.gram.shape} and rows {self.rows.shape} do not fit {count} weights")
        for name in ("gram", "linear", "cost", "held", "lower", "upper", "rows", "rooms"):
            if not np.isfinite(getattr(self, name)).all():
                raise ProblemInvalidError(f"{name} is not finite: {getattr(self, name)}")
        if (self.cost < 0).any():
            raise ProblemInvalidError(f"cost {self.cost} must not be negative")
        if not np.allclose(self.gram, self.gram.T, rtol=1e-9, atol=1e-14):
            raise ProblemInvalidError("gram is not symmetric")
        if (self.lower > self.upper).any():
            place = int(np.argmax(self.lower - self.upper))
            raise ProblemInvalidError(f"lower bound of weight {place} is above its upper")
        if not self.lower.sum() - 1e-12 <= self.total <= self.upper.sum() + 1e-12:
            reach = f"[{self.lower.sum():g}, {self.upper.sum():g}]"
            raise ProblemInvalidError(f"total {self.total:g} is outside what the bounds allow, {reach}")

    def value(self, x: FloatArray) -> float:
        """Objective."""
        return float(self.linear @ x - x @ self.gram @ x / 2 - self.cost @ np.abs(x - self.held))


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """What a solver says: weights, multiplier of the budget, multipliers of the rows (m,), its word for it."""

    x: FloatArray
    price: float
    worth: FloatArray
    status: str


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Weights that carry their proof.

    Attributes
    ----------
    x
        Shape (n,).
    value
        Objective there.
    primal_residual
        Worst violation of bounds, budget and rows.
    dual_residual
        Worst miss of the optimality conditions, utility per unit of weight.
    gap
        No weights are better by more than this; holds whatever the solver did.
    price, worth
        Multipliers of the budget and of the rows, shape (m,).
    solver
        Who answered.
    """

    x: FloatArray
    value: float
    primal_residual: float
    dual_residual: float
    gap: float
    price: float
    worth: FloatArray
    solver: str

    def within(self, tolerance: float) -> bool:
        """Whether violation and gap are small enough; the gap implies the dual residual where it matters."""
        return self.primal_residual <= tolerance and self.gap <= tolerance and np.isfinite(self.value)


class Solver(Protocol):
    """One way to solve; a new one is one class with these members."""

    name: str

    def takes(self, problem: Weights) -> bool:
        """Whether this kind of problem is within its reach."""

    def solve(self, problem: Weights) -> Raw:
        """Weights and multipliers, however good; what raises counts as no answer."""


def judge(problem: Weights, raw: Raw, solver: str) -> Answer:
    """Measure what a solver says against the problem itself.

    The bound takes the objective's tangent at x, relaxes budget and rows with the multipliers given and
    maximises what is left weight by weight: it holds for any x and multipliers >= 0.
    """
    from offchain.allocate.kernels.budget import certify

    x = np.asarray(raw.x, np.float64)
    worth = np.maximum(np.asarray(raw.worth, np.float64), 0.0)
    missed = [float((problem.lower - x).max()), float((x - problem.upper).max()), abs(problem.total - float(x.sum()))]
    gradient = problem.linear - problem.gram @ x
    room = 0.0
    if len(worth):
        slack = problem.rooms - problem.rows @ x
        missed.append(float(-slack.min()))
        gradient = gradient - worth @ problem.rows
        room = float(worth @ slack)
    gap, dual = certify(
        gradient, problem.cost, problem.held, problem.lower, problem.upper, problem.total, x, float(raw.price)
    )
    return Answer(x, problem.value(x), max(0.0, *missed), dual, gap + room, float(raw.price), worth, solver)
