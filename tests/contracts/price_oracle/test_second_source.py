# SPDX-License-Identifier: Apache-2.0
"""second_sources, and what they do to prices and statuses: Uniswap's real pools against the feeds."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import pytest

from offchain.sandbox import addresses
from offchain.sandbox.uniswap import POOLS
from tests.contracts.price_oracle.conftest import USD, Second, chainlink, deploy_oracle, prices_of
from tests.support.evm import Contract, Evm, reverts
from tests.support.hostile import actor
from tests.support.world import World

WINDOW = 1800
APART, THIN = 6, 5
POOL_ABI: list[dict[str, Any]] = [
    {"type": "function", "name": "increaseObservationCardinalityNext", "stateMutability": "nonpayable", "outputs": [],
     "inputs": [{"name": "next", "type": "uint16"}]},
    {"type": "function", "name": "observe", "stateMutability": "view",
     "inputs": [{"name": "ago", "type": "uint32[]"}],
     "outputs": [{"name": "", "type": "int56[]"}, {"name": "", "type": "uint160[]"}]},
    {"type": "function", "name": "liquidity", "stateMutability": "view", "inputs": [],
     "outputs": [{"name": "", "type": "uint128"}]},
]  # fmt: skip


def pool_of(world: World, name: str) -> Contract:
    (pool,) = (pool for pool in POOLS if pool.name == name)
    return Contract(world.evm, pool.address, POOL_ABI)


def source(pool: Contract, quote: int, **changes: int) -> Second:
    return Second(pool.address, quote, WINDOW, 10**12, 40, 300)._replace(**changes)


def rows(world: World) -> list[Any]:
    """USDC, WETH and WBTC as the blue-chip mandate prices them, with bounds that never matter."""
    feeds = [addresses.FEEDS[name] for name in ("USDC/USD", "ETH/USD", "BTC/USD")]
    decimals = (6, 18, 8)
    return [
        chainlink(Contract(world.evm, feed, ()), scale, heartbeat=10**7, min_price=1, max_price=10**27)
        for feed, scale in zip(feeds, decimals, strict=True)
    ]


def paired(world: World, *seconds: Second) -> Contract:
    """An oracle of USDC, WETH and WBTC whose later assets have second sources."""
    tokens = [addresses.TOKENS[symbol] for symbol in ("USDC", "WETH", "WBTC")]
    table = [*seconds, *[Second()] * (3 - len(seconds))]
    return deploy_oracle(world.evm, *rows(world), seconds=table, tokens=tokens)


@pytest.fixture
def grown(world: World) -> World:
    """The pools keep fifty observations and have stood at the oracle's prices for a day."""
    for name in ("WETH/USDC v3 500", "WBTC/WETH v3 3000"):
        pool_of(world, name).increaseObservationCardinalityNext(50, sender="market")
    for _ in range(3):
        world.trade_market_to(exact=True, WETH=3001)
        world.evm.mine(3600)
        world.trade_market_to(exact=True)
        world.evm.mine(86_400)
    return world


@pytest.fixture
def eth_usdc(grown: World) -> Contract:
    return pool_of(grown, "WETH/USDC v3 500")


@pytest.fixture
def oracle(grown: World, eth_usdc: Contract) -> Contract:
    """Ether is token1 of its pool, bitcoin token0."""
    return paired(
        grown, Second(), source(eth_usdc, 0), source(pool_of(grown, "WBTC/WETH v3 3000"), 1, min_liquidity=10**10)
    )


def test_the_table_is_what_was_given(oracle: Contract, eth_usdc: Contract) -> None:
    pool, *numbers = oracle.second_sources(1)
    assert pool.lower() == eth_usdc.address.lower()
    assert tuple(numbers) == (0, WINDOW, 10**12, 40, 300)
    with reverts("oracle: no such asset"):
        oracle.second_sources(3)


def test_sources_that_agree_change_no_price(grown: World, oracle: Contract) -> None:
    assert oracle.statuses() == (0, 0, 0)
    assert prices_of(oracle) == prices_of(deploy_oracle(grown.evm, *rows(grown)))


@pytest.mark.parametrize(("feed", "asset"), [("ETH/USD", 1), ("BTC/USD", 2)])
@pytest.mark.parametrize("factor", [0.965, 1.035])
def test_a_feed_that_its_pool_contradicts_is_not_live(
    grown: World, oracle: Contract, feed: str, asset: int, factor: float
) -> None:
    grown.set_feed(feed, {"ETH/USD": 3000, "BTC/USD": 60_000}[feed] * factor)
    assert oracle.statuses()[asset] == APART
    with reverts("oracle: sources apart"):
        oracle.prices()
    live, prices = oracle.try_prices()
    assert not live
    assert prices[asset] == 0
    assert prices[0] == 10**30


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_inside_the_deviation_it_is(grown: World, oracle: Contract, factor: float) -> None:
    grown.set_feed("ETH/USD", 3000 * factor)
    grown.set_feed("BTC/USD", 60_000 * factor)
    assert oracle.statuses() == (0, 0, 0)


