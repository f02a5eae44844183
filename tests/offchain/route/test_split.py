# SPDX-License-Identifier: Apache-2.0
from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest

from offchain.route.errors import InvalidAmountError, RouteNotFoundError
from offchain.route.gas import SETTLE_GAS, GasPrice
from offchain.route.split import Route, Trade, best_route

FREE = GasPrice(0.0)
USUAL = GasPrice(20e-9 * 3000)  # 20 gwei, ether at 3,000 USD
BUY_WITH_BASE = np.array([np.inf, 0.0, np.inf, np.inf, np.inf])


def _sell_base(market: Any, usd: float, stiffness: np.ndarray | None = None) -> Trade:
    stock = market.amounts((usd * 2, 0, 0, 0, 0))
    changes = (-market.amounts((usd, 0, 0, 0, 0))[0], *market.amounts((0, usd, 0, 0, 0))[1:])
    return Trade(stock, market.prices, changes, stiffness=stiffness)


def _replay(market: Any, trade: Trade, route: Route) -> None:
    """Run the legs one after the other on the exact pools, as the vault does."""
    states = {pool.address: pool for pool in market.pools}
    holdings = list(trade.holdings)
    for leg in route.legs:
        assert 0 < leg.amount_in <= holdings[leg.token_in]
        swap = states[leg.pool].swap(leg.token_in, leg.amount_in)
        assert (swap.amount_in, swap.amount_out) == (leg.amount_in, leg.amount_out)
        states[leg.pool] = swap.after
        holdings[leg.token_in] -= leg.amount_in
        holdings[leg.token_out] += leg.amount_out
    assert tuple(holdings) == route.holdings
    for state in route.pools:
        assert state.marginal_price(state.token0) == states[state.address].marginal_price(state.token0)


@pytest.mark.parametrize("usd", [1e4, 1e5, 1e6, 5e6])
def test_a_split_beats_every_single_pool(market: Any, usd: float) -> None:
    trade = _sell_base(market, usd, BUY_WITH_BASE)
    route = best_route(market.pools, trade, FREE)
    sold = -trade.changes[0]
    singles = [pool.quote_in(0, sold) for pool in market.pools if {pool.token0, pool.token1} == {0, 1}]
    assert len(singles) == 3
    assert route.holdings[1] >= max(singles)
    if usd >= 1e6:
        assert route.holdings[1] > max(singles) * (1 + usd / 1e6 * 5e-5)


