# SPDX-License-Identifier: Apache-2.0
"""What the forecast commands say, as values that turn into JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.forecast.returns_file import ReturnsFile
from offchain.forecast.volatility.bars import Bars
from offchain.forecast.volatility.garch_family import Errors, ErrorsOf, GarchFit, Start
from offchain.forecast.volatility.implied import ImpliedTerm
from offchain.forecast.volatility.registry import RANGES, sample_of_bars, volatility_model
from offchain.forecast.volatility.sample import Sample, VolatilityFit
from offchain.forecast.volatility.walk import forecast_walk
from offchain.forecast.volatility.yang_zhang import windowed_yang_zhang, yang_zhang
from offchain.risk.arrays import FloatArray

NEEDS_BARS = (*RANGES, "yang_zhang")
WANTS_BARS = ("har", "combination", "recommended")
EQUATIONS = {
    "garch": "h' = omega + alpha e^2 + beta h, e = r - mu",
    "gjr": "h' = omega + (alpha + gamma [e < 0]) e^2 + beta h, e = r - mu",
    "egarch": "ln h' = omega + alpha z + gamma (|z| - sqrt(2/pi)) + beta ln h, z = (r - mu) / sqrt(h)",
    "ewma": "h' = decay h + (1 - decay) r^2",
    "har": "ln v' = constant + day ln v + week ln mean(v, 7) + month ln mean(v, 30); h' = scale exp(. + noise / 2)",
}
WALK_FIRST = 250


@dataclass(frozen=True)
class Path:
    """Forecast of the rows to come.

    Attributes
    ----------
    variance, volatility
        Of each row, in the returns' unit squared and in the returns' unit.
    horizon_volatility
        Of the whole horizon: the square root of the sum of its variances.
    annual_volatility
        The horizon's, scaled to a year.
    rows_per_year
        What a year was taken to have.
    """

    horizon: int
    variance: Sequence[float]
    volatility: Sequence[float]
    horizon_volatility: float
    annual_volatility: float
    rows_per_year: float

    @classmethod
    def of(cls, variance: FloatArray, rows_per_year: float) -> Path:
        """From the variances, shape (horizon,)."""
        total = float(variance.sum())
        return cls(
            horizon=int(variance.size),
            variance=variance.tolist(),
            volatility=np.sqrt(variance).tolist(),
            horizon_volatility=math.sqrt(total),
            annual_volatility=math.sqrt(total / variance.size * rows_per_year),
            rows_per_year=rows_per_year,
        )


@dataclass(frozen=True)
class VolatilityReport:
    """A fitted model and its forecast.

    Attributes
    ----------
    model, equation, errors, start
        What was fitted; e is the demeaned return, h the variance of a row.
    observations
        Returns used.
    parameters
        In the returns' own unit.
    standard_errors, robust_standard_errors
        From the Hessian, and Bollerslev and Wooldridge's; empty where the model is no likelihood model.
    log_likelihood
        None where the model is no likelihood model.
    problems
        What was wrong with the file, by row, and what was done about it.
    """

    model: str
    equation: str
    series: str
    observations: int
    parameters: Mapping[str, float]
    forecast: Path
    standard_errors: Mapping[str, float] = field(default_factory=dict)
    robust_standard_errors: Mapping[str, float] = field(default_factory=dict)
    log_likelihood: float | None = None
    errors: str | None = None
    start: str | None = None
    problems: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class VolatilityStudy:
    """A report with what figures are drawn from.

    Attributes
    ----------
    walked
        Shape (T,): variances forecast in time, the model estimated on earlier rows only; NaN before the first. None
        where the sample is too short for a walk.
    """

    report: VolatilityReport
    source: ReturnsFile
    sample: Sample
    walked: FloatArray | None


def study_volatility(
    source: ReturnsFile,
    name: str,
    *,
    horizon: int = 10,
    errors: Errors | None = None,
    start: Start = Start.SAMPLE,
    with_mean: bool = True,
    window: int = 30,
    rows_per_year: float | None = None,
    walk: bool = False,
) -> VolatilityStudy:
    """Fit a model by name to a file's returns and forecast.

    Raises
    ------
    ForecastError
        When the model is unknown, needs bars that the file does not have, or cannot be fitted.
    """
    if horizon < 1:
        raise ForecastError(f"horizon {horizon}: at least one row ahead")
    per_year = rows_per_year or source.rows_per_year
    if name == "yang_zhang":
        return _yang_zhang(source, horizon, window, per_year)
    sample = _sample(source, name)
    model = volatility_model(name, errors=errors, start=start, with_mean=with_mean, window=window)
    fit = model.fit(sample)
    path = fit.forecast(sample, horizon)
    report = _report(source, fit, sample, path, per_year, start)
    walked = None
    if walk and len(sample) > WALK_FIRST:
        walked = forecast_walk(model, sample, WALK_FIRST)[:-1]
    return VolatilityStudy(report, source, sample, walked)


def study_implied(term: ImpliedTerm, horizon: int, rows_per_year: float) -> VolatilityReport:
    """Forecast of quotes alone, per row, as fractions."""
    path = term.forecast(horizon, rows_per_year)
    return VolatilityReport(
        model="implied",
        equation="variance to T linear between quotes, premium divided out",
        series="quotes",
        observations=int(term.expiries.size),
        parameters={"premium": term.premium},
        forecast=Path.of(path, rows_per_year),
    )


def _sample(source: ReturnsFile, name: str) -> Sample:
    if name in NEEDS_BARS and source.bars is None:
        raise ForecastError(f"{name} needs open, high, low and close; {source.name} has returns only")
    if source.bars is None or name not in (*NEEDS_BARS, *WANTS_BARS):
        return source.sample
    return sample_of_bars(source.bars, RANGES.get(name, RANGES["parkinson"]))


def _report(
    source: ReturnsFile, fit: VolatilityFit, sample: Sample, path: FloatArray, rows_per_year: float, start: Start
) -> VolatilityReport:
    report = VolatilityReport(
        model=fit.model,
        equation=EQUATIONS.get(fit.model.partition("-")[0], "see docs/research-method.md"),
        series=source.name,
        observations=len(sample),
        parameters=fit.parameters,
        forecast=Path.of(path, rows_per_year),
        log_likelihood=fit.log_likelihood,
        problems=source.problems,
    )
    if not isinstance(fit, GarchFit):
        return report
    return replace(
        report,
        standard_errors=fit.standard_errors(sample),
        robust_standard_errors=fit.standard_errors(sample, ErrorsOf.ROBUST),
        errors=fit.errors.value,
        start=start.value,
    )


def _yang_zhang(source: ReturnsFile, horizon: int, window: int, rows_per_year: float) -> VolatilityStudy:
    if source.bars is None:
        raise ForecastError(f"yang_zhang needs open, high, low and close; {source.name} has returns only")
    bars = source.bars
    if len(bars) < window + 1:
        raise ForecastError(f"yang_zhang: {len(bars)} bars, {window + 1} needed for a window of {window}")
    part = slice(len(bars) - window - 1, None)
    variance = yang_zhang(Bars(bars.opens[part], bars.highs[part], bars.lows[part], bars.closes[part]))
    report = VolatilityReport(
        model="yang_zhang",
        equation="gaps + k bodies + (1 - k) Rogers-Satchell",
        series=source.name,
        observations=len(bars),
        parameters={"window": float(window)},
        forecast=Path.of(np.full(horizon, variance), rows_per_year),
        problems=source.problems,
    )
    return VolatilityStudy(report, source, source.sample, windowed_yang_zhang(bars, window)[1:-1])
