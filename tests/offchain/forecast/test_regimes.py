# SPDX-License-Identifier: Apache-2.0
"""Hidden states and change points against other programs, and against enumeration."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hmmlearn.hmm import GaussianHMM
from scipy.stats import multivariate_t
from scipy.stats import t as student

from offchain.forecast import ForecastError
from offchain.forecast.regimes import Hamilton, Hmm, change_points, change_probabilities, regime_summary
from offchain.forecast.regimes.changes import BURN
from offchain.forecast.regimes.hmm import HmmFit
from tests.support.recorded import recorded


def switching(rows: int, seed: int = 0, nu: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Returns of a calm and a wild state that last 50 and 20 rows, and the states."""
    rng = np.random.default_rng(seed)
    states = np.zeros(rows, dtype=int)
    for t in range(1, rows):
        states[t] = states[t - 1] ^ (rng.random() < (0.05 if states[t - 1] else 0.02))
    shocks = rng.standard_normal(rows) if nu is None else rng.standard_t(nu, rows) * np.sqrt((nu - 2) / nu)
    return np.array([0.001, -0.002])[states] + np.array([0.01, 0.04])[states] * shocks, states


def as_theirs(fit: HmmFit) -> GaussianHMM:
    model = GaussianHMM(n_components=len(fit.start), covariance_type="full", init_params="", params="")
    model.startprob_, model.transmat_ = fit.start, fit.transition
    model.means_, model.covars_ = fit.means, fit.scales
    return model


def test_likelihood_and_probabilities_are_hmmlearns() -> None:
    returns, _ = switching(600)
    fit = Hmm(2).fit(returns)
    theirs = as_theirs(fit)
    assert fit.log_likelihood == pytest.approx(theirs.score(returns[:, None]), abs=1e-8)
    filtered = fit.filtered(returns)
    for row in (3, 100, 599):
        # The last smoothed probability of a prefix is a filtered one.
        np.testing.assert_allclose(filtered[row], theirs.predict_proba(returns[: row + 1, None])[-1], atol=1e-10)


def test_the_fit_is_at_least_as_good_as_hmmlearns() -> None:
    returns, _ = switching(1_500, seed=1)
    theirs = GaussianHMM(n_components=2, covariance_type="full", n_iter=500, tol=1e-6, random_state=0)
    theirs.fit(returns[:, None])
    assert Hmm(2).fit(returns).log_likelihood >= theirs.score(returns[:, None]) - 1e-3


def test_states_are_found_and_told_calm_first() -> None:
    returns, states = switching(5_000, seed=2)
    fit = Hmm(2).fit(returns)
    assert np.sqrt(fit.covariances[:, 0, 0]) == pytest.approx([0.01, 0.04], rel=0.06)
    assert fit.durations == pytest.approx([50.0, 20.0], rel=0.35)
    assert (fit.filtered(returns).argmax(axis=1) == states).mean() > 0.93
    calm, wild = regime_summary(fit, 365.0)
    assert calm["share"] == pytest.approx(5 / 7, abs=0.1)
    assert wild["volatility"] == pytest.approx(0.04 * np.sqrt(365), rel=0.06)


def test_students_states_have_their_density_and_take_outliers() -> None:
    returns, _ = switching(4_000, seed=3, nu=4.0)
    fit = Hmm(2, "t").fit(returns)
    assert (fit.degrees < 8.0).all()
    assert fit.log_likelihood > Hmm(2).fit(returns).log_likelihood + 20.0
    rows = returns[:5, None]
    for state in range(2):
        theirs = multivariate_t(fit.means[state], fit.scales[state], df=fit.degrees[state]).logpdf(rows)
        np.testing.assert_allclose(fit._log_densities(rows)[:, state], theirs, rtol=1e-10)


def test_the_next_states_follow_the_chain() -> None:
    returns, _ = switching(600)
    fit = Hmm(2).fit(returns)
    np.testing.assert_allclose(
        fit.next(returns, 3), fit.filtered(returns)[-1] @ fit.transition @ fit.transition @ fit.transition
    )
    np.testing.assert_allclose(fit.next(returns, 5_000), fit.stationary, atol=1e-6)


def test_too_few_or_still_rows_are_refused() -> None:
    with pytest.raises(ForecastError, match="30 returns for 2 states, at least 40"):
        Hmm(2).fit(np.random.default_rng(0).standard_normal(30))
    with pytest.raises(ForecastError, match="does not move"):
        Hmm(2).fit(np.zeros(100))
    with pytest.raises(ForecastError, match="return 7 is not a number"):
        Hmm(2).fit(np.where(np.arange(100) == 7, np.nan, 1.0))


