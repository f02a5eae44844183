# SPDX-License-Identifier: Apache-2.0
"""The best expected return, net of costs, per unit of volatility.

A ratio N(w) / D(w) of a concave and a convex function is at its best where max N - ratio * D is 0
(Dinkelbach, 1967): solve for the ratio in hand, take the answer's own, and so on; the ratio rises and
converges faster than linearly. What is left is a concave utility in fractions of value like all others.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.joint import best_target
from offchain.allocate.target import TargetProblem
from offchain.allocate.terms import VolatilityCost

FloatArray = NDArray[np.float64]

_ROUNDS = 12
_SETTLED = 1e-6


def best_ratio(problem: TargetProblem, before: float, root: FloatArray) -> float:
    """The best ratio that the limits and the pools allow; 0 where nothing is expected to gain.

    Parameters
    ----------
    problem
        Its objective is the worth of the holdings after, with expected returns: N is this less `before`.
    before
        Worth of the holdings before.
    root
        Shape (n, k): square root of the covariance over the horizon, for holdings counted as in the objective.

    Raises
    ------
    SolverError
        As `best_target`.
    """
    returns, held, ratio = problem.objective, problem.frame.weights, 0.0
    for _ in range(_ROUNDS):
        target = best_target(replace(problem, objective=replace(returns, terms=(VolatilityCost(root, ratio),))))
        if target.change is not None:
            held = problem.frame.weights + target.change
        volatility = float(np.linalg.norm(root.T @ held))
        gained = float(returns.linear @ held) - before
        if volatility <= 0 or gained <= 0:
            break
        found = gained / volatility
        if abs(found - ratio) <= _SETTLED * found:
            break
        ratio = found
    return ratio
