# SPDX-License-Identifier: Apache-2.0
"""Other people at random in every pool of a sandbox: trades, positions opened and closed, fees set, feeds reporting."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from eth_abi.abi import encode

from offchain.route.leg import Venue
from offchain.sandbox import addresses
from offchain.sandbox.balancer import JOIN, SWAP, weighted_pool
from offchain.sandbox.chain import Reverted
from offchain.sandbox.contract import function
from offchain.sandbox.prices import PRICES, token_prices
from offchain.sandbox.standup import Sandbox
from offchain.sandbox.tokens import APPROVE
from offchain.sandbox.uniswap import FOREVER, POOLS, SLOT0, SPACING, Pool

SWAP_V2 = function("swapExactTokensForTokens(uint256,uint256,address[],address,uint256)")
SWAP_V3 = function("exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))")
ADD_V2 = function("addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)")
SYNC = function("sync()")
MINT = function("mint((address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256))")
BURN = function("decreaseLiquidity((uint256,uint128,uint256,uint256,uint256))")
POSITION = function(
    "positions(uint256)",
    "uint96,address,address,address,uint24,int24,int24,uint128,uint256,uint256,uint128,uint128",
)
HELD = function("balanceOf(address)", "uint256")
NTH_HELD = function("tokenOfOwnerByIndex(address,uint256)", "uint256")
SET_FEE = function("setSwapFeePercentage(uint256)")
TRANSFER = function("transfer(address,uint256)")
JOIN_EXACT_TOKENS = 1
V3 = tuple(pool for pool in POOLS if pool.venue is Venue.UNISWAP_V3)
V2 = tuple(pool for pool in POOLS if pool.venue is Venue.UNISWAP_V2)


@dataclass
class Crowd:
    """Acts once a call, from a seed; whatever it does may revert, as other people's transactions do."""

    sandbox: Sandbox
    seed: int
    done: list[str] = field(default_factory=list)
    """What was done, in order."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._chain = self.sandbox.chain
        for symbol in ("USDC", "WETH", "WBTC", "LINK", "wstETH", "USDT", "DAI"):
            self.sandbox.give(symbol, self._chain.sender, self._units(symbol, 1e9))
        self._balancer = weighted_pool(self._chain)
        for symbol in self._balancer.symbols:
            self._chain.send(addresses.TOKENS[symbol], APPROVE, addresses.BALANCER_VAULT, 2**256 - 1)

    def act(self) -> str:
        """Do something; returns what."""
        kinds = {
            self._swap_v3: 5, self._mint: 4, self._burn: 3, self._swap_v2: 3, self._add_v2: 1, self._donate_v2: 1,
            self._swap_balancer: 2, self._join_balancer: 1, self._set_balancer_fee: 1, self._report: 1,
        }  # fmt: skip
        (what,) = self._random.choices(list(kinds), list(kinds.values()))
        try:
            what()
        except Reverted:
            self.done.append(f"{what.__name__} reverted")
        else:
            self.done.append(what.__name__)
        return self.done[-1]

    def _units(self, symbol: str, dollars: float) -> int:
        return int(dollars / token_prices()[symbol] * 10 ** addresses.DECIMALS[symbol])

    def _sides(self, pool: Pool) -> tuple[str, str]:
        sold, bought = pool.symbols if self._random.random() < 0.5 else pool.symbols[::-1]
        return sold, bought

    def _swap_v3(self) -> None:
        pool = self._random.choice(V3)
        sold, bought = self._sides(pool)
        # Now and then so much that the price leaves the ticks that were read.
        dollars = pool.depth * self._random.choice((0.01, 0.3, 2.0, 12.0))
        path = (addresses.TOKENS[sold], addresses.TOKENS[bought], pool.fee_ppm)
        swap = (*path, self._chain.sender, FOREVER, self._units(sold, dollars), 0, 0)
        self._chain.send(addresses.UNISWAP_V3_ROUTER, SWAP_V3, swap)

    def _mint(self) -> None:
        pool = self._random.choice(V3)
        spacing = SPACING[pool.fee_ppm]
        tick = self._chain.call(pool.address, SLOT0)[1] // spacing
        width = self._random.choice((1, 3, 40, 700))
        lower = tick + self._random.randint(-2 * width, width)
        edges = lower * spacing, (lower + self._random.randint(1, 2 * width)) * spacing
        amounts = [self._units(symbol, pool.depth / 100) for symbol in pool.symbols]
        position = (*pool.tokens, pool.fee_ppm, *edges, *amounts, 0, 0, self._chain.sender, FOREVER)
        self._chain.send(addresses.UNISWAP_V3_POSITIONS, MINT, position)

    def _burn(self) -> None:
        """All of a position, half of it, or nothing, which collects fees."""
        where = addresses.UNISWAP_V3_POSITIONS
        count = self._chain.call(where, HELD, self._chain.sender)
        token = self._chain.call(where, NTH_HELD, self._chain.sender, self._random.randrange(count // 2, count))
        liquidity = self._chain.call(where, POSITION, token)[7]
        part = int(liquidity * self._random.choice((0.5, 1.0))) or 1
        if liquidity:
            self._chain.send(where, BURN, (token, min(part, liquidity), 0, 0, FOREVER))

    def _swap_v2(self) -> None:
        pool = self._random.choice(V2)
        sold, bought = self._sides(pool)
        amount = self._units(sold, pool.depth * self._random.choice((0.01, 0.2)))
        path = [addresses.TOKENS[sold], addresses.TOKENS[bought]]
        self._chain.send(addresses.UNISWAP_V2_ROUTER, SWAP_V2, amount, 0, path, self._chain.sender, FOREVER)

    def _add_v2(self) -> None:
        pool = self._random.choice(V2)
        amounts = [self._units(symbol, pool.depth / 50) for symbol in pool.symbols]
        self._chain.send(
            addresses.UNISWAP_V2_ROUTER, ADD_V2, *pool.tokens, *amounts, 0, 0, self._chain.sender, FOREVER
        )  # fmt: skip

    def _donate_v2(self) -> None:
        """Reserves that change without a trade."""
        pool = self._random.choice(V2)
        self._chain.send(pool.tokens[0], TRANSFER, pool.address, self._units(pool.symbols[0], 1000))
        if self._random.random() < 0.5:
            self._chain.send(pool.address, SYNC)

    def _swap_balancer(self) -> None:
        symbols = self._balancer.symbols if self._random.random() < 0.5 else self._balancer.symbols[::-1]
        sold, bought = (addresses.TOKENS[symbol] for symbol in symbols)
        pool_id = bytes.fromhex(self._balancer.pool_id[2:])
        swap = (pool_id, 0, sold, bought, self._units(symbols[0], 20_000), b"")
        funds = (self._chain.sender, False, self._chain.sender, False)
        self._chain.send(addresses.BALANCER_VAULT, SWAP, swap, funds, 0, FOREVER)

    def _join_balancer(self) -> None:
        amounts = [self._units(symbol, 50_000 * self._random.random()) for symbol in self._balancer.symbols]
        how = encode(["uint256", "uint256[]", "uint256"], [JOIN_EXACT_TOKENS, amounts, 0])
        tokens = [addresses.TOKENS[symbol] for symbol in self._balancer.symbols]
        sender = self._chain.sender
        pool_id = bytes.fromhex(self._balancer.pool_id[2:])
        self._chain.send(addresses.BALANCER_VAULT, JOIN, pool_id, sender, sender, (tokens, amounts, how, False))

    def _set_balancer_fee(self) -> None:
        self._chain.send(self._balancer.address, SET_FEE, self._random.choice((10**15, 2 * 10**15, 5 * 10**15)))

    def _report(self) -> None:
        feed = self._random.choice(list(PRICES))
        self.sandbox.push(feed, PRICES[feed] * self._random.uniform(0.97, 1.03))
