# SPDX-License-Identifier: Apache-2.0
"""Pools whose depth is stated, as exact pool states that follow the market.

A modelled pool holds liquidity in nested ranges around a centre, so that its stated depth (the USD that move its
price by 2 %) holds near the centre; providers re-centre it when the market has gone far. Every step it comes back
to the market's price: to the edge of its fee band, where an arbitrageur stops, or to the middle of the band, where
two-way flow leaves it on average.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

from eth_utils.crypto import keccak

from offchain.backtest.errors import MarketPathError
from offchain.mandate import Mandate
from offchain.market.snapshot import PoolState, UniswapV2State, UniswapV3State
from offchain.route.leg import Venue
from offchain.route.pool import Pool
from offchain.route.tick_math import MAX_SQRT_RATIO, MIN_SQRT_RATIO, tick_at_sqrt_ratio
from offchain.route.uniswap_v2 import UniswapV2Pool
from offchain.route.uniswap_v3 import UniswapV3Pool

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


class Liquidity(Protocol):
    """The pools of a simulated market."""

    def advance(self, row: int, timestamp: int, prices: Sequence[float]) -> None:
        """Let the market move the pools to a row's true prices, USD per whole token (NaN: no price)."""

    def states(self) -> tuple[PoolState, ...]:
        """The pools as a snapshot holds them."""

    def settle(self, pools: Sequence[Pool]) -> None:
        """Take over what our own trades left behind, pool by pool in the order of `states`."""


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


class _V3:
    """A v3 pool in nested ranges."""

    def __init__(self, spec: PoolSpec, tokens: Sequence[tuple[str, int]]) -> None:
        self._spec = spec
        self.token0, self.token1 = _ordered(spec, tokens)
        self.scale = 10.0 ** (tokens[self.token1][1] - tokens[self.token0][1])
        self.unit1 = 10.0 ** tokens[self.token1][1]
        self.fee_ppm, self._spacing = spec.fee_ppm, SPACING[spec.fee_ppm]
        self.address = _address(spec, tokens)
        self._centre = self._depth = 0.0
        self.positions: tuple[tuple[int, int, int], ...] = ()
        self._ticks: tuple[tuple[int, int], ...] = ()
        self._words = (0, 0)
        self.sqrt_price = 0

    def follow(self, timestamp: int, price0: float, price1: float, flow: Flow) -> None:
        fair = math.sqrt(price0 / price1 * self.scale)
        depth = self._spec.depth(timestamp)
        away = max(fair / self._centre, self._centre / fair) ** 2 if self._centre else math.inf
        changed = max(depth / self._depth, self._depth / depth) if self._depth else math.inf
        if away > RECENTRE or changed > _DEPTH_CHANGE:
            self._place(fair, depth, price1)
        low, high = _band(fair, self.fee_ppm)
        self._move(int(fair * Q96) if flow is Flow.CENTRED else min(max(self.sqrt_price, low), high))

    def state(self) -> UniswapV3State:
        return UniswapV3State(
            self.address, self.token0, self.token1, self.fee_ppm, self._spacing, self.sqrt_price, self._tick,
            self._liquidity, self._ticks, *self._words,
        )  # fmt: skip

    def take(self, pool: Pool) -> None:
        assert isinstance(pool, UniswapV3Pool)
        self.sqrt_price, self._tick, self._liquidity = pool.sqrt_price_x96, pool.tick, pool.liquidity

    def _place(self, fair: float, depth: float, price1: float) -> None:
        self._centre, self._depth = fair, depth
        spacing, price, unit = self._spacing, fair * fair, price1 / self.unit1
        nets: dict[int, int] = {}
        positions = []
        for factor, share in self._spec.ranges:
            lower = math.floor(math.log(price / factor, 1.0001) / spacing) * spacing
            upper = math.ceil(math.log(price * factor, 1.0001) / spacing) * spacing
            # A range that ends before the move does gives all it has.
            reach = min(1.0001 ** (upper / 2) / fair, math.sqrt(MOVE))
            liquidity = int(share * depth / (unit * fair * (reach - 1)))
            positions.append((lower, upper, liquidity))
            nets[lower] = nets.get(lower, 0) + liquidity
            nets[upper] = nets.get(upper, 0) - liquidity
        self.positions = tuple(positions)
        self._ticks = tuple(sorted((tick, net) for tick, net in nets.items() if net))
        self._words = self._ticks[0][0] // spacing >> 8, self._ticks[-1][0] // spacing >> 8
        self._move(int(fair * Q96))

    def _move(self, sqrt_price: int) -> None:
        if sqrt_price == self.sqrt_price:
            return
        self.sqrt_price = min(max(sqrt_price, MIN_SQRT_RATIO), MAX_SQRT_RATIO - 1)
        self._tick = tick_at_sqrt_ratio(self.sqrt_price)
        self._liquidity = sum(size for lower, upper, size in self.positions if lower <= self._tick < upper)


