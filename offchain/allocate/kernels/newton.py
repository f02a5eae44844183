# SPDX-License-Identifier: Apache-2.0
"""Allocation and routing at once: proximal rounds of a semismooth Newton method in log prices, compiled.

At prices nu the coupled program falls apart. The limits' side maximises

    U(x) - nu'x - delta/2 |x - centre|^2        (a small quadratic program, see `box` and `dual`)

and every pool answers on its own (`offchain.route.kernels.market`). Their sum is convex in nu and
its gradient is what is missing, ``start + flow(nu) - x(nu)``. In log prices the pools add a graph
Laplacian to its Hessian and the limits' side N (dx/dnu) N, so a few Newton steps with a search on
the slope find its minimum. The proximal term makes up for utilities that are flat somewhere; its
centre follows the optimum while delta falls. After each round the bound of `program` and the
utility of what the pools really give say how far from the optimum the answer can be.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.kernels.box import AT_LOWER, AT_UPPER, FREE, box_optimum, box_response
from offchain.allocate.kernels.dual import SOLVED, polyhedral_optimum
from offchain.allocate.kernels.linear import backward, factorise, forward
from offchain.allocate.kernels.program import Numbers, bound, utility, violation
from offchain.risk.compiled import compiled
from offchain.route.kernels.market import respond_net
from offchain.route.kernels.table import PoolTable

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LONGEST = 0.5
"""Most that a step may change a price by, as a fraction of it."""
FILLED, FAILED = -1, -2
_LEAST_DELTA = 1e-8
_PRICE_FLOOR = 1e-12


@compiled
def inner(
    numbers: Numbers,
    damped: FloatArray,
    centre: FloatArray,
    delta: float,
    prices: FloatArray,
    state: IntArray,
    x: FloatArray,
    worth: FloatArray,
    response: FloatArray,
    free: IntArray,
    factor: FloatArray,
) -> int:
    """The limits' side at prices; fills x and worth of the rows (m,).

    Returns
    -------
    Number of free entries of a box, whose derivative is then left to `box_response`; else the
    derivative is filled, and the answer is `FILLED` or `FAILED`.
    """
    count = len(x)
    pull = numbers.linear + delta * centre
    for i in range(len(prices)):
        pull[i] -= prices[i]
    if len(numbers.rooms) == 0:
        size = box_optimum(damped, pull, numbers.lower, numbers.upper, state, x, free, factor)
        if size >= 0:
            return size
    multipliers = np.empty(2 * count + len(numbers.rooms))
    status = polyhedral_optimum(
        damped, pull, numbers.lower, numbers.upper, numbers.rows, numbers.rooms, x, multipliers, response
    )
    for i in range(count):
        state[i] = AT_LOWER if multipliers[i] > 0 else AT_UPPER if multipliers[count + i] > 0 else FREE
    worth[:] = multipliers[2 * count :]
    return FILLED if status == SOLVED else FAILED


@compiled
def _missing(numbers: Numbers, flow: FloatArray, x: FloatArray, missing: FloatArray) -> float:
    """Fill the gradient; its largest entry."""
    largest = 0.0
    for i in range(len(missing)):
        missing[i] = numbers.start[i] + flow[i] - x[i]
        largest = max(largest, abs(missing[i]))
    return largest


@compiled
def _step(
    hessian: FloatArray,
    response: FloatArray,
    prices: FloatArray,
    missing: FloatArray,
    size: float,
    step: FloatArray,
    factor: FloatArray,
    chosen: IntArray,
) -> float:
    """Newton step in prices, bounded; returns its largest relative change."""
    count = len(prices)
    heaviest = 0.0
    for i in range(count):
        for j in range(count):
            hessian[i, j] += prices[i] * prices[j] * response[i, j]
        heaviest = max(heaviest, hessian[i, i])
    damping = min(1e-3, 1e-2 * size) + 1e-13 * heaviest
    for i in range(count):
        hessian[i, i] += damping * (1.0 if hessian[i, i] > 1e-12 else 10.0)
        step[i] = -prices[i] * missing[i]
    factorise(hessian, chosen, count, factor)
    forward(factor, count, step)
    backward(factor, count, step)
    longest = 0.0
    for i in range(count):
        longest = max(longest, abs(step[i]))
    scale = LONGEST / longest if longest > LONGEST else 1.0
    for i in range(count):
        step[i] *= prices[i] * scale
    return longest * scale


@compiled
def _logs(prices: FloatArray, logs: FloatArray) -> None:
    for i in range(len(prices)):
        logs[i] = math.log(prices[i])


@compiled
def minimise(
    table: PoolTable,
    numbers: Numbers,
    true: Numbers,
    costs: FloatArray,
    tau: float,
    prices: FloatArray,
    centre: FloatArray,
    delta: float,
    tolerance: float,
    slack: float,
    rounds: int,
    steps: int,
    best: FloatArray,
    holdings: FloatArray,
    worth: FloatArray,
    counters: IntArray,
) -> tuple[float, float, float]:
    """Search for the dual prices whose answer is optimal and feasible.

    Parameters
    ----------
    numbers, true
        The program with limits a little inside the true ones, and with the true ones: answers of
        the first are to satisfy the second.
    costs, tau
        Fixed cost of each pool, smoothed; 0 leaves them out.
    prices, centre
        Where to start, shapes (n,), (N,); overwritten.
    delta
        First weight of the proximal term.
    tolerance
        Gap that is good enough.
    slack
        Violation of the true limits that counts as none.
    best, holdings, worth
        Filled: prices, shape (n,), of the best feasible answer (of the last one where there is none), what
        the pools give there with the rest of x, shape (N,), and multipliers of the rows, shape (m,).
    counters
        Shape (4,): rounds, Newton steps, passes over the pools and failed inner programs are added.

    Returns
    -------
    (utility, or minus infinity without a feasible answer; upper bound on it; violation of what was last found)
    """
    count, size = len(prices), len(centre)
    state, x, free = np.zeros(size, np.int64), np.empty(size), np.empty(size, np.int64)
    factor, response = np.zeros((size, size)), np.zeros((size, size))
    hessian, second = np.zeros((count, count)), np.zeros((count, count))
    flow, missing, other = np.zeros(count), np.zeros(count), np.zeros(count)
    step, place, logs, real = np.zeros(count), np.empty(count), np.empty(count), np.empty(size)
    everything = np.arange(count)
    row_worth = np.zeros(len(numbers.rooms))
    system = np.zeros((count, count))
    damped = numbers.gram.copy()
    for i in range(size):
        if centre[i] <= numbers.lower[i]:
            state[i] = AT_LOWER
        elif centre[i] >= numbers.upper[i]:
            state[i] = AT_UPPER
    reached, least, beyond = -math.inf, math.inf, math.inf
    best[:] = prices
    fine, polishing = 1e-10, False
    for _ in range(rounds):
        counters[0] += 1
        for i in range(size):
            for j in range(size):
                damped[i, j] = numbers.gram[i, j]
            damped[i, i] += delta
        sized = inner(numbers, damped, centre, delta, prices, state, x, row_worth, response, free, factor)
        if sized == FAILED:
            counters[3] += 1
        _logs(prices, logs)
        pools_worth = respond_net(table, logs, costs, tau, flow, hessian)
        counters[2] += 1
        miss = _missing(numbers, flow, x, missing)
        enough = fine if polishing else max(fine, 0.1 * delta)
        stalled = 0
        while True:
            for _ in range(steps):
                if miss <= enough or stalled >= 3:
                    break
                counters[1] += 1
                if sized >= 0:
                    box_response(free, sized, factor, response)
                moved = _step(hessian, response, prices, missing, miss, step, system, everything)
                slope0 = 0.0
                for i in range(count):
                    slope0 += step[i] * missing[i]
                if not slope0 < 0.0:
                    stalled = 3
                    break
                before = miss
                low, low_slope, high, high_slope, length, tries = 0.0, slope0, -1.0, 0.0, 1.0, 0
                while True:
                    for i in range(count):
                        place[i] = max(prices[i] + length * step[i], _PRICE_FLOOR)
                    sized = inner(numbers, damped, centre, delta, place, state, x, row_worth, response, free, factor)
                    if sized == FAILED:
                        counters[3] += 1
                    _logs(place, logs)
                    pools_worth = respond_net(table, logs, costs, tau, flow, second)
                    counters[2] += 1
                    miss = _missing(numbers, flow, x, other)
                    slope = 0.0
                    for i in range(count):
                        slope += step[i] * other[i]
                    tries += 1
                    if abs(slope) <= -0.5 * slope0 or miss <= 0.1 * before or tries >= 25:
                        break
                    if slope > 0.0:
                        high, high_slope = length, slope
                    else:
                        low, low_slope = length, slope
                    if high < 0.0:
                        longest = 8.0
                        for i in range(count):
                            if step[i] != 0.0:
                                longest = min(longest, (0.8 if step[i] < 0.0 else 4.0) * prices[i] / abs(step[i]))
                        if length >= 0.999 * longest:
                            break
                        length = min(4.0 * length, longest)
                    else:
                        if high - low <= 1e-13 * high:
                            break
                        fraction = low_slope / (low_slope - high_slope) if tries % 4 else 0.5
                        length = low + (high - low) * min(max(fraction, 0.1), 0.9)
                prices[:] = place
                missing[:] = other
                hessian[:] = second
                if moved * length < 1e-13 or (miss > 0.7 * before and moved * length < 1e-10):
                    stalled += 1
            ceiling = bound(true, prices, x, row_worth) + pools_worth
            if ceiling < least:
                least = ceiling
            for i in range(size):
                real[i] = numbers.start[i] + flow[i] if i < count else x[i]
            outside = violation(true, real)
            value = utility(true, real)
            if outside <= slack:
                if value > reached:
                    reached, beyond = value, outside
                    best[:] = prices
                    holdings[:] = real
                    worth[:] = row_worth
            elif reached == -math.inf:
                beyond = outside
                best[:] = prices
                holdings[:] = real
                worth[:] = row_worth
            if least - reached <= tolerance or outside <= slack or least - value > tolerance or enough <= fine:
                break
            # Good but for a hair's breadth outside: the same round, to the last digit.
            polishing, enough, stalled = True, fine, 0
            # The system in hand belongs to these prices; carry on.
        if least - reached <= tolerance:
            break
        centre[:] = x
        delta = max(0.1 * delta, _LEAST_DELTA)
    return reached, least, beyond
