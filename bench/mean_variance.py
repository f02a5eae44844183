# SPDX-License-Identifier: Apache-2.0
"""Mean-variance with proportional costs and bounds: the active set against solvers called directly.

Everyone solves the same problems, in which expected returns drift from day to day, and starts from its own last
answer: Clarabel, OSQP (eps 1e-8) and PIQP keep their factorisations and are updated; DAQP has nothing to keep.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bench import Row
from offchain.allocate.solvers import PieceSolver, Weights, judge
from offchain.allocate.solvers.direct import ClarabelSolver, DaqpSolver, OsqpSolver, PiqpSolver
from offchain.allocate.solvers.lifted import lift

Floats = NDArray[np.float64]

DAYS = {10: 200, 50: 60, 200: 12, 1_000: 4}
"""Problems, by number of weights."""
DAQP_MOST, PIQP_MOST = 200, 200
"""Beyond, a problem takes DAQP half a minute and PIQP several seconds: never the best."""


def rows() -> list[Row]:
    return [mean_variance(count, days) for count, days in DAYS.items()]


def problems(count: int, days: int) -> list[Weights]:
    """A factor model's covariance, costs of 10 basis points, at most three average weights or 3 % in one."""
    rng = np.random.default_rng(count)
    loadings = rng.normal(0, 0.25, (count, 5)) + np.array([0.5, 0, 0, 0, 0])
    covariance = loadings @ loadings.T + np.diag(rng.uniform(0.1, 0.4, count) ** 2)
    returns = rng.normal(0.1, 0.2, count)
    held = np.full(count, 1 / count)
    found = []
    for _ in range(days + 1):
        returns = 0.98 * returns + rng.normal(0, 0.02, count)
        most = max(3 / count, 0.03)
        found.append(Weights.build(5.0 * covariance, returns.copy(), 0.0, most, cost=1e-3, held=held))
    return found


def mean_variance(count: int, days: int) -> Row:
    asked = problems(count, days)
    solver = PieceSolver(warm=True)
    ours_s, gaps = np.inf, []
    for _ in range(3):
        solver.solve(asked[0])
        start = time.perf_counter()
        answers = [solver.solve(problem) for problem in asked[1:]]
        ours_s = min(ours_s, (time.perf_counter() - start) / days)
        judged = [judge(problem, raw, "") for problem, raw in zip(asked[1:], answers, strict=True)]
        gaps += [max(answer.gap, answer.primal_residual) for answer in judged]
    taken = {name: _peer(step, asked, days) for name, step in _peers(asked[0]).items()}
    best = min(taken, key=lambda name: taken[name][0])
    reached = judged[-1].value
    return {
        "name": "mean_variance", "size": {"weights": count}, "ours_s": ours_s, "peer": best,
        "peer_s": taken[best][0], "ratio": taken[best][0] / ours_s, "gap": max(gaps),
        "others": {name: seconds for name, (seconds, _) in taken.items()},
        "largest_difference": max(abs(value - reached) for _, value in taken.values()),
    }  # fmt: skip


def _peer(step: Callable[[Weights], Floats], asked: list[Weights], days: int) -> tuple[float, float]:
    """Seconds a problem, and the objective of the last answer."""
    x = step(asked[0])
    start = time.perf_counter()
    for problem in asked[1:]:
        x = step(problem)
    seconds = (time.perf_counter() - start) / days
    return seconds, asked[-1].value(x[: len(problem.linear)])


def _peers(first: Weights) -> dict[str, Callable[[Weights], Floats]]:
    """Each solver, set up for the first problem; a call gives it the next one's returns and solves."""
    lifted, count = lift(first), len(first.linear)

    def linear(problem: Weights) -> Floats:
        changed = lifted.linear.copy()
        changed[:count] = -problem.linear
        return changed

    clarabel, osqp = ClarabelSolver().setup(lifted), OsqpSolver().setup(lifted)

    def by_clarabel(problem: Weights) -> Floats:
        clarabel.update(q=linear(problem))
        return np.asarray(clarabel.solve().x)

    def by_osqp(problem: Weights) -> Floats:
        osqp.update(q=linear(problem))
        return np.asarray(osqp.solve().x)

    peers: dict[str, Callable[[Weights], Floats]] = {"Clarabel": by_clarabel, "OSQP warm": by_osqp}
    if count <= PIQP_MOST:
        piqp = PiqpSolver().setup(lifted)

        def by_piqp(problem: Weights) -> Floats:
            piqp.update(c=linear(problem))
            piqp.solve()
            return np.asarray(piqp.result.x)

        peers["PIQP"] = by_piqp
    if count <= DAQP_MOST:
        import daqp

        arguments = DaqpSolver().arguments(lifted)

        def by_daqp(problem: Weights) -> Floats:
            gram, _, *rest = arguments
            return np.asarray(daqp.solve(gram, linear(problem), *rest)[0])

        peers["DAQP"] = by_daqp
    return peers
