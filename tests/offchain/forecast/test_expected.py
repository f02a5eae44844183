# SPDX-License-Identifier: Apache-2.0
"""Expected returns: a published example, limits that are known, and files of views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from offchain.forecast import ForecastError
from offchain.forecast.expected import implied_returns
from offchain.forecast.expected.black_litterman import (
    Opinion,
    black_litterman,
    idzorek_uncertainty,
    load_views,
    with_opinions,
)
from offchain.forecast.expected.carry import carry_returns, funding_yield, lending_yield
from offchain.forecast.expected.momentum import momentum_returns, momentum_scores
from offchain.forecast.expected.shrunk import bayes_stein, james_stein

# He and Litterman, "The intuition behind Black-Litterman model portfolios" (1999), tables 1, 2 and 4: Australia, Canada,
# France, Germany, Japan, United Kingdom, United States.
VOLATILITY = np.array([16.0, 20.3, 24.8, 27.1, 21.0, 20.0, 18.7]) / 100
WEIGHTS = np.array([1.6, 2.2, 5.2, 5.5, 11.6, 12.4, 61.5]) / 100
UPPER = [0.488, 0.478, 0.515, 0.439, 0.512, 0.491, 0.664, 0.655, 0.310, 0.608, 0.779, 0.861, 0.355, 0.783, 0.668,
         0.354, 0.777, 0.653, 0.405, 0.306, 0.652]  # fmt: skip
IMPLIED = [3.9, 6.9, 8.4, 9.0, 4.3, 6.8, 7.6]
WITH_GERMANY_AHEAD = [4.3, 7.6, 9.3, 11.0, 4.5, 7.0, 8.1]
GERMANY_AGAINST_EUROPE = np.array([[0, 0, -0.295, 1.0, 0, -0.705, 0]])
TAU = 0.05


@pytest.fixture
def world() -> np.ndarray:
    correlation = np.eye(7)
    correlation[np.triu_indices(7, 1)] = UPPER
    correlation = np.maximum(correlation, correlation.T)
    covariance: np.ndarray = correlation * np.outer(VOLATILITY, VOLATILITY)
    return covariance


def test_implied_returns_are_he_and_littermans(world: np.ndarray) -> None:
    assert np.round(100 * implied_returns(world, WEIGHTS, 2.5), 1).tolist() == IMPLIED


def test_their_view_of_germany_moves_returns_as_published(world: np.ndarray) -> None:
    prior = implied_returns(world, WEIGHTS, 2.5)
    # The doubt they print as 0.021 times tau is the basket's variance times tau.
    doubt = TAU * GERMANY_AGAINST_EUROPE @ world @ GERMANY_AGAINST_EUROPE.T
    assert float(doubt[0, 0]) / TAU == pytest.approx(0.021, abs=5e-4)
    found = black_litterman(prior, world, GERMANY_AGAINST_EUROPE, np.array([0.05]), doubt, TAU).returns
    assert np.round(100 * found, 1).tolist() == WITH_GERMANY_AHEAD


def test_confidence_is_the_fraction_of_the_way_to_the_view(world: np.ndarray) -> None:
    prior = implied_returns(world, WEIGHTS, 2.5)
    basket = GERMANY_AGAINST_EUROPE[0]
    for confidence in (0.25, 0.5, 1.0):
        doubt = idzorek_uncertainty(basket[None, :], world, np.array([confidence]), TAU)
        found = black_litterman(prior, world, basket[None, :], np.array([0.05]), doubt, TAU).returns
        assert basket @ (found - prior) == pytest.approx(confidence * (0.05 - basket @ prior))


def test_views_by_symbol_narrow_the_doubt(world: np.ndarray) -> None:
    symbols = ("AU", "CA", "FR", "DE", "JP", "UK", "US")
    prior = implied_returns(world, WEIGHTS, 2.5)
    found = with_opinions(
        prior, world, symbols, [Opinion({"JP": 1.0}, 0.1, 0.8), Opinion({"US": 1, "UK": -1}, 0.02, 0.3)]
    )
    assert found.returns[4] > prior[4]
    assert np.diag(found.uncertainty)[4] < 0.5 * TAU * world[4, 4]
    assert np.linalg.eigvalsh(found.uncertainty)[0] > 0.0


@pytest.mark.parametrize(
    ("opinions", "said"),
    [
        ([Opinion({"BTC": 1.0}, 0.1, 0.5)], "view 1: no asset BTC"),
        ([Opinion({"US": 1.0}, 0.1, 0.0)], r"view 1: confidence 0\.0"),
        ([Opinion({"US": 0.0}, 0.1, 0.5)], "all weights are zero"),
        ([Opinion({"US": 1.0}, 0.1, 1.0), Opinion({"US": 1.0}, 0.2, 1.0)], "repeat or contradict"),
    ],
)
def test_views_that_make_no_sense_are_named(world: np.ndarray, opinions: list[Opinion], said: str) -> None:
    symbols = ("AU", "CA", "FR", "DE", "JP", "UK", "US")
    with pytest.raises(ForecastError, match=said):
        with_opinions(np.zeros(7), world, symbols, opinions)


def test_views_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "views.yaml"
    file.write_text("views:\n  - {weights: {WETH: 1}, annual_return: 0.15, confidence: 0.6}\n")
    assert load_views(file) == (Opinion({"WETH": 1.0}, 0.15, 0.6),)
    for text, said in (
        ("views: []", "a list of views"),
        ("[", "cannot be read as YAML"),
        ("views:\n  - {weights: {WETH: 1}, annual_return: 0.15, confidence: 1.6}", r"views\[0\]\.confidence"),
        ("views:\n  - {weights: {WETH: 1}, annual_return: .nan, confidence: 0.6}", r"views\[0\]\.annual_return"),
        ("views:\n  - {weights: {WETH: 1}, confidence: 0.6}", r"views\[0\]\.annual_return"),
    ):
        file.write_text(text)
        with pytest.raises(ForecastError, match=said):
            load_views(file)
    with pytest.raises(ForecastError, match=r"nowhere\.yaml"):
        load_views(tmp_path / "nowhere.yaml")


def test_momentum_scores_are_t_statistics_cut_off_at_two() -> None:
    returns = 0.03 * np.random.default_rng(0).standard_normal((200, 3)) + np.array([0.001, -0.002, 0.02])
    scores = momentum_scores(returns, 90, 5)
    expected = ttest_1samp(np.log1p(returns[110:195]), 0.0).statistic
    assert scores == pytest.approx(np.clip(expected, -2.0, 2.0))
    assert scores[2] == 2.0
    covariance = np.diag([0.25, 0.36, 0.49])
    assert momentum_returns(np.zeros(3), covariance, scores, 0.3) == pytest.approx(
        0.3 * np.array([0.5, 0.6, 0.7]) * scores
    )
    with pytest.raises(ForecastError, match="lookback of 300 rows"):
        momentum_scores(returns, 300)


@pytest.mark.parametrize("method", ["james_stein", "bayes_stein"])
def test_shrunk_means_are_nearer_to_the_truth_than_the_samples(method: str) -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(0.0005, 0.0005, 8)
    errors = np.zeros(2)
    for _ in range(300):
        returns = truth + 0.04 * rng.standard_normal((250, 8))
        cov = np.cov(returns, rowvar=False)
        found = james_stein(returns) if method == "james_stein" else bayes_stein(returns, cov)
        errors += [np.sum((found.means - truth) ** 2), np.sum((returns.mean(axis=0) - truth) ** 2)]
        assert 0.0 <= found.intensity <= 1.0
    assert errors[0] < 0.6 * errors[1]


def test_bayes_stein_is_jorions_formula() -> None:
    returns = 0.02 * np.random.default_rng(2).standard_normal((120, 5)) + np.linspace(-0.002, 0.004, 5)
    covariance = np.cov(returns, rowvar=False)
    found = bayes_stein(returns, covariance)
    inverse, means = np.linalg.inv(covariance), returns.mean(axis=0)
    ones = np.ones(5)
    target = ones @ inverse @ means / (ones @ inverse @ ones)
    shrink = 7 / (7 + 120 * (means - target) @ inverse @ (means - target))
    assert (found.target, found.intensity) == pytest.approx((target, shrink))
    assert found.means == pytest.approx((1 - shrink) * means + shrink * target)


def test_carry_adds_what_an_asset_yields() -> None:
    found = carry_returns(np.array([0.1, 0.2]), ("WETH", "USDC"), {"WETH": 0.03})
    assert found == pytest.approx([0.13, 0.2])
    with pytest.raises(ForecastError, match="carry: no asset BTC"):
        carry_returns(np.zeros(1), ("WETH",), {"BTC": 0.1})


def test_yields_of_funding_and_lending() -> None:
    # One basis point every eight hours, the exchanges' usual rate, is 10.95 % a year.
    assert funding_yield(np.full(9, 1e-4)) == pytest.approx(0.1095)
    # An index that grows by the thirtieth part of a per cent a day for 30 days.
    index = 1.02 * 1.0003 ** np.arange(31)
    assert lending_yield(index, 30 * 86_400.0) == pytest.approx(1.0003**365 - 1)
    with pytest.raises(ForecastError, match="lending"):
        lending_yield(np.ones(1), 60.0)
