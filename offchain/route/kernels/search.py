# SPDX-License-Identifier: Apache-2.0
"""The search for dual prices of pure routing, compiled.

Every token has a concave worth of its net change y, given by the change that it asks for at a
price nu, a falling polyline: with gap = marginal - nu,

    y(nu) = wanted + gap * soft                                      while |gap| <= turn
    y(nu) = wanted + sign(gap) (turn * soft + (|gap| - turn) * loose)   beyond

(soft = loose = 0 asks for exactly ``wanted``). The dual prices minimise the convex function
respond(nu) + sum of the conjugates; its gradient is what the pools give less what is asked for.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offchain.risk.compiled import compiled
from offchain.route.kernels.market import NO_COSTS, respond_each, respond_net
from offchain.route.kernels.table import PoolTable

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SHORTEST = 1e-3
LONGEST = 1.0
_LAST_DIGIT = 4e-16


class Wishes(NamedTuple):
    """What each token asks for; shapes (n,), see the module's page. ``fixed`` tokens keep their price."""

    wanted: FloatArray
    marginal: FloatArray
    soft: FloatArray
    loose: FloatArray
    turn: FloatArray
    fixed: NDArray[np.bool_]
    lowest: FloatArray
    """Log price below which a token counts as worthless: what is too much of it may stay."""


@compiled
def ask(wishes: Wishes, logs: FloatArray, change: FloatArray, softness: FloatArray) -> float:
    """Fill the change asked for and how fast it falls with the price; sum of the conjugates of what is not fixed."""
    total = 0.0
    for i in range(len(logs)):
        price = math.exp(logs[i])
        gap = wishes.marginal[i] - price
        size = abs(gap)
        near, far = min(size, wishes.turn[i]), max(size - wishes.turn[i], 0.0)
        soft, loose = wishes.soft[i], wishes.loose[i]
        moved = near * soft + far * loose
        change[i] = wishes.wanted[i] + (moved if gap > 0.0 else -moved)
        softness[i] = loose if far > 0.0 else soft
        if not wishes.fixed[i]:
            total += 0.5 * near * near * soft + far * near * soft + 0.5 * far * far * loose
            total -= price * wishes.wanted[i]
    return total


@compiled
def _evaluate(
    table: PoolTable,
    wishes: Wishes,
    costs: FloatArray,
    tau: float,
    logs: FloatArray,
    excess: FloatArray,
    hessian: FloatArray,
    change: FloatArray,
    softness: FloatArray,
) -> float:
    """Fill the gradient, in prices, and the Hessian in log prices; the value."""
    value = respond_net(table, logs, costs, tau, excess, hessian)
    value += ask(wishes, logs, change, softness)
    for i in range(len(logs)):
        if wishes.fixed[i]:
            excess[i] = 0.0
            continue
        excess[i] -= change[i]
        price = math.exp(logs[i])
        hessian[i, i] += price * price * softness[i]
        if logs[i] <= wishes.lowest[i] and excess[i] > 0.0:
            excess[i] = 0.0
    return value


@compiled
def _solve(matrix: FloatArray, target: FloatArray, count: int) -> None:
    """Solve in place by Cholesky, row by row; a pivot that is lost to rounding moves nothing."""
    for k in range(count):
        pivot = matrix[k, k]
        root = math.sqrt(pivot) if pivot > 0.0 else 1e150
        matrix[k, k] = root
        for j in range(k + 1, count):
            matrix[k, j] /= root
        for i in range(k + 1, count):
            scale = matrix[k, i]
            if scale != 0.0:
                size = matrix[i, i]
                for j in range(i, count):
                    matrix[i, j] -= scale * matrix[k, j]
                if matrix[i, i] < 1e-15 * size:
                    matrix[i, i] = 0.0
    for k in range(count):
        target[k] /= matrix[k, k]
        scale = target[k]
        for j in range(k + 1, count):
            target[j] -= scale * matrix[k, j]
    for k in range(count - 1, -1, -1):
        total = target[k]
        for j in range(k + 1, count):
            total -= matrix[k, j] * target[j]
        target[k] = total / matrix[k, k]


@compiled
def _direction(
    hessian: FloatArray,
    excess: FloatArray,
    logs: FloatArray,
    wishes: Wishes,
    trust: float,
    step: FloatArray,
    free: IntArray,
    target: FloatArray,
    matrix: FloatArray,
) -> None:
    """Damped Newton step in log prices.

    The Laplacian plus a diagonal d has an inverse without negative entries, so the step is at
    most max |gradient_i| / d_i: the damping |gradient_i| / trust bounds it by ``trust`` and
    vanishes at the optimum. It matters where pools are idle and nothing else holds a price.
    """
    count = 0
    for i in range(len(logs)):
        step[i] = 0.0
        if not wishes.fixed[i] and not (logs[i] <= wishes.lowest[i] and excess[i] >= 0.0):
            free[count] = i
            target[count] = -math.exp(logs[i]) * excess[i]
            count += 1
    for i in range(count):
        for j in range(i, count):
            matrix[i, j] = hessian[free[i], free[j]]
        matrix[i, i] += abs(target[i]) / trust + 1e-14 * matrix[i, i] + 1e-30
    _solve(matrix, target, count)
    longest = 0.0
    for i in range(count):
        longest = max(longest, abs(target[i]))
    scale = trust / longest if longest > trust else 1.0
    for i in range(count):
        step[free[i]] = scale * target[i]


