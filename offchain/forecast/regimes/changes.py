# SPDX-License-Identifier: Apache-2.0
"""Change points: told in time by their probability, or found afterwards exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray, IntArray
from offchain.risk.compiled import compiled

BURN = 30
"""First rows that set the prior's scale; a change is not told before they are over."""


@compiled
def _run_lengths(
    values: FloatArray,
    hazard: float,
    level: bool,
    mean: float,
    belief: float,
    shape: float,
    scale: float,
    longest: int,
    out: FloatArray,
    recent: int,
) -> None:
    """Fill per row: P(a change in the last `recent` rows), expected rows since the last change, surprise."""
    rows = values.size
    size = min(rows, longest) + 1
    weight, next_weight = np.zeros(size), np.zeros(size)
    m, k = np.full(size, mean), np.full(size, belief)
    a, b = np.full(size, shape), np.full(size, scale)
    logs = np.empty(size)
    weight[0] = 1.0
    used = 1
    for t in range(rows):
        x = values[t]
        best = -math.inf
        for r in range(used):
            spread = b[r] / a[r] * ((k[r] + 1.0) / k[r] if level else 1.0)
            nu = 2.0 * a[r]
            away = x - m[r]
            logs[r] = (
                math.lgamma(0.5 * (nu + 1.0))
                - math.lgamma(0.5 * nu)
                - 0.5 * math.log(math.pi * nu * spread)
                - 0.5 * (nu + 1.0) * math.log1p(away * away / (nu * spread))
            )
            best = max(best, logs[r])
        total, fresh = 0.0, 0.0
        top = min(used, size - 1)
        next_weight[:] = 0.0
        for r in range(used):
            mass = weight[r] * math.exp(logs[r] - best)
            total += mass
            fresh += hazard * mass
            # The longest runs share the last place.
            next_weight[min(r + 1, size - 1)] += (1.0 - hazard) * mass
        next_weight[0] = fresh
        for r in range(top, 0, -1):
            away = x - m[r - 1]
            if level:
                b[r] = b[r - 1] + 0.5 * k[r - 1] * away * away / (k[r - 1] + 1.0)
                m[r] = (k[r - 1] * m[r - 1] + x) / (k[r - 1] + 1.0)
                k[r] = k[r - 1] + 1.0
            else:
                b[r] = b[r - 1] + 0.5 * away * away
            a[r] = a[r - 1] + 0.5
        used = min(used + 1, size)
        change = run = 0.0
        for r in range(used):
            next_weight[r] /= total
            run += r * next_weight[r]
            if r <= recent:
                change += next_weight[r]
        weight[:] = next_weight
        out[t, 0], out[t, 1], out[t, 2] = change, run, -(best + math.log(total))


@dataclass(frozen=True, eq=False)
class ChangeProbabilities:
    """What could be told at each row, from the rows up to it.

    Attributes
    ----------
    recent
        Shape (T,): probability that a change happened within the last rows; 0 while the prior is being set.
    run_length
        Shape (T,): expected rows since the last change.
    """

    recent: FloatArray
    run_length: FloatArray


def change_probabilities(
    values: FloatArray,
    *,
    of: Literal["variance", "level"] = "variance",
    expected_run: float = 250.0,
    within: int = 7,
    longest: int = 1_500,
) -> ChangeProbabilities:
    r"""Bayesian online change-point detection: Adams and MacKay (2007).

    Rows between changes are independent normal; with ``variance`` about zero, with a variance drawn anew at each
    change (returns); with ``level`` also with a mean drawn anew (logarithm of a pool's liquidity, or of a spread).
    The prior is as wide as the first 30 rows, which are not judged; nothing depends on rows that come later.

    Parameters
    ----------
    values
        Shape (T,).
    expected_run
        Mean rows between changes.
    within
        Rows that count as recent.
    longest
        Runs beyond this length are treated as one.

    Raises
    ------
    ForecastError
        When there are 30 rows or fewer, one is not a number, or the first 30 do not move.
    """
    series = np.ascontiguousarray(values, dtype=np.float64)
    if series.ndim != 1 or series.size <= BURN:
        raise ForecastError(f"change points: values of shape {series.shape}, more than {BURN} rows needed")
    wrong = ~np.isfinite(series)
    if wrong.any():
        raise ForecastError(f"change points: value {int(np.argmax(wrong))} is not a number; mend it first")
    if not expected_run > 1.0:
        raise ForecastError(f"change points: expected_run {expected_run:g} must be more than one row")
    head = series[:BURN]
    level = of == "level"
    mean = float(head.mean()) if level else 0.0
    variance = float(np.mean((head - mean) ** 2))
    if not variance > 0.0:
        raise ForecastError(f"change points: the first {BURN} values are all {head[0]:g}")
    out = np.zeros((series.size, 3))
    _run_lengths(series, 1.0 / expected_run, level, mean, 0.1, 1.0, variance, longest, out, within)
    out[:BURN, 0] = 0.0
    return ChangeProbabilities(out[:, 0].copy(), out[:, 1].copy())


