# SPDX-License-Identifier: Apache-2.0
"""The stops that a Uniswap v3 swap makes on its way, with prefix sums of what it takes and pays.

The contract walks the tick bitmap word by word and rounds at each stop, at initialised ticks
and at word boundaries alike. A ladder lists those stops for one pool state and one direction,
as far as anybody has asked, so that a quote is a bisection and one partial step.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from offchain.route.errors import InvalidPoolError, LiquidityUnknownError
from offchain.route.swap_math import full_step
from offchain.route.tick_math import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    sqrt_ratio_at_tick,
    tick_at_sqrt_ratio,
)

LOWEST_SQRT_PRICE = MIN_SQRT_RATIO + 1
HIGHEST_SQRT_PRICE = MAX_SQRT_RATIO - 1
_WORD_BITS = 8


@dataclass(frozen=True, slots=True, eq=False)
class TickBook:
    """Initialised ticks of a pool, complete between two words of its bitmap; shared by its later states.

    Books are equal when they are the same one: `build` gives the same one for the same ticks.
    """

    pool: str
    tick_spacing: int
    ticks: tuple[int, ...]
    """Sorted."""
    liquidity_net: dict[int, int]
    sums: tuple[int, ...]
    """Net liquidity of the first k ticks together, k = 0 … all."""
    first_word: int
    last_word: int

    @staticmethod
    @lru_cache(maxsize=512)
    def build(
        pool: str, tick_spacing: int, ticks: tuple[tuple[int, int], ...], first_word: int, last_word: int
    ) -> TickBook:
        """Check and index ``(tick, liquidity_net)`` pairs.

        Raises
        ------
        InvalidPoolError
            Ticks are unsorted, repeated, off the spacing or outside the words.
        """
        places = tuple(tick for tick, _ in ticks)
        if tick_spacing <= 0:
            raise InvalidPoolError(f"pool {pool}: tick spacing {tick_spacing} must be positive")
        for before, tick in zip((None, *places), places, strict=False):
            if before is not None and tick <= before:
                raise InvalidPoolError(f"pool {pool}: ticks {before}, {tick} are not in rising order")
            if tick % tick_spacing or not MIN_TICK <= tick <= MAX_TICK:
                raise InvalidPoolError(f"pool {pool}: tick {tick} cannot be initialised at spacing {tick_spacing}")
            if not first_word <= tick // tick_spacing >> _WORD_BITS <= last_word:
                raise InvalidPoolError(f"pool {pool}: tick {tick} lies outside words {first_word} to {last_word}")
        sums = (0, *accumulate(net for _, net in ticks))
        return TickBook(pool, tick_spacing, places, dict(ticks), sums, first_word, last_word)

    def next_stop(self, tick: int, zero_for_one: bool) -> tuple[int, bool]:
        """Next tick at which the contract stops and whether it is initialised (``nextInitializedTickWithinOneWord``).

        Raises
        ------
        LiquidityUnknownError
            The snapshot does not hold that word of the bitmap.
        """
        compressed = tick // self.tick_spacing
        if not zero_for_one:
            compressed += 1
        word = compressed >> _WORD_BITS
        if not self.first_word <= word <= self.last_word:
            raise LiquidityUnknownError(self.pool, word, self.first_word, self.last_word)
        place = compressed * self.tick_spacing
        if zero_for_one:
            boundary = (word << _WORD_BITS) * self.tick_spacing
            index = bisect_right(self.ticks, place) - 1
            if index >= 0 and self.ticks[index] >= boundary:
                return self.ticks[index], True
            return max(boundary, MIN_TICK), False
        boundary = ((word + 1 << _WORD_BITS) - 1) * self.tick_spacing
        index = bisect_left(self.ticks, place)
        if index < len(self.ticks) and self.ticks[index] <= boundary:
            return self.ticks[index], True
        return min(boundary, MAX_TICK), False


class TickLadder:
    """Stops of one pool state in one direction.

    Rung j is where step j begins: ``prices[j]`` (square root times 2**96), ``ticks[j]`` and
    ``liquidity[j]`` as the contract holds them there, ``taken[j]`` and ``paid[j]`` the exact
    sums of input (fee included) and output of the steps before it.
    """

    __slots__ = (
        "_blind",
        "_book",
        "_fee_ppm",
        "_keys",
        "_zero_for_one",
        "ended",
        "liquidity",
        "paid",
        "prices",
        "roots",
        "taken",
        "ticks",
    )

    def __init__(
        self, book: TickBook, zero_for_one: bool, sqrt_price_x96: int, tick: int, liquidity: int, fee_ppm: int
    ) -> None:
        self._book = book
        self._zero_for_one = zero_for_one
        self._fee_ppm = fee_ppm
        limit = LOWEST_SQRT_PRICE if zero_for_one else HIGHEST_SQRT_PRICE
        self.ended = sqrt_price_x96 <= limit if zero_for_one else sqrt_price_x96 >= limit
        self._blind = False
        self.prices = [sqrt_price_x96]
        self.roots = [sqrt_price_x96 / 2**96]
        # The roots in rising order of the swap's progress, for bisection.
        self._keys = [self._key(self.roots[0])]
        self.ticks = [tick]
        self.liquidity = [liquidity]
        self.taken = [0]
        self.paid = [0]

    def extend(self) -> bool:
        """Add the next rung; `False` when the price is at its limit and there is none.

        Raises
        ------
        LiquidityUnknownError
            The next word of the bitmap was not read.
        """
        if self.ended:
            return False
        price, tick, liquidity = self.prices[-1], self.ticks[-1], self.liquidity[-1]
        stop, initialised = self._book.next_stop(tick, self._zero_for_one)
        target = sqrt_ratio_at_tick(stop)
        limit = LOWEST_SQRT_PRICE if self._zero_for_one else HIGHEST_SQRT_PRICE
        if (target < limit) if self._zero_for_one else (target > limit):
            target = limit
            self.ended = True
            tick = tick_at_sqrt_ratio(target)
        else:
            self.ended = target == limit
            tick = stop - 1 if self._zero_for_one else stop
            if initialised:
                net = self._book.liquidity_net[stop]
                liquidity += -net if self._zero_for_one else net
                if liquidity < 0:
                    raise InvalidPoolError(f"pool {self._book.pool}: liquidity falls below zero at tick {stop}")
        amount_in, amount_out = full_step(price, target, self.liquidity[-1], self._fee_ppm)
        self.prices.append(target)
        self.roots.append(target / 2**96)
        self._keys.append(self._key(self.roots[-1]))
        self.ticks.append(tick)
        self.liquidity.append(liquidity)
        self.taken.append(self.taken[-1] + amount_in)
        self.paid.append(self.paid[-1] + amount_out)
        return True

    def reach(self, sums: list[int], amount: int) -> int:
        """Extend until `sums` (`taken` or `paid`) reaches the amount; rung where the last step begins or ends.

        Returns the first rung whose sum is at least `amount`, or the number of rungs when
        the liquidity ends before. Raises as `extend`.
        """
        while sums[-1] < amount and self.extend():
            pass
        return bisect_left(sums, amount)

    def locate(self, root: float) -> int:
        """Last rung before the square-root price `root`, in floats, as far as the ticks are known."""
        key = self._key(root)
        while self._keys[-1] < key and not self._blind:
            try:
                if not self.extend():
                    break
            except LiquidityUnknownError:
                self._blind = True
        return bisect_left(self._keys, key) - 1

    def _key(self, root: float) -> float:
        return -root if self._zero_for_one else root
