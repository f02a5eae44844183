# SPDX-License-Identifier: Apache-2.0
"""The mandate's mean-variance program in cvxpy, compiled once a size and solved by Clarabel.

In fractions of the value before, with z the net changes, w = w0 + z the holdings after and
v = 1 + sum(z) what they are worth together:

    maximise    linear'w - 1/2 |F'w|^2 - penalty * t
    subject to  C z <= d                                  what the pools allow, from outside
                (lower - .) v - t excess <= w <= upper v + t excess
                floor <= z <= ceiling,   sum z+ <= turnover,   sum z- <= turnover
                -sum z <= loss,   0 <= t <= 1

and, where a venue lends, what `offchain.allocate.borrowing` writes down, with the interest on b
taken from the utility.

`t` is the part of today's violations that is left standing: 0 where everything can be
brought inside.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.bounds import Frame
from offchain.allocate.errors import SolverError
from offchain.allocate.terms import Repriced, Term

FloatArray = NDArray[np.float64]

TOLERANCE = 1e-7
"""Largest violation of a constraint, and largest gap between primal and dual value, accepted."""
_SETTINGS = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}


@dataclass(frozen=True, slots=True)
class Objective:
    """What is maximised.

    Attributes
    ----------
    linear
        Shape (n,): worth of a unit of each weight; with expected returns it is 1 + mu T.
    factor
        Shape (n, n): F with F F' = risk aversion * covariance * T.
    penalty
        Worth of removing all of today's violations.
    terms
        What else is added; not quadratic.
    interest
        Shape (n,): cost of a unit owed; None where nothing can be.
    kept
        Shape (n,): what is held although it is owed.
    """

    linear: FloatArray
    factor: FloatArray
    penalty: float = 0.0
    terms: tuple[Term, ...] = ()
    interest: FloatArray | None = None
    kept: FloatArray | float = 0.0

    def value(self, holdings: FloatArray) -> float:
        """Utility of net holdings in fractions of the value before, without the penalty."""
        added = sum(float(term.values(holdings).sum()) for term in self.terms)
        return self.quadratic(holdings) + added - self.interest_on(holdings)

    def quadratic(self, holdings: FloatArray) -> float:
        """The same without terms and interest."""
        risk = self.factor.T @ holdings
        return float(self.linear @ holdings - risk @ risk / 2)

    def interest_on(self, holdings: FloatArray) -> float:
        """Cost of what is owed."""
        return 0.0 if self.interest is None else float(self.interest @ np.maximum(self.kept - holdings, 0.0))

    def repriced(self, prices: FloatArray) -> Objective:
        """The same for holdings counted at prices, shape (n,), relative to the reference prices."""
        terms = tuple(Repriced(term, prices) for term in self.terms)
        interest = None if self.interest is None else self.interest * prices
        factor = prices[:, None] * self.factor
        return replace(self, linear=self.linear * prices, factor=factor, terms=terms, interest=interest)


@dataclass(frozen=True, slots=True)
class Answer:
    """The program's optimum.

    Attributes
    ----------
    change
        Shape (n,): z.
    standing
        t.
    value
        Objective; an upper bound on every plan's, because the pools are bounded from outside.
    shadow_prices
        Worth of relaxing a constraint by one unit of weight: arrays of shape (n,) for ``lower``,
        ``upper``, ``ceiling``, single entries for ``turnover`` and ``loss``.
    """

    change: FloatArray
    standing: float
    value: float
    shadow_prices: dict[str, FloatArray]


def solve(frame: Frame, objective: Objective, cuts: FloatArray, rooms: FloatArray) -> Answer:
    """Solve the program. The same arguments give the same bits, whatever was solved before.

    Parameters
    ----------
    frame, objective
        Limits and utility.
    cuts, rooms
        Shapes (k, n), (k,): ``cuts @ z <= rooms``.

    Raises
    ------
    SolverError
        No optimum, or residuals above `TOLERANCE`.
    """
    compiled = _compiled(len(frame.weights), len(rooms), frame.borrowing is not None)
    return compiled.solve(frame, objective, cuts, rooms)


@lru_cache(maxsize=64)
def _compiled(assets: int, cuts: int, borrows: bool) -> _Program:
    return _Program(assets, cuts, borrows)


class _Program:
    def __init__(self, assets: int, cuts: int, borrows: bool) -> None:
        import cvxpy as cp

        self.parameters: dict[str, Any] = {
            "weights": cp.Parameter(assets),
            "lower": cp.Parameter(assets),
            "upper": cp.Parameter(assets),
            "excess_lower": cp.Parameter(assets, nonneg=True),
            "excess_upper": cp.Parameter(assets, nonneg=True),
            "floor": cp.Parameter(assets),
            "ceiling": cp.Parameter(assets),
            "turnover": cp.Parameter(nonneg=True),
            "loss": cp.Parameter(nonneg=True),
            "linear": cp.Parameter(assets),
            "factor": cp.Parameter((assets, assets)),
            "penalty": cp.Parameter(nonneg=True),
            "cuts": cp.Parameter((cuts, assets)),
            "rooms": cp.Parameter(cuts),
        }
        p = self.parameters
        self.change = cp.Variable(assets)
        self.standing = cp.Variable()
        bought = cp.Variable(assets, nonneg=True)
        sold = cp.Variable(assets, nonneg=True)
        holdings = cp.Variable(assets)
        worth = 1 + cp.sum(self.change)
        self.constraints: dict[str, Any] = {
            "lower": holdings >= cp.multiply(p["lower"], worth) - self.standing * p["excess_lower"],
            "upper": holdings <= cp.multiply(p["upper"], worth) + self.standing * p["excess_upper"],
            "ceiling": self.change <= p["ceiling"],
            "floor": self.change >= p["floor"],
            "turnover_bought": cp.sum(bought) <= p["turnover"],
            "turnover_sold": cp.sum(sold) <= p["turnover"],
            "loss": -cp.sum(self.change) <= p["loss"],
            "cuts": p["cuts"] @ self.change <= p["rooms"],
        }
        rest = [
            holdings == p["weights"] + self.change,
            self.change == bought - sold,
            self.standing >= 0,
            self.standing <= 1,
        ]
        risk = cp.sum_squares(p["factor"].T @ holdings) / 2
        utility = p["linear"] @ holdings - risk - p["penalty"] * self.standing
        if borrows:
            owed = cp.Variable(assets, nonneg=True)
            p |= {
                "interest": cp.Parameter(assets),
                "most_owed": cp.Parameter(assets, nonneg=True),
                "counts": cp.Parameter(assets),
                "needs": cp.Parameter(assets),
                "kept": cp.Parameter(assets, nonneg=True),
                "borrowed": cp.Parameter(),
                "excess_health": cp.Parameter(nonneg=True),
                "excess_leverage": cp.Parameter(nonneg=True),
            }
            needed = p["needs"] @ owed - p["counts"] @ (holdings + owed)
            self.constraints |= {
                "health": needed <= self.standing * p["excess_health"],
                "leverage": cp.sum(owed) <= p["borrowed"] * worth + self.standing * p["excess_leverage"],
            }
            rest += [owed <= p["most_owed"], holdings + owed >= p["kept"]]
            utility -= p["interest"] @ owed
        self.problem = cp.Problem(cp.Maximize(utility), [*self.constraints.values(), *rest])

    def solve(self, frame: Frame, objective: Objective, cuts: FloatArray, rooms: FloatArray) -> Answer:
        import cvxpy as cp

        given = {one.name: getattr(frame, one.name) for one in fields(Frame) if one.name in self.parameters}
        given |= {"linear": objective.linear, "factor": objective.factor, "penalty": objective.penalty}
        given |= {"cuts": cuts, "rooms": rooms}
        if frame.borrowing is not None:
            limits = frame.borrowing
            given |= {
                "interest": np.zeros(len(frame.weights)) if objective.interest is None else objective.interest,
                "most_owed": np.where(limits.allowed, frame.whole, 0.0),
                "counts": limits.counts,
                "needs": limits.health * limits.weighs,
                "kept": limits.kept,
                "borrowed": limits.leverage - 1.0,
                "excess_health": limits.excess_health,
                "excess_leverage": limits.excess_leverage,
            }
        for name, value in given.items():
            if not np.all(np.isfinite(value)):
                raise SolverError(f"{name} of the program is not finite: {value}; check snapshot and forecast")
            self.parameters[name].value = value
        # Solved outside `Problem.solve`, which hides the dual value; and never warm: the answer must
        # not depend on what was solved before.
        data, chain, inverse = self.problem.get_problem_data(cp.CLARABEL)
        result = chain.solver.solve_via_data(data, warm_start=False, verbose=False, solver_opts=_SETTINGS)
        gap = abs(result.obj_val - result.obj_val_dual)
        if str(result.status) not in ("Solved", "AlmostSolved") or not gap <= TOLERANCE:
            raise SolverError(f"Clarabel answers {result.status} with primal and dual values {gap:.1e} apart")
        self.problem.unpack_results(result, chain, inverse)
        worst, name = max(
            (float(np.max(constraint.violation(), initial=0.0)), name) for name, constraint in self.constraints.items()
        )
        if worst > TOLERANCE:
            raise SolverError(f"Clarabel's answer breaks the constraint {name} by {worst:.1e}")
        return Answer(
            change=np.asarray(self.change.value, dtype=np.float64),
            standing=float(self.standing.value),
            value=float(self.problem.value) + gap,
            shadow_prices=self._shadow_prices(),
        )

    def _shadow_prices(self) -> dict[str, FloatArray]:
        dual = {name: np.atleast_1d(np.asarray(c.dual_value, dtype=np.float64)) for name, c in self.constraints.items()}
        return {
            "lower": dual["lower"],
            "upper": dual["upper"],
            "ceiling": dual["ceiling"],
            "turnover": dual["turnover_bought"] + dual["turnover_sold"],
            "loss": dual["loss"],
            "cuts": dual["cuts"],
            **{name: dual[name] for name in ("health", "leverage") if name in dual},
        }
