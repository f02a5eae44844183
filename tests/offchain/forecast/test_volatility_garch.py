# SPDX-License-Identifier: Apache-2.0
"""The GARCH family's likelihood, search and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import digamma as scipy_digamma

from offchain.forecast import ForecastError
from offchain.forecast.volatility import Egarch, Errors, Garch, Gjr, Sample, volatility_model
from offchain.forecast.volatility import likelihood as kernel
from offchain.forecast.volatility.density import NORMAL, SKEWED, STUDENT, density_constants, digamma, log_density
from offchain.forecast.volatility.moments import lower_square, quantile

NOTHING = np.zeros((0, 0))


def path(rows: int, seed: int = 0, alpha: float = 0.1, beta: float = 0.85, nu: float | None = None) -> np.ndarray:
    """A GARCH(1,1) path with a volatility of about one."""
    rng = np.random.default_rng(seed)
    returns, h = np.empty(rows), 1.0
    for t in range(rows):
        shock = rng.standard_normal() if nu is None else rng.standard_t(nu) * np.sqrt((nu - 2) / nu)
        returns[t] = np.sqrt(h) * shock
        h = 1.0 - alpha - beta + alpha * returns[t] ** 2 + beta * h
    return returns


def slow_log_likelihood(theta: np.ndarray, returns: np.ndarray, recursion: int) -> float:
    """The recursion as its formula reads, normal errors, mean squared residual before the first row."""
    mu, omega, alpha, gamma, beta = theta[:5]
    e = returns - mu
    h, before, shock = np.mean(e**2), np.mean(e**2), np.mean(e)
    total = 0.0
    for t in range(len(e)):
        if recursion == kernel.EGARCH:
            z = (shock if t == 0 else e[t - 1]) / np.sqrt(h)
            h = np.exp(omega + alpha * z + gamma * (abs(z) - np.sqrt(2 / np.pi)) + beta * np.log(h))
        elif t == 0:
            h = omega + (alpha + gamma / 2) * before + beta * before
        else:
            h = omega + (alpha + gamma * (e[t - 1] < 0)) * e[t - 1] ** 2 + beta * h
        total += -0.5 * (np.log(2 * np.pi) + np.log(h) + e[t] ** 2 / h)
    return total


THETA = np.array([0.02, 0.05, 0.08, 0.04, 0.86, 7.0, -0.15])


@pytest.mark.parametrize("recursion", [kernel.GARCH, kernel.GJR, kernel.EGARCH])
def test_the_kernel_says_what_the_formula_says(recursion: int) -> None:
    returns = path(300)
    theta = THETA.copy()
    if recursion == kernel.GARCH:
        theta[kernel.GAMMA] = 0.0
    found = kernel.log_likelihood(theta, returns, recursion, NORMAL, kernel.SAMPLE, 0.0, np.zeros(7), NOTHING)
    assert found == pytest.approx(slow_log_likelihood(theta, returns, recursion), rel=1e-12)


@pytest.mark.parametrize("start", [kernel.SAMPLE, kernel.GIVEN])
@pytest.mark.parametrize("errors", [NORMAL, STUDENT, SKEWED])
@pytest.mark.parametrize("recursion", [kernel.GARCH, kernel.GJR, kernel.EGARCH])
def test_the_gradient_is_the_likelihoods(recursion: int, errors: int, start: int) -> None:
    returns, slope, outer = path(200), np.zeros(7), np.zeros((7, 7))
    theta = THETA.copy()
    theta[kernel.GAMMA] = 0.0 if recursion == kernel.GARCH else 0.04

    def value(at: np.ndarray) -> float:
        return kernel.log_likelihood(at, returns, recursion, errors, start, 0.9, np.zeros(7), NOTHING)

    kernel.log_likelihood(theta, returns, recursion, errors, start, 0.9, slope, outer)
    for i in range(7):
        if recursion == kernel.GARCH and i == kernel.GAMMA:
            continue
        step = np.zeros(7)
        step[i] = 1e-5
        assert slope[i] == pytest.approx((value(theta + step) - value(theta - step)) / 2e-5, rel=2e-6, abs=2e-6)
    assert np.linalg.eigvalsh(outer)[0] > -1e-9


def test_the_fast_path_is_the_general_one() -> None:
    returns, fast, slow, outer = path(500), np.zeros(7), np.zeros(7), np.zeros((7, 7))
    theta = np.array([0.02, 0.05, 0.1, 0.0, 0.85, 0.0, 0.0])
    arguments = (theta, returns, kernel.GARCH, NORMAL, kernel.SAMPLE, 0.0)
    assert kernel.log_likelihood(*arguments, fast, NOTHING) == pytest.approx(
        kernel.log_likelihood(*arguments, slow, outer), rel=1e-13
    )
    np.testing.assert_allclose(fast[[0, 1, 2, 4]], slow[[0, 1, 2, 4]], rtol=1e-10)


def test_digamma() -> None:
    for x in (0.6, 1.0, 2.5, 9.9, 40.0, 300.0):
        assert digamma(x) == pytest.approx(float(scipy_digamma(x)), rel=1e-12)


@pytest.mark.parametrize(("nu", "skew"), [(3.0, 0.0), (5.0, -0.3), (12.0, 0.4)])
def test_shocks_have_mean_zero_variance_one_and_their_quantiles(nu: float, skew: float) -> None:
    constants = density_constants(SKEWED, nu, skew)

    def density(z: float) -> float:
        return float(np.exp(log_density(z, SKEWED, nu, skew, constants)[0]))

    for power, expected in ((0, 1.0), (1, 0.0), (2, 1.0)):
        parts = [
            quad(lambda z, k=power: z**k * density(z), *span, limit=200)[0] for span in ((-np.inf, 0), (0, np.inf))
        ]
        assert sum(parts) == pytest.approx(expected, abs=2e-4 if power == 2 else 1e-6)
    for level in (0.01, 0.3, 0.5, 0.95):
        assert quad(density, -np.inf, quantile(level, SKEWED, nu, skew))[0] == pytest.approx(level, abs=1e-6)


def test_half_of_the_variance_is_below_zero_without_skew() -> None:
    assert lower_square(STUDENT, 6.0, 0.0) == 0.5
    assert lower_square(SKEWED, 6.0, 0.0) == pytest.approx(0.5, abs=1e-8)
    assert lower_square(SKEWED, 6.0, -0.4) > 0.6


def test_the_truth_is_found_again() -> None:
    fit = Garch(errors=Errors.STUDENT).fit(Sample(path(20_000, nu=6.0)))
    assert fit.parameters["alpha"] == pytest.approx(0.1, abs=0.02)
    assert fit.parameters["beta"] == pytest.approx(0.85, abs=0.03)
    assert fit.parameters["nu"] == pytest.approx(6.0, rel=0.12)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_the_unit_of_the_returns_does_not_matter(scale: float) -> None:
    returns = path(700, seed=3)
    one, other = Gjr().fit(Sample(returns)), Gjr().fit(Sample(returns * scale))
    assert other.parameters["beta"] == pytest.approx(one.parameters["beta"], rel=1e-6)
    assert other.parameters["omega"] == pytest.approx(one.parameters["omega"] * scale**2, rel=1e-5)
    assert other.log_likelihood == pytest.approx(one.log_likelihood - 700 * np.log(scale), abs=1e-6)


def test_returns_without_clusters_give_a_boundary_not_an_error() -> None:
    returns = np.random.default_rng(5).standard_normal(800)
    for model in (Garch(), Gjr(), Garch(errors=Errors.SKEWED)):
        fit = model.fit(Sample(returns))
        assert np.isfinite(fit.log_likelihood)
        assert fit.forecast(Sample(returns), 5) == pytest.approx(np.ones(5), rel=0.2)


def test_egarch_search_among_parameters_that_run_away_ends_with_an_error() -> None:
    # Without clusters the likelihood climbs to where the recursion is chaotic and its curvature is not finite.
    returns = np.random.default_rng(5).standard_normal(800)
    with pytest.raises(ForecastError, match="no clear maximum"):
        Egarch().fit(Sample(returns))


def test_forecasts_go_to_the_long_run_variance() -> None:
    sample = Sample(path(3_000, seed=8))
    fit = Garch().fit(sample)
    p = fit.parameters
    long_run = p["omega"] / (1 - p["alpha"] - p["beta"])
    assert fit.forecast(sample, 2_000)[-1] == pytest.approx(long_run, rel=1e-6)


@pytest.mark.parametrize("model", [Garch(), Egarch()])
def test_too_few_returns_are_refused(model: Garch | Egarch) -> None:
    with pytest.raises(ForecastError, match="59 returns, at least 60 needed"):
        model.fit(Sample(path(59)))


def test_returns_that_do_not_move_are_refused() -> None:
    with pytest.raises(ForecastError, match=r"all 100 returns are 0\.5"):
        Garch().fit(Sample(np.full(100, 0.5)))


def test_a_return_that_is_no_number_is_named() -> None:
    returns = path(100)
    returns[42] = np.nan
    with pytest.raises(ForecastError, match=r"returns\[42\] is nan"):
        Sample(returns)


def test_an_unknown_model_lists_the_known() -> None:
    with pytest.raises(ForecastError, match="garch, gjr, egarch, ewma, har"):
        volatility_model("arima")


@pytest.mark.parametrize("name", ["garch", "garch-t", "gjr-skewt", "egarch-normal", "ewma", "har", "recommended"])
def test_names_make_models(name: str) -> None:
    assert hasattr(volatility_model(name), "fit")
