# SPDX-License-Identifier: Apache-2.0
"""Every kind of objective, with pools inside, against cvxpy's own words for it."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from offchain.allocate import make_plan
from offchain.allocate.bounds import compile_frame
from offchain.allocate.errors import ForecastInvalidError, InfeasibleError
from offchain.allocate.joint import best_target
from offchain.allocate.objective import mandated, parity_weights
from offchain.allocate.sharpe import best_ratio
from offchain.allocate.target import TargetProblem
from offchain.mandate import Mandate, Periods, parse_mandate
from offchain.route.pool import pools_from_states
from tests.support.programs import CONSTANT_PRODUCT, solve_with_pools, unit_values

pytestmark = pytest.mark.filterwarnings("ignore:Solution may be inaccurate")

YEARS = 30 / 365
OWN = {
    "mean_variance": "",
    "minimum_variance": "",
    "tracking": "",
    "risk_parity": "",
    "volatility_target": "\n  target_volatility: 0.35",
    "maximum_sharpe": "",
    "cvar": "\n  level: 0.9",
}


@pytest.fixture(scope="session")
def mandate_of(mandate: Mandate) -> Callable[..., Mandate]:
    """The demo's mandate with another objective, and constraints."""
    from pathlib import Path

    text = (Path(__file__).parents[3] / "mandates" / "blue-chip.yaml").read_text()

    def build(kind: str, constraints: str = "{}") -> Mandate:
        changed = text.replace("kind: mean_variance", f"kind: {kind}{OWN[kind]}")
        return parse_mandate(changed.replace("\nlimits:\n", f"\nconstraints: {constraints}\nlimits:\n"))

    return build


