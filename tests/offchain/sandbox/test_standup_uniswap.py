# SPDX-License-Identifier: Apache-2.0
"""Uniswap in the sandbox: mainnet's addresses and code hashes, stated depths, quotes that hold."""

from __future__ import annotations

import math
from typing import Any

import pytest
from eth_utils.crypto import keccak

from offchain.route.leg import Venue
from offchain.sandbox import addresses
from offchain.sandbox.artifacts import npm_artifact
from offchain.sandbox.contract import function
from offchain.sandbox.prices import token_prices
from offchain.sandbox.standup import Sandbox
from offchain.sandbox.status import pool_price
from offchain.sandbox.tokens import APPROVE, BALANCE_OF
from offchain.sandbox.uniswap import GET_PAIR, GET_RESERVES, POOLS, VOLATILE, Pool
from offchain.settle.development import development_address

QUOTE = function("quoteExactInputSingle((address,address,uint256,uint24,uint160))", "uint256,uint160,uint32,uint256")
SWAP = function("exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))", "uint256")
SWAP_V2 = function("swapExactTokensForTokens(uint256,uint256,address[],address,uint256)", "uint256[]")
AMOUNTS_OUT = function("getAmountsOut(uint256,address[])", "uint256[]")
GET_POOL = function("getPool(address,address,uint24)", "address")

MAINNET = {
    "WETH/USDC v3 500": "0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640",
    "WETH/USDC v3 3000": "0x8ad599c3A0ff1De082011EFDDc58f1908eb6e6D8",
    "WETH/USDC v2": "0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc",
    "WBTC/WETH v3 3000": "0xCBCdF9626bC03E24f779434178A73a0B4bad62eD",
    "DAI/USDC v3 100": "0x5777d92f208679DB4b9778590Fa3CAB3aC9e2168",
}

DEPTH = {
    "WETH/USDC v3 500": 10e6,
    "WETH/USDC v3 3000": 3e6,
    "WETH/USDC v2": 6e6,
    "WBTC/WETH v3 3000": 5e6,
    "WBTC/WETH v3 500": 3e6,
    "WBTC/WETH v2": 1e6,
    "WBTC/USDC v3 3000": 2e6,
    "wstETH/WETH v3 100": 10e6,
    "LINK/WETH v3 3000": 1e6,
    "LINK/WETH v2": 0.4e6,
    "LINK/USDC v3 3000": 0.5e6,
    "WETH/USDT v3 500": 4e6,
    "WETH/USDT v3 3000": 2e6,
    "WETH/USDT v2": 3e6,
    "DAI/WETH v3 3000": 1e6,
    "DAI/USDC v3 100": 20e6,
    "USDC/USDT v3 100": 20e6,
}
"""USD that moves the price by 2 %, in either direction."""

each_pool = pytest.mark.parametrize("pool", POOLS, ids=lambda pool: pool.name)


def quote(sandbox: Sandbox, token_in: str, token_out: str, amount: int, fee: int) -> Any:
    arguments = (addresses.TOKENS[token_in], addresses.TOKENS[token_out], amount, fee, 0)
    return sandbox.chain.call(addresses.UNISWAP_V3_QUOTER, QUOTE, arguments)


@pytest.mark.parametrize("name", MAINNET)
def test_pools_are_where_mainnet_has_them(sandbox: Sandbox, name: str) -> None:
    assert sandbox.pools[name].address == MAINNET[name]


@each_pool
def test_factories_know_every_pool_at_its_computed_address(sandbox: Sandbox, pool: Pool) -> None:
    if pool.venue is Venue.UNISWAP_V2:
        known = sandbox.chain.call(addresses.UNISWAP_V2_FACTORY, GET_PAIR, *pool.tokens)
    else:
        known = sandbox.chain.call(addresses.UNISWAP_V3_FACTORY, GET_POOL, *pool.tokens, pool.fee_ppm)
    assert known == pool.address


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("@uniswap/v2-core/build/UniswapV2Pair.json", addresses.UNISWAP_V2_PAIR_CODE_HASH),
        (
            "@uniswap/v3-core/artifacts/contracts/UniswapV3Pool.sol/UniswapV3Pool.json",
            addresses.UNISWAP_V3_POOL_CODE_HASH,
        ),
    ],
)
def test_creation_code_hashes_are_mainnets(path: str, expected: str) -> None:
    assert "0x" + keccak(bytes.fromhex(npm_artifact(path).creation)).hex() == expected


