# SPDX-License-Identifier: Apache-2.0
"""Falls from the highest wealth so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray, IntArray, as_level, as_series


@dataclass(frozen=True, slots=True)
class Drawdown:
    """One fall and its recovery.

    Attributes
    ----------
    depth
        Fraction of the peak's wealth, not negative.
    peak, trough, recovery
        Numbers of periods after the start; the wealth at the start is number 0. ``recovery`` is the first time the
        peak is reached again, None if it never was.
    """

    depth: float
    peak: int
    trough: int
    recovery: int | None


def wealth(returns: ArrayLike) -> FloatArray:
    """Wealth of one dollar, shape (T + 1,), the start included."""
    grown: FloatArray = np.concatenate([[1.0], np.cumprod(1.0 + as_series(returns))])
    return grown


def drawdowns(returns: ArrayLike, *, compounded: bool = True) -> FloatArray:
    """Fall from the highest wealth so far, at the end of every period.

    Parameters
    ----------
    compounded
        As a fraction of the peak's wealth. Otherwise the peak of the sum of returns minus that sum, as in the
        original definition of conditional drawdown at risk, which is convex in portfolio weights.

    Returns
    -------
    FloatArray
        Shape (T,), not negative.
    """
    if compounded:
        grown = wealth(returns)
        peak = np.maximum.accumulate(grown)
        fall: FloatArray = 1.0 - grown / peak
        return fall[1:]
    total = np.concatenate([[0.0], np.cumsum(as_series(returns))])
    behind: FloatArray = np.maximum.accumulate(total) - total
    return behind[1:]


def max_drawdown(returns: ArrayLike) -> Drawdown:
    """Return the deepest fall; of equal ones the first."""
    grown = wealth(returns)
    fall = 1.0 - grown / np.maximum.accumulate(grown)
    trough = int(np.argmax(fall))
    peak = int(np.argmax(grown[: trough + 1]))
    above = np.flatnonzero(grown[trough:] >= grown[peak])
    recovery = int(trough + above[0]) if fall[trough] > 0.0 and above.size else None
    if fall[trough] == 0.0:
        return Drawdown(0.0, 0, 0, 0)
    return Drawdown(float(fall[trough]), peak, trough, recovery)


def longest_drawdown(returns: ArrayLike) -> int:
    """Most periods in a row that end below an earlier peak, an unfinished one included."""
    return int(time_under_water(returns).max())


def time_under_water(returns: ArrayLike) -> IntArray:
    """Periods since wealth was last at its peak, at the end of every period, shape (T,)."""
    grown = wealth(returns)
    at_peak = grown >= np.maximum.accumulate(grown)
    numbers = np.arange(grown.size)
    since: IntArray = (numbers - np.maximum.accumulate(np.where(at_peak, numbers, 0)))[1:]
    return since


def ulcer_index(returns: ArrayLike) -> float:
    """Root mean square of the drawdowns, as a fraction (Martin and McCann 1989 give it in per cent)."""
    return float(math.sqrt(np.mean(drawdowns(returns) ** 2)))


def conditional_drawdown(returns: ArrayLike, level: float = 0.95, *, compounded: bool = True) -> float:
    """Mean of the worst drawdowns, those above the given quantile (Chekhlov, Uryasev and Zabarankin 2005).

    Parameters
    ----------
    level
        0 < level < 1; 0.95 takes the worst twentieth, with a fraction of one where the count is not whole.
    compounded
        See `drawdowns`.
    """
    return worst_mean(drawdowns(returns, compounded=compounded), as_level(level))


def worst_mean(losses: FloatArray, level: float) -> float:
    """Mean of the largest ``(1 - level) T`` losses, the last of them counted with the fraction that is left."""
    descending = np.sort(losses)[::-1]
    # Rounding in 1 - level must not take a further loss.
    count = round((1.0 - level) * descending.size, 9)
    whole = int(count)
    total = float(descending[:whole].sum())
    if whole < descending.size and count > whole:
        total += (count - whole) * float(descending[whole])
    return total / count