def _scenarios(covariance: np.ndarray, means: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(1)
    root = np.linalg.cholesky(covariance * YEARS)
    return means * YEARS + (rng.standard_t(4, (300, len(means))) / np.sqrt(2)) @ root.T


def _in_words(mandate: Mandate, forecast: Any) -> Callable[[Any], Any]:
    """The objective as cvxpy states it, written down again from the mandate's reference."""
    wanted, mu = mandate.objective, forecast.expected_returns
    aversion = wanted.risk_aversion
    root = np.linalg.cholesky(forecast.covariance)
    earned = 1 + mu * YEARS
    benchmark = np.array(mandate.benchmark_weights)

    def variance(w: Any) -> Any:
        return cp.sum_squares(root.T @ w) * YEARS

    if wanted.kind == "mean_variance":
        return lambda w: earned @ w - aversion / 2 * variance(w)
    if wanted.kind == "minimum_variance":
        return lambda w: cp.sum(w) - aversion / 2 * variance(w)
    if wanted.kind == "tracking":
        return lambda w: cp.sum(w) - aversion / 2 * variance(w - benchmark)
    if wanted.kind == "volatility_target":
        return lambda w: earned @ w - aversion / 2 * variance(w) - cp.pos(cp.norm(root.T @ w) - 0.35)
    if wanted.kind == "cvar":
        scenarios = forecast.scenarios

        def utility(w: Any) -> Any:
            threshold, beyond = cp.Variable(), cp.pos(-scenarios @ w)
            beyond = cp.pos(-scenarios @ w - threshold)
            return earned @ w - 0.5 * (threshold + cp.sum(beyond) / (0.1 * len(scenarios)))

        return utility
    assert wanted.kind == "risk_parity"
    risky = parity_weights(aversion * YEARS * forecast.covariance[1:, 1:]) * 0.95
    scale = aversion * YEARS * risky @ forecast.covariance[1:, 1:] @ risky
    return lambda w: cp.sum(w) - aversion / 2 * variance(w) + scale / 4 * cp.sum(cp.log(w[1:]))


@pytest.mark.parametrize("kind", [kind for kind in OWN if kind != "maximum_sharpe"])
def test_the_optimum_with_pools_inside_is_cvxpys(kind: str, make_vaults: Any, mandate_of: Any) -> None:
    rules = mandate_of(kind, "{groups: [{name: ether, assets: [WETH, wstETH], max_weight_bps: 5000}]}")
    vaults, random = make_vaults(rules, pools=CONSTANT_PRODUCT), Random(7)
    forecast = vaults.forecast()
    forecast = replace(forecast, scenarios=_scenarios(forecast.covariance, forecast.expected_returns))
    objective, words = mandated(forecast, rules), _in_words(rules, forecast)
    benchmark = np.array(rules.benchmark_weights)
    constant = 3 * YEARS * benchmark @ forecast.covariance @ benchmark if kind == "tracking" else 0.0
    solved = 0
    for seed in range(4):
        weights = np.array(rules.benchmark_weights) * np.exp([random.gauss(0, 0.2) for _ in range(5)])
        snapshot = vaults.snapshot(tuple(np.clip(weights, 0.06, 0.4)), value=10 ** random.uniform(5, 7), seed=seed)
        limits = compile_frame(snapshot, rules.vault_limits, (True,) * 5, rules.constraints)
        if limits.violated:
            continue
        pools, units = pools_from_states(snapshot.pools), unit_values(snapshot)
        best, _ = solve_with_pools(pools, units, limits, words)
        target = best_target(TargetProblem(pools, units, limits, objective))
        assert target.change is not None
        after = limits.weights + target.change
        assert objective.value(after) - constant == pytest.approx(best, abs=1e-6)
        assert objective.value(after) <= target.bound + 1e-9
        assert target.bound - constant == pytest.approx(best, abs=1e-6)
        assert limits.bands[0].members @ after <= 0.5 * after.sum() + 1e-6
        solved += 1
    assert solved >= 2


def test_later_trades_are_planned_as_cvxpy_would(make_vaults: Any, mandate_of: Any) -> None:
    rules = mandate_of("mean_variance")
    periods = Periods(count=3, half_life_days=12, cost_bps=20)
    rules = rules.model_copy(update={"objective": rules.objective.model_copy(update={"periods": periods})})
    vaults = make_vaults(rules, pools=CONSTANT_PRODUCT)
    forecast = vaults.forecast()
    forecast = replace(forecast, expected_returns=forecast.expected_returns + np.array([0.0, 0.3, -0.2, 0.5, 0.1]))
    settled = 6 * forecast.covariance @ np.array(rules.benchmark_weights)
    part, root = YEARS / 3, np.linalg.cholesky(forecast.covariance)
    returns = [settled + 0.5 ** (day / 12) * (forecast.expected_returns - settled) for day in (0, 10, 20)]
    low, high = (
        np.array(bounds) / 1e4 for bounds in (rules.vault_limits.min_weights_bps, rules.vault_limits.max_weights_bps)
    )

    def words(w: Any) -> Any:
        later = [cp.Variable(5), cp.Variable(5)]
        total, before, limits = cp.sum(w), w, []
        for mu, held in zip(returns, [w, *later], strict=True):
            total += part * (mu @ held) - 3 * part * cp.sum_squares(root.T @ held)
            if held is not w:
                total -= 20e-4 * cp.sum(cp.abs(held - before))
                limits += [held >= low, held <= high, cp.sum(held) <= cp.sum(w)]
            before = held
        return total, limits

    objective = mandated(forecast, rules)
    for seed, value in ((0, 1e5), (1, 5e6)):
        snapshot = vaults.snapshot(value=value, seed=seed)
        limits = compile_frame(snapshot, rules.vault_limits, (True,) * 5)
        pools, units = pools_from_states(snapshot.pools), unit_values(snapshot)
        best, _ = solve_with_pools(pools, units, limits, words)
        target = best_target(TargetProblem(pools, units, limits, objective))
        assert target.change is not None
        assert objective.value(limits.weights + target.change) == pytest.approx(best, abs=1e-6)
        assert target.bound == pytest.approx(best, abs=1e-6)


def test_no_other_holdings_have_a_better_ratio_of_return_to_volatility(make_vaults: Any, mandate_of: Any) -> None:
    rules = mandate_of("maximum_sharpe")
    vaults = make_vaults(rules, pools=CONSTANT_PRODUCT)
    forecast = vaults.forecast()
    root = np.linalg.cholesky(forecast.covariance * YEARS)
    earned = 1 + forecast.expected_returns * YEARS
    for seed, value in ((0, 1e5), (1, 3e6)):
        snapshot = vaults.snapshot(value=value, seed=seed)
        limits = compile_frame(snapshot, rules.vault_limits, (True,) * 5)
        pools, units = pools_from_states(snapshot.pools), unit_values(snapshot)
        problem = TargetProblem(pools, units, limits, mandated(forecast, rules))
        ratio = best_ratio(problem, float(limits.weights.sum()), root)
        best, _ = solve_with_pools(pools, units, limits, lambda w, r=ratio: earned @ w - 1 - r * cp.norm(root.T @ w))
        assert ratio > 0.05
        assert best == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("kind", OWN)
def test_plans_of_every_kind_pass_the_vaults_checks_and_gain_no_more_than_their_bound(
    kind: str, make_vaults: Any, mandate_of: Any, settled: Any
) -> None:
    rules = mandate_of(kind)
    vaults = make_vaults(rules)
    forecast = vaults.forecast()
    forecast = replace(forecast, scenarios=_scenarios(forecast.covariance, forecast.expected_returns))
    snapshot = vaults.snapshot((0.35, 0.2, 0.2, 0.05, 0.2), seed=2, base_fee_gwei=1.0)
    plan = make_plan(snapshot, forecast, rules)
    assert plan.trades
    assert 0 < plan.gain <= plan.gain_bound + 1e-9
    after = settled(snapshot, plan)
    assert after.weights == pytest.approx(plan.weights_after, abs=1e-9)
    again = make_plan(after, forecast, rules)
    assert again.gain_bound < plan.gain / 4


def test_parity_adds_the_same_risk_everywhere() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 7, 30):
        root = rng.normal(size=(count, count + 2)) * rng.uniform(0.01, 2, (count, 1))
        covariance = root @ root.T
        weights = parity_weights(covariance)
        added = weights * (covariance @ weights)
        assert weights.sum() == pytest.approx(1)
        assert added == pytest.approx(np.full(count, added.mean()), rel=1e-9)


