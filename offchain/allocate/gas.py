# SPDX-License-Identifier: Apache-2.0
"""The joint program with a fixed cost a pool: which pools pay for their gas, and what no other choice could beat.

A fixed cost makes a pool worth max(0, surplus - cost) at given prices, which bends the wrong way: the
program becomes combinatorial. Its dual does not. For any prices nu

    max over limits of U(x) - nu'(x - start)  +  sum over pools of max(0, surplus_k(nu) - cost_k)

bounds every choice of pools from above, however the choice was found. The search smooths the
maxima, sharpens them in a few warm rounds, keeps the pools whose surplus then exceeds their cost
and solves for these alone; pools that do not pay even so are struck one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.errors import SolverError
from offchain.allocate.solution import GAP, Program, Solution, optimise

if TYPE_CHECKING:
    from offchain.route.kernels import PoolTable

FloatArray = NDArray[np.float64]

DUST = 1e-8
"""Trades below this part of the value are none."""
_SHARPER = (1.0, 0.3, 0.1, 0.03)
_STRIKES = 24
_ADDITIONS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Pruned:
    """A choice of pools, after their costs.

    Attributes
    ----------
    solution
        Over the chosen pools.
    used
        Shape (pools,): those that trade.
    value, bound
        Utility less costs, and what no choice of pools exceeds.
    solves
        Programs solved on the way.
    """

    solution: Solution
    used: NDArray[np.bool_]
    value: float
    bound: float
    solves: int

    @property
    def gap(self) -> float:
        """No choice of pools is better by more than this."""
        return self.bound - self.value


def each_pool(table: PoolTable, prices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Every pool's best trade at prices.

    Returns
    -------
    Net changes in reference values, shape (slots,); surplus of each pool, shape (pools,).
    """
    from offchain.route.kernels import respond_each

    pools = len(table.slot) - 1
    trades, surplus, weights = np.zeros(len(table.token)), np.zeros(pools), np.zeros(pools)
    respond_each(table, np.log(prices), trades, surplus, weights)
    return trades, surplus


def used_pools(table: PoolTable, prices: FloatArray, dust: float = DUST) -> NDArray[np.bool_]:
    """Shape (pools,): pools that move more than dust."""
    if not len(table.token):
        return np.zeros(len(table.slot) - 1, np.bool_)
    trades, _ = each_pool(table, prices)
    moved: FloatArray = np.maximum.reduceat(np.abs(trades), table.slot[:-1])
    return moved > dust


def rigorous_bound(program: Program, table: PoolTable, solution: Solution, costs: FloatArray | None = None) -> float:
    """Upper bound on the utility, less costs, of any choice of pools, from the solution's prices."""
    from offchain.allocate.kernels.program import bound

    _, surplus = each_pool(table, solution.prices)
    net = surplus if costs is None else np.maximum(surplus - costs, 0.0)
    return bound(program.numbers(), solution.prices, solution.x, solution.worth) + float(net.sum())


def without_dust(program: Program, table: PoolTable, solution: Solution, dust: float = DUST) -> Solution:
    """The same optimum through fewer pools: trades too small to matter are struck, untouched holdings stay to the bit.

    The bound is the one of all pools. Returns the solution unchanged where striking costs more than `GAP`.
    """
    from offchain.route.kernels import select

    used = used_pools(table, solution.prices, dust)
    fewer = _on(program, select(table, used), table, used, solution)
    if fewer is None or solution.bound - fewer.value > max(solution.gap, GAP) + GAP:
        return solution
    return Solution(
        fewer.x, fewer.prices, fewer.value, solution.bound, fewer.worth, fewer.violation, fewer.centre,
        solution.rounds + fewer.rounds, solution.steps + fewer.steps, solution.passes + fewer.passes,
    )  # fmt: skip


