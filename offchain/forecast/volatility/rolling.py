# SPDX-License-Identifier: Apache-2.0
"""The mean of a measured variance over a moving window, as a forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from offchain.forecast.volatility.sample import Sample
from offchain.risk.arrays import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class RollingFit:
    """A window, and how much of the returns' variance the measure sees."""

    model: str
    window: int
    scale: float
    log_likelihood: None = None

    @property
    def parameters(self) -> Mapping[str, float]:
        """Window in rows; mean squared return divided by mean measure."""
        return {"window": float(self.window), "scale": self.scale}

    def variances(self, sample: Sample) -> FloatArray:
        """See `VolatilityFit`; NaN for the first window."""
        out = np.full(len(sample) + 1, np.nan)
        means = np.lib.stride_tricks.sliding_window_view(sample.variances, self.window).mean(axis=1)
        out[self.window :] = self.scale * means
        return out

    def forecast(self, sample: Sample, horizon: int) -> FloatArray:
        """See `VolatilityFit`; the same for every row to come."""
        return np.full(horizon, self.variances(sample)[-1])


@dataclass(frozen=True, slots=True)
class Rolling:
    """Moving mean of the sample's measured variances.

    With `Sample.measured` from `parkinson`, `garman_klass`, `rogers_satchell` or `realised_variance` it is that
    estimator's forecast; without, it is close to close with a mean of zero.

    Attributes
    ----------
    rescale
        Multiply by the ratio of squared returns to measured variances in the sample: ranges of coarsely sampled
        prices are too narrow, and a bar does not see the gap before it.
    """

    window: int = 30
    rescale: bool = False
    name: str = "close_to_close"

    def fit(self, sample: Sample) -> RollingFit:
        """Check that there is a window of rows; find the scale where it is asked for."""
        sample.require(self.window, self.name)
        scale = float(np.mean(sample.returns**2) / np.mean(sample.variances)) if self.rescale else 1.0
        return RollingFit(self.name, self.window, scale)
