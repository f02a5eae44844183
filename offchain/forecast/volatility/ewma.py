# SPDX-License-Identifier: Apache-2.0
"""Exponentially weighted variance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from offchain.forecast.volatility.sample import FEWEST_RETURNS, Sample
from offchain.risk.arrays import FloatArray
from offchain.risk.compiled import compiled

RISK_METRICS = 0.94
LOG_TWO_PI = math.log(2.0 * math.pi)


@compiled
def _smooth(values: FloatArray, decay: float, first: float) -> FloatArray:
    out = np.empty(values.size + 1)
    out[0] = first
    for t in range(values.size):
        out[t + 1] = decay * out[t] + (1.0 - decay) * values[t]
    return out


@dataclass(frozen=True, slots=True, eq=False)
class EwmaFit:
    """An exponentially weighted variance with its decay and its value before the first row."""

    decay: float
    before: float
    log_likelihood: float | None
    model: str = "ewma"

    @property
    def parameters(self) -> Mapping[str, float]:
        """The decay per row, and the half-life it means, in rows."""
        return {"decay": self.decay, "half_life": math.log(0.5) / math.log(self.decay)}

    def variances(self, sample: Sample) -> FloatArray:
        """See `VolatilityFit`."""
        return _smooth(sample.variances, self.decay, self.before)

    def forecast(self, sample: Sample, horizon: int) -> FloatArray:
        """See `VolatilityFit`; the same for every row to come."""
        return np.full(horizon, self.variances(sample)[-1])


@dataclass(frozen=True, slots=True)
class Ewma:
    r"""Exponentially weighted variance of squared returns, or of measured variances where the sample has them.

    .. math:: h_{t+1} = \lambda h_t + (1 - \lambda) r_t^2

    Attributes
    ----------
    decay
        Lambda per row; 0.94 is RiskMetrics' for daily returns (J.P. Morgan, 1996). None estimates it by normal
        likelihood.
    """

    decay: float | None = RISK_METRICS
    name: str = field(default="ewma", init=False)

    def fit(self, sample: Sample) -> EwmaFit:
        """Start the recursion at the mean of the first rows, and find the decay where it is not given."""
        sample.require(FEWEST_RETURNS, self.name)
        before = float(sample.variances[:FEWEST_RETURNS].mean()) or float(sample.variances.mean())

        def loss(decay: float) -> float:
            h = _smooth(sample.variances, decay, before)[:-1]
            return float(np.sum(np.log(h) + sample.returns**2 / h))

        decay = self.decay
        if decay is None:
            from scipy.optimize import minimize_scalar

            decay = float(minimize_scalar(loss, bounds=(0.5, 0.999), method="bounded", options={"xatol": 1e-8}).x)
        return EwmaFit(decay, before, -0.5 * (loss(decay) + len(sample) * LOG_TWO_PI))
