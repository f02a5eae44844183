# SPDX-License-Identifier: Apache-2.0
"""Everything `plimsoll risk` says about a portfolio, as one value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np

from offchain.risk import measures
from offchain.risk.arrays import FloatArray, RiskError, as_level
from offchain.risk.measures import DeflatedSharpe, Drawdown, Interval, bootstrap_all, deflated_sharpe, max_drawdown
from offchain.risk.portfolio import Missing, PortfolioReturns, portfolio_returns
from offchain.risk.prices.problems import PriceProblem
from offchain.risk.prices.table import PriceTable
from offchain.risk.stress import StressResult, stress_portfolio
from offchain.risk.tails import (
    Coverage,
    ShortfallTests,
    WalkForward,
    fit_joint,
    tail_model,
    tail_of,
    walk_forward_levels,
)

MODELS = ("historical", "normal", "student", "pareto", "filtered-historical", "filtered-pareto")
LEVELS = (0.95, 0.99)
REFIT = 20
JOINT_SCENARIOS = 20_000
UNITS = {
    "annual_return": "fraction per year of 365 days, compound",
    "annual_volatility": "fraction per root year",
    "sharpe": "per root year, risk-free rate zero",
    "sortino": "per root year, target zero",
    "calmar": "per year",
    "omega": "ratio, threshold zero per period",
    "max_drawdown": "fraction of the peak",
    "longest_drawdown": "periods",
    "ulcer_index": "fraction",
    "value_at_risk": "loss as a fraction, per period",
    "expected_shortfall": "loss as a fraction, per period",
    "entropic_value_at_risk": "loss as a fraction, per period",
    "conditional_drawdown": "fraction of the peak",
    "tracking_error": "fraction per root year",
    "information_ratio": "per root year",
    "beta": "ratio",
}


@dataclass(frozen=True, slots=True)
class TailRow:
    """One model's view of the next period, and how it has done.

    Attributes
    ----------
    model, level
        Which.
    value_at_risk, expected_shortfall
        Of the period after the last, losses as fractions.
    coverage, shortfall
        Tests of the model's walk-forward forecasts; None where the record is too short for them.
    note
        Why there is no number, where there is none.
    """

    model: str
    level: float
    value_at_risk: float
    expected_shortfall: float
    coverage: Coverage | None
    shortfall: ShortfallTests | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class AssetRow:
    """One asset over its own record.

    Attributes
    ----------
    symbol, weight, periods
        Name, share of the portfolio and number of returns.
    measures
        By the names of `UNITS`.
    """

    symbol: str
    weight: float
    periods: int
    measures: Mapping[str, float]


@dataclass(frozen=True)
class RiskReport:
    """A portfolio's risk.

    Attributes
    ----------
    start, end
        End of the first and the last period, ISO 8601 UTC.
    periods, step_seconds, periods_per_year
        Length of the record.
    dropped, spread
        See `offchain.risk.portfolio.PortfolioReturns`.
    weights
        By symbol; what they lack to one is cash.
    measures
        With block-bootstrap intervals, by the names of ``units``.
    units
        Of each measure.
    drawdown
        The deepest, in periods from the start.
    deflated_sharpe
        Against the number of trials; None for returns that do not vary.
    assets
        One row each.
    correlation
        Shape (n, n), of the assets' returns in common periods.
    tails
        One row a model and level.
    stress
        Recorded crashes.
    problems
        Of the price files.
    """

    start: str
    end: str
    periods: int
    step_seconds: int
    periods_per_year: float
    dropped: int
    spread: int
    weights: Mapping[str, float]
    measures: Mapping[str, Interval]
    units: Mapping[str, str]
    drawdown: Drawdown
    deflated_sharpe: DeflatedSharpe | None
    assets: tuple[AssetRow, ...]
    correlation: FloatArray
    tails: tuple[TailRow, ...]
    stress: tuple[StressResult, ...]
    problems: tuple[PriceProblem, ...]


@dataclass(frozen=True)
class RiskStudy:
    """A report with the series behind it, for figures.

    Attributes
    ----------
    report
        The numbers.
    portfolio
        The record.
    walked
        Walk-forward forecasts by model and level.
    """

    report: RiskReport
    portfolio: PortfolioReturns
    walked: Mapping[tuple[str, float], WalkForward]


def study_risk(
    table: PriceTable,
    weights: Mapping[str, float] | None = None,
    *,
    benchmark: str | None = None,
    missing: Missing = "drop",
    levels: Sequence[float] = LEVELS,
    models: Sequence[str] = MODELS,
    window: int = 500,
    samples: int = 500,
    trials: int = 1,
    seed: int = 0,
) -> RiskStudy:
    """Measure a portfolio.

    Parameters
    ----------
    weights
        By symbol; equal by default.
    benchmark
        A symbol to compare with.
    missing
        See `portfolio_returns`.
    levels
        Of tails; the first is the one of the measures.
    models
        See `offchain.risk.tails.tail_model`.
    window
        Periods each tail forecast is fitted to.
    samples
        Block-bootstrap resamples.
    trials
        Portfolios this one was picked from, for the deflated Sharpe ratio.
    seed
        The same arguments give the same report.
    """
    for level in levels:
        as_level(level)
    if not levels:
        raise RiskError("at least one level is needed")
    portfolio = portfolio_returns(table, weights, missing=missing)
    per_year = table.periods_per_year
    returns = portfolio.returns
    named = _measures(per_year, levels[0])
    stacked: FloatArray = returns
    if benchmark is not None:
        stacked, named = _with_benchmark(table, portfolio, benchmark, named, per_year)
    walked = _walk(returns, models, levels, window)
    report = RiskReport(
        start=_iso(portfolio.timestamps[0]),
        end=_iso(portfolio.timestamps[-1]),
        periods=returns.size,
        step_seconds=table.step_seconds,
        periods_per_year=per_year,
        dropped=portfolio.dropped,
        spread=portfolio.spread,
        weights=dict(zip(portfolio.symbols, portfolio.weights.tolist(), strict=True)),
        measures=bootstrap_all(named, stacked, samples=samples, seed=seed),
        units={name: UNITS[name] for name in named},
        drawdown=max_drawdown(returns),
        # The spread of the trials' ratios is not known here; that of an estimated ratio without skill stands in.
        deflated_sharpe=deflated_sharpe(returns, trials, 1.0 / returns.size) if np.ptp(returns) > 0.0 else None,
        assets=_assets(portfolio, per_year, levels[0]),
        correlation=_correlation(portfolio.assets),
        tails=(
            *(_tail(returns, model, level, window, walked, seed) for model in models for level in levels),
            *_joint_tails(portfolio, levels, window, seed),
        ),
        stress=stress_portfolio(portfolio.symbols, portfolio.weights),
        problems=table.problems,
    )
    return RiskStudy(report, portfolio, walked)


def _measures(per_year: float, level: float) -> dict[str, measures.Measure]:
    return {
        "annual_return": partial(measures.annual_return, periods_per_year=per_year),
        "annual_volatility": partial(measures.annual_volatility, periods_per_year=per_year),
        "sharpe": partial(measures.sharpe_ratio, periods_per_year=per_year),
        "sortino": partial(measures.sortino_ratio, periods_per_year=per_year),
        "calmar": partial(measures.calmar_ratio, periods_per_year=per_year),
        "omega": measures.omega_ratio,
        "max_drawdown": lambda returns: max_drawdown(returns).depth,
        "longest_drawdown": lambda returns: float(measures.longest_drawdown(returns)),
        "ulcer_index": measures.ulcer_index,
        "value_at_risk": partial(measures.value_at_risk, level=level),
        "expected_shortfall": partial(measures.expected_shortfall, level=level),
        "entropic_value_at_risk": partial(measures.entropic_value_at_risk, level=level),
        "conditional_drawdown": partial(measures.conditional_drawdown, level=level),
    }


def _with_benchmark(
    table: PriceTable,
    portfolio: PortfolioReturns,
    benchmark: str,
    named: dict[str, measures.Measure],
    per_year: float,
) -> tuple[FloatArray, dict[str, measures.Measure]]:
    column = table.returns()[:, table.column(benchmark)]
    other = column[np.isin(table.timestamps[1:], portfolio.timestamps)]
    if not np.isfinite(other).all():
        raise RiskError(f"the benchmark {benchmark} has no return in {int(np.isnan(other).sum())} of the periods")

    def first(measure: measures.Measure) -> measures.Measure:
        return lambda rows: measure(rows[:, 0])

    both: dict[str, measures.Measure] = {name: first(measure) for name, measure in named.items()}
    both["tracking_error"] = lambda rows: measures.tracking_error(rows[:, 0], rows[:, 1], per_year)
    both["information_ratio"] = lambda rows: measures.information_ratio(rows[:, 0], rows[:, 1], per_year)
    both["beta"] = lambda rows: measures.beta(rows[:, 0], rows[:, 1])
    return np.column_stack([portfolio.returns, other]), both


def _assets(portfolio: PortfolioReturns, per_year: float, level: float) -> tuple[AssetRow, ...]:
    rows = []
    for at, symbol in enumerate(portfolio.symbols):
        own = portfolio.assets[:, at]
        own = own[np.isfinite(own)]
        found = {
            "annual_return": measures.annual_return(own, per_year),
            "annual_volatility": measures.annual_volatility(own, per_year),
            "sharpe": measures.sharpe_ratio(own, per_year),
            "max_drawdown": max_drawdown(own).depth,
            "value_at_risk": measures.value_at_risk(own, level),
            "expected_shortfall": measures.expected_shortfall(own, level),
        }
        rows.append(AssetRow(symbol, float(portfolio.weights[at]), own.size, found))
    return tuple(rows)


def _correlation(assets: FloatArray) -> FloatArray:
    whole = assets[np.isfinite(assets).all(axis=1)]
    if len(whole) < 3:
        return np.full((assets.shape[1], assets.shape[1]), np.nan)
    centred = whole - whole.mean(axis=0)
    width = np.sqrt((centred**2).sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        matrix: FloatArray = (centred.T @ centred) / np.outer(width, width)
    return matrix


def _walk(
    returns: FloatArray, models: Sequence[str], levels: Sequence[float], window: int
) -> dict[tuple[str, float], WalkForward]:
    # Coverage of a handful of periods says nothing.
    if returns.size < window + 100:
        return {}
    walked = {}
    for name in models:
        with suppress(RiskError):
            found = walk_forward_levels(returns, tail_model(name), levels, window=window, refit=REFIT)
            walked.update({(name, level): one for level, one in found.items()})
    return walked


def _tail(
    returns: FloatArray,
    model: str,
    level: float,
    window: int,
    walked: Mapping[tuple[str, float], WalkForward],
    seed: int,
) -> TailRow:
    chosen = tail_model(model)
    try:
        at_risk, shortfall = tail_of(returns[-window:], chosen, level)
    except RiskError as error:
        return TailRow(model, level, math.nan, math.nan, None, None, str(error))
    done = walked.get((model, level))
    return TailRow(
        model=model,
        level=level,
        value_at_risk=at_risk,
        expected_shortfall=shortfall,
        coverage=done.coverage() if done else None,
        shortfall=done.shortfall(samples=500, seed=seed) if done else None,
    )


def _joint_tails(portfolio: PortfolioReturns, levels: Sequence[float], window: int, seed: int) -> tuple[TailRow, ...]:
    """Tails of the weighted assets' joint scenarios, where there are several assets and enough periods."""
    whole = portfolio.assets[np.isfinite(portfolio.assets).all(axis=1)][-window:]
    if len(portfolio.symbols) < 2:
        return ()
    try:
        drawn = fit_joint(whole).draw(JOINT_SCENARIOS, seed) @ portfolio.weights
    except RiskError as error:
        return tuple(TailRow("t-copula", level, math.nan, math.nan, None, None, str(error)) for level in levels)
    return tuple(
        TailRow(
            "t-copula",
            level,
            measures.value_at_risk(drawn, level),
            measures.expected_shortfall(drawn, level),
            None,
            None,
        )
        for level in levels
    )


def _iso(timestamp: float) -> str:
    return datetime.fromtimestamp(int(timestamp), UTC).strftime("%Y-%m-%dT%H:%MZ")