def test_the_deviation_counts_from_the_smaller_price_both_ways(grown: World, eth_usdc: Contract) -> None:
    """The boundary found by bisection is the same ratio above and below the pool's mean."""
    oracle = paired(grown, Second(), source(eth_usdc, 0))

    def live_at(price: float) -> bool:
        with grown.evm.rolled_back():
            grown.set_feed("ETH/USD", price)
            return bool(oracle.statuses()[1] == 0)

    def edge(inside: float, outside: float) -> float:
        for _ in range(30):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if live_at(middle) else (inside, middle)
        return inside

    low, high = edge(3000, 2000), edge(3000, 4000)
    mean = (low * high) ** 0.5
    assert high / mean == pytest.approx(1.03, rel=1e-6)
    ticks, _ = eth_usdc.observe([WINDOW, 0])
    assert mean == pytest.approx(1e12 / 1.0001 ** ((ticks[1] - ticks[0]) // WINDOW), rel=1e-6)


def test_a_pool_moved_for_a_block_contradicts_nothing(grown: World, oracle: Contract) -> None:
    """Bug class: what a flash loan can move decides. It moves the mean by one block's share of the window."""
    grown.trade_market_to(exact=True, WETH=2800)
    assert oracle.statuses() == (0, 0, 0)
    grown.evm.mine(12)
    assert oracle.statuses() == (0, 0, 0)
    grown.evm.mine(WINDOW)
    assert oracle.statuses()[1] == APART


def test_where_liquidity_has_left_the_price_is_not_live(grown: World, eth_usdc: Contract) -> None:
    depth = eth_usdc.liquidity()
    enough = paired(grown, Second(), source(eth_usdc, 0, min_liquidity=depth * 99 // 100))
    assert enough.statuses()[1] == 0
    # Beyond the inner ranges of its positions there is less of it.
    grown.trade_market_to(exact=True, WETH=2300)
    grown.set_feed("ETH/USD", 2300)
    grown.evm.mine(2 * WINDOW)
    assert eth_usdc.liquidity() < depth * 99 // 100
    assert enough.statuses()[1] == THIN
    with reverts("oracle: thin second source"):
        enough.prices()


def test_liquidity_added_for_a_block_does_not_make_it_thick(grown: World, eth_usdc: Contract) -> None:
    """The mean is harmonic over the window: what stands there now counts for nothing yet."""
    grown.trade_market_to(exact=True, WETH=2300)
    grown.evm.mine(2 * WINDOW)
    thin = eth_usdc.liquidity()
    grown.trade_market_to(exact=True)
    assert eth_usdc.liquidity() > thin * 5 // 4
    with reverts("oracle: thin second source"):
        paired(grown, Second(), source(eth_usdc, 0, min_liquidity=thin * 5 // 4))


def test_history_that_does_not_reach_back_is_thin(grown: World, eth_usdc: Contract) -> None:
    with reverts("oracle: thin second source"):
        paired(grown, Second(), source(eth_usdc, 0, window=3000 * 86_400))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"min_cardinality": 51}, "oracle: cardinality"),
        ({"min_liquidity": 0}, "oracle: zero liquidity"),
        ({"min_liquidity": 2**127}, "oracle: thin second source"),
        ({"window": 0}, "oracle: window"),
        ({"window": 2**32}, "oracle: window"),
        ({"max_deviation_bps": 0}, "oracle: deviation"),
        ({"max_deviation_bps": 10_001}, "oracle: deviation"),
        ({"quote": 1}, "oracle: quote"),
        ({"quote": 3}, "oracle: quote"),
        ({"quote": 2}, "oracle: pool of other tokens"),
    ],
)
def test_rows_that_are_refused(grown: World, eth_usdc: Contract, changes: dict[str, int], reason: str) -> None:
    with reverts(reason):
        paired(grown, Second(), source(eth_usdc, 0)._replace(**changes))


def test_a_pool_with_one_observation_is_refused(world: World) -> None:
    """Its mean is whatever the last trade of a block left."""
    with reverts("oracle: cardinality"):
        paired(world, Second(), source(pool_of(world, "WETH/USDC v3 500"), 0, min_cardinality=2))


def test_a_row_for_each_asset_or_none(evm: Evm) -> None:
    feed = actor(evm, "HostileFeed", 8, 10**10)
    with reverts("oracle: second sources"):
        deploy_oracle(evm, chainlink(feed), chainlink(feed), seconds=[Second()])


@pytest.mark.parametrize("tick", [0, 1, -1, 2, 1000, -1000, 195_000, -195_000, 276_324, -276_324, 500_000, -500_000])
def test_the_power_of_a_tick_agrees_with_exact_arithmetic(evm: Evm, tick: int) -> None:
    power = actor(evm, "PriceAverage").priced(10**30, tick)
    with localcontext() as context:
        context.prec = 80
        exact = Decimal(10**30) * Decimal("1.0001") ** tick
        assert abs(Decimal(power) - exact) <= max(exact * Decimal(2) ** -40, 1)


def test_a_tick_at_the_end_of_the_world_saturates(evm: Evm) -> None:
    average = actor(evm, "PriceAverage")
    assert average.priced(USD, 887_272 * 1) >= 2**128
    assert average.priced(10**30, -887_272) == 0
    assert average.priced(2**128, 0) == 0