@compiled
def _pelt(sums: FloatArray, squares: FloatArray, level: bool, penalty: float, least: int, floor: float) -> IntArray:
    rows = sums.size - 1
    best = np.empty(rows + 1)
    last = np.zeros(rows + 1, dtype=np.int64)
    best[0] = -penalty
    candidates = np.empty(rows + 1, dtype=np.int64)
    costs = np.empty(rows + 1)
    candidates[0] = 0
    count = 1
    for end in range(1, rows + 1):
        best[end] = math.inf
        for c in range(count):
            start = candidates[c]
            n = end - start
            costs[c] = best[start]
            if n < least:
                continue
            first, second = sums[end] - sums[start], squares[end] - squares[start]
            variance = (second - first * first / n) / n if level else second / n
            costs[c] += n * (math.log(max(variance, floor)) + 1.0)
            if costs[c] + penalty < best[end]:
                best[end] = costs[c] + penalty
                last[end] = start
        kept = 0
        for c in range(count):
            if end - candidates[c] < least or costs[c] <= best[end]:
                candidates[kept] = candidates[c]
                kept += 1
        candidates[kept] = end
        count = kept + 1
    return last


def change_points(
    values: FloatArray,
    *,
    of: Literal["variance", "level"] = "variance",
    penalty: float | None = None,
    least: int = 10,
) -> IntArray:
    r"""The segmentation of least cost, exactly, by PELT: Killick, Fearnhead and Eckley (2012).

    Cost of a segment is twice its negative normal log-likelihood, with its own variance about zero (``variance``) or
    its own mean and variance (``level``). It looks at all rows: for reports and for what has been, not for use in
    time unless the rows end now.

    Parameters
    ----------
    values
        Shape (T,).
    penalty
        Price of a change; by default :math:`3 \ln T` for a variance and :math:`4 \ln T` for mean and variance.
    least
        Shortest segment.

    Returns
    -------
    IntArray
        First row of each segment but the first, ascending.

    Raises
    ------
    ForecastError
        When there are fewer rows than two segments need.
    """
    series = np.ascontiguousarray(values, dtype=np.float64)
    if series.ndim != 1 or series.size < 2 * least or least < 2:
        raise ForecastError(f"change points: values of shape {series.shape}, two segments of {least} rows needed")
    if not np.isfinite(series).all():
        raise ForecastError(f"change points: value {int(np.argmax(~np.isfinite(series)))} is not a number")
    level = of == "level"
    # Means are taken out before squaring, so that a level far from zero costs no digits.
    centered = series - series.mean() if level else series
    price = (4.0 if level else 3.0) * math.log(series.size) if penalty is None else penalty
    sums = np.concatenate([[0.0], np.cumsum(centered)])
    squares = np.concatenate([[0.0], np.cumsum(centered**2)])
    floor = 1e-12 * max(float(np.mean(centered**2)), 1e-300)
    last = _pelt(sums, squares, level, price, least, floor)
    found = []
    at = int(last[-1])
    while at > 0:
        found.append(at)
        at = int(last[at])
    return np.array(found[::-1], dtype=np.int64)
