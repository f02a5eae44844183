# SPDX-License-Identifier: Apache-2.0
"""Real Uniswap bytecode in an in-process EVM with states written straight into storage, and markets made by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from eth_abi import decode, encode
from eth_utils import keccak, to_checksum_address
from pyrevm import EVM

from offchain.market.snapshot import PoolState, UniswapV2State, UniswapV3State
from offchain.route.pool import Pool, pools_from_states
from offchain.route.tick_math import MAX_TICK, MIN_TICK, sqrt_ratio_at_tick, tick_at_sqrt_ratio

ROOT = Path(__file__).parents[3]
UNISWAP = ROOT / "node_modules" / "@uniswap"
TRADER = "0x" + "11" * 20
NATIVE = "0x" + "22" * 20
PLENTY = 2**200
SPACINGS = {500: 10, 3000: 60, 10000: 200}


class Reverted(Exception):
    """The call reverted."""


def _bytecode(path: str) -> bytes:
    artifact = UNISWAP / path
    if not artifact.exists():
        pytest.skip(f"{artifact} is missing: run `make setup`")
    return bytes.fromhex(json.loads(artifact.read_text())["bytecode"].removeprefix("0x"))


def _slot(key: int, mapping: int) -> int:
    return int.from_bytes(keccak(key.to_bytes(32, "big", signed=key < 0) + mapping.to_bytes(32, "big")), "big")


@dataclass
class Uniswap:
    """Factories, router, quoter and two tokens, freshly deployed."""

    evm: EVM
    v2_factory: str
    v3_factory: str
    quoter: str
    router: str
    tokens: tuple[str, str]

    @classmethod
    def deploy(cls) -> Uniswap:
        evm = EVM(gas_limit=2**40)

        def create(path: str, types: tuple[str, ...] = (), values: tuple[Any, ...] = ()) -> str:
            return to_checksum_address(evm.deploy(TRADER, _bytecode(path) + encode(types, values)))

        supply = (("uint256",), (2**255,))
        tokens = sorted((create("v2-core/build/ERC20.json", *supply) for _ in range(2)), key=lambda a: int(a, 16))
        v2_factory = create("v2-core/build/UniswapV2Factory.json", ("address",), (TRADER,))
        v3_factory = create("v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json")
        periphery = ("address", "address"), (v3_factory, NATIVE)
        quoter = create("v3-periphery/artifacts/contracts/lens/QuoterV2.sol/QuoterV2.json", *periphery)
        router = create("v3-periphery/artifacts/contracts/SwapRouter.sol/SwapRouter.json", *periphery)
        chain = cls(evm, v2_factory, v3_factory, quoter, router, (tokens[0], tokens[1]))
        for token in tokens:
            chain.call(token, "approve(address,uint256)", (router, 2**256 - 1))
        return chain

    def call(self, to: str, signature: str, values: tuple[Any, ...] = (), returns: tuple[str, ...] = ()) -> Any:
        """Call as the trader; raises `Reverted`."""
        types = signature[signature.index("(") + 1 : -1]
        split = _split(types)
        data = keccak(text=signature)[:4] + encode(split, values)
        try:
            answer = self.evm.message_call(TRADER, to, calldata=data)
        except RuntimeError as error:
            raise Reverted(str(error)) from None
        return decode(returns, answer)

    def write_pair(self, reserves: tuple[int, int]) -> UniswapV2State:
        """Create the v2 pair if needed and give it these reserves."""
        token0, token1 = self.tokens
        get = ("getPair(address,address)", (token0, token1), ("address",))
        (pair,) = self.call(self.v2_factory, *get)
        if int(pair, 16) == 0:
            self.call(self.v2_factory, "createPair(address,address)", (token0, token1))
            (pair,) = self.call(self.v2_factory, *get)
        pair = to_checksum_address(pair)
        for token, reserve in zip(self.tokens, reserves, strict=True):
            self.evm.insert_account_storage(token, _slot(int(pair, 16), 1), reserve)
        self.evm.insert_account_storage(pair, 8, reserves[0] | reserves[1] << 112)
        return UniswapV2State(pair, 0, 1, *reserves)

    def write_pool(
        self, fee: int, sqrt_price: int, ticks: tuple[tuple[int, int], ...], tick: int | None = None
    ) -> UniswapV3State:
        """Create the v3 pool if needed and give it this price and these initialised ticks."""
        token0, token1 = self.tokens
        spacing = SPACINGS[fee]
        get = ("getPool(address,address,uint24)", (token0, token1, fee), ("address",))
        (pool,) = self.call(self.v3_factory, *get)
        if int(pool, 16) == 0:
            self.call(self.v3_factory, "createPool(address,address,uint24)", (token0, token1, fee))
            (pool,) = self.call(self.v3_factory, *get)
            self.call(pool, "initialize(uint160)", (2**96,))
        pool = to_checksum_address(pool)
        for token in self.tokens:
            self.evm.insert_account_storage(token, _slot(int(pool, 16), 1), PLENTY)
        tick = tick_at_sqrt_ratio(sqrt_price) if tick is None else tick
        liquidity = sum(net for place, net in ticks if place <= tick)
        assert liquidity >= 0
        first, last = MIN_TICK // spacing >> 8, MAX_TICK // spacing >> 8
        words = dict.fromkeys(range(first, last + 1), 0)
        for place, net in ticks:
            words[place // spacing >> 8] |= 1 << (place // spacing & 255)
            self.evm.insert_account_storage(pool, _slot(place, 5), 1 | (net % 2**128) << 128)
        for word, bits in words.items():
            self.evm.insert_account_storage(pool, _slot(word, 6), bits)
        packed = sqrt_price | (tick % 2**24) << 160 | 1 << 200 | 1 << 216 | 1 << 240
        self.evm.insert_account_storage(pool, 0, packed)
        self.evm.insert_account_storage(pool, 4, liquidity)
        return UniswapV3State(pool, 0, 1, fee, spacing, sqrt_price, tick, liquidity, ticks, first, last)

    def v3_quote_in(self, fee: int, token_in: int, amount: int) -> tuple[int, int]:
        """Output and square-root price afterwards, by QuoterV2."""
        return self._v3_quote("quoteExactInputSingle", fee, token_in, amount)

    def v3_quote_out(self, fee: int, token_in: int, amount: int) -> tuple[int, int]:
        """Input and square-root price afterwards, by QuoterV2."""
        return self._v3_quote("quoteExactOutputSingle", fee, token_in, amount)

    def v3_swap(self, fee: int, token_in: int, amount: int) -> int:
        """Swap through the router; what it paid."""
        params = (self.tokens[token_in], self.tokens[1 - token_in], fee, TRADER, 2**63, amount, 0, 0)
        types = "(address,address,uint24,address,uint256,uint256,uint256,uint160)"
        (paid,) = self.call(self.router, f"exactInputSingle({types})", (params,), ("uint256",))
        return int(paid)

    def v3_state(self, pool: str) -> tuple[int, int, int]:
        """Square-root price, tick and liquidity."""
        price, tick = self.call(pool, "slot0()", (), ("uint160", "int24"))
        (liquidity,) = self.call(pool, "liquidity()", (), ("uint128",))
        return price, tick, liquidity

    def _v3_quote(self, name: str, fee: int, token_in: int, amount: int) -> tuple[int, int]:
        params = (self.tokens[token_in], self.tokens[1 - token_in], amount, fee, 0)
        returns = ("uint256", "uint160")
        quoted, price = self.call(self.quoter, f"{name}((address,address,uint256,uint24,uint160))", (params,), returns)
        return quoted, price


def _split(types: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(types):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(types[start:index])
            start = index + 1
    return [*parts, types[start:]] if types else []


@pytest.fixture(scope="session")
def uniswap() -> Uniswap:
    """Real factories, quoter and router over two tokens."""
    return Uniswap.deploy()


@pytest.fixture(scope="session")
def reverted() -> type[Exception]:
    """What a reverting call raises."""
    return Reverted


Book = tuple[tuple[int, int], ...]


@pytest.fixture(scope="session")
def random_book() -> Callable[[Random, int], tuple[int, Book]]:
    """Builds a square-root price and a tick book of random positions around it, sometimes with gaps."""

    def build(random: Random, fee: int) -> tuple[int, Book]:
        spacing = SPACINGS[fee]
        centre = random.choice((0, random.randint(-300_000, 300_000), random.randint(-60_000, 60_000)))
        nets: dict[int, int] = {}
        for _ in range(random.randint(1, 25)):
            width = spacing * random.choice((1, 3, 20, 300, random.randint(1, 3000)))
            middle = centre + round(random.gauss(0, 40 * spacing))
            low = max(middle - width, MIN_TICK) // spacing * spacing + (spacing if middle - width < MIN_TICK else 0)
            high = min(low + 2 * width, MAX_TICK // spacing * spacing)
            size = int(10 ** random.uniform(3, 24))
            nets[low] = nets.get(low, 0) + size
            nets[high] = nets.get(high, 0) - size
        # A net of zero can stay initialised: two positions that meet.
        price = sqrt_ratio_at_tick(centre)
        if random.random() < 0.8:
            price += random.randrange(sqrt_ratio_at_tick(centre + 1) - price)
        return price, tuple(sorted(nets.items()))

    return build


@dataclass(frozen=True)
class Market:
    """A small market: stock to trade with, reference prices and pools around them."""

    decimals: tuple[int, ...]
    usd: tuple[float, ...]
    prices: tuple[int, ...]
    pools: tuple[Pool, ...]

    def amounts(self, usd: tuple[float, ...]) -> tuple[int, ...]:
        """Base units worth that many USD of each token."""
        return tuple(int(v / p * 10**d) for v, p, d in zip(usd, self.usd, self.decimals, strict=True))

    def worth(self, amounts: tuple[int, ...]) -> float:
        """USD of the amounts at reference prices."""
        return sum(amount * price / 10**36 for amount, price in zip(amounts, self.prices, strict=True))


@dataclass
class MarketBuilder:
    """Adds pools whose prices stand near the reference prices."""

    decimals: tuple[int, ...] = (6, 18, 8, 18, 18)
    usd: tuple[float, ...] = (1.0, 3000.0, 60000.0, 15.0, 3500.0)

    def __post_init__(self) -> None:
        self.states: list[PoolState] = []

    def ratio(self, token0: int, token1: int, shift: float = 0.0) -> float:
        per_unit = [usd / 10**d for usd, d in zip(self.usd, self.decimals, strict=True)]
        return per_unit[token0] / per_unit[token1] * math.exp(shift)

    def v2(self, token0: int, token1: int, depth_usd: float, shift: float = 0.0) -> MarketBuilder:
        """A pair that moves by 2 % for `depth_usd`."""
        reserve0 = int(depth_usd * 100 / self.usd[token0] * 10 ** self.decimals[token0])
        reserve1 = int(reserve0 * self.ratio(token0, token1, shift))
        self.states.append(UniswapV2State(self._address(), token0, token1, reserve0, reserve1))
        return self

    def v3(self, token0: int, token1: int, fee: int, depth_usd: float, shift: float = 0.0) -> MarketBuilder:
        """A pool that moves by 2 % for `depth_usd`, with less liquidity far out."""
        spacing = SPACINGS[fee]
        root = math.sqrt(self.ratio(token0, token1, shift))
        sqrt_price = int(root * 2**96)
        tick = tick_at_sqrt_ratio(sqrt_price)
        liquidity = int(depth_usd * 100 / self.usd[token1] * 10 ** self.decimals[token1] / root)
        nets: dict[int, int] = {}
        for width, share in ((1000, liquidity // 2), (20000, liquidity - liquidity // 2)):
            low, high = (tick - width) // spacing * spacing, (tick + width) // spacing * spacing
            nets[low] = nets.get(low, 0) + share
            nets[high] = nets.get(high, 0) - share
        words = MIN_TICK // spacing >> 8, MAX_TICK // spacing >> 8
        ticks = tuple(sorted(nets.items()))
        self.states.append(
            UniswapV3State(self._address(), token0, token1, fee, spacing, sqrt_price, tick, liquidity, ticks, *words)
        )
        return self

    def build(self) -> Market:
        """The market so far."""
        prices = tuple(int(usd * 10 ** (36 - d)) for usd, d in zip(self.usd, self.decimals, strict=True))
        return Market(self.decimals, self.usd, prices, pools_from_states(self.states))

    def _address(self) -> str:
        return f"0x{len(self.states) + 1:040x}"


@pytest.fixture(scope="session")
def builder() -> type[MarketBuilder]:
    """Builds markets by hand."""
    return MarketBuilder


@pytest.fixture(scope="session")
def market() -> Market:
    """Five tokens and thirteen pools, deep and shallow, cheap and dear."""
    random = Random(7)

    def shift() -> float:
        return random.gauss(0, 4e-4)

    build = MarketBuilder()
    build.v3(0, 1, 500, 10e6, shift()).v3(0, 1, 3000, 3e6, shift()).v2(0, 1, 6e6, shift())
    build.v3(2, 1, 3000, 5e6, shift()).v3(2, 1, 500, 5e6, shift()).v2(2, 1, 1e6, shift()).v3(0, 2, 500, 1e6, shift())
    build.v3(4, 1, 500, 10e6, shift()).v3(4, 1, 3000, 3e6, shift())
    build.v3(3, 1, 3000, 1e6, shift()).v2(3, 1, 0.5e6, shift()).v3(0, 3, 3000, 0.3e6, shift())
    build.v3(0, 2, 3000, 2e6, shift())
    return build.build()
