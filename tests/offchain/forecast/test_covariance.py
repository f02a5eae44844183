# SPDX-License-Identifier: Apache-2.0
"""Covariance estimators against other libraries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf

from offchain.forecast.covariance import annual_covariance, ewma_covariance, ledoit_wolf_covariance, nearest_psd
from offchain.forecast.returns import simple_returns
from offchain.mandate import EwmaCovariance, LedoitWolfCovariance


def returns(rows: int = 300, assets: int = 4, seed: int = 7) -> np.ndarray:
    """Correlated returns with fat tails."""
    rng = np.random.default_rng(seed)
    loadings = rng.standard_normal((assets, assets))
    return 0.01 * rng.standard_t(4, size=(rows, assets)) @ loadings + 0.001


@pytest.mark.parametrize("half_life", [1.0, 20.0, 120.0, 1e6])
def test_ewma_is_pandas_last_row(half_life: float) -> None:
    sample = returns()
    expected = pd.DataFrame(sample).ewm(halflife=half_life).cov().loc[len(sample) - 1].to_numpy()
    np.testing.assert_allclose(ewma_covariance(sample, half_life), expected, rtol=1e-9)


def test_ewma_with_an_endless_half_life_is_the_sample_covariance() -> None:
    sample = returns()
    np.testing.assert_allclose(ewma_covariance(sample, 1e12), np.cov(sample, rowvar=False), rtol=1e-9)


def test_a_row_one_half_life_older_weighs_half() -> None:
    shock = np.zeros((41, 1))
    shock[20] = 1.0
    later = np.zeros((41, 1))
    later[30] = 1.0
    # Means are removed, so the ratio is close to a half, not equal to it.
    assert ewma_covariance(shock, 10)[0, 0] / ewma_covariance(later, 10)[0, 0] == pytest.approx(0.5, abs=0.02)


def test_ledoit_wolf_is_sklearns() -> None:
    sample = returns(rows=60, assets=8)
    np.testing.assert_allclose(ledoit_wolf_covariance(sample), LedoitWolf().fit(sample).covariance_, rtol=1e-12)


def test_ledoit_wolf_shrinks_the_eigenvalues_together() -> None:
    sample = returns(rows=30, assets=12)
    shrunk = np.linalg.eigvalsh(ledoit_wolf_covariance(sample))
    raw = np.linalg.eigvalsh(np.cov(sample, rowvar=False, bias=True))
    assert shrunk[0] > raw[0]
    assert shrunk[-1] < raw[-1]


@pytest.mark.parametrize(
    "model",
    [
        EwmaCovariance(kind="ewma", half_life_days=30, window_days=90),
        LedoitWolfCovariance(kind="ledoit_wolf", window_days=90),
    ],
    ids=lambda model: model.kind,
)
@pytest.mark.parametrize("rows_per_day", [1, 6, 24])
def test_a_year_has_365_days_whatever_the_grid(model: EwmaCovariance | LedoitWolfCovariance, rows_per_day: int) -> None:
    rng = np.random.default_rng(3)
    daily_volatility = 0.04
    sample = rng.standard_normal((4000 * rows_per_day, 1)) * daily_volatility / np.sqrt(rows_per_day)
    annual = annual_covariance(sample, model, 365 * rows_per_day)[0, 0]
    assert np.sqrt(annual) == pytest.approx(daily_volatility * np.sqrt(365), rel=0.25)


@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.floats(0.5, 500))
def test_the_result_is_positive_semidefinite(seed: int, assets: int, half_life_days: float) -> None:
    sample = returns(rows=40, assets=assets, seed=seed)
    sample[:, -1] = sample[:, 0]  # collinear
    model = EwmaCovariance(kind="ewma", half_life_days=half_life_days, window_days=600)
    matrix = annual_covariance(sample, model, 365.0)
    assert (matrix == matrix.T).all()
    assert np.linalg.eigvalsh(matrix)[0] >= -1e-12 * np.trace(matrix)


def test_a_matrix_that_is_psd_is_left_alone() -> None:
    matrix = np.array([[2.0, 1.0], [1.0, 2.0]])
    assert (nearest_psd(matrix) == matrix).all()


def test_a_negative_eigenvalue_is_raised_to_zero() -> None:
    assert np.linalg.eigvalsh(nearest_psd(np.array([[1.0, 2.0], [2.0, 1.0]])))[0] == pytest.approx(0.0, abs=1e-12)


def test_returns_are_simple() -> None:
    np.testing.assert_allclose(simple_returns(np.array([[100.0], [110.0], [99.0]])), [[0.1], [-0.1]])
