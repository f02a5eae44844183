# SPDX-License-Identifier: Apache-2.0
"""What is read of the pools: as calls to ask, as readings that events can carry on, as states of a snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from offchain.market import abi
from offchain.market.abi import expect
from offchain.market.balancer import BalancerKey, decode_pool
from offchain.market.errors import SnapshotError
from offchain.market.multicall import Call
from offchain.market.pools import AnyPoolKey, PoolKey, decode_multicall, has_price
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import BalancerV2State, PoolState, UniswapV2State, UniswapV3State

TICK_LENS = "0xbfd8137f7d1516D3ea5cA83523914859ec47F573"

REACH_TICKS = 2000
"""Ticks are read this far to both sides of the price: a move of 22 %."""
MAX_REACH_WORDS = 4
"""At most so many bitmap words to a side, which binds in pools with a tick spacing of 1 (10 %)."""

_POPULATED = "getPopulatedTicksInWord(address,int16)"

Ticks = Mapping[int, tuple[int, int]]
"""Initialised ticks: net and gross liquidity by tick."""


@dataclass(frozen=True, slots=True)
class V3Reading:
    """A concentrated-liquidity pool; its ticks are complete in `words` of the bitmap, which may be more than needed."""

    key: PoolKey
    sqrt_price_x96: int
    tick: int
    liquidity: int
    ticks: Ticks
    words: range

    @property
    def window(self) -> range:
        """The words that a snapshot shows."""
        return words_around(self.tick, self.key.tick_spacing)

    @property
    def missing(self) -> list[int]:
        """Words of the window that are not known."""
        return [word for word in self.window if word not in self.words]

    def state(self) -> UniswapV3State:
        """As a snapshot shows it; nothing may be missing."""
        window, spacing = self.window, self.key.tick_spacing
        return UniswapV3State(
            address=self.key.address,
            token0=self.key.token0,
            token1=self.key.token1,
            fee_ppm=self.key.fee_ppm,
            tick_spacing=spacing,
            sqrt_price_x96=self.sqrt_price_x96,
            tick=self.tick,
            liquidity=self.liquidity,
            ticks=tuple((tick, self.ticks[tick][0]) for tick in sorted(self.ticks) if tick // spacing >> 8 in window),
            first_word=window[0],
            last_word=window[-1],
        )


PoolReading = UniswapV2State | V3Reading | BalancerV2State
Readings = Mapping[AnyPoolKey, PoolReading]


def words_around(tick: int, tick_spacing: int) -> range:
    """Bitmap words that cover `REACH_TICKS` to both sides of a tick."""
    home = tick // tick_spacing >> 8
    first = max((tick - REACH_TICKS) // tick_spacing >> 8, home - MAX_REACH_WORDS)
    last = min((tick + REACH_TICKS) // tick_spacing >> 8, home + MAX_REACH_WORDS)
    return range(first, last + 1)


def words_by_pool(pools: Sequence[PoolKey], slots: Sequence[bytes | None]) -> dict[str, range]:
    """Words to read of each v3 pool by address, from what ``slot0`` answered; those without a price do not count."""
    return {
        pool.address: words_around(abi.signed(abi.word(answer, 1)), pool.tick_spacing)
        for pool, answer in zip(pools, slots, strict=True)
        if answer and has_price(answer)
    }


def tick_calls(pool: PoolKey, words: Sequence[int]) -> list[Call]:
    """What is asked about a pool's ticks; see `decode_ticks`."""
    return [Call(TICK_LENS, abi.encode_call(_POPULATED, pool.address, word)) for word in words]


def decode_ticks(client: NodeClient, raw: Any, count: int) -> dict[int, tuple[int, int]]:
    """Decode the multicall of so many `tick_calls`; `SnapshotError` when no lens answers."""
    ticks: dict[int, tuple[int, int]] = {}
    for answer in decode_multicall(client, raw, count):
        try:
            rows = abi.array(expect(answer, "getPopulatedTicksInWord"), 0, width=3)
        except abi.DecodeError as error:
            raise SnapshotError(
                f"no Uniswap TickLens answers at {TICK_LENS} ({error}); is it the right chain?"
            ) from None
        ticks |= {abi.signed(tick): (abi.signed(net), gross) for tick, net, gross in rows}
    return ticks


def decode_readings(
    pools: Sequence[AnyPoolKey],
    answers: Sequence[bytes | None],
    words: Mapping[str, range],
    ticks: Mapping[str, Ticks],
) -> dict[AnyPoolKey, PoolReading]:
    """Decode the answers to the pools' calls, in order; what does not answer, or has no price, is left out."""
    readings: dict[AnyPoolKey, PoolReading] = {}
    position = 0
    for pool in pools:
        views = answers[position : position + len(pool.calls)]
        position += len(views)
        reading = _decode(pool, views, words, ticks)
        if reading is not None:
            readings[pool] = reading
    return readings


def pool_states(pools: Sequence[AnyPoolKey], readings: Readings) -> tuple[PoolState, ...]:
    """The pools as a snapshot shows them."""
    found = (readings[pool] for pool in pools if pool in readings)
    return tuple(reading.state() if isinstance(reading, V3Reading) else reading for reading in found if _open(reading))


def _open(reading: PoolReading) -> bool:
    return not isinstance(reading, UniswapV2State) or reading.reserve0 > 0


def _decode(
    pool: AnyPoolKey, views: Sequence[bytes | None], words: Mapping[str, range], ticks: Mapping[str, Ticks]
) -> PoolReading | None:
    if isinstance(pool, BalancerKey):
        return decode_pool(pool, views)
    first = views[0]
    if not first or not has_price(first):
        return None
    if not pool.is_v3:
        return UniswapV2State(pool.address, pool.token0, pool.token1, abi.word(first, 0), abi.word(first, 1))
    return V3Reading(
        key=pool,
        sqrt_price_x96=abi.word(first, 0),
        tick=abi.signed(abi.word(first, 1)),
        liquidity=abi.word(expect(views[1], "liquidity()"), 0),
        ticks=ticks.get(pool.address, {}),
        words=words.get(pool.address, range(0)),
    )
