# SPDX-License-Identifier: Apache-2.0
"""Forecasts of every asset by every model, made in time, and what they lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offchain.forecast.evaluation import qlike
from offchain.forecast.volatility import Combination, Sample, VolatilityModel, forecast_walk, learn_weights
from offchain.forecast.volatility.registry import volatility_model
from offchain.risk.arrays import FloatArray
from research.panel import Panel

FIRST = 250
"""Rows of an asset before its first forecast."""
EVERY = 30
"""Rows between two estimates."""


@dataclass(frozen=True, eq=False)
class Forecasts:
    """Variances expected of each asset's rows, by model, on the panel's calendar: each of shape (assets, days)."""

    variances: dict[str, FloatArray]

    def common(self, names: Sequence[str]) -> np.ndarray:
        """Where all of these models have a forecast."""
        return np.all([np.isfinite(self.variances[name]) for name in names], axis=0)


def single_forecasts(panel: Panel, names: Sequence[str]) -> dict[str, FloatArray]:
    """Walk single models through the panel."""
    out = {name: np.full((len(panel.symbols), panel.days.size), np.nan) for name in names}
    for index, sample in enumerate(panel.samples):
        if len(sample) <= FIRST:
            continue
        for name in names:
            model: VolatilityModel = volatility_model(name)
            used = sample if name == "har" else Sample(sample.returns)
            out[name][index] = panel.spread(index, forecast_walk(model, used, FIRST, EVERY)[:-1])
    return out


def mixed(panel: Panel, singles: dict[str, FloatArray], members: Sequence[str]) -> FloatArray:
    """Combine members by weights learnt in time; `Combination` does the same one asset at a time."""
    defaults = Combination(())
    out = np.full((len(panel.symbols), panel.days.size), np.nan)
    for index, sample in enumerate(panel.samples):
        start = panel.offsets[index]
        rows = slice(start, start + len(sample))
        past = np.column_stack([singles[name][index, rows] for name in members])
        measured = sample.measured if sample.measured is not None else sample.returns**2
        # The measure is put on the scale of squared returns by what was known before each row.
        scale = np.cumsum(sample.returns**2) / np.cumsum(measured)
        scale = np.concatenate([[1.0], scale[:-1]])
        weights = learn_weights(past, scale * measured, rate=defaults.rate, share=defaults.share)[:-1]
        out[index, rows] = np.sum(weights * past, axis=1)
    return out


def returns_of(panel: Panel) -> FloatArray:
    """Returns on the calendar, shape (assets, days)."""
    return np.array([panel.spread(i, sample.returns) for i, sample in enumerate(panel.samples)])


def measured_of(panel: Panel) -> FloatArray:
    """Measured variances on the calendar, shape (assets, days)."""
    return np.array([panel.spread(i, sample.variances) for i, sample in enumerate(panel.samples)])


def daily_loss(variances: FloatArray, realised: FloatArray, where: np.ndarray) -> FloatArray:
    """Mean over assets of the quasi-likelihood loss, one number a day; NaN on days without any asset."""
    losses = np.where(where, qlike(np.where(where, variances, 1.0), np.where(where, realised, 0.0)), 0.0)
    count = where.sum(axis=0)
    out = np.full(count.size, np.nan)
    np.divide(losses.sum(axis=0), count, out=out, where=count > 0)
    return out
