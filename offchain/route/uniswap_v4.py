# SPDX-License-Identifier: Apache-2.0
"""Pools of Uniswap v4 that have no hooks and a fixed fee."""

from __future__ import annotations

from typing import Self

from offchain.route.concentrated import ConcentratedPool
from offchain.route.errors import InsufficientLiquidityError, InvalidPoolError, UnsupportedPoolError
from offchain.route.kind import PoolKind
from offchain.route.swap import Swap
from offchain.route.swap_math import PPM
from offchain.route.tick_ladder import TickBook
from offchain.route.tick_math import MAX_TICK, MIN_TICK

DYNAMIC_FEE_FLAG = 0x800000
MAX_PROTOCOL_FEE_PPM = 1000
_NO_HOOKS = "0x" + "0" * 40
_MOST = 2**127 - 1  # the pool manager counts what is owed in signed 128 bits


def swap_fee(lp_fee_ppm: int, protocol_fee_ppm: int) -> int:
    """What a swap pays in ppm: the protocol's fee first, the providers' on the rest (``calculateSwapFee``)."""
    return protocol_fee_ppm + lp_fee_ppm - protocol_fee_ppm * lp_fee_ppm // PPM


class UniswapV4Pool(ConcentratedPool):
    """One state of a pool inside the pool manager; its address is the pool's id.

    Swaps step as in v3. The fee is the providers' plus the protocol's, which may differ by direction.
    """

    __slots__ = ()

    @classmethod
    def build(
        cls,
        pool_id: str,
        token0: int,
        token1: int,
        *,
        lp_fee_ppm: int,
        tick_spacing: int,
        sqrt_price_x96: int,
        tick: int,
        liquidity: int,
        ticks: tuple[tuple[int, int], ...],
        protocol_fees_ppm: tuple[int, int] = (0, 0),
        hooks: str = _NO_HOOKS,
        words: tuple[int, int] | None = None,
    ) -> UniswapV4Pool:
        """Take over a pool's slot0, liquidity and ticks.

        Parameters
        ----------
        protocol_fees_ppm
            For selling token0 and for selling token1: the low and the high 12 bits of slot0's field.
        ticks
            Sorted ``(tick, liquidity_net)``, complete inside `words`.
        words
            First and last word of the tick bitmap that was read; by default all.

        Raises
        ------
        UnsupportedPoolError
            The pool has hooks or a dynamic fee: its code can change any quote.
        InvalidPoolError
            The state contradicts itself.
        """
        if int(hooks, 16):
            raise UnsupportedPoolError(
                f"pool {pool_id}: hooks {hooks} may change any swap; only pools without are traded"
            )
        if lp_fee_ppm & DYNAMIC_FEE_FLAG:
            raise UnsupportedPoolError(f"pool {pool_id}: its fee is dynamic; only pools with a fixed fee are traded")
        if not all(0 <= fee <= MAX_PROTOCOL_FEE_PPM for fee in protocol_fees_ppm):
            raise InvalidPoolError(
                f"pool {pool_id}: protocol fees {protocol_fees_ppm} ppm exceed {MAX_PROTOCOL_FEE_PPM}"
            )
        if tick_spacing <= 0:
            raise InvalidPoolError(f"pool {pool_id}: tick spacing {tick_spacing} must be positive")
        first, last = words or (MIN_TICK // tick_spacing >> 8, MAX_TICK // tick_spacing >> 8)
        book = TickBook.build(pool_id, tick_spacing, ticks, first, last)
        fees = swap_fee(lp_fee_ppm, protocol_fees_ppm[1]), swap_fee(lp_fee_ppm, protocol_fees_ppm[0])
        return cls(pool_id, token0, token1, lp_fee_ppm, fees, sqrt_price_x96, tick, liquidity, book)

    @property
    def kind(self) -> PoolKind:
        """Uniswap v4."""
        return PoolKind.UNISWAP_V4

    def quote_in(self, token_in: int, amount_in: int, token_out: int | None = None) -> int:
        """What the pool pays; raises as v3's, and `InsufficientLiquidityError` beyond 128 bits."""
        return self.swap(token_in, amount_in, token_out).amount_out

    def swap(self, token_in: int, amount_in: int, token_out: int | None = None) -> Swap[Self]:
        """Exact-input swap and the pool afterwards. Raises as `quote_in`."""
        return self._checked(super().swap(token_in, amount_in, token_out))

    def swap_out(self, token_in: int, amount_out: int, token_out: int | None = None) -> Swap[Self]:
        """Exact-output swap and the pool afterwards. Raises as `quote_in`."""
        return self._checked(super().swap_out(token_in, amount_out, token_out))

    def _checked(self, swap: Swap[Self]) -> Swap[Self]:
        if max(swap.amount_in, swap.amount_out) > _MOST:
            raise InsufficientLiquidityError(
                f"pool {self.address}: amounts beyond 128 bits cannot be settled; trade less"
            )
        return swap
