# SPDX-License-Identifier: Apache-2.0
"""Concentrated-liquidity pools of Uniswap v3."""

from __future__ import annotations

from offchain.market.snapshot import UniswapV3State
from offchain.route.errors import InsufficientLiquidityError, InvalidPoolError
from offchain.route.leg import Venue
from offchain.route.swap import Response, Swap, check_amount, is_zero_for_one
from offchain.route.swap_math import PPM, step_with_input, step_with_output
from offchain.route.tick_ladder import TickBook, TickLadder
from offchain.route.tick_math import MAX_SQRT_RATIO, MIN_SQRT_RATIO, sqrt_ratio_at_tick, tick_at_sqrt_ratio


class UniswapV3Pool:
    """One state of a pool; it never changes, a swap gives the next state.

    Attributes
    ----------
    sqrt_price_x96, tick, liquidity
        As ``slot0()`` and ``liquidity()`` return them.
    """

    __slots__ = (
        "_book",
        "_keep",
        "_ladders",
        "address",
        "fee_ppm",
        "liquidity",
        "sqrt_price_x96",
        "tick",
        "token0",
        "token1",
        "venue",
    )

    def __init__(
        self,
        address: str,
        token0: int,
        token1: int,
        fee_ppm: int,
        sqrt_price_x96: int,
        tick: int,
        liquidity: int,
        book: TickBook,
    ) -> None:
        self.venue = Venue.UNISWAP_V3
        self.address = address
        self.token0 = token0
        self.token1 = token1
        self.fee_ppm = fee_ppm
        self.sqrt_price_x96 = sqrt_price_x96
        self.tick = tick
        self.liquidity = liquidity
        self._book = book
        self._keep = (PPM - fee_ppm) / PPM
        self._ladders: list[TickLadder | None] = [None, None]

    @classmethod
    def from_state(cls, state: UniswapV3State) -> UniswapV3Pool:
        """Take over a pool as the market room read it.

        Raises
        ------
        InvalidPoolError
            Price, tick and liquidity contradict each other or the ticks.
        """
        if not MIN_SQRT_RATIO <= state.sqrt_price_x96 < MAX_SQRT_RATIO or state.liquidity < 0:
            raise InvalidPoolError(f"pool {state.address}: price or liquidity out of range; is it initialised?")
        # After crossing a tick downwards the contract stores the tick below it.
        if not sqrt_ratio_at_tick(state.tick) <= state.sqrt_price_x96 <= sqrt_ratio_at_tick(state.tick + 1):
            raise InvalidPoolError(f"pool {state.address}: tick {state.tick} contradicts its square-root price")
        if not 0 <= state.fee_ppm < PPM:
            raise InvalidPoolError(f"pool {state.address}: fee {state.fee_ppm} ppm")
        book = TickBook.build(state.address, state.tick_spacing, state.ticks, state.first_word, state.last_word)
        return cls(
            state.address,
            state.token0,
            state.token1,
            state.fee_ppm,
            state.sqrt_price_x96,
            state.tick,
            state.liquidity,
            book,
        )

    def quote_in(self, token_in: int, amount_in: int) -> int:
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
        zero_for_one = is_zero_for_one(self.address, self.token0, self.token1, token_in)
        ladder = self._ladders[zero_for_one] or self._ladder(zero_for_one)
        rung = ladder.reach(ladder.taken, amount_in)
        if rung == len(ladder.taken):
            return ladder.paid[-1]
        if ladder.taken[rung] == amount_in:
            return ladder.paid[rung]
        rung -= 1
        _, amount_out = step_with_input(
            ladder.prices[rung], ladder.liquidity[rung], amount_in - ladder.taken[rung], self.fee_ppm, zero_for_one
        )
        return ladder.paid[rung] + amount_out

    def quote_out(self, token_in: int, amount_out: int) -> int:
        """What the pool takes, fee included, to pay exactly `amount_out`.

        Raises
        ------
        UnknownTokenError, InvalidAmountError, LiquidityUnknownError
            As `quote_in`.
        InsufficientLiquidityError
            The pool cannot pay that much.
        """
        swap = self.swap_out(token_in, amount_out)
        if swap.amount_out < amount_out:
            raise InsufficientLiquidityError(
                f"pool {self.address} can pay at most {swap.amount_out} and not {amount_out}; trade less"
            )
        return swap.amount_in

    def swap(self, token_in: int, amount_in: int) -> Swap[UniswapV3Pool]:
        """Exact-input swap and the pool afterwards. Raises as `quote_in`."""
        check_amount(amount_in)
        zero_for_one = is_zero_for_one(self.address, self.token0, self.token1, token_in)
        ladder = self._ladder(zero_for_one)
        rung = ladder.reach(ladder.taken, amount_in)
        if rung == len(ladder.taken):
            return Swap(ladder.taken[-1], ladder.paid[-1], self._at_rung(ladder, rung - 1))
        if ladder.taken[rung] == amount_in:
            return Swap(amount_in, ladder.paid[rung], self._at_rung(ladder, rung))
        rung -= 1
        price, amount_out = step_with_input(
            ladder.prices[rung], ladder.liquidity[rung], amount_in - ladder.taken[rung], self.fee_ppm, zero_for_one
        )
        return Swap(amount_in, ladder.paid[rung] + amount_out, self._inside(ladder, rung, price))

    def swap_out(self, token_in: int, amount_out: int) -> Swap[UniswapV3Pool]:
        """Exact-output swap and the pool afterwards; pays less where the liquidity ends. Raises as `quote_in`."""
        check_amount(amount_out)
        zero_for_one = is_zero_for_one(self.address, self.token0, self.token1, token_in)
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
            self.fee_ppm,
            zero_for_one,
        )
        after = self._at_rung(ladder, rung + 1) if price == target else self._inside(ladder, rung, price)
        return Swap(ladder.taken[rung] + amount_in, amount_out, after)

    def marginal_price(self, token_in: int) -> float:
        """Base units out per base unit in, of an infinitesimal input, after the fee."""
        zero_for_one = is_zero_for_one(self.address, self.token0, self.token1, token_in)
        price = (self.sqrt_price_x96 / 2**96) ** 2
        return self._keep * price if zero_for_one else self._keep / price

    def respond(self, price0: float, price1: float) -> Response:
        """Best trade at outside prices: one more unit would pay just them, after the fee.

        Liquidity beyond the ticks that were read counts as absent.

        Parameters
        ----------
        price0, price1
            Positive prices per base unit, in any one numeraire.
        """
        ratio = price0 / price1
        root = self.sqrt_price_x96 / 2**96
        floor = (ratio / self._keep) ** 0.5
        if floor < root:  # token0 is cheap outside: sell it here, down to `floor`
            ladder = self._ladders[True] or self._ladder(True)
            rung = ladder.locate(floor)
            start, liquidity = ladder.roots[rung], ladder.liquidity[rung]
            taken, paid = float(ladder.taken[rung]), float(ladder.paid[rung])
            if rung + 1 == len(ladder.roots):
                return Response(-taken, paid, 0.0)
            moved = liquidity * (start - floor)
            return Response(-taken - moved / (start * floor * self._keep), paid + moved, price1 * liquidity * floor / 2)
        ceiling = (ratio * self._keep) ** 0.5
        if ceiling > root:
            ladder = self._ladders[False] or self._ladder(False)
            rung = ladder.locate(ceiling)
            start, liquidity = ladder.roots[rung], ladder.liquidity[rung]
            taken, paid = float(ladder.taken[rung]), float(ladder.paid[rung])
            if rung + 1 == len(ladder.roots):
                return Response(paid, -taken, 0.0)
            moved = liquidity * (ceiling - start)
            return Response(
                paid + moved / (start * ceiling), -taken - moved / self._keep, price0 * liquidity / ceiling / 2
            )
        return Response(0.0, 0.0, price1 * self.liquidity * root / 2)

    def _ladder(self, zero_for_one: bool) -> TickLadder:
        ladder = self._ladders[zero_for_one]
        if ladder is None:
            ladder = TickLadder(self._book, zero_for_one, self.sqrt_price_x96, self.tick, self.liquidity, self.fee_ppm)
            self._ladders[zero_for_one] = ladder
        return ladder

    def _inside(self, ladder: TickLadder, rung: int, price: int) -> UniswapV3Pool:
        """State after a step that began at `rung` and ended before the next one."""
        tick = ladder.ticks[rung] if price == ladder.prices[rung] else tick_at_sqrt_ratio(price)
        return self._with(price, tick, ladder.liquidity[rung])

    def _at_rung(self, ladder: TickLadder, rung: int) -> UniswapV3Pool:
        return self._with(ladder.prices[rung], ladder.ticks[rung], ladder.liquidity[rung])

    def _with(self, sqrt_price_x96: int, tick: int, liquidity: int) -> UniswapV3Pool:
        return UniswapV3Pool(
            self.address, self.token0, self.token1, self.fee_ppm, sqrt_price_x96, tick, liquidity, self._book
        )
