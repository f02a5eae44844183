# SPDX-License-Identifier: Apache-2.0
"""One solver after the other until an answer proves itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from offchain.allocate.errors import SolverError
from offchain.allocate.solvers.direct import ClarabelSolver, CvxpySolver, DaqpSolver, OsqpSolver, PiqpSolver
from offchain.allocate.solvers.kernel import PieceSolver
from offchain.allocate.solvers.problem import Answer, Solver, Weights, judge

TOLERANCE = 1e-8


def default_solvers() -> tuple[Solver, ...]:
    """Own kernel where it applies, then the others by how often they are right, cvxpy last."""
    return (PieceSolver(), DaqpSolver(), ClarabelSolver(), PiqpSolver(), OsqpSolver(), CvxpySolver())


def solve_weights(problem: Weights, solvers: Sequence[Solver] | None = None, tolerance: float = TOLERANCE) -> Answer:
    """Solve a problem; an answer over tolerance, or none, hands it to the next solver.

    Parameters
    ----------
    problem
        From `Weights.build`.
    solvers
        In order of preference; `default_solvers` by default.
    tolerance
        Largest violation and gap accepted.

    Raises
    ------
    SolverError
        Nobody's answer is within the tolerance; says what each one made of it.
    """
    told = []
    for solver in default_solvers() if solvers is None else solvers:
        if not solver.takes(problem):
            continue
        try:
            raw = solver.solve(problem)
        except Exception as error:  # whatever a foreign solver raises, the next one gets its turn
            told.append(f"{solver.name}: {type(error).__name__} {error}")
            continue
        if not np.isfinite(raw.x).all() or not np.isfinite(raw.price) or not np.isfinite(raw.worth).all():
            told.append(f"{solver.name}: no numbers ({raw.status})")
            continue
        answer = judge(problem, raw, solver.name)
        if answer.within(tolerance):
            return answer
        told.append(
            f"{solver.name}: violation {answer.primal_residual:.1e}, dual residual {answer.dual_residual:.1e}, "
            f"gap {answer.gap:.1e} ({raw.status})"
        )
    raise SolverError(f"no answer within {tolerance:.0e}; are the limits compatible? " + "; ".join(told))
