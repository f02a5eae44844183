# SPDX-License-Identifier: Apache-2.0
"""The joint program as a value, its optimum, and how far from it the answer can be at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.errors import SolverError

if TYPE_CHECKING:
    from offchain.allocate.kernels.program import Numbers
    from offchain.route.kernels import PoolTable

FloatArray = NDArray[np.float64]

TIGHT = 1e-9
"""By how much limits are drawn in during the search, so that what the pools then give satisfies them."""
ROUNDING = 1e-12
"""Violation that counts as none in any program: holdings that stand at a limit leave no room for the last digits."""
GAP = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """Maximise linear'x - x'Gx / 2 over limits, where x[:n] - start is what pools give.

    Everything in fractions of the value before, at reference prices.

    Attributes
    ----------
    start
        Shape (n,): x[:n] without any trade.
    linear, lower, upper
        Shape (N,), N >= n: entries beyond n are the objective's own. Bounds are finite.
    gram
        Shape (N, N), positive semidefinite.
    rows, rooms
        Shapes (m, N), (m,): ``rows @ x <= rooms``.
    slack
        Violation that counts as none.
    """

    start: FloatArray
    linear: FloatArray
    gram: FloatArray
    lower: FloatArray
    upper: FloatArray
    rows: FloatArray
    rooms: FloatArray
    slack: float = 0.0

    @classmethod
    def box(
        cls, start: FloatArray, linear: FloatArray, gram: FloatArray, lower: FloatArray, upper: FloatArray
    ) -> Program:
        """Bounds on every holding and nothing else."""
        return cls(start, linear, gram, lower, upper, np.zeros((0, len(linear))), np.zeros(0))

    def value(self, x: FloatArray) -> float:
        """Objective."""
        return float(self.linear @ x - x @ self.gram @ x / 2)

    def numbers(self) -> Numbers:
        """For compiled code.

        Raises
        ------
        SolverError
            Something is not finite, shapes do not fit, or bounds cross; names the field.
        """
        from offchain.allocate.kernels.program import Numbers

        size, rows = len(self.linear), len(self.rooms)
        shapes = {"linear": (size,), "gram": (size, size), "lower": (size,), "upper": (size,)}
        shapes |= {"start": self.start.shape[:1], "rows": (rows, size), "rooms": (rows,)}
        arrays = {}
        for name, shape in shapes.items():
            array = np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            if array.shape != shape:
                raise SolverError(f"{name} has shape {array.shape}, not {shape}; give the program arrays that fit")
            if not np.isfinite(array).all():
                raise SolverError(f"{name} of the program is not finite: {array}; check snapshot and forecast")
            arrays[name] = array
        if (self.lower > self.upper).any():
            place = int(np.argmax(self.lower - self.upper))
            raise SolverError(
                f"lower bound {self.lower[place]} of entry {place} is above its upper, {self.upper[place]}"
            )
        return Numbers(**arrays)


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """An answer that carries its proof.

    Attributes
    ----------
    x
        Shape (N,): ``start`` plus what the pools give at `prices`, and the objective's own entries.
    prices
        Shape (n,): dual prices; every pool trades its best at them.
    value, bound
        Objective at x, and an upper bound on it anywhere.
    worth
        Shape (m,): multipliers of the rows, what relaxing one by a unit would be worth.
    violation
        Of the worst limit.
    centre
        Shape (N,): where a search from here starts.
    rounds, steps, passes
        Proximal rounds, Newton steps and passes over the pools that it took.
    """

    x: FloatArray
    prices: FloatArray
    value: float
    bound: float
    worth: FloatArray
    violation: float
    centre: FloatArray
    rounds: int
    steps: int
    passes: int

    @property
    def gap(self) -> float:
        """No answer is better by more than this."""
        return self.bound - self.value


def tightened(numbers: Numbers, margin: float) -> Numbers:
    """Limits drawn in, except where today's holdings stand at them: no trade must stay possible."""
    start, lower, upper = numbers.start, numbers.lower, numbers.upper
    count = len(start)
    inner_lower, inner_upper = lower + margin, upper - margin
    held = inner_lower[:count] > start
    inner_lower[:count][held & (start >= lower[:count])] = start[held & (start >= lower[:count])]
    held = inner_upper[:count] < start
    inner_upper[:count][held & (start <= upper[:count])] = start[held & (start <= upper[:count])]
    crossed = inner_lower > inner_upper
    if crossed.any():
        inner_lower[crossed], inner_upper[crossed] = lower[crossed], upper[crossed]
    return numbers._replace(lower=inner_lower, upper=inner_upper)


def optimise(
    program: Program,
    table: PoolTable,
    warm: Solution | None = None,
    tolerance: float = GAP,
    costs: FloatArray | None = None,
    tau: float = 0.0,
) -> Solution:
    """Search for the optimum of a program over the pools of a table.

    Whatever comes back carries its gap and violation: the caller decides whether they will do.

    Parameters
    ----------
    program, table
        Of the same n tokens.
    warm
        The solution of a program not far from this one.
    tolerance
        Gap at which the search ends.
    costs, tau
        As in `offchain.route.kernels.respond_net`: the bound then counts smoothed costs.

    Raises
    ------
    SolverError
        The program's numbers have no meaning.
    """
    from offchain.allocate.kernels.newton import minimise
    from offchain.route.kernels import NO_COSTS

    true = program.numbers()
    count, size = len(true.start), len(true.linear)
    numbers = tightened(true, TIGHT)
    if warm is None:
        centre = np.zeros(size)
        centre[:count] = true.start
        centre = np.minimum(np.maximum(centre, numbers.lower), numbers.upper)
        prices = np.maximum((true.linear - true.gram @ centre)[:count], 0.05)
        delta = 1e-2
    else:
        centre, prices, delta = warm.centre.copy(), warm.prices.copy(), 1e-3
    best, x, worth = np.empty(count), np.zeros(size), np.zeros(len(true.rooms))
    counters = np.zeros(4, np.int64)
    value, bound, violation = minimise(
        table,
        numbers,
        true,
        NO_COSTS if costs is None else costs,
        tau,
        prices,
        centre,
        delta,
        tolerance,
        max(program.slack, ROUNDING),
        25,
        60,
        best,
        x,
        worth,
        counters,
    )
    rounds, steps, passes, _ = counters.tolist()
    return Solution(x, best, value, bound, worth, violation, centre, rounds, steps, passes)
