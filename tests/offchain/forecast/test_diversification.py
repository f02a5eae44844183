# SPDX-License-Identifier: Apache-2.0
"""Diversification, effective bets, caps from them, and correlations that break in crashes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import special_ortho_group

from offchain.forecast import ForecastError
from offchain.forecast.covariance.breakdown import correlation_breakdown, regime_correlations
from offchain.forecast.covariance.diversification import (
    bet_shares,
    concentration_limit,
    diversification_ratio,
    effective_bets,
    minimum_torsion,
)

EQUAL = np.full(4, 0.25)
CROWDED = np.array([[1.0, 0.8, 0.7, 0.1], [0.8, 1.0, 0.6, 0.2], [0.7, 0.6, 1.0, 0.0], [0.1, 0.2, 0.0, 1.0]])
DEVIATIONS = np.array([0.5, 0.8, 1.1, 0.4])
COVARIANCE = CROWDED * np.outer(DEVIATIONS, DEVIATIONS)


def test_independent_assets_are_as_many_bets_as_there_are() -> None:
    independent = np.eye(4) * 0.36
    assert diversification_ratio(EQUAL, independent) == pytest.approx(2.0)
    assert effective_bets(EQUAL, independent) == pytest.approx(4.0)
    assert effective_bets(np.array([1.0, 0.0, 0.0, 0.0]), independent) == pytest.approx(1.0)


def test_one_asset_under_two_names_is_no_diversification() -> None:
    same = np.full((2, 2), 0.25)
    assert diversification_ratio(np.array([0.5, 0.5]), same) == pytest.approx(1.0)


def test_torsion_gives_uncorrelated_factors() -> None:
    turned = minimum_torsion(COVARIANCE)
    factors = turned @ COVARIANCE @ turned.T
    np.testing.assert_allclose(factors - np.diag(np.diag(factors)), 0.0, atol=1e-10)
    np.testing.assert_allclose(minimum_torsion(np.diag(DEVIATIONS**2)), np.eye(4), atol=1e-10)


def test_no_other_uncorrelated_factors_are_closer_to_the_assets() -> None:
    def distance(turn: np.ndarray) -> float:
        # Factors scaled as well as they can be, each towards its own asset.
        scaled = turn * (np.diag(turn @ COVARIANCE) / np.diag(turn @ COVARIANCE @ turn.T))[:, None]
        away = scaled - np.eye(4)
        return float(np.sum(np.diag(away @ COVARIANCE @ away.T) / DEVIATIONS**2))

    best = distance(minimum_torsion(COVARIANCE))
    values, vectors = np.linalg.eigh(COVARIANCE)
    white = (vectors / np.sqrt(values)) @ vectors.T
    rotations = special_ortho_group.rvs(4, size=500, random_state=0)
    assert best < min(distance(rotation @ white) for rotation in rotations)
    near = [np.linalg.qr(np.eye(4) + 0.01 * rotation)[0] for rotation in rotations]
    unit = minimum_torsion(COVARIANCE)
    unit = unit / np.sqrt(np.diag(unit @ COVARIANCE @ unit.T))[:, None]
    assert best <= min(distance(rotation @ unit) for rotation in near) + 1e-12


def test_shares_are_of_the_whole_variance_and_principal_ones_concentrate() -> None:
    for principal in (False, True):
        shares = bet_shares(EQUAL, COVARIANCE, principal=principal)
        assert shares.sum() == pytest.approx(1.0)
        assert (shares >= 0.0).all()
    assert effective_bets(EQUAL, COVARIANCE, principal=True) < effective_bets(EQUAL, COVARIANCE)


def test_at_its_cap_an_asset_leaves_just_as_many_bets_as_were_asked_for() -> None:
    found = concentration_limit(EQUAL, COVARIANCE, 2.0)
    assert found.bets > 2.0
    capped = np.flatnonzero(found.caps < 1.0)
    assert capped.size
    for index in capped:
        weights = EQUAL * (1.0 - found.caps[index]) / 0.75
        weights[index] = found.caps[index]
        assert effective_bets(weights, COVARIANCE) == pytest.approx(2.0, abs=1e-6)
    with pytest.raises(ForecastError, match="ask for less"):
        concentration_limit(EQUAL, COVARIANCE, 3.999)


def test_choosing_crashes_by_their_outcome_changes_correlations_by_as_much_as_is_expected() -> None:
    rng = np.random.default_rng(0)
    normal = rng.standard_normal((40_000, 4)) @ np.linalg.cholesky(COVARIANCE).T
    found = correlation_breakdown(normal)
    assert found.rows == (4_000, 36_000)
    np.testing.assert_allclose(found.crash, found.expected, atol=0.05)
    assert abs(found.mean_excess) < 0.02
    assert found.crash[0, 1] < CROWDED[0, 1] - 0.1, "the raw comparison would have called that a change"


def test_correlations_that_jump_in_crashes_are_seen() -> None:
    rng = np.random.default_rng(1)
    calm = rng.standard_normal((5_000, 3))
    crash = rng.random(5_000) < 0.1
    calm[crash] = -2.5 + 0.3 * rng.standard_normal((crash.sum(), 3)) + 1.5 * rng.standard_normal((crash.sum(), 1))
    assert correlation_breakdown(calm).mean_excess > 0.3


@pytest.mark.parametrize(
    ("returns", "said"),
    [(np.ones((99, 1)), "two assets"), (np.random.default_rng(0).normal(size=(99, 2)), "10 crash and 89 calm rows")],
)
def test_too_little_for_a_comparison_is_refused(returns: np.ndarray, said: str) -> None:
    with pytest.raises(ForecastError, match=said):
        correlation_breakdown(returns)


def test_correlations_by_regime_are_weighted_by_probability() -> None:
    rng = np.random.default_rng(3)
    returns = rng.standard_normal((400, 2))
    returns[200:, 1] = returns[200:, 0] + 0.1 * rng.standard_normal(200)
    known = np.column_stack([np.arange(400) < 200, np.arange(400) >= 200]).astype(float)
    found = regime_correlations(returns, known)
    expected = [np.corrcoef(part, rowvar=False)[0, 1] for part in (returns[:200], returns[200:])]
    assert found[:, 0, 1] == pytest.approx(expected)
    with pytest.raises(ForecastError, match=r"regime 1 has 0\.0 rows"):
        regime_correlations(returns, np.column_stack([np.ones(400), np.zeros(400)]))
