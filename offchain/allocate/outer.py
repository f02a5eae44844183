# SPDX-License-Identifier: Apache-2.0
"""Allocation and routing as one program, by outer approximation: slow, in cvxpy, and without the kernels.

The fallback where `offchain.allocate.joint` finds no answer that it can prove, and the oracle of its tests.

What the pools allow is a convex set of net changes z. Every price vector nu bounds it by the
half-space nu'z <= arb(nu), where arb(nu) is what the pools would pay an arbitrageur at these
prices (`offchain.route.rates.arbitrage`). The program of `program.py` sees such half-spaces;
its answer goes to the pools (`offchain.route.flow`), which say what it really costs and at which
prices, and those prices make the next half-space. The program's value bounds every plan's
utility from above, the flow's from below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.program import Answer, solve
from offchain.allocate.target import Target, TargetProblem
from offchain.allocate.versions import with_versions
from offchain.route.demand import Demand
from offchain.route.errors import RouteNotFoundError
from offchain.route.flow import solve_flow
from offchain.route.pool import Pool
from offchain.route.rates import arbitrage, marginal_rates
from offchain.route.split import STIFFNESS

FloatArray = NDArray[np.float64]

ROUNDS = 12
GAP = 5e-7
"""Stop when bound and utility are that close, in fractions of value."""
PENALTY_SCALE = 0.02
"""Penalty at which the gap that is good enough doubles: nobody repairs to the last millionth."""
_UNREACHABLE = 3.0  # relative price of a token that no path leads to
_MET = 1e-4
_NOTHING = 1e-8


class Cuts:
    """Half-spaces that contain everything the pools allow, in a table of fixed size."""

    def __init__(self, pools: Sequence[Pool], unit_values: FloatArray) -> None:
        self._pools = pools
        self._unit_values = unit_values
        count = len(unit_values)
        size = 2 * count + ROUNDS
        self.normals = np.zeros((size, count))
        self.rooms = np.ones(size)
        self._used = 0
        rates = marginal_rates(pools, unit_values)
        floor = 1 / _UNREACHABLE
        rates = np.clip(rates, floor, None)
        for token in range(count):
            self.add(1 / rates[token])  # what everything costs, paid in this token
            self.add(rates[:, token])  # what everything brings, paid out in it

    def add(self, prices: FloatArray) -> None:
        """Cut at a price vector; beyond the table's end the oldest found by the program makes room."""
        first = 2 * len(self._unit_values)
        row = self._used if self._used < len(self.rooms) else first + (self._used - first) % ROUNDS
        self.normals[row] = prices
        self.rooms[row] = arbitrage(self._pools, self._unit_values, prices)
        self._used += 1


def approximate_target(problem: TargetProblem) -> Target:
    """Find the best net changes; where the bound falls below what is enough the search ends without any.

    Raises
    ------
    SolverError
        The program's answer cannot be trusted.
    """
    pools, unit_values, frame, objective = problem.pools, problem.unit_values, problem.frame, problem.objective
    solver = with_versions("outer approximation by Clarabel", "clarabel", "cvxpy", "numpy")
    cuts = Cuts(pools, unit_values)
    best: Target | None = None
    best_value, bound = -np.inf, np.inf
    for _ in range(ROUNDS):
        answer = solve(frame, objective, cuts.normals, cuts.rooms)
        bound = min(bound, answer.value)
        if bound <= problem.enough:
            return Target(None, np.ones_like(unit_values), bound, answer, solver)
        worth = _worth(answer, cuts.normals)
        change, prices = _ask(pools, unit_values, answer.change, worth)
        cuts.add(prices)
        overspent = frame.spent(change)
        if overspent > 1 + 1e-9:
            # What it costs is convex: a part of the trade costs at most that part.
            change, prices = _ask(pools, unit_values, answer.change / overspent, worth)
        value = objective.value(frame.weights + change) - objective.penalty * frame.standing(change)
        if best is None or value > best_value:
            best_value = value
            change = _tidied(answer.change / max(1.0, overspent), change, prices)
            change[frame.floor == frame.ceiling] = 0.0
            best = Target(change, prices, bound, answer, solver)
        if bound - best_value <= GAP * (1 + objective.penalty / PENALTY_SCALE):
            break
    assert best is not None
    return replace(best, bound=bound)


def _worth(answer: Answer, normals: FloatArray) -> FloatArray:
    """What the program thinks a unit of each asset is worth in base asset, all limits considered."""
    worth: FloatArray = answer.shadow_prices["cuts"] @ normals
    if worth[0] <= 0:
        return np.ones_like(worth)
    relative: FloatArray = np.clip(worth / worth[0], 1 / _UNREACHABLE, _UNREACHABLE)
    return relative


def _ask(
    pools: Sequence[Pool], unit_values: FloatArray, change: FloatArray, worth: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """What the pools make of a wish, and their prices there. The base asset takes what is left."""
    stiffness = np.full(len(change), STIFFNESS)
    stiffness[0] = 0.0
    scale = 1.0
    while True:  # ends at the latest when the scale is too small
        try:
            flow = solve_flow(pools, Demand(unit_values, change * scale, worth, stiffness))
        except RouteNotFoundError:
            if scale < 1e-3:
                raise
            scale /= 4
            continue
        return flow.change, flow.prices


def _tidied(wanted: FloatArray, filled: FloatArray, prices: FloatArray) -> FloatArray:
    """The wish where the pools meet it, else what they fill; what is no change to speak of is none.

    The base asset pays for the difference at the pools' prices.
    """
    change = np.where(np.abs(wanted - filled) < _MET, wanted, filled)
    change[np.abs(change) < _NOTHING] = 0.0
    change[0] = filled[0] - prices[1:] @ (change - filled)[1:]
    return change
