# SPDX-License-Identifier: Apache-2.0
"""Correlations, bets and regimes of several assets: what `plimsoll forecast cov` and `regimes` say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offchain.forecast.covariance import annual_covariance, correlation_of
from offchain.forecast.covariance.breakdown import correlation_breakdown, regime_correlations
from offchain.forecast.covariance.diversification import (
    concentration_limit,
    diversification_ratio,
    effective_bets,
)
from offchain.forecast.errors import ForecastError
from offchain.forecast.regimes import Hmm, change_points, change_probabilities, regime_summary
from offchain.mandate import Covariance
from offchain.risk.arrays import FloatArray, IntArray
from offchain.risk.prices import PriceTable


@dataclass(frozen=True, eq=False)
class Market:
    """Returns of several assets over the rows that all of them have."""

    symbols: tuple[str, ...]
    timestamps: IntArray
    returns: FloatArray
    rows_per_year: float
    problems: tuple[str, ...]


def market_of(table: PriceTable, symbols: Sequence[str] | None = None) -> Market:
    """Take the rows in which every asset has a return.

    Raises
    ------
    ForecastError
        When there are fewer than 60 such rows; names the asset that starts last.
    """
    chosen = list(symbols) if symbols else list(table.symbols)
    columns = [table.column(symbol) for symbol in chosen]
    returns = table.returns()[:, columns]
    known = np.isfinite(returns).all(axis=1)
    if known.sum() < 60:
        starts = [int(np.argmax(np.isfinite(returns[:, i]))) for i in range(len(chosen))]
        last = chosen[int(np.argmax(starts))]
        raise ForecastError(f"{int(known.sum())} rows have all {len(chosen)} assets, 60 needed; {last} starts last")
    dropped = int((~known).sum())
    problems = [str(one) for one in table.problems if one.symbol in ("", *chosen)]
    if dropped:
        problems.append(f"{dropped} of {known.size} rows lack an asset: left out")
    return Market(tuple(chosen), table.timestamps[1:][known], returns[known], table.periods_per_year, tuple(problems))


@dataclass(frozen=True)
class CovarianceReport:
    """Volatilities and correlations per year, what they say about a portfolio, and how they change in a crash.

    Attributes
    ----------
    weights
        The portfolio; equal weights unless given.
    caps
        Largest weight of each asset at which `fewest_bets` are left; None where they were not asked for.
    crash_rows
        Rows on which the portfolio was at its worst tenth.
    mean_calm_correlation, mean_crash_correlation, mean_expected_correlation
        Means over pairs; expected is what normal returns of unchanged correlation would show on the crash rows.
    """

    symbols: Sequence[str]
    model: str
    rows: int
    volatility: Sequence[float]
    correlation: Sequence[Sequence[float]]
    covariance: Sequence[Sequence[float]]
    weights: Mapping[str, float]
    diversification_ratio: float
    effective_bets: float
    fewest_bets: float | None
    caps: Mapping[str, float] | None
    crash_rows: int | None
    mean_calm_correlation: float | None
    mean_crash_correlation: float | None
    mean_expected_correlation: float | None
    problems: Sequence[str]


def covariance_report(
    market: Market, model: Covariance, weights: Mapping[str, float] | None = None, fewest_bets: float | None = None
) -> CovarianceReport:
    """Estimate a covariance and describe it.

    Raises
    ------
    ForecastError
        When a weight is of no asset there is, or none is positive.
    """
    window = max(2, round(model.window_days * market.rows_per_year / 365.0))
    covariance = annual_covariance(market.returns[-window:], model, market.rows_per_year)
    count = len(market.symbols)
    shares = _shares(market.symbols, weights)
    limit = concentration_limit(shares, covariance, fewest_bets) if fewest_bets is not None else None
    pairs = np.triu_indices(count, 1)
    problems = list(market.problems)
    breakdown = None
    try:
        breakdown = correlation_breakdown(market.returns, weights=shares)
    except ForecastError as error:
        problems.append(f"no correlations in crashes: {error}")
    return CovarianceReport(
        symbols=market.symbols,
        model=model.kind,
        rows=min(window, len(market.returns)),
        volatility=np.sqrt(np.diag(covariance)).tolist(),
        correlation=correlation_of(covariance).tolist(),
        covariance=covariance.tolist(),
        weights=dict(zip(market.symbols, shares.tolist(), strict=True)),
        diversification_ratio=diversification_ratio(shares, covariance),
        effective_bets=effective_bets(shares, covariance),
        fewest_bets=fewest_bets,
        caps=dict(zip(market.symbols, limit.caps.tolist(), strict=True)) if limit else None,
        crash_rows=breakdown.rows[0] if breakdown else None,
        mean_calm_correlation=float(breakdown.calm[pairs].mean()) if breakdown else None,
        mean_crash_correlation=float(breakdown.crash[pairs].mean()) if breakdown else None,
        mean_expected_correlation=float(breakdown.expected[pairs].mean()) if breakdown else None,
        problems=problems,
    )


def _shares(symbols: Sequence[str], weights: Mapping[str, float] | None) -> FloatArray:
    """Weights in the assets' order, summing to one; equal where none are given."""
    if not weights:
        return np.full(len(symbols), 1.0 / len(symbols))
    unknown = [symbol for symbol in weights if symbol not in symbols]
    if unknown:
        raise ForecastError(f"weights: no asset {unknown[0]}; there are {', '.join(symbols)}")
    shares = np.array([weights.get(symbol, 0.0) for symbol in symbols])
    if not shares.sum() > 0.0:
        raise ForecastError("weights: none of the assets has any")
    whole: FloatArray = shares / shares.sum()
    return whole


