# SPDX-License-Identifier: Apache-2.0
"""Poisoning the future changes nothing in the past, for every estimator; one without a case here fails."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, get_args

import numpy as np
import pytest

from offchain.forecast.covariance import annual_covariance
from offchain.forecast.covariance.breakdown import correlation_breakdown, regime_correlations
from offchain.forecast.covariance.dcc import Dcc
from offchain.forecast.expected import expected_returns
from offchain.forecast.regimes import Hamilton, Hmm, change_points, change_probabilities
from offchain.forecast.volatility import (
    Bars,
    Combination,
    Egarch,
    Errors,
    Ewma,
    Garch,
    Gjr,
    Har,
    Rolling,
    Sample,
    VolatilityModel,
    capped,
    close_to_close,
    forecast_walk,
    garman_klass,
    learn_weights,
    parkinson,
    realised_variance,
    recommended,
    rogers_satchell,
    sample_of_bars,
    windowed_yang_zhang,
)
from offchain.mandate import Covariance
from offchain.mandate.beliefs import EstimatedReturns
from offchain.risk.tails import (
    FilteredTail,
    HistoricalTail,
    NormalTail,
    ParetoTails,
    StudentTail,
    TailModel,
    filtered_scenarios,
    fit_joint,
    smoothed_volatility,
    smoothing,
    walk_forward_levels,
)

ROWS, NOW, FIRST, EVERY = 520, 400, 260, 130
ASSETS = 3
SYMBOLS = ("A", "B", "C")


@dataclass(frozen=True)
class Market:
    """Everything an estimator may look at, row by row."""

    bars: Bars
    returns: np.ndarray
    hours: np.ndarray
    forecasts: np.ndarray

    @property
    def sample(self) -> Sample:
        return sample_of_bars(self.bars)


def market(poisoned: bool) -> Market:
    """Volatility that comes and goes; from row `NOW` on poisoned with what no market does."""
    rng = np.random.default_rng(5)
    deviation = 0.03 * np.exp(np.cumsum(rng.normal(0.0, 0.05, ROWS)) - 0.2)
    shocks = rng.standard_t(5, (ROWS, ASSETS)) @ np.array([[1.0, 0.6, 0.3], [0.0, 0.8, 0.2], [0.0, 0.0, 0.9]])
    returns = deviation[:, None] * shocks * 0.7
    span = np.abs(rng.normal(0.0, deviation, (2, ROWS)))
    hours = rng.normal(0.0, 0.006, 24 * ROWS)
    forecasts = deviation[:, None] ** 2 * np.exp(rng.normal(0.0, 0.3, (ROWS, 2)))
    if poisoned:
        worse = np.random.default_rng(6)
        returns[NOW:] = worse.normal(0.4, 0.5, (ROWS - NOW, ASSETS))
        span[:, NOW:] = worse.uniform(0.5, 2.0, (2, ROWS - NOW))
        hours[24 * NOW :] = worse.normal(0.0, 0.3, 24 * (ROWS - NOW))
        forecasts[NOW:] = worse.uniform(1.0, 9.0, (ROWS - NOW, 2))
    closes = 100.0 * np.exp(np.cumsum(returns[:, 0]))
    opens = np.concatenate([[100.0], closes[:-1]])
    high, low = np.maximum(opens, closes) * np.exp(span[0]), np.minimum(opens, closes) * np.exp(-span[1])
    return Market(Bars.of(opens, high, low, closes), returns, hours, forecasts)


Known = Callable[[Market], Any]
"""What an estimator says that could be said by the end of row `NOW` - 1."""


def walked(model: VolatilityModel) -> Known:
    return lambda seen: forecast_walk(model, seen.sample, FIRST, EVERY)[:NOW]


def recursion(model: VolatilityModel) -> Known:
    """Fitted to the past, applied to everything."""
    # The sample of bars has one row less.
    return lambda seen: model.fit(seen.sample.head(FIRST)).variances(seen.sample)[:NOW]


def both(model: VolatilityModel) -> Known:
    return lambda seen: (walked(model)(seen), recursion(model)(seen))


def tails(model: TailModel) -> Known:
    def known(seen: Market) -> Any:
        found = walk_forward_levels(seen.returns[:, 0], model, (0.95, 0.99), window=250, refit=25)
        return [(one.value_at_risk[: NOW - 250 + 1], one.expected_shortfall[: NOW - 250 + 1]) for one in found.values()]

    return known


def covariance(kind: str) -> Known:
    model = next(
        one for one in get_args(get_args(Covariance)[0]) if one.model_fields["kind"].annotation.__args__[0] == kind
    )
    settings = {"kind": kind, "window_days": 365} | ({"half_life_days": 60} if kind == "ewma" else {})
    return lambda seen: annual_covariance(seen.returns[:NOW], model(**settings), 365.0, 7.0)


RETURNS_SETTINGS: dict[str, dict[str, Any]] = {
    "benchmark_implied": {},
    "shrunk": {"method": "bayes_stein"},
    "black_litterman": {"views": [{"weights": {"A": 1}, "annual_return": 0.2, "confidence": 0.5}]},
    "momentum": {"lookback_days": 60},
    "carry": {"yields": {"A": {"staking_bps": 300}}},
}


def expected(kind: str) -> Known:
    model = next(one for one in get_args(EstimatedReturns) if one.model_fields["kind"].annotation.__args__[0] == kind)
    made = model(kind=kind, **RETURNS_SETTINGS[kind])

    def known(seen: Market) -> Any:
        past = seen.returns[:NOW]
        return expected_returns(
            made, past, np.cov(past, rowvar=False) * 365.0, np.full(ASSETS, 1 / ASSETS), 3.0, SYMBOLS, 365.0
        )

    return known


def dcc(seen: Market) -> Any:
    return Dcc().fit(seen.returns[:FIRST]).correlations(seen.returns)[: NOW + 1]


def hidden_states(errors: Any) -> Known:
    return lambda seen: Hmm(2, errors).fit(seen.returns[:FIRST, 0]).filtered(seen.returns[:, 0])[:NOW]


def hamilton(seen: Market) -> Any:
    return Hamilton(lags=1).fit(seen.returns[:100, 0]).filtered(seen.returns[:, 0])[: NOW - 1]


def days_from_hours(seen: Market) -> Any:
    prices = np.exp(np.concatenate([[0.0], np.cumsum(seen.hours)]))
    found = realised_variance(3_600 * np.arange(prices.size), prices)
    return found.variances[:NOW], found.closes[:NOW]


CASES: dict[str, Known] = {
    "Garch": both(Garch()),
    "Garch t": recursion(Garch(errors=Errors.STUDENT)),
    "Garch skewt": recursion(Garch(errors=Errors.SKEWED)),
    "Gjr": both(Gjr()),
    "Egarch": both(Egarch()),
    "Ewma": both(Ewma(None)),
    "Har": both(Har()),
    "Rolling": both(Rolling(rescale=True)),
    "Combination": both(Combination((Har(), Ewma()))),
    "recommended": recursion(recommended()),
    "learn_weights": lambda seen: learn_weights(seen.forecasts, seen.returns[:, 0] ** 2)[: NOW + 1],
    "capped": lambda seen: capped(parkinson(seen.bars)[1:], seen.bars.returns[1:])[: NOW - 1],
    "sample_of_bars": lambda seen: (seen.sample.returns[: NOW - 1], seen.sample.variances[: NOW - 1]),
    "parkinson": lambda seen: parkinson(seen.bars)[:NOW],
    "garman_klass": lambda seen: garman_klass(seen.bars)[:NOW],
    "rogers_satchell": lambda seen: rogers_satchell(seen.bars)[:NOW],
    "windowed_yang_zhang": lambda seen: windowed_yang_zhang(seen.bars)[: NOW + 1],
    "realised_variance": days_from_hours,
    "Dcc": dcc,
    "Hmm": hidden_states("normal"),
    "Hmm t": hidden_states("t"),
    "Hamilton": hamilton,
    "change_probabilities": lambda seen: change_probabilities(seen.returns[:, 0]).recent[:NOW],
    "change_probabilities level": lambda seen: change_probabilities(seen.returns[:, 0], of="level").recent[:NOW],
    "HistoricalTail": tails(HistoricalTail()),
    "NormalTail": tails(NormalTail()),
    "StudentTail": tails(StudentTail()),
    "ParetoTails": tails(ParetoTails()),
    "FilteredTail": tails(FilteredTail(HistoricalTail())),
    "smoothed_volatility": lambda seen: smoothed_volatility(seen.returns[:, 0])[: NOW + 1],
    "VolatilityRecursion": lambda seen: smoothing().volatility(seen.returns[:, 0], 0.03)[: NOW + 1],
    **{f"covariance {kind}": covariance(kind) for kind in ("ewma", "ledoit_wolf", "oas", "denoised", "factor", "dcc")},
    **{f"expected {kind}": expected(kind) for kind in RETURNS_SETTINGS},
}  # fmt: skip

WINDOWS: dict[str, Callable[[np.ndarray], Any]] = {
    "change_points": lambda past: change_points(past[:, 0]),
    "close_to_close": lambda past: close_to_close(past[:, 0]),
    "correlation_breakdown": lambda past: correlation_breakdown(past).crash,
    "filtered_scenarios": lambda past: (
        filtered_scenarios(past[:, 0] / 0.03, 0.03, smoothing(), count=99, seed=1).returns
    ),
    "fit_joint": lambda past: fit_joint(past).draw(200, 1),
    "regime_correlations": lambda past: regime_correlations(past, np.full((len(past), 1), 1.0)),
}
"""Numbers for a whole window: the caller ends it now. They must not hold on to what they saw before."""

ELSEWHERE = {
    # Ways from window to window that the cases go through.
    "walk_forward", "forecast_walk", "walk_forward_levels", "annual_covariance", "expected_returns", "dcc_covariance",
    "ewma_covariance", "ledoit_wolf_covariance", "oas_covariance", "denoised_covariance", "factor_covariance",
    "factor_model", "signal_count", "standardised", "implied_returns", "bayes_stein", "james_stein", "with_opinions",
    "black_litterman", "carry_returns", "momentum_scores", "momentum_returns", "fit_family", "backcast", "maximise",
    "conditional_variances", "log_likelihood", "presample", "first_variance", "forward", "surprises", "tail_of",
    "tail_model", "volatility_model", "fit_student", "fit_pareto", "hill", "fit_copula", "copula_likelihood",
    "smoothing", "yang_zhang",
    # No series go in.
    "digamma", "density_constants", "log_density", "quantile", "lower_square", "egarch_path", "to_parameters",
    "read_quotes", "load_views", "idzorek_uncertainty", "funding_yield", "lending_yield", "stationary",
    "regime_summary", "nearest_psd", "positive_definite", "correlation_of", "covariance_of", "marchenko_pastur_edge",
    "diversification_ratio", "minimum_torsion", "bet_shares", "effective_bets", "concentration_limit",
    # For looking back: smoothed on purpose, and tests of forecasts already made.
    "smooth", "variance_premium", "coverage", "exceedances", "shortfall_tests", "location_scale_draw",
    # Protocols.
    "VolatilityModel", "TailModel",
}  # fmt: skip
PACKAGES = (
    "offchain.forecast.volatility", "offchain.forecast.covariance", "offchain.forecast.expected",
    "offchain.forecast.regimes", "offchain.risk.tails",
)  # fmt: skip


def modules() -> Iterator[ModuleType]:
    for name in PACKAGES:
        package = importlib.import_module(name)
        for one in pkgutil.iter_modules(package.__path__):
            yield importlib.import_module(f"{name}.{one.name}")


def test_every_estimator_has_a_case() -> None:
    found = set()
    for module in modules():
        for name, value in vars(module).items():
            mine = getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")
            if mine and (hasattr(value, "fit") if inspect.isclass(value) else callable(value)):
                found.add(name)
    covered = {name.split()[0] for name in CASES} | set(WINDOWS) | ELSEWHERE
    assert found - covered == set(), "estimators without a case in CASES or WINDOWS"
    assert ELSEWHERE - found == set(), "names that no longer exist"


def test_every_kind_that_a_mandate_may_name_has_a_case() -> None:
    for prefix, union in (("covariance", get_args(Covariance)[0]), ("expected", EstimatedReturns)):
        kinds = {one.model_fields["kind"].annotation.__args__[0] for one in get_args(union)}
        assert {f"{prefix} {kind}" for kind in kinds} == {name for name in CASES if name.startswith(prefix)}


def flat(value: Any) -> list[np.ndarray]:
    return [one for part in value for one in flat(part)] if isinstance(value, list | tuple) else [np.asarray(value)]


@pytest.mark.parametrize("name", CASES)
def test_poisoned_future_leaves_the_past_alone(name: str) -> None:
    clean, other = (flat(CASES[name](market(poisoned))) for poisoned in (False, True))
    for one, two in zip(clean, other, strict=True):
        assert one.size
        assert np.isfinite(one[-1]).all()
        assert np.array_equal(one, two, equal_nan=True)


@pytest.mark.parametrize("name", WINDOWS)
def test_a_window_leaves_nothing_behind(name: str) -> None:
    past, future = market(False).returns[:NOW], market(True).returns[NOW:]
    before = WINDOWS[name](past)
    WINDOWS[name](np.vstack([past, future]))
    assert np.array_equal(before, WINDOWS[name](past))


def test_the_poison_is_seen_where_it_may_be() -> None:
    clean, other = (forecast_walk(Garch(), market(poisoned).sample, FIRST, EVERY) for poisoned in (False, True))
    assert clean[NOW - 1] == other[NOW - 1]
    assert other[NOW] > 10.0 * clean[NOW]
