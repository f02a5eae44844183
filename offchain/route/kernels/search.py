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
from offchain.route.kernels.market import respond_net
from offchain.route.kernels.table import PoolTable

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SHORTEST = 1e-3
LONGEST = 1.0
_LARGEST_DENSE = 80


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
def _solve(matrix: FloatArray, target: FloatArray, free: IntArray, count: int, factor: FloatArray) -> None:
    """Solve in place for the free tokens by Cholesky; a pivot that is lost to rounding moves nothing."""
    for i in range(count):
        row = free[i]
        for j in range(i + 1):
            total = matrix[row, free[j]]
            for h in range(j):
                total -= factor[i, h] * factor[j, h]
            if i == j:
                factor[i, i] = math.sqrt(total) if total > 1e-15 * matrix[row, row] else 1e150
            else:
                factor[i, j] = total / factor[j, j]
    for i in range(count):
        total = target[i]
        for h in range(i):
            total -= factor[i, h] * target[h]
        target[i] = total / factor[i, i]
    for i in range(count - 1, -1, -1):
        total = target[i]
        for h in range(i + 1, count):
            total -= factor[h, i] * target[h]
        target[i] = total / factor[i, i]


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
    factor: FloatArray,
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
            gradient = math.exp(logs[i]) * excess[i]
            target[count] = -gradient
            hessian[i, i] += abs(gradient) / trust + 1e-14 * hessian[i, i] + 1e-30
            count += 1
    if count > _LARGEST_DENSE:
        part = np.empty((count, count))
        for i in range(count):
            for j in range(count):
                part[i, j] = hessian[free[i], free[j]]
        target[:count] = np.linalg.solve(part, target[:count].copy())
    else:
        _solve(hessian, target, free, count, factor)
    longest = 0.0
    for i in range(count):
        longest = max(longest, abs(target[i]))
    scale = trust / longest if longest > trust else 1.0
    for i in range(count):
        step[free[i]] = scale * target[i]


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
    hessian, second = np.zeros((count, count)), np.zeros((count, count))
    change, softness = np.zeros(count), np.zeros(count)
    step, target, free = np.zeros(count), np.zeros(count), np.zeros(count, np.int64)
    factor = np.zeros((min(count, _LARGEST_DENSE), min(count, _LARGEST_DENSE)))
    place, best = np.empty(count), logs.copy()
    _evaluate(table, wishes, costs, tau, logs, excess, hessian, change, softness)
    counters[1] += 1
    miss = _largest(excess)
    least = miss
    trust, stalled = 0.05, 0
    for _ in range(rounds):
        if miss <= tolerance or stalled >= 4:
            break
        counters[0] += 1
        _direction(hessian, excess, logs, wishes, trust, step, free, target, factor)
        slope0 = 0.0
        for i in range(count):
            slope0 += math.exp(logs[i]) * excess[i] * step[i]
        low, low_slope, high, high_slope, length = 0.0, slope0, -1.0, 0.0, 1.0
        cuts = 0
        while True:
            for i in range(count):
                place[i] = max(logs[i] + length * step[i], wishes.lowest[i]) if step[i] != 0.0 else logs[i]
            _evaluate(table, wishes, costs, tau, place, other, second, change, softness)
            counters[1] += 1
            slope = 0.0
            for i in range(count):
                slope += math.exp(place[i]) * other[i] * step[i]
            missed = _largest(other)
            if slope <= -0.5 * slope0 and (length == 1.0 or slope >= 0.5 * slope0 or missed < 0.5 * miss):
                break
            if missed <= 0.1 * miss:
                break
            cuts += 1
            if slope > 0.0:
                high, high_slope = length, slope
            else:
                low, low_slope = length, slope
            if cuts >= 30 or high - low <= 1e-14:
                break
            fraction = low_slope / (low_slope - high_slope)
            if cuts % 4 == 3:
                fraction = 0.5
            length = low + (high - low) * min(max(fraction, 0.05), 0.95)
        moved = length * _largest(step)
        if cuts == 0 and slope < 0.25 * slope0:
            trust = min(4.0 * trust, LONGEST)
        elif cuts >= 2:
            trust = max(0.25 * trust, SHORTEST)
        stalled = stalled + 1 if missed > 0.7 * miss and moved < 1e-11 else 0
        logs[:] = place
        excess[:] = other
        hessian[:] = second
        miss = missed
        if miss < least:
            least = miss
            best[:] = logs
    logs[:] = best
    return least
