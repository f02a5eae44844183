# SPDX-License-Identifier: Apache-2.0
"""Range estimators, realised variance, HAR, EWMA, implied term structure, combination."""

from __future__ import annotations

import numpy as np
import pytest

from offchain.forecast import ForecastError
from offchain.forecast.evaluation import diebold_mariano, qlike
from offchain.forecast.volatility import (
    Bars,
    Combination,
    Ewma,
    Garch,
    Har,
    ImpliedTerm,
    Rolling,
    Sample,
    capped,
    close_to_close,
    garman_klass,
    learn_weights,
    parkinson,
    realised_variance,
    rogers_satchell,
    variance_premium,
    windowed_yang_zhang,
    yang_zhang,
)

DAY = 86_400


def simulated_bars(
    days: int, steps: int, volatility: float, drift: float = 0.0, gap: float = 0.0, seed: int = 0
) -> Bars:
    """Bars of a random walk seen `steps` times a day, with gaps between days."""
    rng = np.random.default_rng(seed)
    moves = drift / steps + volatility / np.sqrt(steps) * rng.standard_normal((days, steps))
    inside = np.cumsum(moves, axis=1)
    jumps = gap * rng.standard_normal(days)
    opens = np.concatenate([[0.0], np.cumsum(inside[:-1, -1] + jumps[1:])])
    high, low = np.maximum(inside.max(axis=1), 0.0), np.minimum(inside.min(axis=1), 0.0)
    return Bars.of(np.exp(opens), np.exp(opens + high), np.exp(opens + low), np.exp(opens + inside[:, -1]))


MISSED = 0.5826
"""By which the highest of many steps falls short of the highest between them, in steps (Chernoff 1965)."""
MEAN_RANGE = np.sqrt(8 / np.pi)
"""Of a random walk, in standard deviations of its end (Feller 1951)."""


@pytest.mark.parametrize(
    ("estimator", "slope"), [(parkinson, 1 / (2 * np.log(2))), (garman_klass, 1.0), (rogers_satchell, 1.0)]
)
def test_range_estimators_find_the_variance_of_a_walk(estimator, slope: float) -> None:
    bars = simulated_bars(4_000, 1_000, 0.04)
    # Steps miss the extremes on both sides; how much of the variance that is follows from the formula's slope.
    seen = 1.0 - slope * MEAN_RANGE * 2 * MISSED / np.sqrt(1_000)
    assert estimator(bars).mean() == pytest.approx(0.04**2 * seen, rel=0.025)


def test_ranges_know_more_than_returns() -> None:
    bars = simulated_bars(2_000, 400, 0.04)
    spread = {"return": np.var(bars.returns**2), "range": np.var(parkinson(bars)), "bar": np.var(garman_klass(bars))}
    # Theory: 5.2 and 7.4 times as efficient.
    assert spread["return"] / spread["range"] == pytest.approx(5.2, rel=0.25)
    assert spread["return"] / spread["bar"] == pytest.approx(7.4, rel=0.25)


def test_a_drift_disturbs_parkinson_but_not_rogers_and_satchell() -> None:
    bars = simulated_bars(4_000, 1_000, 0.02, drift=0.04)
    assert parkinson(bars).mean() > 1.8 * 0.02**2
    # With so strong a drift a thousand steps miss about a tenth.
    assert rogers_satchell(bars).mean() == pytest.approx(0.91 * 0.02**2, rel=0.03)


def test_yang_and_zhang_see_gaps() -> None:
    bars = simulated_bars(4_000, 500, 0.02, drift=0.01, gap=0.03)
    assert yang_zhang(bars) == pytest.approx(0.02**2 + 0.03**2, rel=0.08)
    assert garman_klass(bars).mean() == pytest.approx(0.02**2, rel=0.1)


