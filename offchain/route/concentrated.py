# SPDX-License-Identifier: Apache-2.0
"""Swaps through ranges of liquidity between ticks: what Uniswap v3 and v4 share."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import Self

import numpy as np

from offchain.route.curves import LadderCurve
from offchain.route.errors import InsufficientLiquidityError, InvalidPoolError
from offchain.route.swap import Response, Swap, check_amount, is_zero_for_one
from offchain.route.swap_math import PPM, step_with_input, step_with_output
from offchain.route.tick_ladder import TickBook, TickLadder
from offchain.route.tick_math import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    sqrt_ratio_at_tick,
    tick_at_sqrt_ratio,
)

_Q96 = 2**96


class ConcentratedPool:
    """One state of a pool; it never changes, a swap gives the next state.

    Attributes
    ----------
    sqrt_price_x96, tick, liquidity
        As the contract holds them.
    fee_ppm
        What a leg names the pool by.
    fees
        What a swap really pays in ppm: selling token1, selling token0.
    """

    __slots__ = (
        "_book",
        "_curve",
        "_keeps",
        "_ladders",
        "address",
        "fee_ppm",
        "fees",
        "liquidity",
        "sqrt_price_x96",
        "tick",
        "token0",
        "token1",
    )

    def __init__(
        self,
        address: str,
        token0: int,
        token1: int,
        fee_ppm: int,
        fees: tuple[int, int],
        sqrt_price_x96: int,
        tick: int,
        liquidity: int,
        book: TickBook,
    ) -> None:
        """Take a state over.

        Raises
        ------
        InvalidPoolError
            Price, tick, liquidity and fees contradict each other.
        """
        if not MIN_SQRT_RATIO <= sqrt_price_x96 < MAX_SQRT_RATIO or liquidity < 0:
            raise InvalidPoolError(f"pool {address}: price or liquidity out of range; is it initialised?")
        # After crossing a tick downwards the contract stores the tick below it.
        if not MIN_TICK - 1 <= tick < MAX_TICK or not sqrt_ratio_at_tick(
            max(tick, MIN_TICK)
        ) <= sqrt_price_x96 <= sqrt_ratio_at_tick(tick + 1):
            raise InvalidPoolError(f"pool {address}: tick {tick} contradicts its square-root price")
        if not 0 <= min(fees) <= max(fees) < PPM:
            raise InvalidPoolError(f"pool {address}: fee {max(fees)} ppm leaves nothing to trade")
        self.address = address
        self.token0 = token0
        self.token1 = token1
        self.fee_ppm = fee_ppm
        self.fees = fees
        self.sqrt_price_x96 = sqrt_price_x96
        self.tick = tick
        self.liquidity = liquidity
        self._book = book
        self._keeps = (PPM - fees[0]) / PPM, (PPM - fees[1]) / PPM
        self._ladders: list[TickLadder | None] = [None, None]
        self._curve: LadderCurve | None = None

    @property
    def tokens(self) -> tuple[int, int]:
        """The two tokens, token0 first."""
        return self.token0, self.token1

    def quote_in(self, token_in: int, amount_in: int, token_out: int | None = None) -> int:
        """What the pool pays for `amount_in`, in base units of the other token.

        Where its liquidity ends before, the pool takes less and pays this; `swap` says how much it takes.

        Raises
        ------
        UnknownTokenError, InvalidAmountError
            The pool does not trade the token; the amount is negative.
        LiquidityUnknownError
            The swap runs past the ticks that were read.
        """
        check_amount(amount_in)
        zero_for_one = is_zero_for_one(self.address, self.token0, self.token1, token_in, token_out)
        ladder = self._ladders[zero_for_one] or self._ladder(zero_for_one)
        rung = ladder.reach(ladder.taken, amount_in)
        if rung == len(ladder.taken):
            return ladder.paid[-1]
        if ladder.taken[rung] == amount_in:
            return ladder.paid[rung]
        rung -= 1
        _, amount_out = step_with_input(
            ladder.prices[rung],
            ladder.liquidity[rung],
            amount_in - ladder.taken[rung],
            self.fees[zero_for_one],
            zero_for_one,
        )
        return ladder.paid[rung] + amount_out

    def quote_out(self, token_in: int, amount_out: int, token_out: int | None = None) -> int:
        """What the pool takes, fee included, to pay exactly `amount_out`.

        Raises
        ------
        UnknownTokenError, InvalidAmountError, LiquidityUnknownError
            As `quote_in`.
        InsufficientLiquidityError
            The pool cannot pay that much.
        """
        swap = self.swap_out(token_in, amount_out, token_out)
        if swap.amount_out < amount_out:
            raise InsufficientLiquidityError(
                f"pool {self.address} can pay at most {swap.amount_out} and not {amount_out}; trade less"
            )
        return swap.amount_in

    def swap(self, token_in: int, amount_in: int, token_out: int | None = None) -> Swap[Self]:
        """Exact-input swap and the pool afterwards. Raises as `quote_in`."""
        check_amount(amount_in)
        zero_for_one = is_zero_for_one(self.address, self.token0, self.token1, token_in, token_out)
        ladder = self._ladder(zero_for_one)
        rung = ladder.reach(ladder.taken, amount_in)
        if rung == len(ladder.taken):
            return Swap(ladder.taken[-1], ladder.paid[-1], self._at_rung(ladder, rung - 1))
        if ladder.taken[rung] == amount_in:
            return Swap(amount_in, ladder.paid[rung], self._at_rung(ladder, rung))
        rung -= 1
        price, amount_out = step_with_input(
            ladder.prices[rung],
            ladder.liquidity[rung],
            amount_in - ladder.taken[rung],
            self.fees[zero_for_one],
            zero_for_one,
        )
        return Swap(amount_in, ladder.paid[rung] + amount_out, self._inside(ladder, rung, price))

    def swap_out(self, token_in: int, amount_out: int, token_out: int | None = None) -> Swap[Self]:
        """Exact-output swap and the pool afterwards; pays less where the liquidity ends. Raises as `quote_in`."""
        check_amount(amount_out)
        zero_for_one = is_zero_for_one(self.address, self.token0, self.token1, token_in, token_out)
        ladder = self._ladder(zero_for_one)
        rung = ladder.reach(ladder.paid, amount_out)
        if rung == len(ladder.paid):
            return Swap(ladder.taken[-1], ladder.paid[-1], self._at_rung(ladder, rung - 1))
        if ladder.paid[rung] == amount_out:
            return Swap(ladder.taken[rung], amount_out, self._at_rung(ladder, rung))
        target = ladder.prices[rung]
        rung -= 1
        price, amount_in = step_with_output(
            ladder.prices[rung],
            target,
            ladder.liquidity[rung],
            amount_out - ladder.paid[rung],
            self.fees[zero_for_one],
            zero_for_one,
        )
        after = self._at_rung(ladder, rung + 1) if price == target else self._inside(ladder, rung, price)
        return Swap(ladder.taken[rung] + amount_in, amount_out, after)

    def most_in(self, token_in: int, token_out: int | None = None) -> int | None:
        """No limit: a swap ends where the liquidity does."""
        return None

    def marginal_price(self, token_in: int, token_out: int | None = None) -> float:
        """Base units out per base unit in, of an infinitesimal input, after the fee."""
        zero_for_one = is_zero_for_one(self.address, self.token0, self.token1, token_in, token_out)
        price = (self.sqrt_price_x96 / _Q96) ** 2
        return self._keeps[True] * price if zero_for_one else self._keeps[False] / price

    def curve(self) -> LadderCurve:
        """The pool in floats; liquidity beyond the ticks that were read counts as absent."""
        if self._curve is None:
            book = self._book
            ground = self.liquidity - book.sums[bisect_right(book.ticks, self.tick)]
            ladder = _ladder_curve(book, ground, *self._known(), self._keeps[True], self._keeps[False])
            self._curve = ladder.at(self.sqrt_price_x96 / _Q96)
        return self._curve

    def respond(self, price0: float, price1: float) -> Response:
        """Best trade at outside prices: one more unit would pay just them, after the fee.

        Liquidity beyond the ticks that were read counts as absent. The curvature inside the fee
        band is that of the nearest trade.

        Parameters
        ----------
        price0, price1
            Positive prices per base unit, in any one numeraire.
        """
        ratio = price0 / price1
        root = self.sqrt_price_x96 / _Q96
        keep1, keep0 = self._keeps
        floor = (ratio / keep0) ** 0.5
        if floor < root:  # token0 is cheap outside: sell it here, down to `floor`
            ladder = self._ladders[True] or self._ladder(True)
            rung = ladder.locate(floor)
            start, liquidity = ladder.roots[rung], ladder.liquidity[rung]
            taken, paid = float(ladder.taken[rung]), float(ladder.paid[rung])
            if rung + 1 == len(ladder.roots):
                return Response((-taken, paid), 0.0)
            moved = liquidity * (start - floor)
            return Response((-taken - moved / (start * floor * keep0), paid + moved), price1 * liquidity * floor / 2)
        ceiling = (ratio * keep1) ** 0.5
        if ceiling > root:
            ladder = self._ladders[False] or self._ladder(False)
            rung = ladder.locate(ceiling)
            start, liquidity = ladder.roots[rung], ladder.liquidity[rung]
            taken, paid = float(ladder.taken[rung]), float(ladder.paid[rung])
            if rung + 1 == len(ladder.roots):
                return Response((paid, -taken), 0.0)
            moved = liquidity * (ceiling - start)
            return Response(
                (paid + moved / (start * ceiling), -taken - moved / keep1), price0 * liquidity / ceiling / 2
            )
        return Response((0.0, 0.0), price1 * self.liquidity * root / 2)

    def _known(self) -> tuple[int, int]:
        """Lowest and highest tick up to which the liquidity is known."""
        book = self._book
        low, high = (book.first_word << 8) * book.tick_spacing, ((book.last_word + 1 << 8) - 1) * book.tick_spacing
        return min(max(low, MIN_TICK), self.tick), max(min(high, MAX_TICK), self.tick + 1)

    def _ladder(self, zero_for_one: bool) -> TickLadder:
        ladder = self._ladders[zero_for_one]
        if ladder is None:
            fee = self.fees[zero_for_one]
            ladder = TickLadder(self._book, zero_for_one, self.sqrt_price_x96, self.tick, self.liquidity, fee)
            self._ladders[zero_for_one] = ladder
        return ladder

    def _inside(self, ladder: TickLadder, rung: int, price: int) -> Self:
        """State after a step that began at `rung` and ended before the next one."""
        tick = ladder.ticks[rung] if price == ladder.prices[rung] else tick_at_sqrt_ratio(price)
        return self._with(price, tick, ladder.liquidity[rung])

    def _at_rung(self, ladder: TickLadder, rung: int) -> Self:
        return self._with(ladder.prices[rung], ladder.ticks[rung], ladder.liquidity[rung])

    def _with(self, sqrt_price_x96: int, tick: int, liquidity: int) -> Self:
        after = object.__new__(type(self))
        ConcentratedPool.__init__(
            after,
            self.address,
            self.token0,
            self.token1,
            self.fee_ppm,
            self.fees,
            sqrt_price_x96,
            tick,
            liquidity,
            self._book,
        )
        return after


@lru_cache(maxsize=512)
def _ladder_curve(book: TickBook, ground: int, below: int, above: int, keep0: float, keep1: float) -> LadderCurve:
    """A book's liquidity in floats, at any price.

    Parameters
    ----------
    ground
        Liquidity below the first tick.
    below, above
        Ticks between which it is known.

    Raises
    ------
    InvalidPoolError
        The liquidity is negative somewhere.
    """
    places = [below, *(tick for tick in book.ticks if below < tick < above), above]
    depth = dict(zip(book.ticks, (ground + total for total in book.sums[1:]), strict=True))
    liquidity = [depth.get(place, ground if place == below else 0) for place in places[:-1]]
    if min(liquidity, default=0) < 0:
        raise InvalidPoolError(f"pool {book.pool}: liquidity falls below zero between its ticks")
    # Before the first tick and after the last there is often nothing: edges of no use.
    while len(liquidity) > 1 and liquidity[0] == 0:
        del liquidity[0], places[0]
    while len(liquidity) > 1 and liquidity[-1] == 0:
        del liquidity[-1], places[-1]
    roots = np.array([sqrt_ratio_at_tick(place) / _Q96 for place in places])
    return LadderCurve.build(float(roots[0]), roots, np.array([*map(float, liquidity), 0.0]), keep0, keep1)
