# SPDX-License-Identifier: Apache-2.0
"""Dense symmetric systems small enough that a call into LAPACK would cost more than the work."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from offchain.risk.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LOST = 1e150
"""Pivot in place of one that rounding ate: what depends on it does not move."""


@compiled
def factorise(matrix: FloatArray, chosen: IntArray, count: int, factor: FloatArray) -> None:
    """Cholesky factor, lower, of the chosen rows and columns of a positive semidefinite matrix."""
    for i in range(count):
        row = chosen[i]
        for j in range(i + 1):
            total = matrix[row, chosen[j]]
            for h in range(j):
                total -= factor[i, h] * factor[j, h]
            if j < i:
                factor[i, j] = total / factor[j, j]
            else:
                factor[i, i] = math.sqrt(total) if total > 1e-15 * matrix[row, row] else LOST


@compiled
def forward(factor: FloatArray, count: int, target: FloatArray) -> None:
    """Solve with the factor, in place."""
    for i in range(count):
        total = target[i]
        for h in range(i):
            total -= factor[i, h] * target[h]
        target[i] = total / factor[i, i]


@compiled
def backward(factor: FloatArray, count: int, target: FloatArray) -> None:
    """Solve with the factor's transpose, in place; by columns, which are rows in memory."""
    for i in range(count - 1, -1, -1):
        value = target[i] / factor[i, i]
        target[i] = value
        for h in range(i):
            target[h] -= factor[i, h] * value


@compiled
def inverse(factor: FloatArray, count: int, rows: FloatArray, result: FloatArray) -> None:
    """Inverse of the factored matrix; ``rows`` (count, count) is overwritten with the factor's own inverse."""
    for j in range(count):
        for i in range(j):
            rows[i, j] = 0.0
        rows[j, j] = 1.0 / factor[j, j]
        for i in range(j + 1, count):
            total = 0.0
            for h in range(j, i):
                total -= factor[i, h] * rows[h, j]
            rows[i, j] = total / factor[i, i]
    for i in range(count):
        for j in range(count):
            result[i, j] = 0.0
    for h in range(count):
        for i in range(h + 1):
            value = rows[h, i]
            for j in range(h + 1):
                result[i, j] += value * rows[h, j]