def test_hamiltons_optimum_and_probabilities_are_statsmodels() -> None:
    import statsmodels.api as sm

    series = np.loadtxt(recorded("reference/hamilton_rgnp_growth.csv"), delimiter=",", skiprows=1, usecols=1)
    fit = Hamilton(lags=4).fit(series)
    theirs = sm.tsa.MarkovAutoregression(series, k_regimes=2, order=4, switching_ar=False)
    at = np.array([fit.stay[0], 1.0 - fit.stay[1], *fit.means, fit.variance, *fit.ar])
    assert theirs.loglike(at) == pytest.approx(fit.log_likelihood, abs=1e-8)
    # No step of a millionth in any parameter is better by their likelihood: it is their optimum too.
    steps = 1e-6 * np.eye(at.size)
    assert max(theirs.loglike(at + sign * step) for step in steps for sign in (-1, 1)) <= fit.log_likelihood + 1e-9
    filtered = theirs.filter(at).filtered_marginal_probabilities
    np.testing.assert_allclose(fit.filtered(series), filtered, atol=1e-8)


@cache
def run_length_chances() -> tuple[np.ndarray, np.ndarray]:
    """Adams and MacKay's recursion written out with scipy's density: values and P(change within 7 rows)."""
    rng = np.random.default_rng(4)
    values = np.concatenate([rng.normal(0, 1, 60), rng.normal(0, 4, 40)])
    hazard, scale = 1 / 250, float(np.mean(values[:BURN] ** 2))
    chance, shapes, scales = np.array([1.0]), np.array([1.0]), np.array([scale])
    out = np.empty(values.size)
    for t, value in enumerate(values):
        mass = chance * student.pdf(value, 2 * shapes, scale=np.sqrt(scales / shapes))
        chance = np.append(hazard * mass.sum(), (1 - hazard) * mass) / mass.sum()
        shapes = np.append(1.0, shapes + 0.5)
        scales = np.append(scale, scales + 0.5 * value**2)
        out[t] = chance[:8].sum()
    return values, np.where(np.arange(values.size) < BURN, 0.0, out)


def test_chances_of_a_change_are_the_published_recursions() -> None:
    values, expected = run_length_chances()
    np.testing.assert_allclose(change_probabilities(values).recent, expected, atol=1e-10)


def test_a_change_in_volatility_is_told_within_days_and_calm_is_not() -> None:
    rng = np.random.default_rng(6)
    values = np.concatenate([rng.normal(0, 0.02, 400), rng.normal(0, 0.08, 60)])
    recent = change_probabilities(values).recent
    assert recent[:395].max() < 0.5
    assert recent[400:412].max() > 0.9


def test_liquidity_that_leaves_a_pool_is_told() -> None:
    rng = np.random.default_rng(7)
    liquidity = np.exp(30.0 + np.cumsum(np.zeros(300)) + 0.02 * rng.standard_normal(300))
    liquidity[200:] *= 0.7
    told = change_probabilities(np.log(liquidity), of="level")
    assert told.recent[150:200].max() < 0.1
    assert told.recent[200:206].max() > 0.9
    assert change_points(np.log(liquidity), of="level").tolist() == [200]


@pytest.mark.parametrize("of", ["variance", "level"])
def test_change_points_are_the_cheapest_of_all_segmentations(of: str) -> None:
    rng = np.random.default_rng(8)
    values = np.concatenate(
        [rng.normal(0, 1, 40), rng.normal(3 if of == "level" else 0, 3, 30), rng.normal(0, 0.5, 35)]
    )
    least, price = 10, (4.0 if of == "level" else 3.0) * np.log(values.size)

    def cost(start: int, end: int) -> float:
        part = values[start:end]
        variance = part.var() if of == "level" else np.mean(part**2)
        return part.size * (np.log(variance) + 1.0)

    @cache
    def best(end: int) -> tuple[float, tuple[int, ...]]:
        options = [(cost(0, end), ())]
        for last in range(least, end - least + 1):
            before, points = best(last)
            options.append((before + price + cost(last, end), (*points, last)))
        return min(options)

    assert change_points(values, of=of).tolist() == list(best(values.size)[1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.ones(20), "more than 30 rows"),
        (np.zeros(50), "the first 30 values are all"),
        (np.append(np.arange(60.0), np.nan), "value 60 is not a number"),
    ],
)
def test_values_of_no_use_are_refused(values: np.ndarray, said: str) -> None:
    with pytest.raises(ForecastError, match=said):
        change_probabilities(values)
