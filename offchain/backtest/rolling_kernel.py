# SPDX-License-Identifier: Apache-2.0
"""Rolling moments and the program of each row, in one compiled loop."""

from __future__ import annotations

import numpy as np

from offchain.forecast.rules.pairs import solve_pairs, spread_inside
from offchain.risk.arrays import FloatArray
from offchain.risk.compiled import compiled


@compiled
def run_rolling(
    returns: FloatArray,
    window: int,
    risk_aversion: float,
    cost: float,
    lower: FloatArray,
    upper: FloatArray,
    weights: FloatArray,
    gross: FloatArray,
    turnover: FloatArray,
    tolerance: float,
    most: int,
) -> float:
    """Fill `weights`, `gross` and `turnover` day by day; returns the worst gain that any day left.

    Parameters
    ----------
    returns
        Shape (T, n).
    weights
        Shape (T - window, n): held over row ``window + k``, decided from the `window` rows before it.
    gross
        Shape (T - window,): return of that row before costs.
    turnover
        Shape (T - window,): sum of absolute changes of weight at its beginning.
    """
    rows, n = returns.shape
    first, second = np.zeros(n), np.zeros((n, n))
    for t in range(window):
        for i in range(n):
            first[i] += returns[t, i]
            for j in range(i + 1):
                second[i, j] += returns[t, i] * returns[t, j]
    mean, matrix = np.empty(n), np.empty((n, n))
    previous = np.empty(n)
    # A feasible start: the lower bounds, and the rest in equal steps towards the upper ones.
    free, room = 1.0 - lower.sum(), (upper - lower).sum()
    for i in range(n):
        previous[i] = lower[i] + (upper[i] - lower[i]) * free / room
    held = previous.copy()
    worst = 0.0
    for k in range(rows - window):
        for i in range(n):
            mean[i] = first[i] / window
        for i in range(n):
            for j in range(i + 1):
                value = risk_aversion * (second[i, j] - window * mean[i] * mean[j]) / (window - 1)
                matrix[i, j] = value
                matrix[j, i] = value
        worst = max(worst, solve_pairs(mean, matrix, previous, lower, upper, cost, held, tolerance, most))
        total = 0.0
        moved = 0.0
        new, old = window + k, k
        for i in range(n):
            weights[k, i] = held[i]
            moved += abs(held[i] - previous[i])
            total += held[i] * returns[new, i]
        gross[k], turnover[k] = total, moved
        for i in range(n):
            previous[i] = held[i] * (1.0 + returns[new, i]) / (1.0 + total)
            first[i] += returns[new, i] - returns[old, i]
            for j in range(i + 1):
                second[i, j] += returns[new, i] * returns[new, j] - returns[old, i] * returns[old, j]
        # Weights that drifted past a bound are traded back inside: the solver starts from there.
        spread_inside(previous, lower, upper, held)
    return worst
