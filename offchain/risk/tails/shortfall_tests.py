# SPDX-License-Identifier: Apache-2.0
"""Whether losses beyond value at risk are as large as expected shortfall says: Acerbi and Székely (2014)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray, RiskError, as_level, as_series

Draw = Callable[[np.random.Generator, int], FloatArray]
"""Draws returns of shape (samples, T) from the distributions that were forecast."""


@dataclass(frozen=True, slots=True)
class ShortfallTest:
    """One test of expected shortfall.

    Attributes
    ----------
    statistic
        Expected to be zero; negative when risk was underestimated. NaN where the test has nothing to go by.
    p_value
        How often a record drawn from the forecasts is at least as bad.
    critical
        Statistic below which five per cent of those records lie.
    """

    statistic: float
    p_value: float
    critical: float


@dataclass(frozen=True, slots=True)
class ShortfallTests:
    """Acerbi and Székely's first and second test.

    Attributes
    ----------
    z1
        Size of the losses beyond value at risk only; does not see how many there are.
    z2
        Size and number together.
    """

    z1: ShortfallTest
    z2: ShortfallTest


def shortfall_tests(
    returns: ArrayLike,
    value_at_risk: ArrayLike,
    expected_shortfall: ArrayLike,
    level: float,
    draw: Draw,
    *,
    samples: int = 2_000,
    seed: int = 0,
) -> ShortfallTests:
    r"""Test forecasts of expected shortfall.

    .. math::
        Z_1 = \frac{1}{N} \sum_t \frac{r_t I_t}{ES_t} + 1, \quad
        Z_2 = \sum_t \frac{r_t I_t}{T (1 - \alpha) ES_t} + 1

    with :math:`I_t = 1` where the loss is beyond value at risk and N their number. "Back-testing expected shortfall",
    Risk, December 2014.

    Parameters
    ----------
    returns, value_at_risk, expected_shortfall
        Shape (T,); the forecasts of a period must have been known before it began.
    level
        Of both forecasts.
    draw
        Draws records from the forecast distributions; `location_scale_draw` makes one.
    samples
        Records drawn.
    seed
        The same arguments give the same p-values.
    """
    values = as_series(returns, minimum=2)
    at_risk, shortfall = as_series(value_at_risk, "value_at_risk"), as_series(expected_shortfall, "expected_shortfall")
    if not values.size == at_risk.size == shortfall.size:
        raise RiskError(f"{values.size} returns, {at_risk.size} values at risk, {shortfall.size} expected shortfalls")
    if not np.all(shortfall > 0.0):
        raise RiskError(f"expected_shortfall[{int(np.argmin(shortfall > 0.0))}] is not positive")
    expected = values.size * (1.0 - as_level(level))
    drawn = draw(np.random.default_rng(seed), samples)
    if drawn.shape != (samples, values.size):
        raise RiskError(f"the drawn records have shape {drawn.shape} instead of {(samples, values.size)}")
    one, two = _statistics(values[None, :], at_risk, shortfall, expected)
    simulated = _statistics(drawn, at_risk, shortfall, expected)
    return ShortfallTests(_test(float(one[0]), simulated[0]), _test(float(two[0]), simulated[1]))


def location_scale_draw(location: ArrayLike, scale: ArrayLike, surprises: ArrayLike) -> Draw:
    """Return a function that draws records as location plus scale times a surprise.

    Parameters
    ----------
    location, scale
        Numbers or shape (T,), the forecasts of each period; one of them must have the shape.
    surprises
        Shape (k,), drawn from with replacement: past standardised returns, or many draws of a distribution.
    """
    pool = as_series(surprises, "surprises", minimum=2)
    centre, width = np.broadcast_arrays(np.asarray(location, dtype=np.float64), np.asarray(scale, dtype=np.float64))
    if centre.ndim != 1:
        raise RiskError("location or scale must have one entry a period")

    def draw(rng: np.random.Generator, samples: int) -> FloatArray:
        drawn: FloatArray = centre + width * pool[rng.integers(0, pool.size, (samples, centre.size))]
        return drawn

    return draw


def _statistics(
    records: FloatArray, at_risk: FloatArray, shortfall: FloatArray, expected: float
) -> tuple[FloatArray, FloatArray]:
    hit = -records > at_risk
    total = np.sum(np.where(hit, records / shortfall, 0.0), axis=1)
    count = hit.sum(axis=1)
    first = np.where(count > 0, total / np.maximum(count, 1) + 1.0, np.nan)
    return first, total / expected + 1.0


def _test(statistic: float, simulated: FloatArray) -> ShortfallTest:
    known = simulated[np.isfinite(simulated)]
    if not math.isfinite(statistic) or known.size == 0:
        return ShortfallTest(statistic, math.nan, math.nan)
    return ShortfallTest(statistic, float(np.mean(known <= statistic)), float(np.quantile(known, 0.05)))
