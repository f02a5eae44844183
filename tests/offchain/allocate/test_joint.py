# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from random import Random
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from offchain.allocate.bounds import Frame, compile_frame
from offchain.allocate.joint import best_target
from offchain.allocate.objective import mean_variance
from offchain.allocate.outer import GAP, approximate_target
from offchain.allocate.program import Objective
from offchain.allocate.target import TargetProblem
from offchain.market.snapshot import BreakerState
from offchain.route.pool import Pool, pools_from_states
from offchain.route.rates import arbitrage, marginal_rates, market_prices
from tests.support.programs import CONSTANT_PRODUCT, solve_with_pools, unit_values


def _reference(pools: tuple[Pool, ...], units: np.ndarray, limits: Frame, objective: Objective) -> float:
    """The same program with the pools inside, in cvxpy."""
    value, _ = solve_with_pools(
        pools, units, limits, lambda w: objective.linear @ w - cp.sum_squares(objective.factor.T @ w) / 2
    )
    return value


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
def test_it_finds_the_optimum_of_the_program_with_the_pools_inside(make_vaults: Any, mandate: Any) -> None:
    random = Random(3)
    vaults = make_vaults(mandate, pools=CONSTANT_PRODUCT)
    objective = mean_variance(vaults.forecast(), mandate.objective.risk_aversion)
    for seed in range(8):
        weights = np.array(mandate.benchmark_weights) * np.exp([random.gauss(0, 0.2) for _ in range(5)])
        snapshot = vaults.snapshot(tuple(np.clip(weights, 0.06, 0.4)), value=10 ** random.uniform(5, 7), seed=seed)
        limits = compile_frame(snapshot, mandate.vault_limits, (True,) * 5)
        if limits.violated:
            continue
        limits = replace(limits, turnover=limits.turnover * random.choice((1, 0.05)))
        pools, units = pools_from_states(snapshot.pools), unit_values(snapshot)
        best = _reference(pools, units, limits, objective)
        for search, off in ((best_target, 2e-7), (approximate_target, 2 * GAP)):
            target = search(TargetProblem(pools, units, limits, objective))
            assert target.change is not None
            assert best - 2e-7 <= target.bound <= best + off
            assert objective.value(limits.weights + target.change) == pytest.approx(best, abs=off)
            assert limits.spent(target.change) < 1 + 1e-5


def test_kernels_and_outer_approximation_agree_on_any_vault(vaults: Any, mandate: Any) -> None:
    objective = mean_variance(vaults.forecast(), mandate.objective.risk_aversion)
    proven = 0
    for seed in range(25):
        random = Random(seed)
        state: dict[str, Any] = {"turnover_level": int(random.choice((0, 0.5, 0.97)) * 10**18)}
        if random.random() < 0.3:
            state["breaker"] = BreakerState.REDUCE_ONLY
        snapshot = vaults.random_snapshot(seed, **state)
        limits = compile_frame(snapshot, mandate.vault_limits, (True,) * 5)
        judged = replace(objective, penalty=float(limits.excess_lower.sum() + limits.excess_upper.sum()))
        pools, units = pools_from_states(snapshot.pools), unit_values(snapshot)
        fast, slow = (
            search(TargetProblem(pools, units, limits, judged)) for search in (best_target, approximate_target)
        )
        assert fast.change is not None
        assert limits.spent(fast.change) < 1 + 1e-5
        reached = judged.value(limits.weights + fast.change) - judged.penalty * limits.standing(fast.change)
        assert reached <= slow.bound + 2e-7
        assert fast.bound >= reached - 2e-7
        if limits.spent(fast.change) < 1 - 1e-5:  # else gains of the pools' own may have to be left
            assert fast.bound - reached < 2e-6
            assert fast.bound <= slow.bound + 1e-6
            proven += 1
    assert proven >= 12


def test_the_bound_ends_the_search_where_nothing_can_pay(vaults: Any, mandate: Any) -> None:
    snapshot = vaults.snapshot()
    objective = mean_variance(vaults.forecast(), mandate.objective.risk_aversion)
    limits = compile_frame(snapshot, mandate.vault_limits, (True,) * 5)
    idle = objective.value(limits.weights)
    target = best_target(
        TargetProblem(pools_from_states(snapshot.pools), unit_values(snapshot), limits, objective, idle + 1e-5)
    )
    assert target.change is None
    assert idle - 1e-9 <= target.bound <= idle + 1e-5


def test_the_pools_never_give_more_than_a_cut_allows(vaults: Any) -> None:
    random = Random(5)
    snapshot = vaults.snapshot(seed=4)
    pools, units = pools_from_states(snapshot.pools), unit_values(snapshot)
    for _ in range(100):
        prices = np.exp([random.gauss(0, 0.01) for _ in range(5)])
        room = arbitrage(pools, units, prices)
        change = np.zeros(5)
        for pool in pools:
            sold, bought = random.sample((pool.token0, pool.token1), 2)
            amount = int(random.random() * 0.05 / units[sold])
            change[sold] -= amount * units[sold]
            change[bought] += pool.quote_in(sold, amount) * units[bought]
        assert prices @ change <= room + 1e-12


def test_marginal_rates_follow_the_best_path(vaults: Any) -> None:
    snapshot = vaults.snapshot()
    rates = marginal_rates(pools_from_states(snapshot.pools), unit_values(snapshot))
    assert rates[0, 1] == pytest.approx(0.9995, abs=1e-9)
    assert rates[0, 4] == pytest.approx(0.9995 * 0.9999, abs=1e-6)
    assert rates[3, 4] == pytest.approx(0.997 * 0.9999, abs=1e-6)
    assert np.diag(rates).tolist() == [1.0] * 5


def test_market_prices_are_the_deep_pools(make_vaults: Any, mandate: Any) -> None:
    vaults = make_vaults(mandate)
    assert market_prices(pools_from_states(vaults.snapshot().pools), unit_values(vaults.snapshot())) == pytest.approx(
        1.0
    )
    vaults.usd = (1.0, 3030.0, 60000.0, 15.0, 3500.0)
    moved = vaults.snapshot().pools
    vaults.usd = (1.0, 3000.0, 60000.0, 15.0, 3500.0)
    prices = market_prices(pools_from_states(moved), unit_values(vaults.snapshot()))
    assert prices == pytest.approx([1, 1.01, 1, 1, 1], abs=1e-6)
    # One shallow pool that thinks otherwise does not count for much.
    mixed = (*moved[:-1], vaults.snapshot(seed=9, mispricing=0.02).pools[-1])
    assert market_prices(pools_from_states(mixed), unit_values(vaults.snapshot())) == pytest.approx(prices, abs=8e-3)
