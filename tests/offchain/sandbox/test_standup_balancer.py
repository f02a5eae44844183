# SPDX-License-Identifier: Apache-2.0
"""Balancer in the sandbox: at mainnet's address, with a pool at the market's price."""

from __future__ import annotations

import pytest

from offchain.sandbox import addresses
from offchain.sandbox.balancer import POOL_TOKENS, arbitrage, weighted_pool
from offchain.sandbox.contract import function
from offchain.sandbox.prices import token_prices
from offchain.sandbox.standup import Sandbox


def balances(sandbox: Sandbox) -> tuple[int, int]:
    pool = weighted_pool(sandbox.chain)
    tokens, amounts, _ = sandbox.chain.call(addresses.BALANCER_VAULT, POOL_TOKENS, bytes.fromhex(pool.pool_id[2:]))
    assert [token.lower() for token in tokens] == [addresses.USDC.lower(), addresses.WETH.lower()]
    return tuple(amounts)


def spot(sandbox: Sandbox) -> float:
    """USDC per WETH; both weigh the same."""
    dollars, ether = balances(sandbox)
    return dollars / 1e6 / (ether / 1e18)


def test_the_pool_stands_at_the_market_s_price(sandbox: Sandbox) -> None:
    assert spot(sandbox) == pytest.approx(token_prices()["WETH"], rel=1e-6)


def test_its_code_is_the_third_version(sandbox: Sandbox) -> None:
    version = sandbox.chain.call(weighted_pool(sandbox.chain).address, function("version()", "string"))
    assert '"version":3' in version


@pytest.mark.parametrize("price", [2400.0, 3700.0])
def test_arbitrage_leaves_the_fee_s_band(sandbox: Sandbox, price: float) -> None:
    sandbox.chain.send_all(arbitrage(sandbox.chain, weighted_pool(sandbox.chain), {**token_prices(), "WETH": price}))
    # The fee stays in the pool, so that its price ends a little inside of the band's edge.
    assert 0.0025 < abs(spot(sandbox) / price - 1) <= 0.0031


def test_inside_the_band_there_is_nothing_to_gain(sandbox: Sandbox) -> None:
    assert arbitrage(sandbox.chain, weighted_pool(sandbox.chain), {**token_prices(), "WETH": 3005.0}) == []


def test_halved_price_takes_the_largest_swap_the_pool_accepts(sandbox: Sandbox) -> None:
    before = balances(sandbox)[1]
    halved = {**token_prices(), "WETH": 1500.0}
    sandbox.chain.send_all(arbitrage(sandbox.chain, weighted_pool(sandbox.chain), halved))
    assert balances(sandbox)[1] == before + before * 29 // 100
    sandbox.chain.send_all(arbitrage(sandbox.chain, weighted_pool(sandbox.chain), halved))
    assert spot(sandbox) == pytest.approx(1500, rel=0.005)
