# SPDX-License-Identifier: Apache-2.0
"""Ways to look one period ahead into the tail, all with one face."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from offchain.risk.arrays import FloatArray, RiskError, as_level, as_series
from offchain.risk.measures.tail import expected_shortfall, value_at_risk
from offchain.risk.tails.copula import EmpiricalMargin
from offchain.risk.tails.filtered import RISKMETRICS_DECAY, smoothed_volatility
from offchain.risk.tails.pareto import fit_pareto
from offchain.risk.tails.student import fit_student

GRID = (np.arange(4_000) + 0.5) / 4_000


class Shape(Protocol):
    """A fitted distribution, of returns or of surprises."""

    def value_at_risk(self, level: float) -> float:
        """Loss exceeded with probability ``1 - level``."""
        ...

    def expected_shortfall(self, level: float) -> float:
        """Mean loss beyond the value at risk."""
        ...

    def sample(self) -> FloatArray:
        """Equally likely values, shape (k,), that stand for the distribution."""
        ...


class TailModel(Protocol):
    """Fits a shape to the returns of a window.

    Attributes
    ----------
    filtered
        Whether the shape is one of surprises, to be multiplied by each period's expected volatility.
    """

    @property
    def filtered(self) -> bool:
        """Whether the shape is to be multiplied by each period's expected volatility."""
        ...

    def fit(self, values: FloatArray) -> Shape:
        """Return the shape of values of shape (T,)."""
        ...

    def volatility(self, returns: FloatArray) -> FloatArray:
        """Return the volatility expected for each period from those before, shape (T + 1,)."""
        ...


@dataclass(frozen=True, eq=False)
class Sample:
    """The values themselves."""

    values: FloatArray

    def value_at_risk(self, level: float) -> float:
        """Return the empirical quantile."""
        return value_at_risk(self.values, level)

    def expected_shortfall(self, level: float) -> float:
        """Return the mean of the worst values."""
        return expected_shortfall(self.values, level)

    def sample(self) -> FloatArray:
        """Return the values."""
        return self.values


@dataclass(frozen=True, slots=True)
class Normal:
    """A normal distribution."""

    location: float
    scale: float

    def value_at_risk(self, level: float) -> float:
        """Return the loss exceeded with probability ``1 - level``."""
        from scipy.special import ndtri

        return float(-self.location + self.scale * ndtri(as_level(level)))

    def expected_shortfall(self, level: float) -> float:
        """Return the mean loss beyond."""
        from scipy.special import ndtri

        quantile = float(ndtri(as_level(level)))
        density = math.exp(-0.5 * quantile * quantile) / math.sqrt(2.0 * math.pi)
        return -self.location + self.scale * density / (1.0 - level)

    def sample(self) -> FloatArray:
        """Return its quantiles."""
        from scipy.special import ndtri

        drawn: FloatArray = self.location + self.scale * ndtri(GRID)
        return drawn


@dataclass(frozen=True, eq=False)
class Spliced:
    """The sample's own quantiles with Pareto tails beyond a threshold on either side."""

    margin: EmpiricalMargin

    def value_at_risk(self, level: float) -> float:
        """Return the loss exceeded with probability ``1 - level``, from the tail where the level reaches it."""
        lower = self.margin.lower
        if lower is not None and 1.0 - as_level(level) <= lower.beyond:
            return lower.value_at_risk(level)
        return value_at_risk(self.margin.ordered, level)

    def expected_shortfall(self, level: float) -> float:
        """Return the mean loss beyond, likewise."""
        lower = self.margin.lower
        if lower is not None and 1.0 - as_level(level) <= lower.beyond:
            return lower.expected_shortfall(level)
        return expected_shortfall(self.margin.ordered, level)

    def sample(self) -> FloatArray:
        """Return its quantiles."""
        return self.margin.quantile(GRID)


class _Unfiltered:
    """Shapes of the returns themselves."""

    filtered = False

    def volatility(self, returns: FloatArray) -> FloatArray:
        """Return ones: the shape is not scaled."""
        return np.ones(returns.size + 1)


class HistoricalTail(_Unfiltered):
    """The window's returns as they were."""

    def fit(self, values: FloatArray) -> Shape:
        """Return the sample."""
        return Sample(values)


class NormalTail(_Unfiltered):
    """A normal distribution with the window's mean and deviation."""

    def fit(self, values: FloatArray) -> Shape:
        """Return the normal distribution."""
        return Normal(float(values.mean()), float(values.std(ddof=1)))


class StudentTail(_Unfiltered):
    """A Student-t distribution fitted to the window."""

    def fit(self, values: FloatArray) -> Shape:
        """Return the fitted distribution."""
        return fit_student(values)


@dataclass(frozen=True)
class ParetoTails(_Unfiltered):
    """The window's quantiles with Pareto tails.

    Attributes
    ----------
    tail
        Fraction of each side that is fitted.
    """

    tail: float = 0.1

    def fit(self, values: FloatArray) -> Shape:
        """Return the spliced distribution."""
        lower = fit_pareto(values, threshold_level=1.0 - self.tail)
        upper = fit_pareto(-values, threshold_level=1.0 - self.tail)
        return Spliced(EmpiricalMargin(np.sort(values), lower, upper))


@dataclass(frozen=True)
class FilteredTail:
    """Surprises of the window in units of exponentially smoothed volatility, at today's volatility.

    Attributes
    ----------
    shape
        Model of the surprises: `HistoricalTail` makes it filtered historical simulation, `ParetoTails` the method of
        McNeil and Frey (2000), `NormalTail` RiskMetrics.
    decay
        Of the smoothing, per period.
    """

    shape: TailModel
    decay: float = RISKMETRICS_DECAY

    filtered = True

    def fit(self, values: FloatArray) -> Shape:
        """Return the shape of surprises."""
        return self.shape.fit(values)

    def volatility(self, returns: FloatArray) -> FloatArray:
        """Return the smoothed volatility."""
        return smoothed_volatility(returns, self.decay)


def tail_model(name: str) -> TailModel:
    """Return a model by its name: historical, normal, student, pareto, or one of them with ``filtered-`` before it.

    Raises
    ------
    RiskError
        On another name.
    """
    plain: dict[str, TailModel] = {
        "historical": HistoricalTail(), "normal": NormalTail(), "student": StudentTail(), "pareto": ParetoTails(),
    }  # fmt: skip
    base = plain.get(name.removeprefix("filtered-"))
    if base is None:
        names = ", ".join([*plain, *(f"filtered-{one}" for one in plain)])
        raise RiskError(f"no tail model is called {name!r}; there are {names}")
    return FilteredTail(base) if name.startswith("filtered-") else base


def tail_of(returns: FloatArray, model: TailModel, level: float) -> tuple[float, float]:
    """Return value at risk and expected shortfall of the period after the last return.

    Parameters
    ----------
    returns
        Shape (T,), the window.
    """
    values = as_series(returns, minimum=2)
    if not model.filtered:
        shape = model.fit(values)
        return shape.value_at_risk(level), shape.expected_shortfall(level)
    volatility = model.volatility(values)
    shape = model.fit(surprises(values, volatility[:-1]))
    return float(volatility[-1]) * shape.value_at_risk(level), float(volatility[-1]) * shape.expected_shortfall(level)


def surprises(returns: FloatArray, volatility: FloatArray) -> FloatArray:
    """Return returns over the volatility expected for them, each of shape (T,), where that was known and positive."""
    known = np.isfinite(volatility) & (volatility > 0.0)
    found: FloatArray = returns[known] / volatility[known]
    return found
