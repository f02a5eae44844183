# SPDX-License-Identifier: Apache-2.0
from random import Random
from typing import Any

import numpy as np
import pytest

from offchain.route.demand import Demand
from offchain.route.errors import RouteNotFoundError
from offchain.route.flow import Flow, solve_flow
from offchain.route.pool import Pool

BASE_IS_FREE = np.array([0.0, 100.0, 100.0, 100.0, 100.0])


def _demand(market: Any, wanted: list[float], stiffness: Any = BASE_IS_FREE, value: float = 1e6) -> Demand:
    units = np.array([usd / 10**d / value for usd, d in zip(market.usd, market.decimals, strict=True)])
    count = len(wanted)
    return Demand(units, np.array(wanted), np.ones(count), np.broadcast_to(np.asarray(stiffness, float), (count,)))


def _objective(demand: Demand, change: np.ndarray) -> float:
    return float(demand.worth(change).sum())


def _random_wish(random: Random, count: int) -> list[float]:
    scale = random.choice((1e-3, 1e-2, 1e-1, 0.5))
    wish = [random.gauss(0, scale) for _ in range(count)]
    return [w - sum(wish) / count for w in wish]


def test_the_dual_value_is_what_the_flow_achieves(market: Any) -> None:
    random = Random(1)
    for _ in range(40):
        demand = _demand(market, _random_wish(random, 5))
        flow = solve_flow(market.pools, demand)
        assert flow.value == pytest.approx(_objective(demand, flow.change), abs=1e-10)


def test_no_pool_offers_better_than_the_dual_prices(market: Any) -> None:
    demand = _demand(market, [-0.8, 0.3, 0.27, 0.08, 0.15])
    flow = solve_flow(market.pools, demand)
    per_unit = flow.prices * demand.unit_values
    for pool, used in zip(market.pools, flow.used, strict=True):
        for token, other in ((pool.token0, pool.token1), (pool.token1, pool.token0)):
            amount_in = -flow.trades[list(market.pools).index(pool)][0 if token == pool.token0 else 1]
            state = pool.swap(token, int(amount_in)).after if amount_in > 0 else pool
            offered = state.marginal_price(token) * per_unit[other] / per_unit[token]
            assert offered <= 1 + 1e-5
            if used and amount_in > 0 and pool.fee_ppm:
                assert offered == pytest.approx(1, abs=1e-5)


def test_random_feasible_flows_are_never_better(market: Any) -> None:
    random = Random(2)
    demand = _demand(market, [-0.3, 0.1, 0.1, 0.05, 0.05])
    flow = solve_flow(market.pools, demand)
    for _ in range(200):
        change = np.zeros(5)
        for pool, trade in zip(market.pools, flow.trades, strict=True):
            sold = pool.token0 if trade[0] < 0 else pool.token1
            amount = abs(min(trade)) * random.uniform(0, 2) if any(trade) else 0.0
            amount += random.choice((0, 0, 1e-3 * random.random())) / demand.unit_values[sold]
            swap = pool.swap(sold, int(amount))
            bought = pool.token1 if sold == pool.token0 else pool.token0
            change[sold] -= swap.amount_in * demand.unit_values[sold]
            change[bought] += swap.amount_out * demand.unit_values[bought]
        assert _objective(demand, change) <= flow.value + 1e-12


def test_it_agrees_with_a_cone_solver_on_constant_product_pools(builder: Any) -> None:
    cvxpy = pytest.importorskip("cvxpy")
    random = Random(3)
    for _ in range(6):
        build = builder()
        for _ in range(9):
            first, second = sorted(random.sample(range(5), 2))
            build.v2(first, second, 10 ** random.uniform(4.5, 6.5), random.gauss(0, 2e-3))
        market = build.build()
        demand = _demand(market, [w / 20 for w in _random_wish(random, 5)], stiffness=np.array([0.0, 5, 5, 5, 5]))
        paid, given = cvxpy.Variable((9, 2), nonneg=True), cvxpy.Variable((9, 2), nonneg=True)
        change, constraints = 0, []
        for k, pool in enumerate(market.pools):
            ends = [pool.token0, pool.token1]
            reserves = np.array([pool.reserve0, pool.reserve1]) * demand.unit_values[ends]
            after = reserves + 0.997 * given[k] - paid[k]
            # Scaled by the reserves, or the solver cannot tell the pools from noise.
            constraints.append(cvxpy.geo_mean(cvxpy.multiply(1 / reserves, after)) >= 1)
            basis = np.zeros((5, 2))
            basis[ends, [0, 1]] = 1
            change += basis @ (paid[k] - given[k])
        missed = change - demand.wanted
        worth = cvxpy.sum(missed) - 2.5 * cvxpy.sum_squares(missed[1:])
        # Within PATIENCE of the wish the worth is just this quadratic.
        problem = cvxpy.Problem(cvxpy.Maximize(worth), [*constraints, cvxpy.abs(missed[1:]) <= 0.01])
        problem.solve(solver="CLARABEL")
        flow = solve_flow(market.pools, demand)
        assert flow.value == pytest.approx(problem.value, abs=1e-7)
        assert flow.value >= problem.value - 1e-8


