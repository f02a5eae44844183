# SPDX-License-Identifier: Apache-2.0
"""Shrunk, denoised, factor and dynamic covariances: against other libraries, and against what was put in."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.covariance import OAS
from sklearn.decomposition import FactorAnalysis

from offchain.forecast import ForecastError
from offchain.forecast.covariance import annual_covariance, correlation_of, oas_covariance
from offchain.forecast.covariance.dcc import Dcc, standardised
from offchain.forecast.covariance.denoised import denoised_covariance, marchenko_pastur_edge, signal_count
from offchain.forecast.covariance.factor import factor_model
from offchain.mandate import Covariance

MODELS = {one.model_fields["kind"].annotation.__args__[0]: one for one in get_args(get_args(Covariance)[0])}


def estimate(kind: str, returns: np.ndarray) -> np.ndarray:
    settings: dict[str, Any] = {"half_life_days": 60.0} if kind == "ewma" else {}
    return annual_covariance(returns, MODELS[kind](kind=kind, window_days=365.0, **settings), 365.0, 7.0)


def factor_returns(rows: int, assets: int, seed: int = 0, unequal: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Returns of one common factor and noise, and their true covariance."""
    rng = np.random.default_rng(seed)
    loadings = 0.02 * rng.uniform(1 - unequal, 1 + unequal, assets)
    specific = 0.015 * rng.uniform(1 - unequal, 1 + unequal, assets)
    returns = rng.standard_normal((rows, 1)) * loadings + rng.standard_normal((rows, assets)) * specific
    return returns, np.outer(loadings, loadings) + np.diag(specific**2)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("trouble", ["none", "fewer rows than assets", "an asset stands still", "two are the same"])
def test_every_model_is_positive_definite_whatever_comes(kind: str, trouble: str) -> None:
    # DCC wants sixty rows; the others are given fewer rows than assets.
    returns, _ = factor_returns(12 if trouble == "fewer rows than assets" and kind != "dcc" else 70, 15, seed=3)
    if trouble == "an asset stands still":
        returns[:, 4] = 0.0
    if trouble == "two are the same":
        returns[:, 4] = returns[:, 5]
    found = estimate(kind, returns)
    assert (found == found.T).all()
    np.linalg.cholesky(found)


@pytest.mark.parametrize("kind", MODELS)
def test_every_model_finds_the_truth_in_much_data(kind: str) -> None:
    # Equal noise: denoised correlations have no other.
    returns, truth = factor_returns(6_000, 4 if kind == "dcc" else 20, unequal=0.0 if kind == "denoised" else 0.5)
    found = estimate(kind, returns)
    np.testing.assert_allclose(found, 365.0 * truth, rtol=0.5 if kind == "ewma" else 0.12, atol=0.01)


def test_oas_is_sklearns() -> None:
    returns, _ = factor_returns(60, 8)
    np.testing.assert_allclose(oas_covariance(returns), OAS().fit(returns).covariance_, rtol=1e-12)


def test_noise_stays_below_the_edge_and_a_factor_stands_above() -> None:
    rng = np.random.default_rng(1)
    for rows, assets in ((500, 50), (1_000, 300)):
        noise = np.linalg.eigvalsh(np.corrcoef(rng.standard_normal((rows, assets)), rowvar=False))
        assert noise[-1] == pytest.approx(marchenko_pastur_edge(assets, rows), rel=0.05)
        assert signal_count(noise, rows) <= 1
    returns, _ = factor_returns(500, 50)
    assert signal_count(np.linalg.eigvalsh(np.corrcoef(returns, rowvar=False)), 500) == 1


def test_denoised_keeps_variances_and_is_closer_to_the_truth() -> None:
    returns, truth = factor_returns(120, 40, seed=5, unequal=0.0)
    sample, cleared = np.cov(returns, rowvar=False), denoised_covariance(returns)
    np.testing.assert_allclose(np.diag(cleared), np.diag(sample))
    true = correlation_of(truth)
    errors = [np.linalg.norm(correlation_of(one) - true) for one in (cleared, sample)]
    assert errors[0] < 0.7 * errors[1]


def test_factor_model_keeps_each_assets_variance_and_finds_the_loadings() -> None:
    returns, truth = factor_returns(5_000, 12, seed=2)
    model = factor_model(returns, 1)
    np.testing.assert_allclose(np.diag(model.covariance), np.var(returns, axis=0, ddof=1), rtol=1e-10)
    np.testing.assert_allclose(correlation_of(model.covariance), correlation_of(truth), atol=0.03)
    assert (model.specific > 0.0).all()
    assert factor_model(returns).loadings.shape == (12, 1)
    with pytest.raises(ForecastError, match="13 factors for 12 assets"):
        factor_model(returns, 13)


def test_factor_loadings_are_those_of_maximum_likelihood() -> None:
    returns, _ = factor_returns(2_000, 10, seed=8)
    theirs = FactorAnalysis(1, tol=1e-10, max_iter=5_000).fit((returns - returns.mean(axis=0)) / returns.std(axis=0))
    ours = factor_model(returns, 1).loadings[:, 0] / returns.std(axis=0, ddof=1)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs.components_[0]), atol=0.01)


def dynamic_returns(rows: int, a: float, b: float, seed: int = 0) -> np.ndarray:
    """Returns of variance one whose correlation follows Engle's recursion."""
    rng = np.random.default_rng(seed)
    target = np.array([[1.0, 0.5, 0.3], [0.5, 1.0, 0.4], [0.3, 0.4, 1.0]])
    q, out = target.copy(), np.empty((rows, 3))
    for t in range(rows):
        out[t] = np.linalg.cholesky(correlation_of(q)) @ rng.standard_normal(3)
        q = (1 - a - b) * target + a * np.outer(out[t], out[t]) + b * q
    return out


def test_dynamic_correlations_have_the_densitys_likelihood() -> None:
    returns = dynamic_returns(300, 0.05, 0.9)
    fit = Dcc().fit(returns)
    shocks = standardised(returns, fit.variances)
    expected = sum(
        multivariate_normal(cov=matrix).logpdf(shock) - multivariate_normal(cov=np.eye(3)).logpdf(shock)
        for shock, matrix in zip(shocks, fit.correlations(returns), strict=False)
    )
    assert fit.log_likelihood == pytest.approx(expected, rel=1e-9)


def test_the_recursion_behind_the_returns_is_found() -> None:
    fit = Dcc().fit(dynamic_returns(6_000, 0.05, 0.9, seed=4))
    assert fit.a == pytest.approx(0.05, abs=0.015)
    assert fit.b == pytest.approx(0.9, abs=0.04)
    constant = Dcc().fit(dynamic_returns(3_000, 0.0, 0.0, seed=4))
    assert constant.a < 0.015


def test_correlations_ahead_go_back_to_their_mean() -> None:
    returns = dynamic_returns(800, 0.1, 0.85, seed=6)
    returns[-5:] = np.array([[3.0, -3.0, 1.0]] * 5)
    fit = Dcc().fit(returns)
    away = [np.abs(correlation_of(fit.forecast(returns, ahead)) - fit.target).max() for ahead in (1, 10, 400)]
    assert away[0] > away[1] > away[2]
    assert away[2] < 0.1


def test_too_few_rows_for_dynamic_correlations_are_refused() -> None:
    with pytest.raises(ForecastError, match="DCC: 59 returns, at least 60"):
        Dcc().fit(dynamic_returns(59, 0.05, 0.9))