def test_formulas_on_one_bar() -> None:
    bars = Bars.of([100.0], [110.0], [95.0], [105.0])
    up, body = np.log(110 / 95), np.log(105 / 100)
    assert parkinson(bars)[0] == pytest.approx(up**2 / (4 * np.log(2)))
    assert garman_klass(bars)[0] == pytest.approx(0.5 * up**2 - (2 * np.log(2) - 1) * body**2)
    expected = np.log(110 / 105) * np.log(110 / 100) + np.log(95 / 105) * np.log(95 / 100)
    assert rogers_satchell(bars)[0] == pytest.approx(expected)


def test_windowed_yang_zhang_is_each_windows() -> None:
    bars = simulated_bars(60, 50, 0.03, gap=0.01)
    series = windowed_yang_zhang(bars, 20)
    part = slice(60 - 21, 60)
    window = Bars(bars.opens[part], bars.highs[part], bars.lows[part], bars.closes[part])
    assert series[-1] == yang_zhang(window)
    assert np.isnan(series[:21]).all()
    assert np.isfinite(series[21:]).all()


def test_close_to_close_is_the_sample_variance() -> None:
    returns = np.random.default_rng(0).standard_normal(50)
    assert close_to_close(returns) == pytest.approx(returns.var(ddof=1))
    assert close_to_close(returns, demean=False) == pytest.approx(np.mean(returns**2))


@pytest.mark.parametrize(
    ("bar", "said"),
    [
        ((1.0, 2.0, 0.5, 3.0), "outside low and high"),
        ((1.0, 2.0, 0.0, 1.5), r"lows\[0\] is 0.0"),
        ((1.0, 2.0, -1.0, 1.5), "must be positive"),
        ((np.nan, 2.0, 1.0, 1.5), r"opens\[0\] is nan"),
    ],
)
def test_impossible_bars_are_refused(bar: tuple[float, ...], said: str) -> None:
    with pytest.raises(ForecastError, match=said):
        Bars.of(*([value] for value in bar))


def test_a_mistyped_low_is_cut_off_and_a_crash_is_not() -> None:
    bars = simulated_bars(60, 100, 0.03)
    lows, closes = bars.lows.copy(), bars.closes.copy()
    lows[30] = 1e-4 * bars.opens[30]
    closes[40], lows[40] = 0.6 * bars.opens[40], 0.55 * bars.opens[40]
    odd = Bars.of(bars.opens, bars.highs, lows, closes)
    raw = parkinson(odd)
    tamed = capped(raw, odd.returns)
    assert tamed[30] < 0.05 * raw[30]
    assert tamed[40] == raw[40]
    assert (np.delete(tamed, [30, 41]) == np.delete(raw, [30, 41])).all()


