# SPDX-License-Identifier: Apache-2.0
"""Rules on rolling moments, in one compiled loop over rows and rules."""

from __future__ import annotations

import math

import numpy as np

from offchain.forecast.rules.pairs import solve_pairs
from offchain.risk.arrays import FloatArray, IntArray
from offchain.risk.compiled import compiled

EQUAL_WEIGHT, BENCHMARK, MINIMUM_VARIANCE, RISK_PARITY, VOLATILITY_TARGET, MOMENTUM, MEAN_VARIANCE = range(7)
SCORE_CLIP = 2.0
MEAN_SHRINKAGE = 0.5
_TOLERANCE = 1e-13
_MOVES = 100_000
_SWEEPS = 500


@compiled
def project(weights: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Nearest weights, in squares, that sum to 1 inside the bounds; shape (n,)."""
    low = (weights - upper).min() - 1.0
    high = (weights - lower).max() + 1.0
    out = np.empty_like(weights)
    for _ in range(64):
        middle = 0.5 * (low + high)
        total = 0.0
        for i in range(len(weights)):
            out[i] = min(max(weights[i] - middle, lower[i]), upper[i])
            total += out[i]
        if total > 1.0:
            low = middle
        else:
            high = middle
    return out


@compiled
def equal_risk(matrix: FloatArray) -> FloatArray:
    """Long weights whose shares of the variance are equal, summing to 1, by cyclical coordinate descent.

    Griveau-Billion, Richard and Roncalli, "A fast algorithm for computing high-dimensional risk parity
    portfolios" (2013): each coordinate minimises x'Sx / 2 - sum(log x) / n exactly.
    """
    n = matrix.shape[0]
    x = np.empty(n)
    for i in range(n):
        x[i] = 1.0 / np.sqrt(max(matrix[i, i], 1e-18))
    share = 1.0 / n
    x *= np.sqrt(1.0 / (x @ (matrix @ x)))
    for _ in range(_SWEEPS):
        change = 0.0
        for i in range(n):
            others = 0.0
            for j in range(n):
                if j != i:
                    others += matrix[i, j] * x[j]
            variance = max(matrix[i, i], 1e-18)
            new = (-others + np.sqrt(others * others + 4.0 * variance * share)) / (2.0 * variance)
            change = max(change, abs(new - x[i]) / new)
            x[i] = new
        if change < 1e-12:
            break
    shares: FloatArray = x / x.sum()
    return shares


@compiled
def _to_target(risky: FloatArray, matrix: FloatArray, target: float) -> FloatArray:
    """Risky weights scaled down to a volatility (a row's), the rest in asset 0."""
    weights = risky.copy()
    weights[0] = 0.0
    variance = float(weights @ (matrix @ weights))
    deviation = math.sqrt(variance) if variance > 0.0 else 0.0
    scale = min(1.0, target / deviation) if deviation > 0.0 else 1.0
    total = weights.sum()
    if total > 0.0:
        # A rule may not lever up: at most everything is at risk.
        scale = min(scale, 1.0 / total)
    weights *= scale
    weights[0] = 1.0 - weights.sum()
    return weights


@compiled
def decide(
    rule: int,
    mean: FloatArray,
    matrix: FloatArray,
    drift: FloatArray,
    rows: int,
    benchmark: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    risk_aversion: float,
    target: float,
    start: FloatArray,
) -> FloatArray:
    """One rule's weights, shape (n,).

    Parameters
    ----------
    mean, matrix
        Shapes (n,), (n, n): moments of a row's return.
    drift
        Shape (n,): sum of the window's logarithmic returns, over `rows` rows.
    target
        Volatility of a row.
    start
        Feasible weights to begin a search at.
    """
    n = len(mean)
    if rule == EQUAL_WEIGHT:
        return project(np.full(n, 1.0 / n), lower, upper)
    if rule == BENCHMARK:
        return project(benchmark, lower, upper)
    if rule in (MINIMUM_VARIANCE, MEAN_VARIANCE):
        weights = start.copy()
        wanted = MEAN_SHRINKAGE * mean if rule == MEAN_VARIANCE else np.zeros(n)
        solve_pairs(wanted, risk_aversion * matrix, weights.copy(), lower, upper, 0.0, weights, _TOLERANCE, _MOVES)
        return weights
    wanted = np.zeros(n)
    if rule == RISK_PARITY:
        wanted[1:] = equal_risk(np.ascontiguousarray(matrix[1:, 1:])) * (1.0 - lower[0])
        wanted[0] = lower[0]
    elif rule == VOLATILITY_TARGET:
        risky = benchmark[1:].sum()
        if risky > 0.0:
            wanted[1:] = benchmark[1:] / risky
        wanted = _to_target(wanted, matrix, target)
    else:
        for i in range(1, n):
            deviation = np.sqrt(max(matrix[i, i], 0.0))
            if deviation > 1e-12:
                score = drift[i] / (deviation * np.sqrt(float(rows)))
                wanted[i] = min(max(score, 0.0), SCORE_CLIP) / deviation
        total = wanted.sum()
        if total > 0.0:
            wanted /= total
        wanted = _to_target(wanted, matrix, target)
    return project(wanted, lower, upper)


@compiled
def expert_paths(
    returns: FloatArray,
    window: int,
    rules: IntArray,
    benchmark: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    risk_aversion: float,
    target: float,
) -> FloatArray:
    """Weights of every rule after each row from the window's end on, shape (T - window + 1, K, n).

    Entry t is decided from rows ``t .. t + window - 1`` and would be held over row ``t + window``.
    """
    total, n = returns.shape
    count = total - window + 1
    out = np.empty((count, len(rules), n))
    logs = np.log1p(returns)
    first, drift, second = np.zeros(n), np.zeros(n), np.zeros((n, n))
    mean, matrix = np.empty(n), np.empty((n, n))
    start = project(benchmark, lower, upper)
    for t in range(total):
        for i in range(n):
            first[i] += returns[t, i]
            drift[i] += logs[t, i]
            for j in range(i + 1):
                second[i, j] += returns[t, i] * returns[t, j]
        if t >= window:
            old = t - window
            for i in range(n):
                first[i] -= returns[old, i]
                drift[i] -= logs[old, i]
                for j in range(i + 1):
                    second[i, j] -= returns[old, i] * returns[old, j]
        place = t - window + 1
        if place < 0:
            continue
        for i in range(n):
            mean[i] = first[i] / window
        for i in range(n):
            for j in range(i + 1):
                value = (second[i, j] - window * mean[i] * mean[j]) / (window - 1)
                matrix[i, j] = value
                matrix[j, i] = value
            # Dollars do not move: a hair of variance keeps what they add well defined.
            matrix[i, i] = max(matrix[i, i], 0.0) + 1e-12
        for k in range(len(rules)):
            begin = out[place - 1, k] if place > 0 else start
            out[place, k] = decide(
                rules[k], mean, matrix, drift, window, benchmark, lower, upper, risk_aversion, target, begin
            )
    return out
