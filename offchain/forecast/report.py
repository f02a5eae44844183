# SPDX-License-Identifier: Apache-2.0
"""What the forecast commands say, as values that turn into JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.forecast.returns_file import YEAR_DAYS, ReturnsFile
from offchain.forecast.volatility.bars import Bars
from offchain.forecast.volatility.garch_family import Errors, ErrorsOf, GarchFit, Start
from offchain.forecast.volatility.implied import ImpliedTerm
from offchain.forecast.volatility.realised import DAY, realised_variance
from offchain.forecast.volatility.registry import RANGES, sample_of_bars, volatility_model
from offchain.forecast.volatility.sample import Sample, VolatilityFit
from offchain.forecast.volatility.walk import forecast_walk
from offchain.forecast.volatility.yang_zhang import windowed_yang_zhang
from offchain.risk.arrays import FloatArray

MEASURED = ("har", "combination", "recommended")
"""Models that do better with measured variances than with squared returns."""
REALISED = "realised"
MEASURES = (*RANGES, REALISED, "squares")
EQUATIONS = {
    "garch": "h' = omega + alpha e^2 + beta h, e = r - mu",
    "gjr": "h' = omega + (alpha + gamma [e < 0]) e^2 + beta h, e = r - mu",
    "egarch": "ln h' = omega + alpha z + gamma (|z| - sqrt(2/pi)) + beta ln h, z = (r - mu) / sqrt(h)",
    "ewma": "h' = decay h + (1 - decay) r^2",
    "close_to_close": "h' = sample variance of the window's returns",
    "parkinson": "h' = mean over the window of ln(H/L)^2 / (4 ln 2)",
    "garman_klass": "h' = mean over the window of ln(H/L)^2 / 2 - (2 ln 2 - 1) ln(C/O)^2",
    "rogers_satchell": "h' = mean over the window of ln(H/C) ln(H/O) + ln(L/C) ln(L/O)",
    "yang_zhang": "h' = var(gaps) + k var(bodies) + (1 - k) Rogers-Satchell, over the window",
    "realised": "h' = mean over the window of daily sums of squared returns",
    "combination": "h' = sum of weights times the members' forecasts, weights by past losses",
    "har": "ln v' = constant + day ln v + week ln mean(v, 7) + month ln mean(v, 30); h' = scale exp(. + noise / 2)",
}
WALK_FIRST = 250
SHOWN_CUTS = 5


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
    measure: str | None = None,
    rows_per_year: float | None = None,
    walk: bool = False,
) -> VolatilityStudy:
    """Fit a model by name to a file's returns and forecast.

    Parameters
    ----------
    measure
        What har and the combinations take a row's variance from: a range estimator's name, ``realised`` (sums of
        squared returns by day; the model is then one of days) or ``squares``. By default Parkinson's where the file
        has bars, else squares.
    walk
        Also forecast in time, for figures.

    Raises
    ------
    ForecastError
        When the model is unknown, needs bars that the file does not have, or cannot be fitted.
    """
    if horizon < 1:
        raise ForecastError(f"horizon {horizon}: at least one row ahead")
    if name == REALISED or measure == REALISED:
        source, sample = _by_day(source)
        rows_per_year = YEAR_DAYS
    else:
        sample = Sample(source.returns)
    per_year = rows_per_year or source.rows_per_year
    if name in ("close_to_close", "yang_zhang", *RANGES):
        return _windowed(source, name, horizon, window, per_year)
    if name in MEASURED and measure != REALISED:
        sample, source = _measured(source, measure)
    model = volatility_model(name, errors=errors, start=start, with_mean=with_mean, window=window)
    fit = model.fit(sample)
    report = _report(source, fit, sample, fit.forecast(sample, horizon), per_year, start)
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


def _measured(source: ReturnsFile, measure: str | None) -> tuple[Sample, ReturnsFile]:
    """Returns with a measure of each row's variance; rows whose range was cut off are reported."""
    chosen = measure or ("parkinson" if source.bars is not None else "squares")
    if chosen not in MEASURES:
        raise ForecastError(f"no measure is called {chosen!r}; there are {', '.join(MEASURES)}")
    if chosen == "squares":
        return source.sample, source
    bars = _bars(source, chosen)
    sample = sample_of_bars(bars, RANGES[chosen])
    cut = np.flatnonzero(RANGES[chosen](bars)[1:] > (1.0 + 1e-9) * sample.variances)
    notes = [
        f"{source.name}: the bar at time {source.timestamps[row] if source.timestamps is not None else row} spans more "
        "than its return or the bars before make credible: its measured variance is cut off"
        for row in cut[:SHOWN_CUTS]
    ]
    if cut.size > SHOWN_CUTS:
        notes.append(f"{source.name}: {cut.size - SHOWN_CUTS} more bars cut off")
    return sample, replace(source, problems=(*source.problems, *notes))