def test_shortfall_without_scenarios_is_refused(vaults: Any, mandate_of: Any) -> None:
    with pytest.raises(ForecastInvalidError, match="needs scenarios"):
        mandated(vaults.forecast(), mandate_of("cvar"))


def test_a_plan_keeps_the_buffer_and_its_own_turnover(make_vaults: Any, mandate_of: Any) -> None:
    rules = mandate_of("mean_variance", "{buffer_bps: 2500, max_turnover_bps: 400}")
    vaults = make_vaults(rules)
    snapshot = vaults.snapshot((0.1, 0.4, 0.27, 0.08, 0.15))
    plan = make_plan(snapshot, vaults.forecast(), rules)
    bought = sum(
        max(0.0, after - before) for after, before in zip(plan.weights_after, plan.weights_before, strict=True)
    )
    assert plan.reason == "repairs"
    assert plan.weights_after[0] > plan.weights_before[0]
    assert bought == pytest.approx(0.04, abs=2e-3)
    free = make_plan(snapshot, vaults.forecast(), mandate_of("mean_variance", "{buffer_bps: 2500}"))
    assert free.weights_after[0] >= 0.3 - 1e-6


def test_a_group_outside_its_band_is_brought_inside(make_vaults: Any, mandate_of: Any) -> None:
    rules = mandate_of("mean_variance", "{groups: [{name: ether, assets: [WETH, wstETH], max_weight_bps: 3500}]}")
    vaults = make_vaults(rules)
    plan = make_plan(vaults.snapshot(), vaults.forecast(), rules)
    assert plan.reason == "repairs"
    assert plan.weights_after[1] + plan.weights_after[4] <= 0.35 + 1e-5
    held_back = {limit.name: limit.shadow_price for limit in plan.binding_limits}
    assert held_back["maximum weight of the group ether"] > 0


@pytest.mark.parametrize("outside", [1e-9, 1e-6, 1e-4])
def test_a_group_that_drifts_just_outside_holds_up_no_repair(make_vaults: Any, mandate_of: Any, outside: float) -> None:
    rules = mandate_of("mean_variance", "{groups: [{name: rest, assets: [WBTC, LINK], max_weight_bps: 2500}]}")
    vaults = make_vaults(rules)
    too_much_ether = (0.2 - outside, 0.48, 0.17 + outside, 0.08, 0.07)
    plan = make_plan(vaults.snapshot(too_much_ether), vaults.forecast(), rules)
    assert plan.reason == "repairs"
    assert [violation.limit for violation in plan.violations] == [0.45, 0.25]
    assert plan.weights_after[1] < 0.45
    assert plan.weights_after[2] + plan.weights_after[3] < 0.25


def test_a_group_near_its_bound_is_left_alone(make_vaults: Any, mandate_of: Any) -> None:
    rules = mandate_of("mean_variance", "{groups: [{name: rest, assets: [WBTC, LINK], max_weight_bps: 3505}]}")
    vaults = make_vaults(rules)
    assert not make_plan(vaults.snapshot(), vaults.forecast(), rules).trades


def test_a_group_that_the_chain_leaves_no_weight_is_named(make_vaults: Any, mandate_of: Any) -> None:
    rules = mandate_of("mean_variance", "{groups: [{name: ether, assets: [WETH, wstETH], max_weight_bps: 2500}]}")
    vaults = make_vaults(rules)
    tight = replace(rules.vault_limits, min_weights_bps=(500, 2500, 1500, 200, 1000))
    with pytest.raises(InfeasibleError, match=r"weight of the group ether .* and minimum weight of WETH and minimum"):
        make_plan(vaults.snapshot(limits=tight), vaults.forecast(), rules)


def test_no_more_goes_through_a_venue_than_its_cap(make_vaults: Any, mandate_of: Any) -> None:
    weights, shares = (0.35, 0.2, 0.2, 0.05, 0.2), {}
    for constraints in ("{}", "{venue_caps_bps: {uniswap_v3: 300}}"):
        rules = mandate_of("mean_variance", constraints)
        vaults = make_vaults(rules)
        snapshot = vaults.snapshot(weights, seed=2, base_fee_gwei=1.0)
        plan = make_plan(snapshot, vaults.forecast(), rules)
        units = unit_values(snapshot)
        shares[constraints] = sum(
            leg.amount_in * units[leg.token_in] for leg in plan.legs if leg.venue.name == "UNISWAP_V3"
        )
        assert plan.trades
    free, capped = shares.values()
    assert free > 0.03 >= capped > 0
