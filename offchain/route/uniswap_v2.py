# SPDX-License-Identifier: Apache-2.0
"""Constant-product pairs of Uniswap v2."""

from __future__ import annotations

import math
from dataclasses import dataclass

from offchain.market.snapshot import UniswapV2State
from offchain.route.curves import ProductCurve
from offchain.route.errors import InsufficientLiquidityError, InvalidPoolError
from offchain.route.kind import PoolKind
from offchain.route.leg import Venue
from offchain.route.swap import Response, Swap, check_amount, is_zero_for_one

_PPM = 1_000_000
_MAX_RESERVE = 2**112 - 1


@dataclass(frozen=True, slots=True)
class UniswapV2Pool:
    """x * y = k on reserves, after a fee on the input (``UniswapV2Library.sol``).

    Attributes
    ----------
    charge_ppm
        The fee; 3000 on Uniswap itself. Forks that count in thousandths or ten-thousandths round alike.
    fee_ppm
        What a leg names it by: nothing, there is one pair of two tokens.
    """

    address: str
    token0: int
    token1: int
    reserve0: int
    reserve1: int
    venue: Venue = Venue.UNISWAP_V2
    fee_ppm: int = 0
    charge_ppm: int = 3000

    def __post_init__(self) -> None:
        """Refuse what no pair can hold.

        Raises
        ------
        InvalidPoolError
            A reserve does not fit the pair's 112 bits; the fee leaves nothing.
        """
        for reserve in (self.reserve0, self.reserve1):
            if not 0 <= reserve <= _MAX_RESERVE:
                raise InvalidPoolError(f"pair {self.address}: reserve {reserve} does not fit 112 bits")
        if not 0 <= self.charge_ppm < _PPM:
            raise InvalidPoolError(f"pair {self.address}: fee {self.charge_ppm} ppm leaves nothing to trade")

    def state(self) -> UniswapV2State:
        """As the market room would read it."""
        return UniswapV2State(self.address, self.token0, self.token1, self.reserve0, self.reserve1)

    @classmethod
    def from_state(cls, state: UniswapV2State) -> UniswapV2Pool:
        """Take over a pair as the market room read it.

        Raises
        ------
        InvalidPoolError
            A reserve does not fit the pair's 112 bits.
        """
        return cls(state.address, state.token0, state.token1, state.reserve0, state.reserve1)

    @property
    def kind(self) -> PoolKind:
        """Uniswap v2."""
        return PoolKind.UNISWAP_V2

    @property
    def tokens(self) -> tuple[int, int]:
        """The two tokens, token0 first."""
        return self.token0, self.token1

    def quote_in(self, token_in: int, amount_in: int, token_out: int | None = None) -> int:
        """What the pair pays for `amount_in`, in base units of the other token.

        Raises
        ------
        UnknownTokenError, InvalidAmountError
            The pair does not trade the token; the amount is negative.
        InsufficientLiquidityError
            The pair is empty, or its reserve would outgrow its 112 bits.
        """
        check_amount(amount_in)
        reserve_in, reserve_out = self._reserves(token_in, token_out)
        if amount_in == 0:
            return 0
        if not reserve_in or not reserve_out:
            raise InsufficientLiquidityError(f"pair {self.address} is empty; trade elsewhere")
        if reserve_in + amount_in > _MAX_RESERVE:
            raise InsufficientLiquidityError(f"pair {self.address} cannot take {amount_in}: its reserve would overflow")
        kept = amount_in * (_PPM - self.charge_ppm)
        return kept * reserve_out // (reserve_in * _PPM + kept)

    def quote_out(self, token_in: int, amount_out: int, token_out: int | None = None) -> int:
        """Least input for which the pair pays at least `amount_out`.

        Raises
        ------
        UnknownTokenError, InvalidAmountError
            The pair does not trade the token; the amount is negative.
        InsufficientLiquidityError
            The pair holds no more than that.
        """
        check_amount(amount_out)
        reserve_in, reserve_out = self._reserves(token_in, token_out)
        if amount_out == 0:
            return 0
        if amount_out >= reserve_out or not reserve_in:
            raise InsufficientLiquidityError(f"pair {self.address} holds {reserve_out} and cannot pay {amount_out}")
        # UniswapV2Library.getAmountIn adds 1 to the floor; where the division is exact that is 1 too many.
        return -(-reserve_in * amount_out * _PPM // ((reserve_out - amount_out) * (_PPM - self.charge_ppm)))

    def swap(self, token_in: int, amount_in: int, token_out: int | None = None) -> Swap[UniswapV2Pool]:
        """Quote, and the pair afterwards. Raises as `quote_in`."""
        amount_out = self.quote_in(token_in, amount_in, token_out)
        change = (amount_in, -amount_out) if token_in == self.token0 else (-amount_out, amount_in)
        after = UniswapV2Pool(
            self.address,
            self.token0,
            self.token1,
            self.reserve0 + change[0],
            self.reserve1 + change[1],
            charge_ppm=self.charge_ppm,
        )
        return Swap(amount_in, amount_out, after)

    def most_in(self, token_in: int, token_out: int | None = None) -> int:
        """What the reserve's 112 bits leave."""
        return _MAX_RESERVE - self._reserves(token_in, token_out)[0]

    def marginal_price(self, token_in: int, token_out: int | None = None) -> float:
        """Base units out per base unit in, of an infinitesimal input, after the fee; 0 for an empty pair."""
        reserve_in, reserve_out = self._reserves(token_in, token_out)
        return self._keep * reserve_out / reserve_in if reserve_in else 0.0

    def curve(self) -> ProductCurve:
        """The pair in floats."""
        return ProductCurve(float(self.reserve0), float(self.reserve1), self._keep)

    def respond(self, price0: float, price1: float) -> Response:
        """Best trade at outside prices: one more unit would pay just them, after the fee.

        The curvature inside the fee band is that of the nearest trade.

        Parameters
        ----------
        price0, price1
            Positive prices per base unit, in any one numeraire.
        """
        r0, r1, keep = float(self.reserve0), float(self.reserve1), self._keep
        if not r0 or not r1:
            return Response((0.0, 0.0), 0.0)
        invariant = math.sqrt(r0 * r1)
        ratio = math.sqrt(price0 / price1)
        spot = math.sqrt(r1 / r0)
        root = math.sqrt(keep)
        if ratio < root * spot:  # token0 is cheap outside: sell it here
            r0_after = invariant * root / ratio
            r1_after = invariant * ratio / root
            return Response(((r0 - r0_after) / keep, r1 - r1_after), price1 * r1_after / 2)
        if ratio * root > spot:
            r0_after = invariant / (ratio * root)
            r1_after = invariant * ratio * root
            return Response((r0 - r0_after, (r1 - r1_after) / keep), price0 * r0_after / 2)
        return Response((0.0, 0.0), price1 * r1 / 2)

    @property
    def _keep(self) -> float:
        return (_PPM - self.charge_ppm) / _PPM

    def _reserves(self, token_in: int, token_out: int | None) -> tuple[int, int]:
        if is_zero_for_one(self.address, self.token0, self.token1, token_in, token_out):
            return self.reserve0, self.reserve1
        return self.reserve1, self.reserve0