def _on(
    program: Program, smaller: PoolTable, table: PoolTable, used: NDArray[np.bool_], warm: Solution
) -> Solution | None:
    """Solve over chosen pools, holdings that none of them trades held fast; `None` where that is infeasible."""
    count = len(program.start)
    touched = np.zeros(len(program.linear), np.bool_)
    touched[count:] = True
    touched[table.token[np.repeat(used, np.diff(table.slot))]] = True
    start = np.concatenate([program.start, np.zeros(len(program.linear) - count)])
    lower, upper = np.where(touched, program.lower, start), np.where(touched, program.upper, start)
    held = ~touched
    if (start[held] < program.lower[held]).any() or (start[held] > program.upper[held]).any():
        return None
    fixed = Program(
        program.start, program.linear, program.gram, lower, upper, program.rows, program.rooms, program.slack
    )
    found = optimise(fixed, smaller, warm, GAP / 2)
    return found if np.isfinite(found.value) else None


def prune(program: Program, table: PoolTable, costs: FloatArray, tolerance: float = GAP) -> Pruned:
    """Choose the pools that are worth their costs.

    Parameters
    ----------
    program, table
        As in `optimise`.
    costs
        Shape (pools,): what using a pool costs, in fractions of the value; not negative.
    tolerance
        Of each program solved.

    Raises
    ------
    SolverError
        A cost is not a number or negative, or no answer is feasible.
    """
    from offchain.route.kernels import select

    if costs.shape != (len(table.slot) - 1,) or not np.isfinite(costs).all() or (costs < 0).any():
        raise SolverError(f"costs {costs} must be one number a pool, finite and not negative")
    free = optimise(program, table, tolerance=tolerance)
    if not np.isfinite(free.value):
        raise SolverError(f"no answer within the limits: the nearest breaks one by {free.violation:.1e}")
    best = _judged(program, table, free, costs, 1)
    if not costs.any():
        return best
    ceiling, solves = min(best.bound, rigorous_bound(program, table, free, costs)), 1
    idle = _idle(program)
    if idle is not None and idle.value > best.value:
        best = Pruned(idle, np.zeros(len(costs), np.bool_), idle.value, ceiling, solves)
    scale = float(np.median(costs[costs > 0]))
    warm = free
    for part in _SHARPER:
        warm = optimise(program, table, warm, tolerance, costs, part * scale)
        solves += 1
        ceiling = min(ceiling, rigorous_bound(program, table, warm, costs))
    _, surplus = each_pool(table, warm.prices)
    chosen = surplus > costs
    seen: set[bytes] = set()
    for _ in range(_STRIKES):
        if not chosen.any() or chosen.tobytes() in seen:
            break
        seen.add(chosen.tobytes())
        found = _on(program, select(table, chosen), table, chosen, warm)
        solves += 1
        if found is None:
            break
        judged = _judged(program, table, found, costs, solves, chosen)
        ceiling = min(ceiling, rigorous_bound(program, table, found, costs))
        if judged.value > best.value:
            best = judged
        # What still does not pay goes, the worst first; what would pay now comes back.
        _, surplus = each_pool(table, found.prices)
        short = np.where(judged.used, surplus - costs, np.inf)
        gains = np.where(~chosen, surplus - costs, -np.inf)
        chosen = judged.used.copy()
        if gains.max() > 0:
            chosen[np.argsort(-gains)[:_ADDITIONS]] |= np.sort(gains)[::-1][:_ADDITIONS] > 0
        elif short.min() < 0:
            chosen[int(np.argmin(short))] = False
        else:
            break
        warm = found
    return Pruned(best.solution, best.used, best.value, max(ceiling, best.value), solves)


def _judged(
    program: Program,
    table: PoolTable,
    solution: Solution,
    costs: FloatArray,
    solves: int,
    chosen: NDArray[np.bool_] | None = None,
) -> Pruned:
    used = used_pools(table, solution.prices, 0.0)
    if chosen is not None:
        used &= chosen
    value = solution.value - float(costs[used].sum())
    return Pruned(solution, used, value, solution.bound, solves)


def _idle(program: Program) -> Solution | None:
    """Doing nothing, where it is allowed and the program has no entries of its own."""
    count, size = len(program.start), len(program.linear)
    if size > count:
        return None
    inside = (program.start >= program.lower).all() and (program.start <= program.upper).all()
    if not inside or (program.rows @ program.start > program.rooms + program.slack).any():
        return None
    value = program.value(program.start)
    slope = np.maximum(program.linear - program.gram @ program.start, 0.05)
    start = program.start.copy()
    return Solution(start, slope, value, np.inf, np.zeros(len(program.rooms)), 0.0, start.copy(), 0, 0, 0)