@pytest.mark.parametrize("usd", [2e5, 1e6, 5e6])
def test_a_split_is_no_worse_than_a_fine_grid(builder: Any, usd: float) -> None:
    build = builder().v3(0, 1, 500, 4e6, 1e-4).v3(0, 1, 3000, 3e6, -2e-4).v2(0, 1, 6e6, 3e-4)
    market = build.v3(0, 2, 500, 2e6).v3(2, 1, 500, 2e6).build()
    direct, (in_leg, out_leg) = market.pools[:3], market.pools[3:]
    sold = market.amounts((usd, 0, 0, 0, 0))[0]
    steps = 25
    tables = [[pool.quote_in(0, sold * k // steps) for k in range(steps + 1)] for pool in direct]
    tables.append([out_leg.quote_in(2, in_leg.quote_in(0, sold * k // steps)) for k in range(steps + 1)])
    grid = max(
        sum(table[k] for table, k in zip(tables, (*parts, steps - sum(parts)), strict=True))
        for parts in product(range(steps + 1), repeat=3)
        if sum(parts) <= steps
    )
    route = best_route(market.pools, _sell_base(market, usd, BUY_WITH_BASE), FREE)
    assert route.holdings[1] >= grid
    assert route.holdings[1] < grid * 1.002
    assert route.holdings[0] == sold  # the other half of the stock


def test_legs_executed_in_order_pay_what_they_say(market: Any) -> None:
    random = Random(5)
    traded = 0
    for _ in range(60):
        before = np.array([random.random() * random.choice((0, 1)) for _ in range(5)]) + 1e-3
        after = np.array([random.random() for _ in range(5)]) ** 2
        before, after = before / before.sum() * 1e6, after / after.sum() * 0.998e6
        moved = random.choice((0.01, 0.1, 0.9))
        stock = market.amounts(tuple(before))
        changes = tuple(
            max(-held, change)
            for held, change in zip(
                stock,
                (
                    int(v / usd * 10**d)
                    for v, usd, d in zip((after - before) * moved, market.usd, market.decimals, strict=True)
                ),
                strict=True,
            )
        )
        trade = Trade(stock, market.prices, changes)
        route = best_route(market.pools, trade, USUAL)
        _replay(market, trade, route)
        traded += len(route.legs)
    assert traded > 100


def test_nothing_is_left_over_on_the_way(builder: Any) -> None:
    market = builder().v3(0, 1, 500, 4e6).v2(2, 1, 2e6).v3(2, 1, 3000, 1e6).build()
    stock = market.amounts((3e5, 0, 0, 0, 0))
    stiffness = np.array([np.inf, np.inf, 0.0, np.inf, np.inf])
    trade = Trade(stock, market.prices, (-stock[0], 0, 0, 0, 0), stiffness=stiffness)
    route = best_route(market.pools, trade, FREE)
    assert [(leg.token_in, leg.token_out) for leg in route.legs] == [(0, 1), (1, 2), (1, 2)]
    assert route.holdings[:2] == (0, 0)
    _replay(market, trade, route)


def test_a_whole_holding_is_sold_to_the_last_wei(market: Any) -> None:
    stock = (0, 123456789012345678901, 1234567891, 3210987654321098765432, 98765432109876543210)
    stiffness = np.array([0.0, *[np.inf] * 4])
    trade = Trade(stock, market.prices, (0, *(-held for held in stock[1:])), stiffness=stiffness)
    route = best_route(market.pools, trade, USUAL)
    assert route.holdings[1:] == (0, 0, 0, 0)
    _replay(market, trade, route)


def test_a_dear_leg_is_left_out(market: Any) -> None:
    trade = _sell_base(market, 1e6, BUY_WITH_BASE)
    cheap, dear = (best_route(market.pools, trade, GasPrice(usd)) for usd in (0.0, 1e-2))
    assert len(dear.legs) < len(cheap.legs)
    assert dear.holdings[1] < cheap.holdings[1]
    assert dear.gas_cost_usd == pytest.approx((SETTLE_GAS + 120_000 * len(dear.legs)) * 1e-2, rel=0.2)


def test_pruning_is_close_to_the_best_subset_of_pools(market: Any) -> None:
    gas = GasPrice(2e-3)
    trade = _sell_base(market, 4e5, BUY_WITH_BASE)
    pools = [pool for pool in market.pools if {pool.token0, pool.token1} <= {0, 1, 2}]
    assert len(pools) == 8

    def net(route: Route) -> float:
        return market.worth(route.holdings) - route.gas_cost_usd

    subsets = []
    for chosen in product((False, True), repeat=len(pools)):
        subset = [pool for pool, keep in zip(pools, chosen, strict=True) if keep]
        try:
            subsets.append(net(best_route(subset, trade, gas)))
        except RouteNotFoundError:
            continue
    assert net(best_route(pools, trade, gas)) >= max(subsets) - 0.01


def test_the_number_of_legs_is_respected(market: Any) -> None:
    stock = market.amounts((1e6, 0, 0, 0, 0))
    changes = (-market.amounts((8e5, 0, 0, 0, 0))[0], *market.amounts((0, 3e5, 2.7e5, 8e4, 1.5e5))[1:])
    trade = Trade(stock, market.prices, changes)
    unlimited = best_route(market.pools, trade, FREE)
    assert len(unlimited.legs) > 5
    for most in (5, 4):
        route = best_route(market.pools, trade, FREE, max_legs=most)
        assert len(route.legs) <= most
        _replay(market, trade, route)


def test_too_few_legs_for_a_stiff_wish_are_refused(market: Any) -> None:
    stock = market.amounts((1e6, 0, 0, 0, 0))
    changes = (0, *market.amounts((0, 3e5, 2.7e5, 8e4, 1.5e5))[1:])
    stiffness = np.array([0.0, *[np.inf] * 4])
    with pytest.raises(RouteNotFoundError):
        best_route(market.pools, Trade(stock, market.prices, changes, stiffness=stiffness), FREE, max_legs=2)


def test_selling_more_than_is_held_is_refused(market: Any) -> None:
    with pytest.raises(InvalidAmountError, match="token 1"):
        best_route(market.pools, Trade((10**9, 5, 0, 0, 0), market.prices, (0, -6, 0, 0, 0)), FREE)


def test_empty_holdings_are_refused(market: Any) -> None:
    with pytest.raises(InvalidAmountError, match="worth nothing"):
        best_route(market.pools, Trade((0,) * 5, market.prices, (0,) * 5), FREE)


def test_wanting_nothing_costs_nothing(market: Any) -> None:
    stock = market.amounts((2e5,) * 5)
    route = best_route(market.pools, Trade(stock, market.prices, (0,) * 5), USUAL)
    assert route.legs == ()
    assert route.holdings == stock
    assert route.gas_cost_usd == 0
