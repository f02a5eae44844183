# SPDX-License-Identifier: Apache-2.0
"""Other people's trades: noise in both directions, and some that get there before us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from offchain.sandbox import addresses
from offchain.sandbox.arbitrage import MarketMaker, Swap
from offchain.sandbox.blocks import PendingTransaction, send
from offchain.sandbox.mempool import Watch
from offchain.sandbox.prices import token_prices
from offchain.sandbox.uniswap import Pool


class NoiseFlow:
    """Net trades per pool and tick, as likely to buy as to sell.

    Parameters
    ----------
    seed
        Of numpy's PCG64.
    activity
        Probability that a pool sees a net trade in a tick.
    size
        Scale of a net trade in fractions of the pool's depth: 0.05 of the USD that move the price by 2 % move it
        by about 10 basis points. Sizes are half-normal.
    """

    def __init__(self, seed: int, *, activity: float = 0.7, size: float = 0.05) -> None:
        self._rng = np.random.default_rng(seed)
        self._activity, self._size = activity, size

    def swaps(self, pools: Sequence[Pool], prices: Mapping[str, float]) -> list[Swap]:
        """Draw one tick's trades.

        Parameters
        ----------
        prices
            USD per whole token, by symbol.
        """
        draws = self._rng.random(len(pools)).tolist()
        sizes = (self._rng.standard_normal(len(pools)) * self._size).tolist()
        return [
            swap
            for pool, draw, size in zip(pools, draws, sizes, strict=True)
            if draw < self._activity
            if (swap := _worth(pool, size > 0, abs(size) * pool.depth, prices)).amount_in > 0
        ]


def _worth(pool: Pool, zero_for_one: bool, usd: float, prices: Mapping[str, float]) -> Swap:
    symbol = pool.symbols[0 if zero_for_one else 1]
    return Swap(pool, zero_for_one, int(usd / prices[symbol] * 10 ** addresses.DECIMALS[symbol]))


class AheadOfUs:
    """Somebody trades the same way in the same pool just before a settlement, now and then.

    It reads the mempool only to be early; it is not after the victim's money and does not trade back. What it
    moves is what a plan made at an older block pays.

    Parameters
    ----------
    maker
        Who trades.
    watch
        Whose swaps are run ahead of.
    probability
        That anybody does, for each transaction.
    share
        Largest size, as a fraction of the victim's largest swap; uniform below.
    """

    def __init__(
        self, maker: MarketMaker, watch: Watch, seed: int, *, probability: float = 0.3, share: float = 0.5
    ) -> None:
        self._maker, self._watch = maker, watch
        self._rng = np.random.default_rng(seed)
        self._probability, self._share = probability, share
        self._seen: set[str] = set()
        self.count = 0
        """How often it traded."""

    def before_block(self, pending: Sequence[PendingTransaction]) -> None:
        """Trade ahead of what is new in the mempool."""
        for swaps in self._watch.swaps(pending):
            victim = swaps[0].transaction
            if victim.hash in self._seen:
                continue
            self._seen.add(victim.hash)
            draw, share = self._rng.random(2)
            if draw >= self._probability:
                continue
            largest = max(swaps, key=lambda one: one.swap.amount_in * _whole_value(one.token_in)).swap
            size = int(largest.amount_in * share * self._share)
            trade = Swap(largest.pool, largest.zero_for_one, size)
            send(self._maker.chain, self._maker.make([], [trade]), max_fee=victim.max_fee + 1)
            self.count += 1

    def after_block(self) -> None:
        """Nothing to settle."""


def _whole_value(symbol: str) -> float:
    """USD of a base unit at the sandbox's head: good enough to tell a large swap from a small one."""
    return token_prices()[symbol] / 10.0 ** addresses.DECIMALS[symbol]
