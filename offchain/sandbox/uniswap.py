# SPDX-License-Identifier: Apache-2.0
"""Uniswap v2 and v3 at their mainnet addresses, with pools of a stated depth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from offchain.route.leg import Venue
from offchain.sandbox import addresses
from offchain.sandbox.artifacts import npm_artifact
from offchain.sandbox.chain import Chain
from offchain.sandbox.contract import Contract, function
from offchain.sandbox.prices import token_prices
from offchain.sandbox.tokens import APPROVE, BALANCE_OF, gift

MOVE: Final = 1.02
"""Depth is the USD that moves the price by this factor."""

FOREVER: Final = 2**40

Ranges = tuple[tuple[float, float], ...]

VOLATILE: Final[Ranges] = ((1.04, 0.10), (1.2, 0.20), (2.0, 0.30), (40.0, 0.40))
CORRELATED: Final[Ranges] = ((1.001, 0.25), (1.005, 0.25), (1.05, 0.30), (4.0, 0.20))
"""Nested ranges around the price P: ``(a, share)`` puts a share of the depth on [P/a, P·a].

The widest range of the volatile pools is still in use when one asset of the pair falls by
70 % while the other triples.
"""

SPACING: Final = {100: 1, 500: 10, 3000: 60, 10000: 200}

GET_PAIR = function("getPair(address,address)", "address")
GET_RESERVES = function("getReserves()", "uint112,uint112,uint32")
SLOT0 = function("slot0()", "uint160,int24,uint16,uint16,uint16,uint8,bool")


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool of the sandbox."""

    venue: Venue
    base: str
    """Symbol of the token that the name puts first."""
    quote: str
    fee_ppm: int
    """0.3 % is 3000, for v2 too."""
    depth: float
    """USD that moves the price by 2 %, at the head."""
    ranges: Ranges = VOLATILE

    @property
    def name(self) -> str:
        """Such as ``"WETH/USDC v3 500"`` or ``"WETH/USDC v2"``."""
        return f"{self.base}/{self.quote} " + ("v2" if self.venue is Venue.UNISWAP_V2 else f"v3 {self.fee_ppm}")

    @property
    def symbols(self) -> tuple[str, str]:
        """Symbols of token 0 and token 1."""
        first, second = sorted((self.base, self.quote), key=lambda symbol: int(addresses.TOKENS[symbol], 16))
        return first, second

    @property
    def tokens(self) -> tuple[str, str]:
        """Addresses of token 0 and token 1."""
        first, second = self.symbols
        return addresses.TOKENS[first], addresses.TOKENS[second]

    @property
    def address(self) -> str:
        """Where the factory puts it."""
        return _address(self.venue, self.tokens, self.fee_ppm)


@cache
def _address(venue: Venue, tokens: tuple[str, str], fee_ppm: int) -> str:
    if venue is Venue.UNISWAP_V2:
        salt = keccak(b"".join(bytes.fromhex(token[2:]) for token in tokens))
        factory, code_hash = addresses.UNISWAP_V2_FACTORY, addresses.UNISWAP_V2_PAIR_CODE_HASH
    else:
        salt = keccak(encode(["address", "address", "uint24"], [*tokens, fee_ppm]))
        factory, code_hash = addresses.UNISWAP_V3_FACTORY, addresses.UNISWAP_V3_POOL_CODE_HASH
    seed = b"\xff" + bytes.fromhex(factory[2:]) + salt + bytes.fromhex(code_hash[2:])
    return str(to_checksum_address(keccak(seed)[-20:]))


def _v2(base: str, quote: str, depth: float) -> Pool:
    return Pool(Venue.UNISWAP_V2, base, quote, 3000, depth)


def _v3(base: str, quote: str, fee_ppm: int, depth: float, ranges: Ranges = VOLATILE) -> Pool:
    return Pool(Venue.UNISWAP_V3, base, quote, fee_ppm, depth, ranges)


POOLS: Final = (
    _v3("WETH", "USDC", 500, 10e6),
    _v3("WETH", "USDC", 3000, 3e6),
    _v2("WETH", "USDC", 6e6),
    _v3("WBTC", "WETH", 3000, 5e6),
    _v3("WBTC", "WETH", 500, 3e6),
    _v2("WBTC", "WETH", 1e6),
    _v3("WBTC", "USDC", 3000, 2e6),
    _v3("wstETH", "WETH", 100, 10e6, CORRELATED),
    _v3("LINK", "WETH", 3000, 1e6),
    _v2("LINK", "WETH", 0.4e6),
    _v3("LINK", "USDC", 3000, 0.5e6),
    _v3("WETH", "USDT", 500, 4e6),
    _v3("WETH", "USDT", 3000, 2e6),
    _v2("WETH", "USDT", 3e6),
    _v3("DAI", "WETH", 3000, 1e6),
    _v3("DAI", "USDC", 100, 20e6, CORRELATED),
    _v3("USDC", "USDT", 100, 20e6, CORRELATED),
)
"""Every pool of the sandbox."""


