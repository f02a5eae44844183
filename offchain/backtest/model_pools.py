# SPDX-License-Identifier: Apache-2.0
"""Single pools of a simulated market, kept as the chain would keep them.

A modelled pool holds liquidity in nested ranges around a centre, so that its stated depth (the USD that move its
price by 2 %) holds near the centre; providers re-centre it when the market has gone far. Every step it comes back
to the market's price: to the edge of its fee band, where an arbitrageur stops, or to the middle of the band, where
two-way flow leaves it on average.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Final

from eth_utils.crypto import keccak

from offchain.market.snapshot import UniswapV2State, UniswapV3State
from offchain.route.leg import Venue
from offchain.route.pool import Pool
from offchain.route.tick_math import MAX_SQRT_RATIO, MIN_SQRT_RATIO, tick_at_sqrt_ratio
from offchain.route.uniswap_v2 import UniswapV2Pool
from offchain.route.uniswap_v3 import UniswapV3Pool

Tokens = Sequence[tuple[str, int]]
"""Address and decimals of each asset."""
MOVE: Final = 1.02
"""Depth is the USD that moves the price by this factor."""
Q96: Final = 2**96
PPM: Final = 1_000_000
V2_FEE_PPM: Final = 3_000
SPACING: Final = {100: 1, 500: 10, 3_000: 60, 10_000: 200}

Ranges = tuple[tuple[float, float], ...]
VOLATILE: Final[Ranges] = ((1.04, 0.10), (1.2, 0.20), (2.0, 0.30), (40.0, 0.40))
CORRELATED: Final[Ranges] = ((1.001, 0.25), (1.005, 0.25), (1.05, 0.30), (4.0, 0.20))
"""Nested ranges around the centre P: ``(a, share)`` puts a share of the depth on [P/a, P·a]."""

RECENTRE: Final = 1.25
"""Providers move their ranges when the market has gone that far from the centre."""
_DEPTH_CHANGE = 1.1

Depth = Callable[[int], float]
"""USD that move a pool's price by 2 %, at a Unix time."""


class Flow(StrEnum):
    """Where other people's trades leave a pool at the end of a step."""

    CENTRED = "centred"
    """At the market's price: two-way flow, on average."""
    ARBITRAGED = "arbitraged"
    """Where it was, or at the edge of the fee band: one arbitrageur and nobody else."""


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """One modelled pool; tokens are indices into the mandate's assets."""

    venue: Venue
    token_a: int
    token_b: int
    fee_ppm: int
    """Fee tier of a v3 pool; 0 for v2."""
    depth: Depth
    ranges: Ranges = VOLATILE


def constant(usd: float) -> Depth:
    """The same depth at all times."""
    return lambda timestamp: usd


