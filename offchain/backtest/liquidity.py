# SPDX-License-Identifier: Apache-2.0
"""The pools of a simulated market: modelled, followed from a recorded state, or replayed from records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from offchain.backtest.errors import MarketPathError
from offchain.backtest.model_pools import Flow, PoolSpec, V2Model, V3Model
from offchain.mandate import Mandate
from offchain.market.snapshot import PoolState, UniswapV2State, UniswapV3State
from offchain.route.leg import Venue
from offchain.route.pool import Pool
from offchain.route.uniswap_v2 import UniswapV2Pool
from offchain.route.uniswap_v3 import UniswapV3Pool


class Liquidity(Protocol):
    """The pools of a simulated market."""

    def advance(self, row: int, timestamp: int, prices: Sequence[float]) -> None:
        """Let the market move the pools to a row's true prices, USD per whole token (NaN: no price)."""

    def states(self) -> tuple[PoolState, ...]:
        """The pools as a snapshot holds them."""

    def settle(self, pools: Sequence[Pool]) -> None:
        """Take over what our own trades left behind, pool by pool in the order of `states`."""


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
        tokens = _tokens(mandate)
        self._pools = [(V2Model if spec.venue is Venue.UNISWAP_V2 else V3Model)(tokens, spec) for spec in specs]
        self._flow = flow
        self._ready: list[V2Model | V3Model] = []

    def advance(self, row: int, timestamp: int, prices: Sequence[float]) -> None:
        """See `Liquidity`. A pool with a token that has no price stands still, or is not there yet."""
        for pool in self._pools:
            price0, price1 = prices[pool.token0], prices[pool.token1]
            if price0 == price0 and price1 == price1:
                pool.follow(timestamp, price0, price1, self._flow)
                if len(self._ready) < len(self._pools) and pool not in self._ready:
                    self._ready.append(pool)

    def states(self) -> tuple[PoolState, ...]:
        """See `Liquidity`."""
        return tuple(pool.state() for pool in self._ready)

    def settle(self, pools: Sequence[Pool]) -> None:
        """See `Liquidity`."""
        for mine, pool in zip(self._ready, pools, strict=True):
            mine.take(pool)


class FollowedLiquidity(ModelledLiquidity):
    """Pools that begin as they were read and whose providers never move: only trades move them.

    Parameters
    ----------
    states
        Of the mandate's pools, with all initialised ticks that the market may reach.
    """

    def __init__(self, mandate: Mandate, states: Sequence[PoolState], flow: Flow = Flow.ARBITRAGED) -> None:
        super().__init__(mandate, (), flow)
        tokens = _tokens(mandate)
        for state in states:
            if isinstance(state, UniswapV2State):
                self._pools.append(V2Model(tokens, state=state))
            elif isinstance(state, UniswapV3State):
                self._pools.append(V3Model(tokens, state=state))
        self._ready = list(self._pools)


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


def _tokens(mandate: Mandate) -> list[tuple[str, int]]:
    return [(asset.address, asset.decimals) for asset in mandate.ordered_assets]
