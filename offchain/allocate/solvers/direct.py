# SPDX-License-Identifier: Apache-2.0
"""Solvers of others, called without a modelling layer in between."""

from __future__ import annotations

from ctypes import c_int
from typing import Any

import numpy as np

from offchain.allocate.solvers.lifted import Lifted, lift
from offchain.allocate.solvers.problem import Raw, Weights

EQUALITY = 5  # DAQP's code


class ClarabelSolver:
    """Interior point, sparse."""

    name = "Clarabel"

    def takes(self, problem: Weights) -> bool:
        """Everything."""
        return True

    def setup(self, lifted: Lifted, tolerance: float = 1e-10) -> Any:
        """Its solver object, which `update` and `solve` can be called on."""
        import clarabel
        import scipy.sparse as sp

        size = len(lifted.linear)
        rows = sp.vstack([lifted.equal, lifted.rows, sp.eye(size), -sp.eye(size)]).tocsc()
        rooms = np.concatenate([[lifted.total], lifted.rooms, lifted.upper, -lifted.lower])
        cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(len(rooms) - 1)]
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.presolve_enable = False
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
        upper_triangle = sp.triu(sp.csc_matrix(lifted.gram)).tocsc()
        return clarabel.DefaultSolver(upper_triangle, lifted.linear, rows, rooms, cones, settings)

    def solve(self, problem: Weights) -> Raw:
        """Cold."""
        found = self.setup(lift(problem)).solve()
        z = np.array(found.z)
        count, rows = len(problem.linear), len(problem.rooms)
        return Raw(np.array(found.x)[:count], z[0], z[1 : 1 + rows], str(found.status))


class OsqpSolver:
    """Operator splitting, at a tolerance at which its answers can be used."""

    name = "OSQP"

    def takes(self, problem: Weights) -> bool:
        """Everything."""
        return True

    def setup(self, lifted: Lifted, tolerance: float = 1e-8) -> Any:
        """Its solver object, which `update` and `solve` can be called on."""
        import osqp
        import scipy.sparse as sp

        size = len(lifted.linear)
        rows = sp.vstack([lifted.equal, lifted.rows, sp.eye(size)]).tocsc()
        low = np.concatenate([[lifted.total], np.full(len(lifted.rooms), -np.inf), lifted.lower])
        high = np.concatenate([[lifted.total], lifted.rooms, lifted.upper])
        solver = osqp.OSQP()
        solver.setup(
            sp.triu(sp.csc_matrix(lifted.gram)).tocsc(),
            lifted.linear,
            rows,
            low,
            high,
            eps_abs=tolerance,
            eps_rel=tolerance,
            max_iter=200_000,
            polishing=True,
            verbose=False,
        )
        return solver

    def solve(self, problem: Weights) -> Raw:
        """Cold."""
        found = self.setup(lift(problem)).solve()
        count, rows = len(problem.linear), len(problem.rooms)
        return Raw(np.array(found.x)[:count], found.y[0], np.array(found.y[1 : 1 + rows]), str(found.info.status))


class PiqpSolver:
    """Proximal interior point, dense."""

    name = "PIQP"

    def takes(self, problem: Weights) -> bool:
        """Everything."""
        return True

    def setup(self, lifted: Lifted, tolerance: float = 1e-10) -> Any:
        """Its solver object, which `update` and `solve` can be called on."""
        import piqp

        solver = piqp.DenseSolver()
        solver.settings.verbose = False
        solver.settings.eps_abs = solver.settings.eps_rel = tolerance
        solver.settings.check_duality_gap = True
        solver.settings.eps_duality_gap_abs = solver.settings.eps_duality_gap_rel = tolerance
        solver.setup(
            np.asfortranarray(lifted.gram),
            lifted.linear,
            np.asfortranarray(lifted.equal),
            np.array([lifted.total]),
            np.asfortranarray(lifted.rows),
            np.full(len(lifted.rooms), -np.inf),
            lifted.rooms,
            lifted.lower,
            lifted.upper,
        )
        return solver

    def solve(self, problem: Weights) -> Raw:
        """Cold."""
        solver = self.setup(lift(problem))
        status = solver.solve()
        found = solver.result
        count, rows = len(problem.linear), len(problem.rooms)
        return Raw(np.array(found.x)[:count], found.y[0], np.array(found.z_u[:rows]), str(status))


class DaqpSolver:
    """Dual active set, dense: for small problems."""

    name = "DAQP"
    largest = 200

    def takes(self, problem: Weights) -> bool:
        """What it solves in reasonable time."""
        return len(problem.linear) <= self.largest

    def arguments(self, lifted: Lifted) -> tuple[Any, ...]:
        """What ``daqp.solve`` takes."""
        count, size = len(lifted.rooms), len(lifted.linear)
        rows = np.ascontiguousarray(np.concatenate([lifted.equal, lifted.rows]))
        high = np.concatenate([lifted.upper, [lifted.total], lifted.rooms])
        low = np.concatenate([lifted.lower, [lifted.total], np.full(count, -1e30)])
        sense = np.zeros(size + 1 + count, dtype=c_int)
        sense[size] = EQUALITY
        return lifted.gram, lifted.linear, rows, high, low, sense

    def solve(self, problem: Weights) -> Raw:
        """Cold."""
        import daqp

        lifted = lift(problem)
        x, _, flag, info = daqp.solve(*self.arguments(lifted), primal_tol=1e-10, dual_tol=1e-12)
        size, count, rows = len(lifted.linear), len(problem.linear), len(problem.rooms)
        worth = np.asarray(info["lam"])
        return Raw(np.asarray(x)[:count], worth[size], worth[size + 1 : size + 1 + rows], f"exit flag {flag}")


class CvxpySolver:
    """The model in a few lines, solved by Clarabel: oracle and last resort."""

    name = "cvxpy"

    def takes(self, problem: Weights) -> bool:
        """Everything."""
        return True

    def solve(self, problem: Weights) -> Raw:
        """Built fresh."""
        import cvxpy as cp

        x = cp.Variable(len(problem.linear))
        budget = cp.sum(x) == problem.total
        constraints: list[Any] = [budget, x >= problem.lower, x <= problem.upper]
        if len(problem.rooms):
            constraints.append(problem.rows @ x <= problem.rooms)
        utility = problem.linear @ x - cp.quad_form(x, cp.psd_wrap(problem.gram)) / 2
        cost = problem.cost @ cp.abs(x - problem.held)
        model = cp.Problem(cp.Maximize(utility - cost), constraints)
        model.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
        worth = np.asarray(constraints[-1].dual_value) if len(problem.rooms) else np.zeros(0)
        return Raw(np.asarray(x.value), float(budget.dual_value), worth, str(model.status))
