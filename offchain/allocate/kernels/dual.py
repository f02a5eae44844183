# SPDX-License-Identifier: Apache-2.0
"""A strictly concave quadratic over a polyhedron, by the dual active set method of Goldfarb and Idnani (1983).

It starts from the optimum without limits and takes the most violated one into the active set,
until none is violated; it needs no feasible start, ends after finitely many steps, and its last
factorisation is the derivative that the Newton method around it asks for.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.kernels.linear import factorise
from offchain.risk.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SOLVED, INFEASIBLE, UNFINISHED = 0, 1, 2
_TOLERANCE = 1e-12


@compiled
def _normal(index: int, rows: FloatArray, normal: FloatArray) -> None:
    """Inward normal: lower bounds, then upper bounds, then rows."""
    count = len(normal)
    if index < 2 * count:
        normal[:] = 0.0
        normal[index % count] = 1.0 if index < count else -1.0
    else:
        for i in range(count):
            normal[i] = -rows[index - 2 * count, i]


@compiled
def _room(
    index: int, x: FloatArray, lower: FloatArray, upper: FloatArray, rows: FloatArray, rooms: FloatArray
) -> float:
    """How far inside a limit x lies; negative beyond it."""
    count = len(x)
    if index < count:
        return x[index] - lower[index]  # type: ignore[no-any-return]
    if index < 2 * count:
        return upper[index - count] - x[index - count]  # type: ignore[no-any-return]
    room = rooms[index - 2 * count]
    for i in range(count):
        room -= rows[index - 2 * count, i] * x[i]
    return room  # type: ignore[no-any-return]


@compiled
def _rotate(a: float, b: float) -> tuple[float, float, float]:
    """Cosine, sine and length of the rotation that takes (a, b) to (length, 0)."""
    length = math.hypot(a, b)
    if length == 0.0:
        return 1.0, 0.0, 0.0
    return a / length, b / length, length


@compiled
def _add(basis: FloatArray, triangle: FloatArray, turned: FloatArray, used: int) -> None:
    """Take a normal, in the basis' coordinates, into the active set."""
    count = len(turned)
    for j in range(count - 1, used, -1):
        cosine, sine, length = _rotate(turned[j - 1], turned[j])
        if sine == 0.0:
            continue
        turned[j - 1], turned[j] = length, 0.0
        for i in range(count):
            first, second = basis[i, j - 1], basis[i, j]
            basis[i, j - 1] = cosine * first + sine * second
            basis[i, j] = cosine * second - sine * first
    for i in range(used + 1):
        triangle[i, used] = turned[i]


@compiled
def _drop(basis: FloatArray, triangle: FloatArray, active: IntArray, worth: FloatArray, place: int, used: int) -> None:
    """Take the limit at a place out of the active set."""
    count = len(basis)
    for j in range(place, used - 1):
        active[j] = active[j + 1]
        worth[j] = worth[j + 1]
        for i in range(used):
            triangle[i, j] = triangle[i, j + 1]
    worth[used - 1] = worth[used]
    worth[used] = 0.0
    for j in range(place, used - 1):
        cosine, sine, length = _rotate(triangle[j, j], triangle[j + 1, j])
        if sine == 0.0:
            continue
        triangle[j, j], triangle[j + 1, j] = length, 0.0
        for h in range(j + 1, used - 1):
            first, second = triangle[j, h], triangle[j + 1, h]
            triangle[j, h] = cosine * first + sine * second
            triangle[j + 1, h] = cosine * second - sine * first
        for i in range(count):
            first, second = basis[i, j], basis[i, j + 1]
            basis[i, j] = cosine * first + sine * second
            basis[i, j + 1] = cosine * second - sine * first