@dataclass(frozen=True)
class RegimeReport:
    """States from calm to wild, and where the last row stands, by probabilities that know no later row.

    Attributes
    ----------
    states
        Mean and volatility per year of the equally weighted assets, long-run share, mean duration in rows.
    transition
        Probabilities from row to column.
    now, next
        Probabilities of the last row's state and of the next row's.
    correlations
        Mean pairwise correlation in each state; None for a single asset.
    change_probability
        Of a change in the market's variance within the last seven rows.
    changes
        Times (Unix seconds) at which the variance changed, found afterwards.
    """

    symbols: Sequence[str]
    errors: str
    rows: int
    log_likelihood: float
    states: Sequence[Mapping[str, float]]
    transition: Sequence[Sequence[float]]
    now: Sequence[float]
    next: Sequence[float]
    correlations: Sequence[float] | None
    change_probability: float
    changes: Sequence[int]
    problems: Sequence[str]


@dataclass(frozen=True, eq=False)
class RegimeStudy:
    """A report with what figures are drawn from.

    Attributes
    ----------
    filtered
        Shape (T, K).
    correlations
        Shape (K, n, n); None for a single asset or a state too rare.
    recent
        Shape (T,): probability of a recent change.
    """

    report: RegimeReport
    market: Market
    filtered: FloatArray
    correlations: FloatArray | None
    recent: FloatArray


def study_regimes(market: Market, states: int = 2, errors: str = "t") -> RegimeStudy:
    """Fit a hidden Markov model to the equally weighted assets, and find changes of their variance.

    Raises
    ------
    ForecastError
        When the errors are neither ``normal`` nor ``t``, or there are too few rows.
    """
    if errors not in ("normal", "t"):
        raise ForecastError(f"regimes: errors must be normal or t, not {errors}")
    mean = market.returns.mean(axis=1)
    fit = Hmm(states, "normal" if errors == "normal" else "t").fit(mean)
    filtered = fit.filtered(mean)
    correlations = None
    problems = list(market.problems)
    if len(market.symbols) > 1:
        try:
            correlations = regime_correlations(market.returns, filtered)
        except ForecastError as error:
            problems.append(f"no correlations by regime: {error}")
    pairs = np.triu_indices(len(market.symbols), 1)
    recent = change_probabilities(mean).recent
    report = RegimeReport(
        symbols=market.symbols,
        errors=errors,
        rows=len(mean),
        log_likelihood=fit.log_likelihood,
        states=regime_summary(fit, market.rows_per_year),
        transition=fit.transition.tolist(),
        now=filtered[-1].tolist(),
        next=(filtered[-1] @ fit.transition).tolist(),
        correlations=[float(one[pairs].mean()) for one in correlations] if correlations is not None else None,
        change_probability=float(recent[-1]),
        changes=[int(market.timestamps[row]) for row in change_points(mean)],
        problems=problems,
    )
    return RegimeStudy(report, market, filtered, correlations, recent)