def test_a_stiff_wish_is_met_exactly_and_the_free_token_pays(market: Any) -> None:
    stiffness = np.array([0.0, *[np.inf] * 4])
    flow = solve_flow(market.pools, _demand(market, [0.0, -0.3, -0.27, -0.08, -0.15], stiffness))
    assert flow.change[1:] == pytest.approx([-0.3, -0.27, -0.08, -0.15], abs=1e-10)
    assert 0.79 < flow.change[0] < 0.8
    assert flow.prices[0] == 1


def test_wanting_nothing_moves_nothing_when_pools_agree(builder: Any) -> None:
    market = builder().v3(0, 1, 500, 1e6).v3(0, 1, 3000, 1e6).v2(0, 1, 1e6).build()
    flow = solve_flow(market.pools, _demand(market, [0.0] * 5))
    assert not flow.used.any()
    assert flow.value == 0


def test_pools_far_off_the_reference_prices_are_solved_too(builder: Any) -> None:
    random = Random(4)
    for _ in range(40):
        build, off = builder(), random.choice((0.01, 0.1, 0.2))
        for _ in range(12):
            first, second = sorted(random.sample(range(5), 2))
            depth, shift = 10 ** random.uniform(3, 7), random.gauss(0, off)
            if random.random() < 0.5:
                build.v2(first, second, depth, shift)
            else:
                build.v3(first, second, random.choice((500, 3000, 10000)), depth, shift)
        market = build.build()
        demand = _demand(market, _random_wish(random, 5))
        flow = solve_flow(market.pools, demand)
        assert flow.value == pytest.approx(_objective(demand, flow.change), rel=1e-8, abs=1e-9)


def test_pools_that_disagree_are_played_against_each_other(builder: Any) -> None:
    market = builder().v3(0, 1, 500, 1e6, 0.0).v3(0, 1, 500, 1e6, 0.02).build()
    flow = solve_flow(market.pools, _demand(market, [0.0] * 5))
    assert flow.used.all()
    assert flow.value > 1e-4


def test_the_start_changes_nothing_but_the_way(market: Any) -> None:
    demand = _demand(market, [-0.3, 0.1, 0.1, 0.05, 0.05])
    first = solve_flow(market.pools, demand)
    second = solve_flow(market.pools, demand, start=np.array([1.0, 1.1, 0.9, 1.05, 1.2]))
    assert second.change == pytest.approx(first.change, abs=1e-9)
    assert second.value == pytest.approx(first.value, abs=1e-12)


def test_a_token_that_no_pool_trades_is_named(builder: Any) -> None:
    market = builder().v2(0, 1, 1e6).build()
    with pytest.raises(RouteNotFoundError, match="token 3") as caught:
        solve_flow(market.pools, _demand(market, [0.1, 0, 0, -0.1, 0], stiffness=np.inf))
    assert caught.value.token == 3


def test_a_stiff_wish_that_the_pools_cannot_pay_is_refused(builder: Any) -> None:
    market = builder().v3(0, 1, 500, 1e4).build()
    pools: tuple[Pool, ...] = market.pools
    with pytest.raises(RouteNotFoundError, match="trade less"):
        solve_flow(pools, _demand(market, [0.0, 0.5, 0, 0, 0], stiffness=np.array([0.0, *[np.inf] * 4])))


def test_flows_are_deterministic(market: Any) -> None:
    demand = _demand(market, [-0.3, 0.1, 0.1, 0.05, 0.05])
    flows: list[Flow] = [solve_flow(market.pools, demand) for _ in range(2)]
    assert np.array_equal(flows[0].trades, flows[1].trades)
