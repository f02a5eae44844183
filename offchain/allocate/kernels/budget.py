# SPDX-License-Identifier: Apache-2.0
"""Mean-variance with a budget, bounds and proportional costs, by an active set over pieces, compiled.

    maximise  linear'x - x'Gx / 2 - sum cost_i |x_i - held_i|   over lower <= x <= upper, sum x = total

Every entry is at one of three knots (lower, held, upper) or between two of them. Guessing which,
solving for the rest with the budget's multiplier, and correcting the guess by the signs of what comes
out ends, from a guess nearby, after a few rounds, each of which costs one small factorisation. Where
the corrections run in circles, pairs of entries exchange weight downhill for a while first.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.kernels.linear import backward, factorise, forward
from offchain.risk.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SMALL = 64
"""Up to here the systems are solved here, beyond by LAPACK."""
_ROUNDS = 40
_NEAR = 1e-7  # of weight: closer than that counts as at the knot where the dual residual is measured
_RESTARTS = 6


@compiled
def _knot(i: int, piece: int, lower: FloatArray, held: FloatArray, upper: FloatArray) -> float:
    middle = min(max(held[i], lower[i]), upper[i])
    return lower[i] if piece == 0 else middle if piece == 2 else upper[i]  # type: ignore[no-any-return]


@compiled
def _slope(i: int, piece: int, cost: FloatArray, lower: FloatArray, held: FloatArray, upper: FloatArray) -> float:
    """Of the cost on a free piece, 1 below and 3 above what is held."""
    if piece == 1:
        return -cost[i] if held[i] > lower[i] else cost[i]  # type: ignore[no-any-return]
    return cost[i] if held[i] < upper[i] else -cost[i]  # type: ignore[no-any-return]


@compiled
def _pull(gram: FloatArray, x: FloatArray, result: FloatArray) -> None:
    """Gram times x, by rows of what is not zero."""
    result[:] = 0.0
    for j in range(len(x)):
        value = x[j]
        if value != 0.0:
            for i in range(len(x)):
                result[i] += gram[j, i] * value


@compiled
def certify(
    gradient: FloatArray,
    cost: FloatArray,
    held: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    total: float,
    x: FloatArray,
    price: float,
) -> tuple[float, float]:
    """Duality gap and dual residual of x at a multiplier of the budget; ``gradient`` is linear - Gx.

    The gap bounds how much better any feasible point is, for any price: tangent, budget relaxed, and what is
    left best at one of the knots.
    """
    gap, residual, amount = 0.0, 0.0, total
    for i in range(len(x)):
        slope = gradient[i] - price
        here = cost[i] * abs(x[i] - held[i])
        best = 0.0
        for piece in (0, 2, 4):
            knot = _knot(i, piece, lower, held, upper)
            best = max(best, slope * (knot - x[i]) - cost[i] * abs(knot - held[i]) + here)
        gap += best
        amount -= x[i]
        rise, fall = slope - cost[i], slope + cost[i]
        if x[i] < held[i] - _NEAR:
            rise = fall
        elif x[i] > held[i] + _NEAR:
            fall = rise
        if x[i] < upper[i] - _NEAR:
            residual = max(residual, rise)
        if x[i] > lower[i] + _NEAR:
            residual = max(residual, -fall)
    return gap + price * amount, residual


@compiled
def _price(
    gradient: FloatArray,
    cost: FloatArray,
    held: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    x: FloatArray,
) -> float:
    """Multiplier between what the best buyer gains and what the cheapest seller loses."""
    most, least = -math.inf, math.inf
    for i in range(len(x)):
        if x[i] < upper[i]:
            most = max(most, gradient[i] + (cost[i] if x[i] < held[i] else -cost[i]))
        if x[i] > lower[i]:
            least = min(least, gradient[i] + (cost[i] if x[i] <= held[i] else -cost[i]))
    if most == -math.inf:
        return least
    if least == math.inf:
        return most
    return 0.5 * (most + least)


@compiled
def _exchange(
    gram: FloatArray,
    gradient: FloatArray,
    cost: FloatArray,
    held: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    x: FloatArray,
    steps: int,
    tolerance: float,
) -> None:
    """Let the best buyer take from the cheapest seller, again and again; keeps the budget."""
    count = len(x)
    for _ in range(steps):
        most, least, buyer, seller = -math.inf, math.inf, -1, -1
        for i in range(count):
            if x[i] < upper[i]:
                worth = gradient[i] + (cost[i] if x[i] < held[i] else -cost[i])
                if worth > most:
                    most, buyer = worth, i
            if x[i] > lower[i]:
                worth = gradient[i] + (cost[i] if x[i] <= held[i] else -cost[i])
                if worth < least:
                    least, seller = worth, i
        if buyer < 0 or seller < 0 or buyer == seller or most - least <= tolerance:
            return
        bend = gram[buyer, buyer] + gram[seller, seller] - 2.0 * gram[buyer, seller]
        room = (held[buyer] if x[buyer] < held[buyer] else upper[buyer]) - x[buyer]
        spare = x[seller] - (held[seller] if x[seller] > held[seller] else lower[seller])
        room = min(room, upper[buyer] - x[buyer])
        spare = min(spare, x[seller] - lower[seller])
        amount = min(room, spare)
        if bend > 0.0:
            amount = min(amount, (most - least) / bend)
        x[buyer] += amount
        x[seller] -= amount
        for i in range(count):
            gradient[i] -= amount * (gram[buyer, i] - gram[seller, i])


@compiled
def _pieces(x: FloatArray, lower: FloatArray, held: FloatArray, upper: FloatArray, piece: IntArray) -> None:
    """Where each entry stands."""
    for i in range(len(x)):
        middle = min(max(held[i], lower[i]), upper[i])
        if x[i] <= lower[i]:
            piece[i] = 0
        elif x[i] >= upper[i]:
            piece[i] = 4
        else:
            piece[i] = 2 if x[i] == middle else 1 if x[i] < middle else 3


@compiled
def _feasible(lower: FloatArray, upper: FloatArray, total: float, x: FloatArray) -> None:
    """Clip to the bounds and spread what the budget misses over the room that is left."""
    amount = total
    for i in range(len(x)):
        x[i] = min(max(x[i], lower[i]), upper[i])
        amount -= x[i]
    room = 0.0
    for i in range(len(x)):
        room += upper[i] - x[i] if amount > 0.0 else x[i] - lower[i]
    if room > 0.0:
        part = min(1.0, abs(amount) / room)
        for i in range(len(x)):
            x[i] += part * ((upper[i] - x[i]) if amount > 0.0 else (lower[i] - x[i]))


@compiled
def _solve_free(
    gram: FloatArray, free: IntArray, size: int, target: FloatArray, ones: FloatArray, factor: FloatArray
) -> None:
    """Solve with the free block for two right-hand sides, in place."""
    if size <= _SMALL:
        factorise(gram, free, size, factor)
        forward(factor, size, target)
        backward(factor, size, target)
        forward(factor, size, ones)
        backward(factor, size, ones)
        return
    block, both = np.empty((size, size)), np.empty((size, 2))
    for i in range(size):
        for j in range(size):
            block[i, j] = gram[free[i], free[j]]
        both[i, 0], both[i, 1] = target[i], ones[i]
    found = np.linalg.solve(block, both)
    for i in range(size):
        target[i], ones[i] = found[i, 0], found[i, 1]


@compiled
def budget_optimum(
    gram: FloatArray,
    linear: FloatArray,
    cost: FloatArray,
    held: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    total: float,
    tolerance: float,
    x: FloatArray,
    piece: IntArray,
) -> tuple[float, float, float, float, int]:
    """Find the optimum from a guess of the pieces.

    Parameters
    ----------
    gram
        Shape (n, n), positive definite on what is free together.
    linear, cost, held, lower, upper
        Shapes (n,); bounds finite.
    tolerance
        Duality gap that is good enough.
    x, piece
        Shapes (n,): overwritten; ``piece`` is 0, 2, 4 at the knots and 1, 3 between them.

    Returns
    -------
    (gap, dual residual, primal residual, multiplier of the budget, rounds)
    """
    count = len(x)
    free, pull, gradient = np.empty(count, np.int64), np.empty(count), np.empty(count)
    target, ones = np.empty(count), np.empty(count)
    width = min(count, _SMALL)
    factor = np.zeros((width, width))
    gap, dual, primal, price, rounds = math.inf, math.inf, math.inf, 0.0, 0
    for restart in range(_RESTARTS):
        fewest, stuck = count + 1, 0
        for _ in range(_ROUNDS):
            rounds += 1
            size = 0
            fixed = 0.0
            for i in range(count):
                if piece[i] % 2:
                    free[size] = i
                    size += 1
                    x[i] = 0.0
                else:
                    x[i] = _knot(i, piece[i], lower, held, upper)
                    fixed += x[i]
            _pull(gram, x, pull)
            if size:
                for place in range(size):
                    i = free[place]
                    target[place] = linear[i] - pull[i] - _slope(i, piece[i], cost, lower, held, upper)
                    ones[place] = 1.0
                _solve_free(gram, free, size, target, ones, factor)
                gained, spread = 0.0, 0.0
                for place in range(size):
                    gained += target[place]
                    spread += ones[place]
                price = (gained - (total - fixed)) / spread
                for place in range(size):
                    i = free[place]
                    value = target[place] - price * ones[place]
                    x[i] = value
                    for j in range(count):
                        pull[j] += gram[i, j] * value
            amount = total
            primal = 0.0
            for i in range(count):
                gradient[i] = linear[i] - pull[i]
                amount -= x[i]
                primal = max(primal, lower[i] - x[i], x[i] - upper[i])
            primal = max(primal, abs(amount))
            if size == 0:
                price = _price(gradient, cost, held, lower, upper, x)
            gap, dual = certify(gradient, cost, held, lower, upper, total, x, price)
            if primal <= 1e-12 and gap <= tolerance:
                return gap, dual, primal, price, rounds
            changed = 0
            for i in range(count):
                at = piece[i]
                if at % 2:
                    low = _knot(i, at - 1, lower, held, upper)
                    high = _knot(i, at + 1, lower, held, upper)
                    if x[i] < low:
                        piece[i] = at - 1
                    elif x[i] > high:
                        piece[i] = at + 1
                else:
                    slope = gradient[i] - price
                    here = _knot(i, at, lower, held, upper)
                    if at < 4 and slope > _slope(i, at + 1, cost, lower, held, upper):
                        piece[i] = at + (1 if _knot(i, at + 2, lower, held, upper) > here else 2)
                    elif at > 0 and slope < _slope(i, at - 1, cost, lower, held, upper):
                        piece[i] = at - (1 if _knot(i, at - 2, lower, held, upper) < here else 2)
                if piece[i] != at:
                    changed += 1
            if changed == 0:
                break
            if changed < fewest:
                fewest, stuck = changed, 0
            else:
                stuck += 1
                if stuck > 5:
                    break
        _feasible(lower, upper, total, x)
        _pull(gram, x, pull)
        for i in range(count):
            gradient[i] = linear[i] - pull[i]
        _exchange(gram, gradient, cost, held, lower, upper, x, (restart + 1) * 2 * count, 1e-13)
        price = _price(gradient, cost, held, lower, upper, x)
        gap, dual = certify(gradient, cost, held, lower, upper, total, x, price)
        primal = total
        for i in range(count):
            primal -= x[i]
        primal = abs(primal)
        if gap <= tolerance and primal <= 1e-12:
            _pieces(x, lower, held, upper, piece)
            return gap, dual, primal, price, rounds
        _pieces(x, lower, held, upper, piece)
    return gap, dual, primal, price, rounds
