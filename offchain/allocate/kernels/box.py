# SPDX-License-Identifier: Apache-2.0
"""A strictly concave quadratic over a box, by a primal-dual active set that starts where the last one ended."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.kernels.linear import backward, factorise, forward, inverse
from offchain.risk.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

AT_LOWER, FREE, AT_UPPER = -1, 0, 1
_ROUNDS = 30


@compiled
def box_optimum(
    gram: FloatArray,
    linear: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    state: IntArray,
    x: FloatArray,
    free: IntArray,
    factor: FloatArray,
) -> int:
    """Maximise linear'x - x'Gx / 2 over lower <= x <= upper.

    Guesses which bounds hold with equality, solves for the rest, and corrects the guess by the
    signs of what comes out (Hintermueller, Ito and Kunisch 2003). It can cycle: then it gives up
    and the caller takes the dual method.

    Parameters
    ----------
    state
        Shape (N,): the guess; overwritten.
    x, free, factor
        Filled: the optimum, indices of what is between its bounds, Cholesky factor of its block.

    Returns
    -------
    Number of free entries, or -1 when it gave up.
    """
    count = len(x)
    target = np.empty(count)
    for _ in range(_ROUNDS):
        size = 0
        for i in range(count):
            if state[i] == FREE and lower[i] < upper[i]:
                free[size] = i
                size += 1
            else:
                x[i] = upper[i] if state[i] == AT_UPPER else lower[i]
        for place in range(size):
            i = free[place]
            total = linear[i]
            for j in range(count):
                if state[j] != FREE or lower[j] >= upper[j]:
                    total -= gram[i, j] * x[j]
            target[place] = total
        factorise(gram, free, size, factor)
        forward(factor, size, target)
        backward(factor, size, target)
        for place in range(size):
            x[free[place]] = target[place]
        changed = 0
        for i in range(count):
            if lower[i] >= upper[i]:
                continue
            if state[i] == FREE:
                if x[i] <= lower[i] - 1e-15:
                    state[i] = AT_LOWER
                    changed += 1
                elif x[i] >= upper[i] + 1e-15:
                    state[i] = AT_UPPER
                    changed += 1
                continue
            slope = linear[i]
            for j in range(count):
                slope -= gram[i, j] * x[j]
            if (slope > 1e-15 and state[i] == AT_LOWER) or (slope < -1e-15 and state[i] == AT_UPPER):
                state[i] = FREE
                changed += 1
        if changed == 0:
            return size
    return -1


@compiled
def box_response(free: IntArray, size: int, factor: FloatArray, response: FloatArray) -> None:
    """Derivative of the optimum in ``linear``, shape (N, N), from the factor of the free block."""
    block, work = np.empty((size, size)), np.empty((size, size))
    inverse(factor, size, work, block)
    response[:] = 0.0
    for i in range(size):
        for j in range(size):
            response[free[i], free[j]] = block[i, j]