@compiled
def polyhedral_optimum(
    gram: FloatArray,
    linear: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    rows: FloatArray,
    rooms: FloatArray,
    x: FloatArray,
    worth: FloatArray,
    response: FloatArray,
) -> int:
    """Maximise linear'x - x'Gx / 2 over lower <= x <= upper, rows x <= rooms.

    Parameters
    ----------
    gram
        Shape (N, N), positive definite.
    x
        Shape (N,), filled.
    worth
        Shape (2 N + m,), filled: multipliers of lower bounds, upper bounds and rows.
    response
        Shape (N, N), filled: derivative of x in ``linear``, symmetric positive semidefinite.

    Returns
    -------
    `SOLVED`, `INFEASIBLE` or `UNFINISHED`.
    """
    count, limits = len(x), 2 * len(x) + len(rooms)
    factor, everything = np.zeros((count, count)), np.arange(count)
    factorise(gram, everything, count, factor)
    basis = np.zeros((count, count))  # inverse of the factor's transpose, rotated
    for j in range(count):
        basis[j, j] = 1.0 / factor[j, j]
        for i in range(j - 1, -1, -1):
            total = 0.0
            for h in range(i + 1, j + 1):
                total -= factor[h, i] * basis[h, j]
            basis[i, j] = total / factor[i, i]
    turned, direction, back = np.zeros(count), np.zeros(count), np.zeros(count + 1)
    for j in range(count):
        for i in range(j + 1):
            turned[j] += basis[i, j] * linear[i]
    for i in range(count):
        x[i] = 0.0
        for j in range(i, count):
            x[i] += basis[i, j] * turned[j]
    triangle, active = np.zeros((count, count)), np.zeros(count + 1, np.int64)
    prices, normal = np.zeros(count + 1), np.zeros(count)
    inside = np.zeros(limits, np.bool_)
    used, status = 0, UNFINISHED
    for _ in range(20 * limits + 100):
        worst, chosen = -_TOLERANCE, -1
        for index in range(limits):
            if not inside[index]:
                room = _room(index, x, lower, upper, rows, rooms)
                if room < worst:
                    worst, chosen = room, index
        if chosen < 0:
            status = SOLVED
            break
        _normal(chosen, rows, normal)
        prices[used] = 0.0
        taken = False
        for _ in range(2 * count + 2):
            for j in range(count):
                turned[j] = 0.0
                for i in range(count):
                    turned[j] += basis[i, j] * normal[i]
            square, whole = 0.0, 0.0
            for j in range(count):
                whole += turned[j] * turned[j]
                if j >= used:
                    square += turned[j] * turned[j]
            for i in range(used - 1, -1, -1):
                total = turned[i]
                for h in range(i + 1, used):
                    total -= triangle[i, h] * back[h]
                back[i] = total / triangle[i, i]
            partial, place = math.inf, -1
            for j in range(used):
                if back[j] > 0.0 and prices[j] < partial * back[j]:
                    partial, place = prices[j] / back[j], j
            full = math.inf
            if square > 1e-14 * whole and used < count:
                full = -_room(chosen, x, lower, upper, rows, rooms) / square
            step = min(partial, full)
            if step == math.inf:
                return INFEASIBLE
            if full < math.inf:
                for i in range(count):
                    direction[i] = 0.0
                    for j in range(used, count):
                        direction[i] += basis[i, j] * turned[j]
                    x[i] += step * direction[i]
            for j in range(used):
                prices[j] -= step * back[j]
            prices[used] += step
            if full <= partial:
                _add(basis, triangle, turned, used)
                active[used] = chosen
                inside[chosen] = True
                used += 1
                taken = True
                break
            inside[active[place]] = False
            _drop(basis, triangle, active, prices, place, used)
            used -= 1
        if not taken:
            break
    worth[:] = 0.0
    for j in range(used):
        worth[active[j]] = max(0.0, prices[j])
    for i in range(count):
        for j in range(i + 1):
            total = 0.0
            for h in range(used, count):
                total += basis[i, h] * basis[j, h]
            response[i, j] = response[j, i] = total
    return status
