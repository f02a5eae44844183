# SPDX-License-Identifier: Apache-2.0
"""Open, high, low and close: what the range estimators read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class Bars:
    """Bars of one asset on an even grid, oldest first; each field of shape (T,), positive."""

    opens: FloatArray
    highs: FloatArray
    lows: FloatArray
    closes: FloatArray

    def __post_init__(self) -> None:
        for name in ("opens", "highs", "lows", "closes"):
            values = getattr(self, name)
            if values.ndim != 1 or values.shape != self.closes.shape:
                raise ForecastError(f"{name} have shape {values.shape}, closes {self.closes.shape}")
            wrong = ~(np.isfinite(values) & (values > 0.0))
            if wrong.any():
                at = int(np.argmax(wrong))
                raise ForecastError(f"{name}[{at}] is {values[at]}; a price must be positive")
        low, high = np.minimum(self.opens, self.closes), np.maximum(self.opens, self.closes)
        wrong = (self.lows > low) | (self.highs < high)
        if wrong.any():
            raise ForecastError(f"bar {int(np.argmax(wrong))}: open or close outside low and high")

    @classmethod
    def of(cls, opens: ArrayLike, highs: ArrayLike, lows: ArrayLike, closes: ArrayLike) -> Bars:
        """Take anything numpy understands."""
        return cls(*(np.ascontiguousarray(side, dtype=np.float64) for side in (opens, highs, lows, closes)))

    def __len__(self) -> int:
        return int(self.closes.size)

    @property
    def returns(self) -> FloatArray:
        """Logarithmic, from close to close; the first row's from its open. Shape (T,)."""
        before = np.concatenate([self.opens[:1], self.closes[:-1]])
        changes: FloatArray = np.log(self.closes / before)
        return changes
