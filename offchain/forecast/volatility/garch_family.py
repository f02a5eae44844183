# SPDX-License-Identifier: Apache-2.0
"""What GARCH, GJR and EGARCH share: errors, starts, estimation, standard errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.forecast.volatility import likelihood as kernel
from offchain.forecast.volatility.density import NORMAL, SKEWED, STUDENT
from offchain.forecast.volatility.sample import Sample
from offchain.forecast.volatility.search import maximise
from offchain.risk.arrays import BoolArray, FloatArray

FEWEST_RETURNS = 60
TOLERANCE = 1e-13
NOT_CONVERGED = 1e-2
"""Gain in log-likelihood still promised from which a search counts as failed. Egarch has kinks where a residual is
zero: there a search can stop for good although the slope is not zero."""
BACKCAST_DECAY, BACKCAST_ROWS = 0.94, 75

NAMES = ("mu", "omega", "alpha", "gamma", "beta", "nu", "lambda")


class Errors(StrEnum):
    """Distribution of the shocks."""

    NORMAL = "normal"
    STUDENT = "t"
    SKEWED = "skewt"

    @property
    def code(self) -> int:
        """How the kernels number it."""
        return {Errors.NORMAL: NORMAL, Errors.STUDENT: STUDENT, Errors.SKEWED: SKEWED}[self]


class Start(StrEnum):
    """Variance before the first row: the literature's programs differ in it, and so do their estimates.

    ``sample``: the mean squared residual at the current mean, which also stands for the squared shock before the
    first row; in egarch that shock is the mean residual. Fiorentini, Calzolari and Panattoni's benchmark, and TSP.

    ``backcast``: exponentially weighted squares of the first 75 demeaned returns, as ``arch`` does.
    """

    SAMPLE = "sample"
    BACKCAST = "backcast"


class ErrorsOf(StrEnum):
    """What standard errors are computed from."""

    HESSIAN = "hessian"
    SCORES = "scores"
    ROBUST = "robust"


@dataclass(frozen=True, slots=True, eq=False)
class GarchFit:
    """Estimated parameters; see the model for the recursion.

    Attributes
    ----------
    theta
        Shape (7,): all parameters in the kernel's order, also those that the model does not have.
    gain
        Log-likelihood that one more Newton step would have added.
    """

    model: str
    recursion: int
    errors: Errors
    free: BoolArray
    theta: FloatArray
    log_likelihood: float
    start: int
    mean_residual: float
    before: float
    steps: int
    gain: float

    @property
    def parameters(self) -> Mapping[str, float]:
        """Of those the model has: mu, omega, alpha, gamma, beta, nu, lambda."""
        return {name: float(self.theta[i]) for i, name in enumerate(NAMES) if self.free[i]}

    def variances(self, sample: Sample) -> FloatArray:
        """See `VolatilityFit`."""
        return kernel.conditional_variances(
            self.theta, sample.returns, self.recursion, self.mean_residual, self.before, self.start
        )

    def forecast(self, sample: Sample, horizon: int) -> FloatArray:
        r"""See `VolatilityFit`.

        For garch and gjr :math:`h_{k+1} = \omega + (\alpha + \gamma P + \beta) h_k` with
        :math:`P = E[z^2 1(z < 0)]`. For egarch see `moments.egarch_path`.
        """
        from offchain.forecast.volatility.moments import egarch_path, lower_square

        variances = self.variances(sample)
        first = float(variances[-1])
        mu, omega, alpha, gamma, beta, nu, skew = (float(value) for value in self.theta)
        if self.recursion == kernel.EGARCH:
            fat = self.errors is not Errors.NORMAL
            shocks = (sample.returns - mu) / np.sqrt(variances[:-1]) if fat else None
            return egarch_path(first, omega, alpha, gamma, beta, horizon, shocks)
        share = lower_square(self.errors.code, nu, skew) if self.recursion == kernel.GJR else 0.0
        persistence = alpha + gamma * share + beta
        path = np.empty(horizon)
        for k in range(horizon):
            path[k] = first if k == 0 else omega + persistence * path[k - 1]
        return path

    def quantile(self, level: float) -> float:
        """Quantile of the standardised shock."""
        from offchain.forecast.volatility.moments import quantile

        return quantile(level, self.errors.code, float(self.theta[kernel.NU]), float(self.theta[kernel.SKEW]))

    def standard_errors(self, sample: Sample, of: ErrorsOf = ErrorsOf.HESSIAN) -> Mapping[str, float]:
        """Standard errors of the parameters, NaN where the curvature is singular (a parameter at its bound).

        Parameters
        ----------
        sample
            The one that was fitted.
        of
            ``hessian``: inverse information; ``scores``: outer products of the scores; ``robust``: Bollerslev and
            Wooldridge (1992), valid when the errors' distribution is wrong.
        """
        names = [name for i, name in enumerate(NAMES) if self.free[i]]
        at = np.flatnonzero(self.free)
        outer = np.zeros((kernel.SLOTS, kernel.SLOTS))
        self._gradient(self.theta, sample, outer)
        scores = outer[np.ix_(at, at)]
        scales = np.maximum(np.abs(self.theta), [sample.returns.std(), 1e-300, 0.05, 0.05, 0.05, 1.0, 0.05])
        information = np.empty((at.size, at.size))
        for column, i in enumerate(at):
            step = np.zeros(kernel.SLOTS)
            step[i] = 1e-5 * scales[i]
            change = self._gradient(self.theta - step, sample) - self._gradient(self.theta + step, sample)
            information[:, column] = change[at] / (2.0 * step[i])
        information = (information + information.T) / 2.0
        try:
            match of:
                case ErrorsOf.HESSIAN:
                    variance = np.linalg.inv(information)
                case ErrorsOf.SCORES:
                    variance = np.linalg.inv(scores)
                case ErrorsOf.ROBUST:
                    inverse = np.linalg.inv(information)
                    variance = inverse @ scores @ inverse
        except np.linalg.LinAlgError:
            variance = np.full_like(information, math.nan)
        diagonal = np.diag(variance)
        deviations = np.sqrt(np.where(diagonal > 0.0, diagonal, math.nan))
        return dict(zip(names, deviations.tolist(), strict=True))

    def _gradient(self, theta: FloatArray, sample: Sample, outer: FloatArray | None = None) -> FloatArray:
        out = np.zeros(kernel.SLOTS)
        full = np.zeros((0, 0)) if outer is None else outer
        kernel.log_likelihood(
            theta, sample.returns, self.recursion, self.errors.code, self.start, self.before, out, full
        )
        return out


def fit_family(
    sample: Sample, model: str, recursion: int, errors: Errors, start: Start, *, with_mean: bool
) -> GarchFit:
    """Maximise the likelihood.

    Raises
    ------
    ForecastError
        When there are fewer than 60 returns, all are equal, or the search does not converge.
    """
    sample.require(FEWEST_RETURNS, model)
    free = np.ones(kernel.SLOTS, dtype=np.bool_)
    free[kernel.MU] = with_mean
    free[kernel.GAMMA] = recursion != kernel.GARCH
    free[kernel.NU] = errors is not Errors.NORMAL
    free[kernel.SKEW] = errors is Errors.SKEWED
    code = kernel.SAMPLE if start is Start.SAMPLE else kernel.GIVEN
    before = backcast(sample.returns, with_mean=with_mean)
    theta = np.zeros(kernel.SLOTS)
    value, steps, gain = maximise(sample.returns, (recursion, errors.code, code), before, free, TOLERANCE, theta)
    # A search that ends at its own rounding noise is done, whatever it says.
    if not math.isfinite(value) or (steps < 0 and not gain < NOT_CONVERGED):
        raise ForecastError(
            f"{model}: the likelihood has no clear maximum on these {len(sample)} returns (another step still promises "
            f"{gain:.1e}); use a simpler model or more returns"
        )
    mean_residual = 0.0
    if code == kernel.SAMPLE:
        mean_residual, before = kernel.presample(sample.returns, theta[kernel.MU])
    return GarchFit(
        model, recursion, errors, free, theta, value, code, mean_residual, before, abs(steps), gain
    )  # fmt: skip


def backcast(returns: FloatArray, *, with_mean: bool = True) -> float:
    """Exponentially weighted mean square of the first 75 returns about the mean of all."""
    residuals = returns - returns.mean() if with_mean else returns
    head = residuals[:BACKCAST_ROWS]
    weights = BACKCAST_DECAY ** np.arange(head.size)
    return float(weights @ head**2 / weights.sum())
