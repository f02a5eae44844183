# SPDX-License-Identifier: Apache-2.0
"""Hamilton's autoregression whose mean switches with a hidden regime."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray
from offchain.risk.compiled import compiled


@compiled
def _filter(
    series: FloatArray, stay: FloatArray, means: FloatArray, variance: float, ar: FloatArray, filtered: FloatArray
) -> float:
    """Log-likelihood given the first rows; fills P(regime | rows so far), shape (T - lags, 2), unless empty.

    A state is the regime of a row and of the `lags` rows before it: bit j of its number is the regime j rows ago.
    """
    lags = ar.size
    count = 2 << lags
    mask = count - 1
    move = np.empty((2, 2))
    move[0, 0], move[0, 1] = stay[0], 1.0 - stay[0]
    move[1, 0], move[1, 1] = 1.0 - stay[1], stay[1]
    low = (1.0 - stay[1]) / (2.0 - stay[0] - stay[1])
    state, fresh = np.empty(count), np.empty(count)
    for s in range(count):
        oldest = (s >> lags) & 1
        state[s] = low if oldest == 0 else 1.0 - low
        for j in range(lags, 0, -1):
            state[s] *= move[(s >> j) & 1, (s >> (j - 1)) & 1]
    total = 0.0
    norm = 1.0 / math.sqrt(2.0 * math.pi * variance)
    for t in range(lags, series.size):
        if t > lags:
            fresh[:] = 0.0
            for s in range(count):
                for regime in range(2):
                    fresh[((s << 1) | regime) & mask] += state[s] * move[s & 1, regime]
            state[:] = fresh
        density = 0.0
        for s in range(count):
            residual = series[t] - means[s & 1]
            for j in range(lags):
                residual -= ar[j] * (series[t - 1 - j] - means[(s >> (j + 1)) & 1])
            state[s] *= norm * math.exp(-0.5 * residual * residual / variance)
            density += state[s]
        if not density > 0.0:
            return -math.inf
        total += math.log(density)
        first = 0.0
        for s in range(count):
            state[s] /= density
            if s & 1 == 0:
                first += state[s]
        if filtered.size:
            filtered[t - lags, 0] = first
            filtered[t - lags, 1] = 1.0 - first
    return total


@dataclass(frozen=True, eq=False)
class HamiltonFit:
    """Parameters of `Hamilton`; regime 0 has the lower mean.

    Attributes
    ----------
    stay
        Shape (2,): probability that each regime goes on.
    means
        Shape (2,).
    variance
        Of the shocks.
    ar
        Shape (lags,).
    """

    stay: FloatArray
    means: FloatArray
    variance: float
    ar: FloatArray
    log_likelihood: float

    @property
    def parameters(self) -> Mapping[str, float]:
        """p00 and p10 are the probabilities of regime 0 after regime 0 and after regime 1."""
        lags = {f"ar{j + 1}": float(value) for j, value in enumerate(self.ar)}
        first = {"p00": float(self.stay[0]), "p10": 1.0 - float(self.stay[1])}
        return {**first, "mu0": float(self.means[0]), "mu1": float(self.means[1]), "sigma2": self.variance, **lags}

    def filtered(self, series: FloatArray) -> FloatArray:
        """Probabilities of the regimes given the rows so far, shape (T - lags, 2)."""
        out = np.empty((len(series) - self.ar.size, 2))
        _filter(series, self.stay, self.means, self.variance, self.ar, out)
        return out


@dataclass(frozen=True, slots=True)
class Hamilton:
    r"""Autoregression about a mean that switches between two regimes.

    .. math::
        y_t - \mu_{s_t} = \sum_{j=1}^{p} \phi_j (y_{t-j} - \mu_{s_{t-j}}) + \varepsilon_t, \quad
        \varepsilon_t \sim N(0, \sigma^2)

    Hamilton, "A new approach to the economic analysis of nonstationary time series and the business cycle" (1989);
    the likelihood is conditional on the first p rows, whose regimes follow the chain's long-run distribution.
    """

    lags: int = 4

    def log_likelihood(
        self, series: FloatArray, stay: FloatArray, means: FloatArray, variance: float, ar: FloatArray
    ) -> float:
        """At given parameters; see `HamiltonFit`."""
        nothing = np.empty((0, 2))
        return float(_filter(np.ascontiguousarray(series), stay, means, variance, ar, nothing))

    def fit(self, series: FloatArray) -> HamiltonFit:
        """Maximise the likelihood from several beginnings.

        Raises
        ------
        ForecastError
            When there are fewer than 40 rows beyond the lags, or they do not move.
        """
        from scipy.optimize import minimize

        values = np.ascontiguousarray(series, dtype=np.float64)
        if values.size < 40 + self.lags or not np.ptp(values) > 0.0:
            raise ForecastError(f"Hamilton: {values.size} rows, at least {40 + self.lags} that move needed")
        deviation = float(values.std())

        def unpack(x: FloatArray) -> tuple[FloatArray, FloatArray, float, FloatArray]:
            stay = 1.0 / (1.0 + np.exp(-x[:2]))
            return stay, x[2:4] * deviation, float(np.exp(2.0 * x[4])) * deviation**2, x[5:]

        def loss(x: FloatArray) -> float:
            value = self.log_likelihood(values, *unpack(x))
            return -value if math.isfinite(value) else 1e10

        def slope(x: FloatArray) -> FloatArray:
            return _slope(loss, x)

        found = []
        for low, high in ((0.1, 0.6), (0.25, 0.75), (0.5, 0.9)):
            means = np.quantile(values, [low, high]) / deviation
            begin = np.concatenate([[1.5, 2.5], means, [-0.2], np.zeros(self.lags)])
            bounds = [(-12.0, 12.0)] * 2 + [(None, None)] * (3 + self.lags)
            rough = minimize(loss, begin, method="L-BFGS-B", bounds=bounds)
            found.append(minimize(loss, rough.x, method="BFGS", jac=slope, options={"gtol": 1e-7, "maxiter": 500}))
        best = min(found, key=lambda one: float(one.fun))
        stay, means, variance, ar = unpack(best.x)
        if means[0] > means[1]:
            stay, means = stay[::-1].copy(), means[::-1].copy()
        return HamiltonFit(stay, means, variance, ar.copy(), -float(best.fun))


def _slope(function: Callable[[FloatArray], float], x: FloatArray) -> FloatArray:
    """Gradient by central differences of fourth order."""
    out = np.empty_like(x)
    for i in range(x.size):
        step = np.zeros_like(x)
        step[i] = 1e-4 * max(1.0, abs(x[i]))
        near = function(x + step) - function(x - step)
        far = function(x + 2.0 * step) - function(x - 2.0 * step)
        out[i] = (8.0 * near - far) / (12.0 * step[i])
    return out
