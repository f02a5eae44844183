# SPDX-License-Identifier: Apache-2.0
"""Daily bars of several assets as samples on one calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from offchain.forecast.volatility import Bars, Sample, sample_of_bars
from offchain.risk.arrays import FloatArray, IntArray
from offchain.risk.prices import load_prices

DAY = 86_400


@dataclass(frozen=True, eq=False)
class Panel:
    """Samples by asset.

    Attributes
    ----------
    days
        Shape (D,): Unix seconds of each day's beginning.
    samples
        Returns (logarithmic) and capped Parkinson variances of each asset, from its second day on.
    offsets
        Where each asset's first return stands in `days`.
    """

    symbols: tuple[str, ...]
    days: IntArray
    samples: tuple[Sample, ...]
    offsets: tuple[int, ...]
    problems: tuple[str, ...]

    def spread(self, index: int, values: FloatArray) -> FloatArray:
        """One asset's values on the calendar, NaN where it has none; values beyond the calendar are dropped."""
        out = np.full(self.days.size, np.nan)
        start = self.offsets[index]
        count = min(values.size, out.size - start)
        out[start : start + count] = values[:count]
        return out

    def day(self, date: str) -> int:
        """Number of a date in `days`."""
        return int((day_of(date) - int(self.days[0])) // DAY)


def day_of(date: str) -> int:
    """Unix seconds of a date's beginning in UTC."""
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())


def load_panel(file: Path | str, until: str) -> Panel:
    """Read daily bars up to and including a date; later rows are dropped before anything is computed from them."""
    table = load_prices(file)
    if table.bars is None:
        raise SystemExit(f"{file}: the study needs open, high, low and close")
    keep = table.timestamps <= day_of(until)
    days = table.timestamps[keep]
    samples, offsets = [], []
    for index in range(len(table.symbols)):
        opens, highs, lows = (side[keep, index] for side in table.bars)
        closes = table.prices[keep, index]
        known = np.flatnonzero(np.isfinite(opens) & np.isfinite(closes))
        if known.size < 2:
            continue
        first, last = int(known[0]), int(known[-1]) + 1
        if known.size != last - first:
            raise SystemExit(f"{file}: {table.symbols[index]} has gaps; the study expects none")
        part = slice(first, last)
        samples.append(sample_of_bars(Bars.of(opens[part], highs[part], lows[part], closes[part])))
        offsets.append(first + 1)
    symbols = tuple(name for i, name in enumerate(table.symbols) if np.isfinite(table.prices[keep, i]).sum() >= 2)
    return Panel(symbols, days, tuple(samples), tuple(offsets), tuple(str(one) for one in table.problems))
