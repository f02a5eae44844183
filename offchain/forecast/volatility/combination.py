# SPDX-License-Identifier: Apache-2.0
"""Several models at once, weighted by what each lost so far on rows it had not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.forecast.volatility.sample import Sample, VolatilityFit, VolatilityModel
from offchain.forecast.volatility.walk import forecast_walk
from offchain.risk.arrays import FloatArray
from offchain.risk.compiled import compiled

LEARNING_RATE = 0.02
SHARE = 0.005
LARGEST_SLOPE = 5.0


@compiled
def _learn(forecasts: FloatArray, realised: FloatArray, rate: float, share: float, out: FloatArray) -> None:
    rows, count = forecasts.shape
    weights = np.full(count, 1.0 / count)
    slopes = np.zeros(count)
    for t in range(rows):
        out[t] = weights
        known = realised[t] == realised[t]
        mixed = 0.0
        for i in range(count):
            known = known and forecasts[t, i] > 0.0
            mixed += weights[i] * forecasts[t, i]
        if not known:
            continue
        mean = 0.0
        for i in range(count):
            slope = (1.0 - realised[t] / mixed) * forecasts[t, i] / mixed
            slopes[i] = min(max(slope, -LARGEST_SLOPE), LARGEST_SLOPE)
            mean += slopes[i] / count
        total = 0.0
        for i in range(count):
            weights[i] *= np.exp(-rate * (slopes[i] - mean))
            total += weights[i]
        for i in range(count):
            weights[i] = (1.0 - share) * weights[i] / total + share / count
    out[rows] = weights


def learn_weights(
    forecasts: FloatArray, realised: FloatArray, *, rate: float = LEARNING_RATE, share: float = SHARE
) -> FloatArray:
    r"""Weights in force at each row, from the losses of the rows before it.

    Exponentiated gradient (Kivinen and Warmuth, 1997) on the loss :math:`\ln h + v / h` of the mixture
    :math:`h = \sum_i w_i h_i`, starting equal, with a fixed share of each step's weight dealt out evenly (Herbster
    and Warmuth, 1998), so that a model that did badly in one regime can come back in the next:

    .. math:: w_i \leftarrow (1 - s) \frac{w_i e^{-\eta g_i}}{\sum_j w_j e^{-\eta g_j}} + \frac{s}{m}, \quad
        g_i = \Big(1 - \frac{v}{h}\Big) \frac{h_i}{h}

    with each slope cut off at 5, so that one crash does not decide alone.

    Parameters
    ----------
    forecasts
        Shape (T, m): variances, each made before its row; a row with a NaN teaches nothing.
    realised
        Shape (T,): what the row's variance was then measured to have been.

    Returns
    -------
    FloatArray
        Shape (T + 1, m), rows summing to one; the last is for the row to come.
    """
    if forecasts.ndim != 2 or realised.shape != forecasts.shape[:1]:
        raise ForecastError(f"combination: forecasts of shape {forecasts.shape}, realised {realised.shape}")
    out = np.empty((forecasts.shape[0] + 1, forecasts.shape[1]))
    _learn(np.ascontiguousarray(forecasts), np.ascontiguousarray(realised), rate, share, out)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class CombinationFit:
    """The members, fitted, and where their weights stood at the end of the sample."""

    fits: tuple[VolatilityFit, ...]
    weights: FloatArray
    scale: float
    rate: float
    share: float
    past: FloatArray
    model: str = "combination"
    log_likelihood: None = None

    @property
    def parameters(self) -> Mapping[str, float]:
        """Weight of each member for the row after the fitted sample."""
        return {f"weight_{fit.model}": float(weight) for fit, weight in zip(self.fits, self.weights, strict=True)}

    def variances(self, sample: Sample) -> FloatArray:
        """See `VolatilityFit`; the weights go on learning after the fitted sample. NaN before the first learning."""
        members = np.column_stack([fit.variances(sample) for fit in self.fits])
        members[: len(self.past)] = self.past
        weights = learn_weights(members[:-1], self.scale * sample.variances, rate=self.rate, share=self.share)
        mixed: FloatArray = np.sum(weights * members, axis=1)
        return mixed

    def forecast(self, sample: Sample, horizon: int) -> FloatArray:
        """See `VolatilityFit`: the members' paths under the weights in force."""
        members = np.column_stack([fit.variances(sample) for fit in self.fits])
        members[: len(self.past)] = self.past
        weights = learn_weights(members[:-1], self.scale * sample.variances, rate=self.rate, share=self.share)[-1]
        paths = np.column_stack([fit.forecast(sample, horizon) for fit in self.fits])
        path: FloatArray = paths @ weights
        return path


@dataclass(frozen=True, slots=True)
class Combination:
    """Mixture of models by `learn_weights`; its members are judged out of sample alone.

    Attributes
    ----------
    members
        Two or more models.
    first
        Rows before the first forecast that the weights learn from; fewer where the sample is short.
    every
        Rows between two estimates of the members in the walk that the weights learn from.
    """

    members: tuple[VolatilityModel, ...]
    first: int = 250
    every: int = 30
    rate: float = LEARNING_RATE
    share: float = SHARE
    name: str = field(default="combination", init=False)

    def fit(self, sample: Sample) -> CombinationFit:
        """Walk the members through the sample, learn, and fit each on all of it.

        Raises
        ------
        ForecastError
            When there are fewer than two members, or one cannot be fitted.
        """
        if len(self.members) < 2:
            raise ForecastError(f"combination: {len(self.members)} members, at least 2 needed")
        sample.require(120, self.name)
        first = min(self.first, max(100, len(sample) // 2))
        past = np.column_stack([forecast_walk(one, sample, first, self.every)[:-1] for one in self.members])
        scale = float(np.mean(sample.returns**2) / np.mean(sample.variances))
        weights = learn_weights(past, scale * sample.variances, rate=self.rate, share=self.share)[-1]
        fits = tuple(one.fit(sample) for one in self.members)
        return CombinationFit(fits, weights, scale, self.rate, self.share, past)