class V3Model:
    """A v3 pool: initialised ticks, and a price that moves among them.

    Parameters
    ----------
    state
        To begin with; without one the pool is placed at the first price.
    spec
        How providers place and move their ranges; None when they never do.
    """

    def __init__(self, tokens: Tokens, spec: PoolSpec | None = None, state: UniswapV3State | None = None) -> None:
        self._spec = spec
        if state is not None:
            self.address, self.token0, self.token1 = state.address, state.token0, state.token1
            self.fee_ppm, self._spacing = state.fee_ppm, state.tick_spacing
        else:
            assert spec is not None
            self.address, (self.token0, self.token1) = _address(spec, tokens), _ordered(spec, tokens)
            self.fee_ppm, self._spacing = spec.fee_ppm, SPACING[spec.fee_ppm]
        self._unit1 = 10.0 ** tokens[self.token1][1]
        self._scale = 10.0 ** (tokens[self.token1][1] - tokens[self.token0][1])
        self._centre = self._depth = 0.0
        self.sqrt_price = 0
        if state is not None:
            self._initialise(dict(state.ticks), (state.first_word, state.last_word))
            self.sqrt_price, self._tick, self._liquidity = state.sqrt_price_x96, state.tick, state.liquidity

    def follow(self, timestamp: int, price0: float, price1: float, flow: Flow) -> None:
        """Let providers and traders bring it to USD prices of whole tokens."""
        fair = math.sqrt(price0 / price1 * self._scale)
        if self._spec is not None:
            self._recentre(self._spec, fair, price1, self._spec.depth(timestamp))
        low, high = _band(fair, self.fee_ppm)
        self._move(int(fair * Q96) if flow is Flow.CENTRED else min(max(self.sqrt_price, low), high))

    def state(self) -> UniswapV3State:
        """As a snapshot holds it."""
        return UniswapV3State(
            self.address, self.token0, self.token1, self.fee_ppm, self._spacing, self.sqrt_price, self._tick,
            self._liquidity, self._ticks, *self._words,
        )  # fmt: skip

    def take(self, pool: Pool) -> None:
        """Take over what our own trades left."""
        assert isinstance(pool, UniswapV3Pool)
        self.sqrt_price, self._tick, self._liquidity = pool.sqrt_price_x96, pool.tick, pool.liquidity

    def _recentre(self, spec: PoolSpec, fair: float, price1: float, depth: float) -> None:
        away = max(fair / self._centre, self._centre / fair) ** 2 if self._centre else math.inf
        changed = max(depth / self._depth, self._depth / depth) if self._depth else math.inf
        if away <= RECENTRE and changed <= _DEPTH_CHANGE:
            return
        self._centre, self._depth = fair, depth
        nets: dict[int, int] = {}
        for lower, upper, liquidity in _positions(spec, fair, depth, price1 / self._unit1, self._spacing):
            nets[lower] = nets.get(lower, 0) + liquidity
            nets[upper] = nets.get(upper, 0) - liquidity
        self._initialise(nets, None)
        self.sqrt_price = 0
        self._move(int(fair * Q96))

    def _initialise(self, nets: dict[int, int], words: tuple[int, int] | None) -> None:
        self._ticks = tuple(sorted((tick, net) for tick, net in nets.items() if net))
        self._places = [tick for tick, _ in self._ticks]
        self._sums = [0, *accumulate(net for _, net in self._ticks)]
        self._words = words or (self._places[0] // self._spacing >> 8, self._places[-1] // self._spacing >> 8)

    def _move(self, sqrt_price: int) -> None:
        if sqrt_price == self.sqrt_price:
            return
        self.sqrt_price = min(max(sqrt_price, MIN_SQRT_RATIO), MAX_SQRT_RATIO - 1)
        self._tick = tick_at_sqrt_ratio(self.sqrt_price)
        self._liquidity = self._sums[bisect_right(self._places, self._tick)]


def _positions(spec: PoolSpec, fair: float, depth: float, unit: float, spacing: int) -> Iterator[tuple[int, int, int]]:
    """Lower tick, upper tick and liquidity of each nested range; `unit` is USD per base unit of token 1."""
    price = fair * fair
    for factor, share in spec.ranges:
        lower = math.floor(math.log(price / factor, 1.0001) / spacing) * spacing
        upper = math.ceil(math.log(price * factor, 1.0001) / spacing) * spacing
        # A range that ends before the move does gives all it has.
        reach = min(1.0001 ** (upper / 2) / fair, math.sqrt(MOVE))
        yield lower, upper, int(share * depth / (unit * fair * (reach - 1)))


class V2Model:
    """A constant-product pair; parameters as of `V3Model`."""

    def __init__(self, tokens: Tokens, spec: PoolSpec | None = None, state: UniswapV2State | None = None) -> None:
        self._spec = spec
        self.reserves = (0, 0)
        if state is not None:
            self.address, self.token0, self.token1 = state.address, state.token0, state.token1
            self.reserves = state.reserve0, state.reserve1
        else:
            assert spec is not None
            self.address, (self.token0, self.token1) = _address(spec, tokens), _ordered(spec, tokens)
        self._units = 10.0 ** tokens[self.token0][1], 10.0 ** tokens[self.token1][1]
        self._scale = 10.0 ** (tokens[self.token1][1] - tokens[self.token0][1])

    def follow(self, timestamp: int, price0: float, price1: float, flow: Flow) -> None:
        """Let providers and traders bring it to USD prices of whole tokens."""
        fair = math.sqrt(price0 / price1 * self._scale)
        if self._spec is not None:
            self._refill(self._spec.depth(timestamp), price0, price1)
        root = math.sqrt(self.reserves[1] / self.reserves[0])
        low, high = (edge / Q96 for edge in _band(fair, V2_FEE_PPM))
        target = fair if flow is Flow.CENTRED else min(max(root, low), high)
        # The fee that stays in the pair moves its invariant: the first trade falls short by a little.
        for _ in range(3 if target != root else 0):
            self._trade_to(target)

    def state(self) -> UniswapV2State:
        """As a snapshot holds it."""
        return UniswapV2State(self.address, self.token0, self.token1, *self.reserves)

    def take(self, pool: Pool) -> None:
        """Take over what our own trades left."""
        assert isinstance(pool, UniswapV2Pool)
        self.reserves = pool.reserve0, pool.reserve1

    def _refill(self, depth: float, price0: float, price1: float) -> None:
        worth = self.reserves[1] / self._units[1] * price1 * (math.sqrt(MOVE) - 1)
        changed = max(depth / worth, worth / depth) if worth else math.inf
        if changed > _DEPTH_CHANGE * RECENTRE:
            side = depth / (math.sqrt(MOVE) - 1)
            self.reserves = int(side / price0 * self._units[0]), int(side / price1 * self._units[1])

    def _trade_to(self, root: float) -> None:
        """An arbitrageur's swap that brings the price to a square root; what it pays as fee stays in the pair."""
        reserve0, reserve1 = self.reserves
        invariant, keep = math.sqrt(float(reserve0) * float(reserve1)), 1 - V2_FEE_PPM / PPM
        if root * root < reserve1 / reserve0:  # token 0 comes in
            added = (invariant / root - reserve0) / keep
            paid = reserve1 - reserve0 * reserve1 / (reserve0 + keep * added)
            self.reserves = reserve0 + int(added), reserve1 - int(paid)
        else:
            added = (invariant * root - reserve1) / keep
            paid = reserve0 - reserve0 * reserve1 / (reserve1 + keep * added)
            self.reserves = reserve0 - int(paid), reserve1 + int(added)


def _ordered(spec: PoolSpec, tokens: Tokens) -> tuple[int, int]:
    a, b = spec.token_a, spec.token_b
    return (a, b) if int(tokens[a][0], 16) < int(tokens[b][0], 16) else (b, a)


def _address(spec: PoolSpec, tokens: Tokens) -> str:
    """An address of its own, the same in every run; nothing lives there."""
    pair = ",".join(tokens[token][0].lower() for token in _ordered(spec, tokens))
    return "0x" + keccak(f"plimsoll backtest pool {spec.venue} {spec.fee_ppm} {pair}".encode())[-20:].hex()


def _band(fair: float, fee_ppm: int) -> tuple[int, int]:
    """Square-root prices (times 2**96) between which the fee leaves an arbitrageur nothing."""
    keep = math.sqrt(1.0 - fee_ppm / PPM)
    return int(fair * keep * Q96), int(fair / keep * Q96)
