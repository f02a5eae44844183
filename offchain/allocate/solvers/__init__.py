# SPDX-License-Identifier: Apache-2.0
"""Solvers of portfolio programs behind one interface; every answer carries residuals and a gap."""

from offchain.allocate.solvers.chain import TOLERANCE, default_solvers, solve_weights
from offchain.allocate.solvers.kernel import PieceSolver
from offchain.allocate.solvers.problem import Answer, Raw, Solver, Weights, judge

__all__ = [
    "TOLERANCE",
    "Answer",
    "PieceSolver",
    "Raw",
    "Solver",
    "Weights",
    "default_solvers",
    "judge",
    "solve_weights",
]
