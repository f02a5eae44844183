# SPDX-License-Identifier: Apache-2.0
"""Whether losses beyond value at risk come as often as they should, and not in clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import BoolArray, RiskError, as_level, as_series


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """A likelihood-ratio test.

    Attributes
    ----------
    statistic
        Not negative.
    freedom
        Degrees of freedom of its chi-squared distribution.
    p_value
        Small when the hypothesis looks wrong.
    """

    statistic: float
    freedom: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """The three tests of a series of exceedances.

    Attributes
    ----------
    periods, exceedances, expected
        T, how many losses went beyond value at risk, and how many should have.
    unconditional
        Kupiec (1995): is the frequency right?
    independence
        Christoffersen (1998): is one as likely after one as after none?
    conditional
        Both at once.
    """

    periods: int
    exceedances: int
    expected: float
    unconditional: LikelihoodRatio
    independence: LikelihoodRatio
    conditional: LikelihoodRatio

    def accepted(self, significance: float = 0.01) -> bool:
        """Return whether neither the frequency nor the pattern is rejected."""
        return min(self.unconditional.p_value, self.conditional.p_value) >= significance


def exceedances(returns: ArrayLike, value_at_risk: ArrayLike) -> BoolArray:
    """Return which losses went beyond their value at risk.

    Parameters
    ----------
    returns, value_at_risk
        Shape (T,); the value at risk of a period must have been known before it began.
    """
    values, limits = as_series(returns), as_series(value_at_risk, "value_at_risk")
    if values.size != limits.size:
        raise RiskError(f"{values.size} returns and {limits.size} values at risk: align them first")
    beyond: BoolArray = -values > limits
    return beyond


def coverage(hits: ArrayLike, level: float) -> Coverage:
    """Test a series of exceedances.

    Parameters
    ----------
    hits
        Shape (T,), T >= 2, true where value at risk was exceeded, oldest first.
    level
        Of the value at risk, such as 0.99.
    """
    marks = np.asarray(hits, dtype=np.bool_)
    if marks.ndim != 1 or marks.size < 2:
        raise RiskError(f"exceedances of shape {marks.shape}: a series of at least two is needed")
    beyond = 1.0 - as_level(level)
    total, count = marks.size, int(marks.sum())
    kupiec = 2.0 * (_likelihood(count, total, count / total) - _likelihood(count, total, beyond))
    before, after = marks[:-1], marks[1:]
    moves = [[int(np.sum((before == a) & (after == b))) for b in (False, True)] for a in (False, True)]
    after_none, after_one = sum(moves[0]), sum(moves[1])
    second = moves[0][1] + moves[1][1]
    rates = (moves[0][1] / after_none if after_none else 0.0, moves[1][1] / after_one if after_one else 0.0)
    free = _likelihood(moves[0][1], after_none, rates[0]) + _likelihood(moves[1][1], after_one, rates[1])
    pattern = 2.0 * (free - _likelihood(second, after_none + after_one, second / (after_none + after_one)))
    kupiec, pattern = max(kupiec, 0.0), max(pattern, 0.0)
    return Coverage(
        periods=total,
        exceedances=count,
        expected=beyond * total,
        unconditional=_ratio(kupiec, 1),
        independence=_ratio(pattern, 1),
        conditional=_ratio(kupiec + pattern, 2),
    )


def _likelihood(hits: int, total: int, rate: float) -> float:
    """Bernoulli log-likelihood; nothing times the logarithm of zero is nothing."""
    value = hits * math.log(rate) if hits else 0.0
    return value + ((total - hits) * math.log1p(-rate) if total > hits else 0.0)


def _ratio(statistic: float, freedom: int) -> LikelihoodRatio:
    from scipy.special import chdtrc

    return LikelihoodRatio(statistic, freedom, float(chdtrc(freedom, statistic)))
