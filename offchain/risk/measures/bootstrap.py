# SPDX-License-Identifier: Apache-2.0
"""Intervals for measures of dependent returns by resampling blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray, IntArray, RiskError, as_level, as_series

Kind = Literal["stationary", "circular"]
Measure = Callable[[FloatArray], float]


@dataclass(frozen=True, slots=True)
class Interval:
    """A measure with its uncertainty.

    Attributes
    ----------
    estimate
        On the sample itself.
    low, high
        Percentile interval of the resamples.
    level
        Its coverage.
    block
        Length of blocks used; the mean length for the stationary kind.
    """

    estimate: float
    low: float
    high: float
    level: float
    block: float


@dataclass(frozen=True, slots=True)
class BlockLength:
    """Lengths of blocks that minimise the mean square error of the variance of a mean."""

    stationary: float
    circular: float


def block_length(returns: ArrayLike) -> BlockLength:
    """Choose a length of blocks from the sample's autocorrelation.

    Politis and White (2004) with the correction of Patton, Politis and White (2009).

    Parameters
    ----------
    returns
        Shape (T,), T >= 8.

    Returns
    -------
    BlockLength
        At least 1 each; 1 for returns that do not vary.
    """
    values = as_series(returns, minimum=8)
    size = values.size
    centred = values - values.mean()
    if not centred.any():
        return BlockLength(1.0, 1.0)
    most = math.ceil(math.sqrt(size)) + max(5, math.ceil(math.log10(size)))
    quiet = max(5, math.ceil(math.log10(size)))
    longest = math.ceil(min(3.0 * math.sqrt(size), size / 3.0))
    covariance = np.array([centred[lag:] @ centred[: size - lag] / size for lag in range(most + 1)])
    correlation = np.abs(covariance / covariance[0])
    limit = 2.0 * math.sqrt(math.log10(size) / size)
    # The last lag that still stands out: after it a run of quiet ones, or the last significant one there is.
    calm = [lag for lag in range(1, most - quiet + 2) if np.all(correlation[lag : lag + quiet] < limit)]
    significant = np.flatnonzero(correlation[1:] > limit)
    last = calm[0] - 1 if calm else int(significant[-1] + 1) if significant.size else 0
    width = min(2 * max(last, 1), most)
    lags = np.arange(-width, width + 1)
    window = np.minimum(1.0, 2.0 * (1.0 - np.abs(lags) / width))
    weighted = window * covariance[np.abs(lags)]
    slope, level = float(np.sum(np.abs(lags) * weighted)), float(np.sum(weighted))
    if level == 0.0:
        return BlockLength(1.0, 1.0)

    def best(variance: float) -> float:
        return float(min(max(math.cbrt(2.0 * slope**2 / variance * size), 1.0), longest))

    return BlockLength(best(2.0 * level**2), best(4.0 / 3.0 * level**2))


def block_indices(
    size: int, samples: int, block: float, *, kind: Kind = "stationary", length: int | None = None, seed: int = 0
) -> IntArray:
    """Draw positions of resamples.

    Parameters
    ----------
    size
        T, the length of the sample.
    samples
        How many.
    block
        Length of blocks; the mean of a geometric distribution for the stationary kind (Politis and Romano 1994),
        rounded to a whole number for the circular one (Politis and Romano 1992).
    length
        Of each resample; T by default.
    seed
        The same arguments give the same positions.

    Returns
    -------
    IntArray
        Shape (samples, length), between 0 and T - 1; blocks wrap around the end.

    Raises
    ------
    RiskError
        When a length is below one.
    """
    long = size if length is None else length
    if min(size, samples, long) < 1 or block < 1.0:
        raise RiskError(f"sample of {size}, {samples} resamples, blocks of {block}: each must be at least one")
    rng = np.random.default_rng(seed)
    if kind == "stationary":
        fresh = rng.random((samples, long)) < 1.0 / block
    else:
        fresh = np.broadcast_to(np.arange(long) % max(1, round(block)) == 0, (samples, long)).copy()
    fresh[:, 0] = True
    starts = rng.integers(0, size, (samples, long))
    numbers = np.arange(long)
    began = np.maximum.accumulate(np.where(fresh, numbers, 0), axis=1)
    positions: IntArray = (np.take_along_axis(starts, began, axis=1) + numbers - began) % size
    return positions


def bootstrap(
    measure: Measure,
    returns: ArrayLike,
    *,
    level: float = 0.95,
    samples: int = 1_000,
    block: float | None = None,
    kind: Kind = "stationary",
    seed: int = 0,
) -> Interval:
    """Percentile interval of a measure.

    Parameters
    ----------
    measure
        Maps returns of shape (T,), or rows of shape (T, n), to a number.
    returns
        Shape (T,) or (T, n); rows are drawn whole, so that assets stay together.
    level
        Coverage of the interval.
    samples
        Number of resamples.
    block
        By default `block_length` of the returns, of the first column where there are several.
    kind
        ``"stationary"`` or ``"circular"``.
    seed
        The same arguments give the same interval.
    """
    found = bootstrap_all(
        {"measure": measure}, returns, level=level, samples=samples, block=block, kind=kind, seed=seed
    )
    return found["measure"]


def bootstrap_all(
    measures: Mapping[str, Measure],
    returns: ArrayLike,
    *,
    level: float = 0.95,
    samples: int = 1_000,
    block: float | None = None,
    kind: Kind = "stationary",
    seed: int = 0,
) -> dict[str, Interval]:
    """Return the intervals of several measures, all on the same resamples; arguments as `bootstrap`."""
    values = np.asarray(returns, dtype=np.float64)
    first = as_series(values if values.ndim == 1 else values[:, 0], minimum=8)
    if block is None:
        chosen = block_length(first)
        block = chosen.stationary if kind == "stationary" else chosen.circular
    positions = block_indices(first.size, samples, block, kind=kind, seed=seed)
    drawn = np.array([[measure(values[row]) for measure in measures.values()] for row in positions])
    side = 0.5 * (1.0 - as_level(level))
    intervals = {}
    for column, (name, measure) in enumerate(measures.items()):
        kept = drawn[:, column][np.isfinite(drawn[:, column])]
        low, high = np.quantile(kept, [side, 1.0 - side]) if kept.size else (math.nan, math.nan)
        intervals[name] = Interval(float(measure(values)), float(low), float(high), level, float(block))
    return intervals