class _V2:
    """A constant-product pair."""

    def __init__(self, spec: PoolSpec, tokens: Sequence[tuple[str, int]]) -> None:
        self._spec = spec
        self.token0, self.token1 = _ordered(spec, tokens)
        self._units = 10.0 ** tokens[self.token0][1], 10.0 ** tokens[self.token1][1]
        self.address = _address(spec, tokens)
        self._depth = 0.0
        self.reserves = (0, 0)

    def follow(self, timestamp: int, price0: float, price1: float, flow: Flow) -> None:
        fair = math.sqrt(price0 / price1 * self._units[1] / self._units[0])
        depth = self._spec.depth(timestamp)
        old0, old1 = self.reserves
        worth = old1 / self._units[1] * price1 * (math.sqrt(MOVE) - 1)
        changed = max(depth / worth, worth / depth) if worth else math.inf
        if changed > _DEPTH_CHANGE * RECENTRE:
            side = depth / (math.sqrt(MOVE) - 1)
            self.reserves = int(side / price0 * self._units[0]), int(side / price1 * self._units[1])
            old0, old1 = self.reserves
        root = math.sqrt(old1 / old0)
        low, high = (edge / Q96 for edge in _band(fair, V2_FEE_PPM))
        target = fair if flow is Flow.CENTRED else min(max(root, low), high)
        if target != root:
            invariant = math.sqrt(float(old0) * float(old1))
            self.reserves = int(invariant / target), int(invariant * target)

    def state(self) -> UniswapV2State:
        return UniswapV2State(self.address, self.token0, self.token1, *self.reserves)

    def take(self, pool: Pool) -> None:
        assert isinstance(pool, UniswapV2Pool)
        self.reserves = pool.reserve0, pool.reserve1


class ModelledLiquidity:
    """Pools with stated depth that follow the market.

    Parameters
    ----------
    mandate
        Whose assets the specs index.
    specs
        One a pool; `default_pools` for a mandate's own venues.
    flow
        Where other people's trades leave the pools.
    """

    def __init__(self, mandate: Mandate, specs: Sequence[PoolSpec], flow: Flow = Flow.CENTRED) -> None:
        tokens = [(asset.address, asset.decimals) for asset in mandate.ordered_assets]
        self._pools = [_V2(spec, tokens) if spec.venue is Venue.UNISWAP_V2 else _V3(spec, tokens) for spec in specs]
        self._flow = flow
        self._ready: list[_V2 | _V3] = []

    def advance(self, row: int, timestamp: int, prices: Sequence[float]) -> None:
        """See `Liquidity`. A pool with a token that has no price stands still, or is not there yet."""
        for pool in self._pools:
            price0, price1 = prices[pool.token0], prices[pool.token1]
            if price0 == price0 and price1 == price1:
                pool.follow(timestamp, price0, price1, self._flow)
                if pool not in self._ready:
                    self._ready.append(pool)

    def states(self) -> tuple[PoolState, ...]:
        """See `Liquidity`."""
        return tuple(pool.state() for pool in self._ready)

    def settle(self, pools: Sequence[Pool]) -> None:
        """See `Liquidity`."""
        for mine, pool in zip(self._ready, pools, strict=True):
            mine.take(pool)


class RecordedLiquidity:
    """Pools as they were recorded; our own trades last until the next record.

    Parameters
    ----------
    timestamps
        Ascending Unix seconds.
    states
        What was read at each.
    """

    def __init__(self, timestamps: Sequence[int], states: Sequence[tuple[PoolState, ...]]) -> None:
        if len(timestamps) != len(states) or not states:
            raise MarketPathError(f"{len(timestamps)} times for {len(states)} records of pools")
        self._timestamps, self._records = tuple(timestamps), tuple(states)
        self._at = -1
        self._states: tuple[PoolState, ...] = ()

    def advance(self, row: int, timestamp: int, prices: Sequence[float]) -> None:
        """See `Liquidity`."""
        at = self._at
        while at + 1 < len(self._timestamps) and self._timestamps[at + 1] <= timestamp:
            at += 1
        if at != self._at:
            self._at, self._states = at, self._records[at]

    def states(self) -> tuple[PoolState, ...]:
        """See `Liquidity`."""
        return self._states

    def settle(self, pools: Sequence[Pool]) -> None:
        """See `Liquidity`."""
        self._states = tuple(state_after(state, pool) for state, pool in zip(self._states, pools, strict=True))


def state_after(state: PoolState, pool: Pool) -> PoolState:
    """A pool's state after swaps, from the state before and the pool that the swaps left."""
    if isinstance(state, UniswapV2State) and isinstance(pool, UniswapV2Pool):
        return replace(state, reserve0=pool.reserve0, reserve1=pool.reserve1)
    if isinstance(state, UniswapV3State) and isinstance(pool, UniswapV3Pool):
        return replace(state, sqrt_price_x96=pool.sqrt_price_x96, tick=pool.tick, liquidity=pool.liquidity)
    return state


def _ordered(spec: PoolSpec, tokens: Sequence[tuple[str, int]]) -> tuple[int, int]:
    a, b = spec.token_a, spec.token_b
    return (a, b) if int(tokens[a][0], 16) < int(tokens[b][0], 16) else (b, a)


def _address(spec: PoolSpec, tokens: Sequence[tuple[str, int]]) -> str:
    """An address of its own, the same in every run; nothing lives there."""
    pair = ",".join(tokens[token][0].lower() for token in _ordered(spec, tokens))
    return "0x" + keccak(f"plimsoll backtest pool {spec.venue} {spec.fee_ppm} {pair}".encode())[-20:].hex()


def _band(fair: float, fee_ppm: int) -> tuple[int, int]:
    """Square-root prices (times 2**96) between which the fee leaves an arbitrageur nothing."""
    keep = math.sqrt(1.0 - fee_ppm / PPM)
    return int(fair * keep * Q96), int(fair / keep * Q96)
