# SPDX-License-Identifier: Apache-2.0
"""The compiled active set: budget, bounds and proportional costs, from where the last problem of the size ended."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.solvers.problem import Raw, Weights


class PieceSolver:
    """Own kernel. Keeps the active set between problems when told to.

    Attributes
    ----------
    warm
        Whether a problem starts from the active set of the one before it. The answer is the same
        to the gap, not to the bit.
    """

    name = "active set"

    def __init__(self, warm: bool = False, tolerance: float = 1e-10) -> None:
        self.warm = warm
        self.tolerance = tolerance
        self._piece: NDArray[np.int64] | None = None

    def takes(self, problem: Weights) -> bool:
        """No rows beyond the budget."""
        return not len(problem.rooms)

    def solve(self, problem: Weights) -> Raw:
        """As the kernel does."""
        from offchain.allocate.kernels.budget import budget_optimum

        count = len(problem.linear)
        piece = self._piece if self.warm else None
        if piece is None or len(piece) != count:
            piece = np.full(count, 2)
        x = problem.held.copy()
        gap, _, primal, price, rounds = budget_optimum(
            problem.gram,
            problem.linear,
            problem.cost,
            problem.held,
            problem.lower,
            problem.upper,
            problem.total,
            self.tolerance,
            x,
            piece,
        )
        self._piece = piece
        return Raw(x, price, np.zeros(0), f"gap {gap:.1e}, residual {primal:.1e} after {rounds} rounds")
