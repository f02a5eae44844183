# SPDX-License-Identifier: Apache-2.0
"""The program's numbers, its utility and the rigorous bound on it, compiled.

With x the holdings (or changes of them) of the first n entries and whatever else the objective
needs in the rest, all in fractions of value:

    maximise    U(x) = linear'x - x'Gx / 2
    subject to  lower <= x <= upper,   rows x <= rooms,   x[:n] = start + what the pools give
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offchain.risk.compiled import compiled

FloatArray = NDArray[np.float64]


class Numbers(NamedTuple):
    """Shapes: start (n,), linear, lower, upper (N,), gram (N, N), rows (m, N), rooms (m,); bounds are finite."""

    start: FloatArray
    linear: FloatArray
    gram: FloatArray
    lower: FloatArray
    upper: FloatArray
    rows: FloatArray
    rooms: FloatArray


@compiled
def utility(numbers: Numbers, x: FloatArray) -> float:
    """Objective at x."""
    total = 0.0
    for i in range(len(x)):
        pull = 0.0
        for j in range(len(x)):
            pull += numbers.gram[i, j] * x[j]
        total += (numbers.linear[i] - 0.5 * pull) * x[i]
    return total


@compiled
def violation(numbers: Numbers, x: FloatArray) -> float:
    """How far x stands beyond the worst limit; 0 inside."""
    worst = 0.0
    for i in range(len(x)):
        worst = max(worst, numbers.lower[i] - x[i], x[i] - numbers.upper[i])
    for k in range(len(numbers.rooms)):
        total = -numbers.rooms[k]
        for i in range(len(x)):
            total += numbers.rows[k, i] * x[i]
        worst = max(worst, total)
    return worst


@compiled
def bound(numbers: Numbers, prices: FloatArray, x: FloatArray, worth: FloatArray) -> float:
    """At least max U(x) - prices'(x[:n] - start) over the limits, whatever x and worth >= 0 are.

    The concave objective lies below its tangent at x, rows are relaxed with their multipliers
    ``worth`` (m,), and what is left is linear over a box.
    """
    count = len(x)
    total = 0.0
    for i in range(count):
        pull = 0.0
        for j in range(count):
            pull += numbers.gram[i, j] * x[j]
        price = prices[i] if i < len(prices) else 0.0
        slope = numbers.linear[i] - pull - price
        total += (numbers.linear[i] - price - 0.5 * pull) * x[i]
        for k in range(len(worth)):
            slope -= worth[k] * numbers.rows[k, i]
        total += max(slope * (numbers.lower[i] - x[i]), slope * (numbers.upper[i] - x[i]))
        if i < len(prices):
            total += price * numbers.start[i]
    for k in range(len(worth)):
        room = numbers.rooms[k]
        for i in range(count):
            room -= numbers.rows[k, i] * x[i]
        total += worth[k] * room
    return total
