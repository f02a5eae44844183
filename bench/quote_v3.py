# SPDX-License-Identifier: Apache-2.0
"""Exact Uniswap v3 quotes from a pool with hundreds of ticks, prefix sums against the contract's own steps."""

from __future__ import annotations

import time
from random import Random

from bench import Row
from offchain.market.snapshot import UniswapV3State
from offchain.route.swap_math import step_with_input
from offchain.route.tick_math import MAX_TICK, MIN_TICK, sqrt_ratio_at_tick
from offchain.route.uniswap_v3 import UniswapV3Pool

TICKS, SPACING, FEE = 458, 60, 3_000
QUOTES = 20_000


def rows() -> list[Row]:
    pool = deep_pool()
    random = Random(1)
    amounts = [(random.randrange(2), int(10 ** random.uniform(15, 24))) for _ in range(QUOTES)]
    fresh = UniswapV3Pool.from_state(pool)
    start = time.perf_counter()
    quotes = [fresh.quote_in(token, amount) for token, amount in amounts]
    cold = (time.perf_counter() - start) / QUOTES
    warm = []
    for _ in range(5):
        start = time.perf_counter()
        for token, amount in amounts:
            fresh.quote_in(token, amount)
        warm.append((time.perf_counter() - start) / QUOTES)
    few = amounts[:200]
    start = time.perf_counter()
    stepped = [step_by_step(fresh, token, amount) for token, amount in few]
    peer_s = (time.perf_counter() - start) / len(few)
    if stepped != quotes[: len(few)]:
        raise AssertionError("the quotes differ from the contract's steps")
    row = {"size": {"ticks": TICKS, "quotes": QUOTES}, "peer": "step by step", "peer_s": peer_s}
    return [{"name": "quote_v3", **row, "ours_s": cold, "warm_s": min(warm), "ratio": peer_s / cold}]


def deep_pool() -> UniswapV3State:
    """Liquidity in overlapping ranges around a price of 1."""
    random = Random(0)
    nets: dict[int, int] = {}
    while len(nets) < TICKS:
        low = random.randrange(-250, 240)
        high = random.randrange(low + 1, 251)
        amount = int(10 ** random.uniform(19, 23))
        nets[low * SPACING] = nets.get(low * SPACING, 0) + amount
        nets[high * SPACING] = nets.get(high * SPACING, 0) - amount
    ticks = tuple(sorted(nets.items()))
    liquidity = sum(net for tick, net in ticks if tick <= 0)
    words = MIN_TICK // SPACING >> 8, MAX_TICK // SPACING >> 8
    return UniswapV3State("0xPool", 0, 1, FEE, SPACING, 2**96, 0, liquidity, ticks, *words)


def step_by_step(pool: UniswapV3Pool, token_in: int, amount: int) -> int:
    """The same quote as the contract makes it, one stop of the tick bitmap after the other."""
    down = token_in == pool.token0
    price, tick, liquidity, paid = pool.sqrt_price_x96, pool.tick, pool.liquidity, 0
    ladder = pool._ladder(down)._book
    while amount:
        stop, initialised = ladder.next_stop(tick, down)
        target = sqrt_ratio_at_tick(stop)
        from offchain.route.swap_math import full_step

        taken, out = full_step(price, target, liquidity, FEE)
        if taken > amount:
            _, out = step_with_input(price, liquidity, amount, FEE, down)
            return paid + out
        amount, paid, price = amount - taken, paid + out, target
        if initialised:
            net = ladder.liquidity_net[stop]
            liquidity += -net if down else net
        tick = stop - 1 if down else stop
    return paid
