# SPDX-License-Identifier: Apache-2.0
"""The mean-variance program with proportional costs, by moves between pairs of assets.

    maximise    mu'w - 1/2 w'Qw - c |w - p|_1     subject to  sum w = 1,  lower <= w <= upper

is solved by moving weight between the pair of assets that gains most by it, exactly along the pair's piecewise
quadratic. With a separable non-smooth term and one budget pairs suffice: where none gains, nothing does (Tseng and
Yun, "A coordinate gradient descent method for linearly constrained smooth optimization" (2010)).
"""

from __future__ import annotations

import numpy as np

from offchain.risk.arrays import FloatArray
from offchain.risk.compiled import compiled, inlined


@inlined
def _best_move(slope: float, curvature: float, rise: float, fall: float, cost: float) -> float:
    """How much weight one asset should give another.

    Trading towards the previous weight wins the cost back, away from it pays: the slope of the cost is -2c before
    the nearer kink, 0 up to the farther one and 2c beyond.

    Parameters
    ----------
    slope
        Gain of the first unit, costs left out.
    curvature
        What each unit takes off the slope.
    rise, fall
        How far the receiver stands below its previous weight, and the giver above its own.
    cost
        Of trading a unit.
    """
    near = max(min(rise, fall), 0.0)
    far = max(rise, fall, 0.0)
    best = (slope + 2.0 * cost) / curvature
    if best <= near:
        return best
    best = slope / curvature
    if best <= far:
        return max(best, near)
    return max((slope - 2.0 * cost) / curvature, far)


@compiled
def solve_pairs(
    mean: FloatArray,
    matrix: FloatArray,
    previous: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    cost: float,
    weights: FloatArray,
    tolerance: float,
    most: int,
) -> float:
    """Improve `weights` in place until no pair gains `tolerance` a unit; returns the largest gain left.

    Parameters
    ----------
    mean, matrix
        Shapes (n,), (n, n): linear term and Q.
    previous, lower, upper
        Shape (n,).
    weights
        Shape (n,): feasible at the start.
    most
        Moves at most.
    """
    n = mean.shape[0]
    gradient = np.empty(n)
    for i in range(n):
        total = mean[i]
        for j in range(n):
            total -= matrix[i, j] * weights[j]
        gradient[i] = total
    gap = np.inf
    for _ in range(most):
        up, down = -1, -1
        up_gain, down_gain = -np.inf, -np.inf
        for i in range(n):
            w, p = weights[i], previous[i]
            if w < upper[i]:
                gain = gradient[i] - (cost if w >= p else -cost)
                if gain > up_gain:
                    up, up_gain = i, gain
            if w > lower[i]:
                gain = -gradient[i] - (cost if w <= p else -cost)
                if gain > down_gain:
                    down, down_gain = i, gain
        gap = up_gain + down_gain
        if not gap > tolerance or up == down:
            break
        rise, fall = previous[up] - weights[up], weights[down] - previous[down]
        above, below = upper[up] - weights[up], weights[down] - lower[down]
        curvature = max(matrix[up, up] + matrix[down, down] - 2.0 * matrix[up, down], 1e-18)
        move = min(_best_move(gradient[up] - gradient[down], curvature, rise, fall, cost), above, below)
        # Kinks and bounds are met to the bit, or a hair of room would be left.
        weights[up] = previous[up] if move == rise else upper[up] if move == above else weights[up] + move
        weights[down] = previous[down] if move == fall else lower[down] if move == below else weights[down] - move
        for i in range(n):
            gradient[i] -= (matrix[i, up] - matrix[i, down]) * move
    return max(gap, 0.0)


@inlined
def spread_inside(weights: FloatArray, lower: FloatArray, upper: FloatArray, out: FloatArray) -> None:
    """Clip to the bounds and spread what that frees or lacks over the room that is left."""
    n = weights.shape[0]
    total, room_up, room_down = 0.0, 0.0, 0.0
    for i in range(n):
        out[i] = min(max(weights[i], lower[i]), upper[i])
        total += out[i]
        room_up += upper[i] - out[i]
        room_down += out[i] - lower[i]
    missing = 1.0 - total
    if missing > 0.0 and room_up > 0.0:
        for i in range(n):
            out[i] += (upper[i] - out[i]) * missing / room_up
    elif missing < 0.0 and room_down > 0.0:
        for i in range(n):
            out[i] += (out[i] - lower[i]) * missing / room_down
