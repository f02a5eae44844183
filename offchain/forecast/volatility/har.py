# SPDX-License-Identifier: Apache-2.0
"""Heterogeneous autoregression of measured variances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offchain.forecast.volatility.sample import Sample
from offchain.risk.arrays import FloatArray

WEEK, MONTH = 7, 30
"""Markets that never close have weeks of seven days and months of thirty."""
FLOOR = 1e-4
"""Smallest measured variance that counts, as a fraction of the median: a bar that did not move has no logarithm."""


@dataclass(frozen=True, slots=True, eq=False)
class HarFit:
    """Coefficients of the logarithm of the next row's variance on those of past means.

    Attributes
    ----------
    coefficients
        Shape (4,): constant, last row, last week, last month.
    noise
        Variance of the residuals.
    scale
        Mean squared return divided by mean measured variance.
    floor
        Smallest measured variance that counts.
    """

    coefficients: FloatArray
    noise: float
    scale: float
    floor: float
    samples: tuple[Sample, ...]
    model: str = "har"
    log_likelihood: None = None

    @property
    def parameters(self) -> Mapping[str, float]:
        """Constant and slopes on the logarithms, variance of the residuals, and scale."""
        names = ("constant", "day", "week", "month")
        return {**dict(zip(names, self.coefficients.tolist(), strict=True)), "noise": self.noise, "scale": self.scale}

    def variances(self, sample: Sample) -> FloatArray:
        """See `VolatilityFit`; NaN for the first month."""
        return self._predict(sample, self.coefficients, self.noise)

    def forecast(self, sample: Sample, horizon: int) -> FloatArray:
        """See `VolatilityFit`; each row ahead by a regression of its own on the rows that were fitted."""
        path = np.empty(horizon)
        for k in range(1, horizon + 1):
            coefficients, noise = (self.coefficients, self.noise) if k == 1 else _regress(self.samples, k, self.floor)
            path[k - 1] = self._predict(sample.tail(MONTH), coefficients, noise)[-1]
        return path

    def _predict(self, sample: Sample, coefficients: FloatArray, noise: float) -> FloatArray:
        out = np.full(len(sample) + 1, np.nan)
        predictors = _predictors(sample.variances, self.floor)
        out[MONTH:] = self.scale * np.exp(predictors @ coefficients + 0.5 * noise)
        return out


@dataclass(frozen=True, slots=True)
class Har:
    r"""Regression of variances on their means over a day, a week and a month, in logarithms.

    .. math::
        \ln v_{t+1} = c + b_d \ln v_t + b_w \ln \bar v_{t-6..t} + b_m \ln \bar v_{t-29..t} + u_{t+1}, \quad
        E[v_{t+1}] = s \exp(\cdot + \sigma_u^2 / 2)

    Corsi, "A simple approximate long-memory model of realized volatility" (2009), with the week and the month of a
    market that never closes. Needs measured variances: the logarithm of a single squared return is mostly noise.
    s scales to the variance of returns.
    """

    name: str = "har"

    def fit(self, sample: Sample) -> HarFit:
        """Least squares; `ForecastError` when there are fewer than 60 rows after the first month."""
        return self.fit_panel([sample])

    def fit_panel(self, samples: Sequence[Sample]) -> HarFit:
        """One set of coefficients for several assets, each with its own mean of logarithms taken out beforehand.

        The fit applies to the first sample's asset.
        """
        for sample in samples:
            sample.require(MONTH + 60, self.name)
        own = samples[0]
        floor = FLOOR * float(np.median(own.variances))
        coefficients, noise = _regress(samples, 1, floor)
        scale = float(np.mean(own.returns**2) / np.mean(own.variances))
        return HarFit(coefficients, noise, scale, floor, tuple(samples))


def _predictors(variances: FloatArray, floor: float) -> FloatArray:
    """Constant and logarithms of past means as of each row from the month's end on: shape (T - 29, 4)."""
    used = np.maximum(variances, max(floor, 1e-300))
    columns = [np.ones(used.size - MONTH + 1)]
    for window in (1, WEEK, MONTH):
        means = np.lib.stride_tricks.sliding_window_view(used, window).mean(axis=1)
        columns.append(np.log(means[MONTH - window :]))
    return np.column_stack(columns)


def _regress(samples: Sequence[Sample], ahead: int, floor: float) -> tuple[FloatArray, float]:
    """Coefficients and variance of the residuals; the constant is the first sample's own."""
    lefts, rights, centers = [], [], []
    for index, sample in enumerate(samples):
        low = floor if index == 0 else FLOOR * float(np.median(sample.variances))
        x = _predictors(sample.variances, low)[:-ahead, 1:]
        y = np.log(np.maximum(sample.variances, max(low, 1e-300)))[MONTH - 1 + ahead :]
        centers.append((x.mean(axis=0), y.mean()))
        lefts.append(x - centers[-1][0])
        rights.append(y - centers[-1][1])
    slopes = np.linalg.lstsq(np.vstack(lefts), np.concatenate(rights), rcond=None)[0]
    residuals = rights[0] - lefts[0] @ slopes
    constant = centers[0][1] - centers[0][0] @ slopes
    coefficients = np.concatenate([[constant], slopes])
    return coefficients, float(residuals @ residuals / max(residuals.size - 4, 1))
