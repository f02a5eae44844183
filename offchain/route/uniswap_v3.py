# SPDX-License-Identifier: Apache-2.0
"""Pools of Uniswap v3."""

from __future__ import annotations

from offchain.market.snapshot import UniswapV3State
from offchain.route.concentrated import ConcentratedPool
from offchain.route.kind import PoolKind
from offchain.route.leg import Venue
from offchain.route.tick_ladder import TickBook


class UniswapV3Pool(ConcentratedPool):
    """One state of a pool, as ``slot0()`` and ``liquidity()`` return it."""

    __slots__ = ()

    @classmethod
    def from_state(cls, state: UniswapV3State) -> UniswapV3Pool:
        """Take over a pool as the market room read it.

        Raises
        ------
        InvalidPoolError
            Price, tick and liquidity contradict each other or the ticks.
        """
        book = TickBook.build(state.address, state.tick_spacing, state.ticks, state.first_word, state.last_word)
        return cls(
            state.address,
            state.token0,
            state.token1,
            state.fee_ppm,
            (state.fee_ppm, state.fee_ppm),
            state.sqrt_price_x96,
            state.tick,
            state.liquidity,
            book,
        )

    def state(self) -> UniswapV3State:
        """As the market room would read it."""
        book = self._book
        return UniswapV3State(
            self.address,
            self.token0,
            self.token1,
            self.fee_ppm,
            book.tick_spacing,
            self.sqrt_price_x96,
            self.tick,
            self.liquidity,
            tuple((tick, book.liquidity_net[tick]) for tick in book.ticks),
            book.first_word,
            book.last_word,
        )

    @property
    def kind(self) -> PoolKind:
        """Uniswap v3."""
        return PoolKind.UNISWAP_V3

    @property
    def venue(self) -> Venue:
        """How the vault calls it."""
        return Venue.UNISWAP_V3
