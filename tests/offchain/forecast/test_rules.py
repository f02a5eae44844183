# SPDX-License-Identifier: Apache-2.0
"""Portfolios by rule against closed forms and solvers; the ensemble against what it is meant to learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from numpy.typing import NDArray

from offchain.forecast import ForecastError, make_forecast
from offchain.forecast.rules.ensemble import Learning, ensemble
from offchain.forecast.rules.kernel import equal_risk, project
from offchain.forecast.rules.portfolio import RuleBook, minimum_cvar, rule_weights
from offchain.mandate import Mandate, MandateError, load_mandate, parse_mandate
from offchain.market.history import PriceHistory
from offchain.market.snapshot import Block, Snapshot

DAY = 86_400
START = 1_600_041_600
FOUR = ("equal_weight", "benchmark", "minimum_variance", "momentum")


def days_of(rows: int, seed: int, drift: float = 0.0) -> NDArray[np.float64]:
    """A dollar and three coins."""
    rng = np.random.default_rng(seed)
    common = 0.03 * rng.standard_normal((rows, 1))
    coins = common * np.array([1.0, 0.8, 1.3]) + 0.02 * rng.standard_normal((rows, 3)) + drift
    return np.column_stack([1e-4 * rng.standard_normal(rows), coins])


def book(window: int = 60, low: float = 0.0, high: float = 1.0, target: float = 0.4) -> RuleBook:
    return RuleBook(np.array([0.2, 0.4, 0.3, 0.1]), np.full(4, low), np.full(4, high), 6.0, target, window)


# Rules.


@pytest.mark.parametrize("seed", range(5))
def test_projection_is_the_nearest_point(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lower = rng.uniform(0, 0.2, 6)
    upper = lower + rng.uniform(0.1, 0.5, 6)
    wish = rng.standard_normal(6)
    weights = cp.Variable(6)
    problem = cp.Problem(
        cp.Minimize(cp.sum_squares(weights - wish)), [cp.sum(weights) == 1, weights >= lower, weights <= upper]
    )
    problem.solve(cp.CLARABEL)
    np.testing.assert_allclose(project(wish, lower, upper), weights.value, atol=1e-6)


def test_equal_risk_adds_the_same_risk_everywhere() -> None:
    matrix = np.cov(days_of(200, 1)[:, 1:].T)
    weights = equal_risk(matrix)
    contributions = weights * (matrix @ weights)
    np.testing.assert_allclose(contributions, contributions.mean(), rtol=1e-9)
    assert weights.sum() == pytest.approx(1.0)


def test_minimum_variance_is_clarabels() -> None:
    returns = days_of(60, 2)
    weights = cp.Variable(4)
    risk = cp.quad_form(weights, cp.psd_wrap(np.cov(returns.T) * 1e4))
    cp.Problem(cp.Minimize(risk), [cp.sum(weights) == 1, weights >= 0.05, weights <= 0.5]).solve(cp.CLARABEL)
    np.testing.assert_allclose(rule_weights("minimum_variance", returns, book(60, 0.05, 0.5)), weights.value, atol=1e-4)


def test_minimum_cvar_is_no_worse_than_any_other_portfolio() -> None:
    returns = days_of(300, 3)
    lower, upper = np.full(4, 0.05), np.full(4, 0.6)
    best = minimum_cvar(returns, lower, upper)

    def worst(weights: NDArray[np.float64]) -> float:
        return -float(np.sort(returns @ weights)[:15].mean())

    rng = np.random.default_rng(0)
    others = [project(rng.dirichlet(np.ones(4)), lower, upper) for _ in range(200)]
    assert worst(best) <= min(map(worst, others)) + 1e-12
    assert best.sum() == pytest.approx(1.0)


def test_volatility_target_scales_the_benchmarks_risky_part() -> None:
    returns = days_of(60, 4)
    weights = rule_weights("volatility_target", returns, book(target=0.2))
    ratio = weights[1:] / np.array([0.4, 0.3, 0.1])
    np.testing.assert_allclose(ratio, ratio[0])
    risky = weights.copy()
    risky[0] = 0.0
    assert float(np.sqrt(risky @ np.cov(returns.T) @ risky * 365)) == pytest.approx(0.2, rel=1e-6)


def test_momentum_holds_what_rose_and_dollars_when_nothing_did() -> None:
    up, down = days_of(60, 5, drift=0.01), days_of(60, 5, drift=-0.02)
    assert rule_weights("momentum", up, book())[1:].sum() > 0.3
    np.testing.assert_allclose(rule_weights("momentum", down, book()), [1, 0, 0, 0], atol=1e-12)


@pytest.mark.parametrize(
    "rule", ["equal_weight", "benchmark", "minimum_variance", "risk_parity", "volatility_target", "momentum",
             "mean_variance", "minimum_cvar"],
)  # fmt: skip
def test_every_rule_stays_inside_the_bounds(rule: str) -> None:
    for seed in range(3):
        weights = rule_weights(rule, days_of(60, seed), book(60, 0.1, 0.4))
        assert weights.sum() == pytest.approx(1.0, abs=1e-12)
        assert np.all(weights >= 0.1 - 1e-12)
        assert np.all(weights <= 0.4 + 1e-12)


# The ensemble.


def learnt(returns: NDArray[np.float64], rules: tuple[str, ...] = FOUR, **changes: Any) -> Any:
    times = START + DAY * np.arange(1, len(returns) + 1, dtype=np.int64)
    fields = {"rate": 5.0, "half_life_days": 180.0, "cost": 0.0015, "regimes": 2} | changes
    return ensemble(rules, returns, times, book(), Learning(**fields))


def test_shares_are_hedges_on_realised_utilities() -> None:
    returns = days_of(300, 6)
    found = learnt(returns, regimes=1)
    age = np.arange(len(found.utilities))[::-1]
    scores = 5.0 * (0.5 ** (age / 180.0)) @ found.utilities
    expected = np.exp(scores - scores.max())
    np.testing.assert_allclose(found.shares, expected / expected.sum(), rtol=1e-12)
    np.testing.assert_allclose(found.weights, found.shares @ found.experts, rtol=1e-12)


def test_experts_are_judged_on_days_they_did_not_know() -> None:
    returns = days_of(200, 7)
    found = learnt(returns, regimes=1, cost=0.0)
    for day in (70, 150):
        held = rule_weights("minimum_variance", returns[:day], book())
        earned = float(held @ returns[day])
        utility = earned - 3.0 * earned**2
        assert found.utilities[day - 60, 2] == pytest.approx(utility, rel=1e-6)


def test_trading_costs_lower_an_experts_utility() -> None:
    returns = days_of(200, 8)
    free, dear = learnt(returns, cost=0.0), learnt(returns, cost=0.01)
    assert dear.utilities[1:, 3].sum() < free.utilities[1:, 3].sum()
    np.testing.assert_allclose(dear.utilities[0], free.utilities[0])


def test_it_learns_to_stay_out_of_what_falls() -> None:
    falling, rising = learnt(days_of(300, 9, -0.01)), learnt(days_of(300, 9, 0.01))
    assert falling.shares[2] > 0.4
    assert rising.shares[2] < 0.1


def test_it_remembers_what_worked_in_a_regime() -> None:
    # Calm months rise, wild ones fall; the present decides which memory counts.
    rng = np.random.default_rng(10)
    wild = (np.arange(360) // 45) % 2 == 1
    market = np.where(wild, -0.008 + 0.06 * rng.standard_normal(360), 0.006 + 0.008 * rng.standard_normal(360))
    returns = np.column_stack([np.zeros(360), *(market * b + 0.002 * rng.standard_normal(360) for b in (1, 0.9, 1.1))])
    calm_end, wild_end = learnt(returns[:315], rate=20.0), learnt(returns[:350], rate=20.0)
    assert calm_end.regimes[0] > 0.8
    assert wild_end.regimes[1] > 0.8
    assert wild_end.weights[0] > calm_end.weights[0] + 0.2


def test_the_future_is_not_asked_and_the_same_past_gives_the_same_mixture() -> None:
    returns = days_of(300, 11)
    one, other = learnt(returns[:250]), learnt(returns[:250].copy())
    assert np.array_equal(one.weights, other.weights)
    assert np.array_equal(learnt(returns).utilities[:150], one.utilities[:150])


def test_a_history_without_a_day_to_judge_on_is_refused() -> None:
    with pytest.raises(ForecastError, match="60 days of returns, more than 60 needed"):
        learnt(days_of(60, 12))


# In a mandate.

BLUE_CHIP = Path(__file__).parents[3] / "mandates" / "blue-chip.yaml"


def with_returns(text: str, window: int = 365) -> Mandate:
    source = BLUE_CHIP.read_text()
    source = source.replace("window_days: 60", f"window_days: {window}")
    return parse_mandate(source.replace("  returns:\n    kind: benchmark_implied\n", f"  returns: {text}\n"))


def history(mandate: Mandate, rows: int, minutes: int) -> PriceHistory:
    rng = np.random.default_rng(13)
    times = START + minutes * 60 * np.arange(rows, dtype=np.int64)
    steps = rng.standard_normal((rows, 5)) * np.array([1e-4, 0.01, 0.008, 0.015, 0.01])
    return PriceHistory(
        mandate.symbols, times, np.array([1.0, 3000.0, 60_000.0, 15.0, 3500.0]) * np.exp(np.cumsum(steps, axis=0))
    )


def snapshot_at(mandate: Mandate, timestamp: int) -> Snapshot:
    from offchain.market.snapshot import AssetState, BreakerState, VaultState

    assets = tuple(AssetState(a.symbol, a.address, a.decimals, 1, 10**18, timestamp) for a in mandate.ordered_assets)
    vault = VaultState("", "", "", 0, BreakerState.ACTIVE, 0, 1, 1, 1, 0, 0, "", mandate.vault_limits)
    return Snapshot(1, Block(1, "0x1", "0x0", timestamp, 0), vault, assets, ())


def test_the_forecast_is_the_one_under_which_the_rules_portfolio_is_optimal() -> None:
    mandate = with_returns("{kind: rule, rule: risk_parity}")
    past = history(mandate, 370 * 6, 240)
    forecast = make_forecast(snapshot_at(mandate, int(past.timestamps[-1])), past, mandate)
    weights = np.linalg.solve(6.0 * forecast.covariance, forecast.expected_returns)
    assert weights.sum() == pytest.approx(1.0, abs=1e-9)
    for weight, asset in zip(weights, mandate.ordered_assets, strict=True):
        assert asset.min_weight_bps / 1e4 - 1e-6 <= weight <= asset.max_weight_bps / 1e4 + 1e-6


def test_an_ensemble_is_told_in_a_mandate() -> None:
    mandate = with_returns("{kind: ensemble, experts: [equal_weight, risk_parity, momentum]}")
    past = history(mandate, 370 * 6, 240)
    forecast = make_forecast(snapshot_at(mandate, int(past.timestamps[-1])), past, mandate)
    weights = np.linalg.solve(6.0 * forecast.covariance, forecast.expected_returns)
    assert weights.sum() == pytest.approx(1.0, abs=1e-9)


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(MandateError, match="already listed"):
        with_returns("{kind: ensemble, experts: [momentum, momentum]}")
    with pytest.raises(MandateError, match="too slow"):
        with_returns("{kind: ensemble, experts: [momentum, minimum_cvar]}")
    with pytest.raises(MandateError, match=r"window_days is 60.*at least 120"):
        with_returns("{kind: ensemble, experts: [momentum, benchmark]}", window=60)
    with pytest.raises(MandateError, match="rule is 'luck'"):
        with_returns("{kind: rule, rule: luck}")


def test_the_example_mandates_still_load() -> None:
    assert load_mandate(BLUE_CHIP).objective.returns.kind == "benchmark_implied"
