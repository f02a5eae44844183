# SPDX-License-Identifier: Apache-2.0
"""The same program for solvers of plain quadratic programs: absolute values become rows of their own.

    minimise z'Pz / 2 + q'z   over   A z = b,  C z <= d,  lower <= z <= upper,   z = (x, t),  t >= |x - held|

t only where there is a cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.solvers.problem import Weights

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Lifted:
    """The problem's own rows come first.

    Shapes: gram (N, N), linear, lower, upper (N,), equal (1, N), rows (M, N), rooms (M,).
    """

    gram: FloatArray
    linear: FloatArray
    equal: FloatArray
    total: float
    rows: FloatArray
    rooms: FloatArray
    lower: FloatArray
    upper: FloatArray


def lift(problem: Weights) -> Lifted:
    """State the problem with one more variable for every weight that costs something to change."""
    count = len(problem.linear)
    dear = np.flatnonzero(problem.cost > 0)
    size = count + len(dear)
    gram = np.zeros((size, size))
    gram[:count, :count] = problem.gram
    away = np.zeros((2 * len(dear), size))
    places = np.arange(len(dear))
    away[places, dear] = 1.0
    away[len(dear) + places, dear] = -1.0
    away[places, count + places] = away[len(dear) + places, count + places] = -1.0
    held = problem.held[dear]
    most = np.maximum(np.abs(problem.upper - problem.held), np.abs(problem.lower - problem.held))[dear]
    equal = np.zeros((1, size))
    equal[0, :count] = 1.0
    return Lifted(
        gram,
        np.concatenate([-problem.linear, problem.cost[dear]]),
        equal,
        problem.total,
        np.concatenate([np.pad(problem.rows, ((0, 0), (0, len(dear)))), away]),
        np.concatenate([problem.rooms, held, -held]),
        np.concatenate([problem.lower, np.zeros(len(dear))]),
        np.concatenate([problem.upper, most + 1.0]),
    )