def _bars(source: ReturnsFile, name: str) -> Bars:
    if source.bars is None:
        raise ForecastError(f"{name} needs open, high, low and close; {source.name} has returns only")
    return source.bars


def _by_day(source: ReturnsFile) -> tuple[ReturnsFile, Sample]:
    """Returns and realised variances of days, from finer rows.

    A row's time is its bar's beginning, as exchanges and the files here have it; its return is known at its end.
    """
    if source.timestamps is None or source.rows_per_year < 2.0 * YEAR_DAYS:
        raise ForecastError(f"realised needs times finer than half a day; {source.name} has rows of a day or more")
    step = round(YEAR_DAYS * DAY / source.rows_per_year)
    stamps = np.concatenate([source.timestamps[:1] - step, source.timestamps]) + step
    prices = np.exp(np.concatenate([[0.0], np.cumsum(source.returns)]))
    days = realised_variance(stamps, prices)
    returns = np.diff(np.log(days.closes))
    gaps = int(np.sum(np.diff(days.starts) != DAY))
    notes = (f"{source.name}: {gaps} days with too few rows left out",) if gaps else ()
    daily = ReturnsFile(source.name, returns, None, days.starts[1:], YEAR_DAYS, (*source.problems, *notes))
    return daily, Sample.of(returns, days.variances[1:])


def _report(
    source: ReturnsFile, fit: VolatilityFit, sample: Sample, path: FloatArray, rows_per_year: float, start: Start
) -> VolatilityReport:
    report = VolatilityReport(
        model=fit.model,
        equation=EQUATIONS[fit.model.partition("-")[0]],
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


def _windowed(source: ReturnsFile, name: str, horizon: int, window: int, rows_per_year: float) -> VolatilityStudy:
    """Estimators that are a formula over the last rows, exactly as published."""
    if name == "close_to_close":
        rows = source.returns.size
        if rows < window:
            raise ForecastError(f"{name}: {rows} returns, {window} needed for the window")
        views = np.lib.stride_tricks.sliding_window_view(source.returns, window)
        series = np.concatenate([np.full(window, np.nan), np.var(views, axis=1, ddof=1)])
    else:
        bars = _bars(source, name)
        rows = len(bars)
        if rows < window + 1:
            raise ForecastError(f"{name}: {rows} bars, {window + 1} needed for the window")
        if name == "yang_zhang":
            series = windowed_yang_zhang(bars, window)[1:]
        else:
            means = np.lib.stride_tricks.sliding_window_view(RANGES[name](bars), window).mean(axis=1)
            series = np.concatenate([np.full(window - 1, np.nan), means])
    report = VolatilityReport(
        model=name,
        equation=EQUATIONS[name],
        series=source.name,
        observations=rows,
        parameters={"window": float(window)},
        forecast=Path.of(np.full(horizon, series[-1]), rows_per_year),
        problems=source.problems,
    )
    return VolatilityStudy(report, source, source.sample, series[:-1])