@compiled
def _is_met(excess: FloatArray, hessian: FloatArray, tolerance: float) -> bool:
    """Whether every miss is within the tolerance, or what the last digit of a log price makes of it."""
    met = True
    for i in range(len(excess)):
        met = met and abs(excess[i]) <= tolerance + _LAST_DIGIT * hessian[i, i]
    return met


@compiled
def _largest(values: FloatArray) -> float:
    largest = 0.0
    for value in values:
        largest = max(largest, abs(value))
    return largest


@compiled
def search(
    table: PoolTable,
    wishes: Wishes,
    costs: FloatArray,
    tau: float,
    logs: FloatArray,
    tolerance: float,
    rounds: int,
    counters: IntArray,
) -> float:
    """Find the dual prices by semismooth Newton with a line search on the slope.

    Parameters
    ----------
    costs, tau
        As in `respond_net`; ``tau`` 0 leaves costs out.
    logs
        Where to start; overwritten with the best prices found.
    tolerance
        Of the largest miss between what pools give and what is asked for.
    rounds
        Most Newton steps.
    counters
        Shape (2,): Newton steps and passes over the pools are added.

    Returns
    -------
    The largest miss that is left.
    """
    count = len(logs)
    excess, other = np.zeros(count), np.zeros(count)
    hessian, second, matrix = np.zeros((count, count)), np.zeros((count, count)), np.empty((count, count))
    change, softness = np.zeros(count), np.zeros(count)
    step, target, free = np.zeros(count), np.zeros(count), np.zeros(count, np.int64)
    place, best = np.empty(count), logs.copy()
    value, miss, least = math.inf, math.inf, math.inf
    trust, stalled = 0.05, 0
    for turn in range(rounds + 1):
        if turn > 0:
            if stalled >= 3 or _is_met(excess, hessian, tolerance):
                break
            counters[0] += 1
            _direction(hessian, excess, logs, wishes, trust, step, free, target, matrix)
        slope = 0.0
        for i in range(count):
            slope += math.exp(logs[i]) * excess[i] * step[i]
        length, cuts = 1.0, 0
        while True:
            for i in range(count):
                place[i] = max(logs[i] + length * step[i], wishes.lowest[i]) if step[i] != 0.0 else logs[i]
            reached = _evaluate(table, wishes, costs, tau, place, other, second, change, softness)
            counters[1] += 1
            missed = _largest(other)
            noise = 1e-15 * (1.0 + abs(reached))
            if reached <= value + 1e-4 * length * slope + noise or missed <= 0.5 * miss or cuts >= 40:
                break
            cuts += 1
            # Where the slope along the step would vanish, were it linear.
            ahead = 0.0
            for i in range(count):
                ahead += math.exp(place[i]) * other[i] * step[i]
            length *= min(max(slope / (slope - ahead), 0.1), 0.7) if ahead > slope else 0.5
        moved = length * _largest(step)
        if cuts == 0:
            trust = min(3.0 * trust, LONGEST)
        elif cuts >= 2:
            trust = max(0.3 * trust, SHORTEST)
        stalled = stalled + 1 if missed > 0.7 * least and moved < 1e-9 and turn > 0 else 0
        logs[:] = place
        excess[:] = other
        hessian[:] = second
        value = reached
        miss = missed
        if miss < least:
            least = miss
            best[:] = logs
    logs[:] = best
    return least


@compiled
def best_flow(
    table: PoolTable,
    wishes: Wishes,
    logs: FloatArray,
    tolerance: float,
    rounds: int,
    change: FloatArray,
    trades: FloatArray,
    surplus: FloatArray,
) -> tuple[float, float]:
    """Search, and fill what follows: net changes (n,), trades (slots,), surplus (pools,), in reference values.

    Returns
    -------
    The largest miss that is left, and the dual value without the tokens that are fixed.
    """
    miss = search(table, wishes, NO_COSTS, 0.0, logs, tolerance, rounds, np.zeros(2, np.int64))
    value = ask(wishes, logs, change, np.empty(len(logs)))
    respond_each(table, logs, trades, surplus, np.empty(len(surplus)))
    change[:] = 0.0
    for place in range(len(trades)):
        change[table.token[place]] += trades[place]
    for worth in surplus:
        value += worth
    return miss, value