def deploy_uniswap(chain: Chain) -> None:
    """Deploy factories, routers, position manager and lenses, then create and fill every pool."""
    core, periphery = "@uniswap/v3-core/artifacts/contracts", "@uniswap/v3-periphery/artifacts/contracts"
    factory2 = npm_artifact("@uniswap/v2-core/build/UniswapV2Factory.json")
    router2 = npm_artifact("@uniswap/v2-periphery/build/UniswapV2Router02.json")
    v2_factory = chain.deploy_at(addresses.UNISWAP_V2_FACTORY, factory2, chain.sender)
    v2_router = chain.deploy_at(addresses.UNISWAP_V2_ROUTER, router2, v2_factory.address, addresses.WETH)
    v3_factory = chain.deploy_at(
        addresses.UNISWAP_V3_FACTORY, npm_artifact(f"{core}/UniswapV3Factory.sol/UniswapV3Factory.json")
    )
    # Mainnet's governance added this tier in November 2021.
    chain.send(v3_factory, "enableFeeAmount", 100, 1)
    where = (v3_factory.address, addresses.WETH)
    manager = npm_artifact(f"{periphery}/NonfungiblePositionManager.sol/NonfungiblePositionManager.json")
    # No descriptor: it only draws the positions' pictures.
    positions = chain.deploy_at(addresses.UNISWAP_V3_POSITIONS, manager, *where, "0x" + "00" * 20)
    for address, path in (
        (addresses.UNISWAP_V3_ROUTER, "SwapRouter.sol/SwapRouter.json"),
        (addresses.UNISWAP_V3_QUOTER, "lens/QuoterV2.sol/QuoterV2.json"),
    ):
        chain.deploy_at(address, npm_artifact(f"{periphery}/{path}"), *where)
    chain.deploy_at(addresses.UNISWAP_V3_TICK_LENS, npm_artifact(f"{periphery}/lens/TickLens.sol/TickLens.json"))
    for token in addresses.TOKENS.values():
        for spender in (v2_router.address, positions.address, addresses.UNISWAP_V3_ROUTER):
            chain.send(token, APPROVE, spender, 2**256 - 1)
    for pool in POOLS:
        if pool.venue is Venue.UNISWAP_V2:
            _fill_v2(chain, v2_router, pool)
        else:
            _fill_v3(chain, positions, pool)


def raw_price(pool: Pool) -> float:
    """Token 1 base units per token 0 base unit at the head."""
    prices, (first, second) = token_prices(), pool.symbols
    return prices[first] / prices[second] * 10.0 ** (addresses.DECIMALS[second] - addresses.DECIMALS[first])


def positions_of(pool: Pool) -> Iterator[tuple[int, int, float]]:
    """``(lower tick, upper tick, liquidity)`` of each nested range of a v3 pool."""
    price, spacing = raw_price(pool), SPACING[pool.fee_ppm]
    unit = token_prices()[pool.symbols[1]] / 10 ** addresses.DECIMALS[pool.symbols[1]]
    for factor, share in pool.ranges:
        lower = math.floor(math.log(price / factor, 1.0001) / spacing) * spacing
        upper = math.ceil(math.log(price * factor, 1.0001) / spacing) * spacing
        # A range that ends before the move does gives all it has.
        reach = min(1.0001 ** (upper / 2) / math.sqrt(price), math.sqrt(MOVE))
        yield lower, upper, share * pool.depth / (unit * math.sqrt(price) * (reach - 1))


def _fill_v2(chain: Chain, router: Contract, pool: Pool) -> None:
    prices = token_prices()
    # Price p = y/x; moving it by m takes y(√m - 1).
    side = pool.depth / (math.sqrt(MOVE) - 1)
    amounts = [int(side / prices[symbol] * 10 ** addresses.DECIMALS[symbol]) for symbol in pool.symbols]
    _have(chain, pool, amounts)
    chain.send(router, "addLiquidity", *pool.tokens, *amounts, 0, 0, chain.sender, FOREVER)


def _fill_v3(chain: Chain, positions: Contract, pool: Pool) -> None:
    price = raw_price(pool)
    root = math.sqrt(price)
    create = "createAndInitializePoolIfNecessary"
    chain.send(positions, create, *pool.tokens, pool.fee_ppm, int(root * 2**96))
    for lower, upper, liquidity in positions_of(pool):
        amounts = [
            int(liquidity * (1 / root - 1.0001 ** (-upper / 2))) + 1,
            int(liquidity * (root - 1.0001 ** (lower / 2))) + 1,
        ]
        _have(chain, pool, amounts)
        mint = (*pool.tokens, pool.fee_ppm, lower, upper, *amounts, 0, 0, chain.sender, FOREVER)
        chain.send(positions, "mint", mint)


def _have(chain: Chain, pool: Pool, amounts: list[int]) -> None:
    for symbol, token, amount in zip(pool.symbols, pool.tokens, amounts, strict=True):
        missing = amount - chain.call(token, BALANCE_OF, chain.sender)
        if missing > 0:
            chain.send_all(gift(chain, symbol, chain.sender, missing))