@each_pool
def test_pools_start_at_the_feeds_prices(sandbox: Sandbox, pool: Pool) -> None:
    prices = token_prices()
    assert pool_price(sandbox.chain, pool) == pytest.approx(prices[pool.base] / prices[pool.quote], rel=1e-6)


@pytest.mark.parametrize(("name", "depth"), DEPTH.items())
def test_stated_depth_moves_the_price_by_two_percent(sandbox: Sandbox, name: str, depth: float) -> None:
    pool = sandbox.pools[name]
    for token_in, token_out in (pool.symbols, pool.symbols[::-1]):
        whole = 10 ** addresses.DECIMALS[token_in]
        # The fee is paid on top of what moves the price.
        amount = int(depth / token_prices()[token_in] * whole / (1 - pool.fee_ppm / 1e6))
        if pool.venue is Venue.UNISWAP_V2:
            reserves = sandbox.chain.call(pool.address, GET_RESERVES)[:2]
            reserve = reserves[pool.symbols.index(token_in)]
            move = (1 + amount * 0.997 / reserve) ** 2
        else:
            before = quote(sandbox, token_in, token_out, 1, pool.fee_ppm)[1]
            after = quote(sandbox, token_in, token_out, amount, pool.fee_ppm)[1]
            move = math.exp(2 * abs(math.log(after / before)))
        assert move - 1 == pytest.approx(0.02, rel=0.05), token_in


@pytest.mark.parametrize(
    "pool", [pool for pool in POOLS if pool.venue is Venue.UNISWAP_V3 and pool.ranges is VOLATILE], ids=lambda p: p.name
)
def test_liquidity_reaches_a_crash_to_a_tenth_and_a_tenfold_rise(sandbox: Sandbox, pool: Pool) -> None:
    """While one asset falls by 70 % and the other triples, their relative price moves tenfold."""
    for token_in, token_out in (pool.symbols, pool.symbols[::-1]):
        before = quote(sandbox, token_in, token_out, 1, pool.fee_ppm)[1]
        limit = int(before / math.sqrt(10)) if token_in == pool.symbols[0] else int(before * math.sqrt(10))
        arguments = (addresses.TOKENS[token_in], addresses.TOKENS[token_out], 2**120, pool.fee_ppm, limit)
        out, after, crossed, _ = sandbox.chain.call(addresses.UNISWAP_V3_QUOTER, QUOTE, arguments)
        assert (after, out > 0, crossed > 2) == (limit, True, True)


def test_executed_v3_swap_pays_what_was_quoted(sandbox: Sandbox) -> None:
    chain, attacker = sandbox.chain, development_address("attacker")
    chain.impersonate(attacker)
    amount = 5 * 10**18
    expected = quote(sandbox, "WETH", "USDC", amount, 500)[0]
    before = chain.call(addresses.USDC, BALANCE_OF, attacker)
    chain.send(addresses.WETH, APPROVE, addresses.UNISWAP_V3_ROUTER, amount, sender=attacker)
    swap = (addresses.WETH, addresses.USDC, 500, attacker, 2**40, amount, 0, 0)
    chain.send(addresses.UNISWAP_V3_ROUTER, SWAP, swap, sender=attacker)
    assert chain.call(addresses.USDC, BALANCE_OF, attacker) - before == expected


def test_executed_v2_swap_pays_what_was_quoted(sandbox: Sandbox) -> None:
    chain, attacker = sandbox.chain, development_address("attacker")
    chain.impersonate(attacker)
    amount, path = 10**18, [addresses.WETH, addresses.USDT]
    expected = chain.call(addresses.UNISWAP_V2_ROUTER, AMOUNTS_OUT, amount, path)[-1]
    before = chain.call(addresses.USDT, BALANCE_OF, attacker)
    chain.send(addresses.WETH, APPROVE, addresses.UNISWAP_V2_ROUTER, amount, sender=attacker)
    chain.send(addresses.UNISWAP_V2_ROUTER, SWAP_V2, amount, 0, path, attacker, 2**40, sender=attacker)
    assert chain.call(addresses.USDT, BALANCE_OF, attacker) - before == expected
