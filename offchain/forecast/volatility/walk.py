# SPDX-License-Identifier: Apache-2.0
"""Forecasts made in time: estimated on the past, applied to what comes after, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from offchain.forecast.volatility.sample import Sample, VolatilityModel
from offchain.risk.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class WalkBlock:
    """Rows that one estimate serves.

    Attributes
    ----------
    train
        First row and end of what may be estimated from.
    start, end
        Rows that are then forecast, end excluded.
    """

    train: tuple[int, int]
    start: int
    end: int


def walk_forward(rows: int, first: int, every: int, window: int | None = None) -> Iterator[WalkBlock]:
    """Blocks that cover the rows from `first` on, each estimated from rows before it alone.

    Parameters
    ----------
    rows
        Length of the sample.
    every
        Rows between estimates.
    window
        Rows an estimate looks back at most; None for all.
    """
    for start in range(first, rows, every):
        yield WalkBlock((0 if window is None else max(0, start - window), start), start, min(start + every, rows))


def forecast_walk(
    model: VolatilityModel, sample: Sample, first: int, every: int = 30, window: int | None = None
) -> FloatArray:
    """One-row-ahead variances made in time: shape (T + 1,), NaN before `first`.

    The model is estimated again every `every` rows, from the rows before; between estimates its recursion goes on.
    The last value is for the row to come.
    """
    out = np.full(len(sample) + 1, np.nan)
    blocks = list(walk_forward(len(sample), first, every, window))
    for block in blocks:
        low, high = block.train
        seen = Sample(
            sample.returns[low : block.end], None if sample.measured is None else sample.measured[low : block.end]
        )
        fit = model.fit(seen.head(high - low))
        out[block.start : block.end] = fit.variances(seen)[block.start - low : block.end - low]
        if block.end == len(sample):
            out[-1] = fit.variances(seen)[-1]
    return out
