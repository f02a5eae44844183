# SPDX-License-Identifier: Apache-2.0
"""Dynamic conditional correlation: a GARCH for each asset, one slow recursion for all correlations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from offchain.forecast.covariance.definite import correlation_of, positive_definite
from offchain.forecast.errors import ForecastError
from offchain.forecast.volatility.ewma import Ewma
from offchain.forecast.volatility.garch import Garch
from offchain.forecast.volatility.sample import Sample, VolatilityFit
from offchain.risk.arrays import FloatArray
from offchain.risk.compiled import compiled

FEWEST_RETURNS = 60


@compiled
def _correlations(shocks: FloatArray, target: FloatArray, a: float, b: float, out: FloatArray) -> float:
    """Fill correlations, shape (T + 1, n, n), or nothing where `out` is empty; return the log-likelihood."""
    rows, n = shocks.shape
    q = target.copy()
    r, lower, half = np.zeros((n, n)), np.zeros((n, n)), np.zeros(n)
    total = 0.0
    for t in range(rows + 1):
        for i in range(n):
            for j in range(n):
                r[i, j] = q[i, j] / math.sqrt(q[i, i] * q[j, j])
        if out.size:
            out[t] = r
        if t == rows:
            break
        for i in range(n):
            for j in range(i + 1):
                value = r[i, j]
                for k in range(j):
                    value -= lower[i, k] * lower[j, k]
                if i == j:
                    if not value > 0.0:
                        return -math.inf
                    lower[i, i] = math.sqrt(value)
                else:
                    lower[i, j] = value / lower[j, j]
            value = shocks[t, i]
            for k in range(i):
                value -= lower[i, k] * half[k]
            half[i] = value / lower[i, i]
            total -= math.log(lower[i, i]) + 0.5 * (half[i] * half[i] - shocks[t, i] * shocks[t, i])
        for i in range(n):
            for j in range(n):
                q[i, j] = (1.0 - a - b) * target[i, j] + a * shocks[t, i] * shocks[t, j] + b * q[i, j]
    return total


@dataclass(frozen=True, eq=False)
class DccFit:
    """Estimated recursion; see `Dcc`.

    Attributes
    ----------
    variances
        One fit an asset.
    target
        Shape (n, n): correlations of the standardised returns.
    a, b
        Weights of news and of memory.
    log_likelihood
        Of the correlations: the second step's.
    """

    variances: tuple[VolatilityFit, ...]
    target: FloatArray
    a: float
    b: float
    log_likelihood: float

    @property
    def parameters(self) -> Mapping[str, float]:
        """Of the correlations."""
        return {"a": self.a, "b": self.b}

    def correlations(self, returns: FloatArray) -> FloatArray:
        """Correlations expected of each row given the rows before, and of the row to come: shape (T + 1, n, n).

        The returns begin where the fitted sample began and may go on after it.
        """
        shocks = standardised(returns, self.variances)
        out = np.empty((len(returns) + 1, *self.target.shape))
        _correlations(shocks, self.target, self.a, self.b, out)
        return out

    def forecast(self, returns: FloatArray, horizon: int = 1) -> FloatArray:
        r"""Mean covariance of the `horizon` rows to come, shape (n, n), per row.

        Variances by each asset's own path; correlations by Engle and Sheppard's approximation (2001)
        :math:`R_k = (1 - (a + b)^{k-1}) \bar R + (a + b)^{k-1} R_1`.
        """
        first = self.correlations(returns)[-1]
        columns = zip(self.variances, returns.T, strict=True)
        paths = np.column_stack([fit.forecast(Sample.of(column), horizon) for fit, column in columns])
        total = np.zeros_like(self.target)
        for k in range(horizon):
            memory = (self.a + self.b) ** k
            deviations = np.sqrt(paths[k])
            mixed = memory * first + (1.0 - memory) * self.target
            total += mixed * deviations[:, None] * deviations[None, :]
        return positive_definite(total / horizon)


@dataclass(frozen=True, slots=True)
class Dcc:
    r"""Engle, "Dynamic conditional correlation" (2002), in two steps with correlation targeting.

    .. math::
        Q_{t+1} = (1 - a - b) \bar R + a z_t z_t^\top + b Q_t, \quad
        R_t = \operatorname{diag}(Q_t)^{-1/2} Q_t \operatorname{diag}(Q_t)^{-1/2}

    with z the returns by their GARCH(1,1) deviation. An asset whose GARCH has no maximum gets an exponentially
    weighted variance instead, and one that did not move gets a variance of nothing and no correlation.
    """

    def fit(self, returns: FloatArray) -> DccFit:
        """Estimate.

        Parameters
        ----------
        returns
            Shape (T, n), T >= 60.

        Raises
        ------
        ForecastError
            When there are too few rows.
        """
        from scipy.optimize import minimize

        if len(returns) < FEWEST_RETURNS:
            raise ForecastError(f"DCC: {len(returns)} returns, at least {FEWEST_RETURNS} needed")
        fits = tuple(_variance_of(column) for column in returns.T)
        shocks = standardised(returns, fits)
        target = positive_definite(correlation_of(shocks.T @ shocks / len(shocks)), 1e-6)
        nothing = np.empty((0, 0, 0))

        def weights(x: FloatArray) -> tuple[float, float]:
            persistence, news = (0.9999 / (1.0 + math.exp(-value)) for value in x)
            return persistence * news, persistence * (1.0 - news)

        found = minimize(
            lambda x: -_correlations(shocks, target, *weights(x), nothing),
            np.array([3.0, -3.0]),
            method="Nelder-Mead",
            bounds=[(-12.0, 12.0)] * 2,
            options={"xatol": 1e-6, "fatol": 1e-9, "maxiter": 2000},
        )
        a, b = weights(found.x)
        return DccFit(fits, target, a, b, -float(found.fun))


@dataclass(frozen=True, slots=True)
class _Still:
    """The variance of an asset that did not move."""

    model: str = "still"
    log_likelihood: None = None

    @property
    def parameters(self) -> Mapping[str, float]:
        return {}

    def variances(self, sample: Sample) -> FloatArray:
        return np.zeros(len(sample) + 1)

    def forecast(self, sample: Sample, horizon: int) -> FloatArray:
        return np.zeros(horizon)


def _variance_of(column: FloatArray) -> VolatilityFit:
    if not np.ptp(column) > 0.0:
        return _Still()
    sample = Sample.of(column)
    try:
        return Garch().fit(sample)
    except ForecastError:
        return Ewma().fit(sample)


def standardised(returns: FloatArray, fits: tuple[VolatilityFit, ...]) -> FloatArray:
    """Returns less their mean, by the deviation expected of each row; zero where none was expected. Shape (T, n)."""
    out = np.zeros_like(returns)
    for index, fit in enumerate(fits):
        column = np.ascontiguousarray(returns[:, index])
        deviations = np.sqrt(fit.variances(Sample(column))[:-1])
        residuals = column - fit.parameters.get("mu", 0.0)
        np.divide(residuals, deviations, out=out[:, index], where=deviations > 0.0)
    return out


def dcc_covariance(returns: FloatArray, horizon: int = 1) -> FloatArray:
    """Covariance that `Dcc` expects of the rows to come, shape (n, n), per row."""
    return Dcc().fit(returns).forecast(returns, horizon)
