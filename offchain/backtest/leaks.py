# SPDX-License-Identifier: Apache-2.0
"""Whether a backtest looks ahead: poison the future and see whether the past changes.

No inspection of code can show that nothing leaks; running twice can show that something does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from offchain.backtest.path import MarketPath, iso
from offchain.backtest.records import BacktestRun, Track


@dataclass(frozen=True, slots=True)
class Leak:
    """The first step that knew what it could not know.

    Attributes
    ----------
    timestamp
        Of the step, Unix seconds.
    column
        What differs of it.
    poisoned_from
        Time of the first poisoned row.
    """

    timestamp: int
    column: str
    poisoned_from: int

    def __str__(self) -> str:
        """One line."""
        return f"{self.column} at {iso(self.timestamp)} depends on prices from {iso(self.poisoned_from)} on"


def poison(path: MarketPath, row: int, seed: int) -> MarketPath:
    """The same path up to a row, and other prices, ratios and fees from it on."""
    rng = np.random.default_rng(seed)
    rest = len(path) - row
    shocks = np.exp(np.cumsum(0.15 * rng.standard_normal((rest, len(path.symbols))), axis=0))
    prices, ratios, ether, fees = path.prices.copy(), path.ratios.copy(), path.ether.copy(), path.base_fees.copy()
    prices[row:] *= shocks
    ether[row:] *= shocks[:, 0]
    ratios[row:] = np.where(ratios[row:] == 1.0, 1.0, ratios[row:] * 1.5)
    fees[row:] = (fees[row:] * rng.uniform(0.2, 5.0, rest)).astype(np.int64)
    return MarketPath(path.symbols, path.timestamps, prices, ratios, ether, fees, path.notes)


def find_leak(run: Callable[[MarketPath], BacktestRun], path: MarketPath, row: int, seed: int = 0) -> Leak | None:
    """Run on a path and on the same path poisoned from a row on; the first difference before that row.

    Parameters
    ----------
    run
        A whole backtest: everything it builds, it must build from the path it is given.
    row
        First poisoned row.

    Returns
    -------
    Leak or None
        None when every step before the row is the same to the bit.
    """
    end = int(path.timestamps[row])
    clean, poisoned = _before(run(path).track, end), _before(run(poison(path, row, seed)).track, end)
    first: Leak | None = None
    for field in fields(Track):
        one, other = getattr(clean, field.name), getattr(poisoned, field.name)
        if one.shape != other.shape:
            return Leak(int(clean.timestamps[0]), "the first step", end)
        different = np.flatnonzero((one != other).reshape(len(one), -1).any(axis=1))
        if len(different):
            at = int(clean.timestamps[different[0]])
            if first is None or at < first.timestamp:
                first = Leak(at, field.name, end)
    return first


def _before(track: Track, end: int) -> Track:
    keep = track.timestamps < end
    return Track(**{field.name: getattr(track, field.name)[keep] for field in fields(Track)})
