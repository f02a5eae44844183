# SPDX-License-Identifier: Apache-2.0
"""Tail forecasts of every period from the periods before it, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray, IntArray, RiskError, as_level, as_series
from offchain.risk.tails.coverage import Coverage, coverage, exceedances
from offchain.risk.tails.models import TailModel, surprises
from offchain.risk.tails.shortfall_tests import ShortfallTests, shortfall_tests

WINDOW = 500
LEAST_WINDOW = 50


@dataclass(frozen=True, eq=False)
class WalkForward:
    """Forecasts made in time.

    Attributes
    ----------
    level
        Of the forecasts.
    start
        Number of the first period with a forecast.
    returns, value_at_risk, expected_shortfall
        Shape (T - start,): what came, and what had been forecast for it from earlier periods only.
    scale
        Shape (T - start,), what the shape of each period was multiplied by.
    shapes
        Shape (T - start,), which entry of `samples` belongs to each period.
    samples
        Equally likely values of each fitted shape.
    """

    level: float
    start: int
    returns: FloatArray
    value_at_risk: FloatArray
    expected_shortfall: FloatArray
    scale: FloatArray
    shapes: IntArray
    samples: tuple[FloatArray, ...]

    def coverage(self) -> Coverage:
        """Return the tests of the number and pattern of exceedances."""
        return coverage(exceedances(self.returns, self.value_at_risk), self.level)

    def shortfall(self, *, samples: int = 2_000, seed: int = 0) -> ShortfallTests:
        """Return the tests of the size of exceedances, p-values by records drawn from the forecasts."""
        return shortfall_tests(
            self.returns, self.value_at_risk, self.expected_shortfall, self.level, self._draw,
            samples=samples, seed=seed,
        )  # fmt: skip

    def _draw(self, rng: np.random.Generator, samples: int) -> FloatArray:
        drawn = np.empty((samples, self.returns.size))
        for number, pool in enumerate(self.samples):
            at = np.flatnonzero(self.shapes == number)
            drawn[:, at] = self.scale[at] * pool[rng.integers(0, pool.size, (samples, at.size))]
        return drawn


def walk_forward(
    returns: ArrayLike,
    model: TailModel,
    level: float,
    *,
    window: int = WINDOW,
    refit: int = 1,
    volatility: ArrayLike | None = None,
) -> WalkForward:
    """Forecast every period's tail from the periods before it.

    Parameters
    ----------
    returns
        Shape (T,), T > window.
    model
        See `offchain.risk.tails.models`.
    level
        Of value at risk and expected shortfall.
    window
        Periods a shape is fitted to, at least 50.
    refit
        Periods between fits; a filtered shape is scaled anew every period all the same.
    volatility
        Shape (T,), expected for each period before it began, as a volatility model forecast it; for filtered models
        instead of their own smoothing. NaN where there was no forecast yet.

    Raises
    ------
    RiskError
        On too short a record or window, or volatilities that do not match.
    """
    return walk_forward_levels(returns, model, (level,), window=window, refit=refit, volatility=volatility)[level]


def walk_forward_levels(
    returns: ArrayLike,
    model: TailModel,
    levels: Sequence[float],
    *,
    window: int = WINDOW,
    refit: int = 1,
    volatility: ArrayLike | None = None,
) -> dict[float, WalkForward]:
    """Forecast several levels with the same fits; arguments and errors as `walk_forward`."""
    values = as_series(returns)
    for level in levels:
        as_level(level)
    if window < LEAST_WINDOW or refit < 1 or values.size <= window:
        raise RiskError(
            f"window {window}, refit every {refit} and {values.size} returns: it must be {LEAST_WINDOW} or more "
            "and shorter than the record"
        )
    expected = _expected(values, model, volatility)
    unit = np.empty((values.size - window, len(levels), 2))
    samples: list[FloatArray] = []
    for t in range(window, values.size, refit):
        past = slice(t - window, t)
        shape = model.fit(surprises(values[past], expected[past]) if model.filtered else values[past])
        samples.append(shape.sample())
        unit[t - window : t - window + refit] = [
            (shape.value_at_risk(level), shape.expected_shortfall(level)) for level in levels
        ]
    scale = expected[window:]
    numbers = np.arange(values.size - window) // refit
    return {
        level: WalkForward(
            level,
            window,
            values[window:],
            scale * unit[:, at, 0],
            scale * unit[:, at, 1],
            scale,
            numbers,
            tuple(samples),
        )
        for at, level in enumerate(levels)
    }


def _expected(values: FloatArray, model: TailModel, volatility: ArrayLike | None) -> FloatArray:
    if volatility is None or not model.filtered:
        return model.volatility(values)[:-1]
    given = np.asarray(volatility, dtype=np.float64)
    if given.shape != values.shape:
        raise RiskError(f"{values.size} returns and volatilities of shape {given.shape}")
    return given