def hourly(days: int, volatility: float = 0.04, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Times and prices at each full hour, the first at midnight."""
    rng = np.random.default_rng(seed)
    steps = volatility / np.sqrt(24) * rng.standard_normal(24 * days)
    return np.arange(24 * days + 1) * 3_600, np.exp(np.concatenate([[0.0], np.cumsum(steps)]))


def test_realised_variance_sums_each_days_squares() -> None:
    times, prices = hourly(3)
    found = realised_variance(times, prices)
    squares = np.diff(np.log(prices)) ** 2
    np.testing.assert_allclose(found.variances, squares.reshape(3, 24).sum(axis=1))
    assert found.starts.tolist() == [0, DAY, 2 * DAY]
    np.testing.assert_allclose(found.closes, prices[24::24])


def test_an_outage_loses_nothing_of_the_move_and_thin_days_are_left_out() -> None:
    times, prices = hourly(5)
    keep = np.ones(times.size, dtype=bool)
    keep[30:33] = False  # three hours of the second day
    keep[50:70] = False  # nearly all of the third
    found = realised_variance(times[keep], prices[keep])
    assert found.starts.tolist() == [0, DAY, 3 * DAY, 4 * DAY]
    assert found.counts.tolist() == [24, 21, 24, 24]
    logs = np.log(prices[keep])
    second = (times[keep] > DAY) & (times[keep] <= 2 * DAY)
    first = int(np.argmax(second))
    assert found.variances[1] == pytest.approx(np.sum(np.diff(logs[first - 1 : first + 21]) ** 2))


def test_an_unfinished_day_is_left_out() -> None:
    times, prices = hourly(3)
    assert realised_variance(times[:-2], prices[:-2]).starts.tolist() == [0, DAY]


@pytest.mark.parametrize("at", [0, 17])
def test_realised_variance_names_a_bad_price(at: int) -> None:
    times, prices = hourly(2)
    prices[at] = 0.0
    with pytest.raises(ForecastError, match=f"price 0.0 at time {times[at]}"):
        realised_variance(times, prices)


def measured_sample(rows: int, seed: int = 0) -> Sample:
    """Persistent variances, measured with noise."""
    rng = np.random.default_rng(seed)
    log_h = np.zeros(rows)
    for t in range(1, rows):
        log_h[t] = 0.97 * log_h[t - 1] + 0.25 * rng.standard_normal()
    h = np.exp(log_h)
    return Sample.of(np.sqrt(h) * rng.standard_normal(rows), h * np.exp(0.3 * rng.standard_normal(rows) - 0.045))


def test_har_is_the_regression_it_says() -> None:
    sample = measured_sample(400)
    fit = Har().fit(sample)
    logs = np.log(sample.measured)
    rows = range(29, 399)
    x = np.array([[1, logs[t], np.log(sample.measured[t - 6 : t + 1].mean()),
                   np.log(sample.measured[t - 29 : t + 1].mean())] for t in rows])  # fmt: skip
    expected = np.linalg.lstsq(x, logs[30:], rcond=None)[0]
    np.testing.assert_allclose(fit.coefficients, expected, rtol=1e-8, atol=1e-10)
    scale = np.mean(sample.returns**2) / np.mean(sample.measured)
    predicted = scale * np.exp(x[-1] @ expected + fit.noise / 2)
    assert fit.variances(sample)[399] == pytest.approx(predicted)


def test_har_beats_garch_where_variances_are_measured() -> None:
    sample = measured_sample(2_000, seed=4)
    train = sample.head(1_500)
    har, garch = Har().fit(train), Garch().fit(train)
    after = slice(1_500, 2_000)
    test = diebold_mariano(
        qlike(har.variances(sample)[after], sample.returns[after] ** 2),
        qlike(garch.variances(sample)[after], sample.returns[after] ** 2),
    )
    assert test.statistic < -2.0


def test_har_ahead_goes_back_to_the_mean() -> None:
    sample = measured_sample(1_500, seed=1)
    path = Har().fit(sample).forecast(sample, 60)
    usual = np.mean(sample.returns**2)
    assert abs(np.log(path[-1] / usual)) < abs(np.log(path[0] / usual)) or abs(np.log(path[0] / usual)) < 0.3
    assert (path > 0).all()


def test_ewma_is_the_recursion() -> None:
    sample = Sample(np.random.default_rng(0).standard_normal(100))
    fit = Ewma(0.9).fit(sample)
    series = fit.variances(sample)
    for t in range(100):
        assert series[t + 1] == pytest.approx(0.9 * series[t] + 0.1 * sample.returns[t] ** 2)


def test_ewmas_decay_is_found() -> None:
    rng = np.random.default_rng(2)
    returns, h = np.empty(6_000), 1.0
    for t in range(6_000):
        returns[t] = np.sqrt(h) * rng.standard_normal()
        h = 0.05 + 0.95 * (0.9 * h + 0.1 * returns[t] ** 2)
    assert 0.85 < Ewma(None).fit(Sample(returns)).decay < 0.95


def test_rolling_is_the_mean_of_the_window() -> None:
    sample = measured_sample(50)
    series = Rolling(20).fit(sample).variances(sample)
    assert series[-1] == pytest.approx(sample.measured[-20:].mean())
    assert np.isnan(series[:20]).all()


def test_implied_variance_is_linear_between_quotes() -> None:
    term = ImpliedTerm.of([7 / 365, 30 / 365], [0.8, 0.6])
    total = term.total_variance([0.0, 7 / 365, 18.5 / 365, 30 / 365, 60 / 365])
    first, second = 0.64 * 7 / 365, 0.36 * 30 / 365
    np.testing.assert_allclose(total, [0.0, first, (first + second) / 2, second, second + 0.36 * 30 / 365])
    path = term.forecast(30, 365.0)
    assert path.sum() == pytest.approx(second)
    assert path[0] == pytest.approx(0.64 / 365)


def test_a_premium_is_divided_out() -> None:
    assert ImpliedTerm.of([0.1], [0.5], premium=1.25).forecast(1, 365)[0] == pytest.approx(0.25 / 365 / 1.25)
    assert variance_premium(np.full(40, 0.5), np.full(40, 0.4)) == pytest.approx(1.25)


def test_a_calendar_arbitrage_is_refused() -> None:
    with pytest.raises(ForecastError, match=r"falls at expiry 0\.2 \(calendar arbitrage\)"):
        ImpliedTerm.of([0.1, 0.2], [0.9, 0.5])


def test_weights_move_to_the_better_model() -> None:
    rng = np.random.default_rng(0)
    h = np.exp(0.5 * rng.standard_normal(1_000))
    forecasts = np.column_stack([h, np.full(1_000, 3.0)])
    weights = learn_weights(forecasts, h * rng.chisquare(1, 1_000))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert weights[0].tolist() == [0.5, 0.5]
    assert weights[-1, 0] > 0.8


def test_a_model_that_was_wrong_comes_back() -> None:
    good, bad = np.ones(1_500), np.full(1_500, 4.0)
    forecasts = np.column_stack(
        [np.where(np.arange(1_500) < 1_000, bad, good), np.where(np.arange(1_500) < 1_000, good, bad)]
    )
    weights = learn_weights(forecasts, good)
    assert weights[999, 0] < 0.2
    assert weights[-1, 0] > 0.7


def test_a_row_without_a_forecast_teaches_nothing() -> None:
    forecasts = np.ones((10, 2))
    forecasts[:, 1] = 2.0
    forecasts[4, 0] = np.nan
    weights = learn_weights(forecasts, np.ones(10))
    assert (weights[5] == weights[4]).all()
    assert (weights[6] != weights[5]).all()


def test_a_combination_is_between_its_members() -> None:
    sample = measured_sample(500)
    fit = Combination((Har(), Garch())).fit(sample)
    assert sum(fit.parameters.values()) == pytest.approx(1.0)
    members = np.array([one.forecast(sample, 5) for one in fit.fits])
    mixed = fit.forecast(sample, 5)
    assert (mixed >= members.min(axis=0)).all()
    assert (mixed <= members.max(axis=0)).all()


def test_quasi_likelihood_is_least_at_the_truth() -> None:
    realised = np.full(1, 2.0)
    losses = [qlike(np.array([h]), realised)[0] for h in (1.0, 1.9, 2.0, 2.1, 4.0)]
    assert int(np.argmin(losses)) == 2


def test_diebold_mariano_is_the_published_formula() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(400)
    difference = noise[1:] + 0.6 * noise[:-1] + 0.1
    test = diebold_mariano(difference, np.zeros(399), lags=3)
    centered = difference - difference.mean()
    long_run = sum((1 - abs(k) / 4) * np.sum(centered[abs(k) :] * centered[: 399 - abs(k)]) / 399 for k in range(-3, 4))
    assert test.statistic == pytest.approx(difference.mean() / np.sqrt(long_run / 399))


def test_diebold_mariano_is_statsmodels_hac() -> None:
    import statsmodels.api as sm

    difference = np.random.default_rng(1).standard_normal(300) + 0.1
    theirs = sm.OLS(difference, np.ones(300)).fit(cov_type="HAC", cov_kwds={"maxlags": 5, "use_correction": False})
    assert diebold_mariano(difference, np.zeros(300), lags=5).statistic == pytest.approx(float(theirs.tvalues[0]))
