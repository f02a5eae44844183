# SPDX-License-Identifier: Apache-2.0
"""Supplying to Aave v3 and withdrawing from it, as a pool of an asset and its receipt token."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from offchain.market.ray import RAY, ray_divide, ray_multiply
from offchain.route.curves import LinearCurve
from offchain.route.errors import InsufficientLiquidityError, InvalidPoolError
from offchain.route.kind import PoolKind
from offchain.route.swap import Swap, check_amount, is_zero_for_one


@dataclass(frozen=True, slots=True)
class AaveV3Reserve:
    """One asset at Aave, for one holder: one to one but for the rounding of scaled balances.

    Receipts are kept as ``scaled = amount / index``, rounded to the nearest, and shown as
    ``scaled * index``. Withdrawing n pays exactly n and supplying n takes exactly n; the receipt
    balance moves by n give or take 1, depending on what the holder had. That is reproduced to the
    wei for the rounding of versions 3.0 to 3.4 at the index of one block; interest in between comes
    on top, later versions round differently.

    Attributes
    ----------
    address
        Of the receipt token.
    tokens
        The asset and the receipt token.
    index
        ``getReserveNormalizedIncome``, 27 decimals.
    scaled_balance
        The holder's ``scaledBalanceOf``.
    available
        Assets that lie in the reserve: what can be withdrawn.
    room
        What the supply cap leaves; None without a cap.
    """

    address: str
    tokens: tuple[int, int]
    index: int
    available: int
    scaled_balance: int = 0
    room: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises
        ------
        InvalidPoolError
            Names what is wrong.
        """
        if self.index < RAY:
            raise InvalidPoolError(f"reserve {self.address}: index {self.index} is below one ray")
        if min(self.available, self.scaled_balance, self.room or 0) < 0 or self.tokens[0] == self.tokens[1]:
            raise InvalidPoolError(f"reserve {self.address}: amounts must not be negative, the tokens must differ")

    @property
    def kind(self) -> PoolKind:
        """Aave v3."""
        return PoolKind.AAVE_V3

    @property
    def balance(self) -> int:
        """The holder's receipt tokens."""
        return ray_multiply(self.scaled_balance, self.index)

    def quote_in(self, token_in: int, amount_in: int, token_out: int | None = None) -> int:
        """By how much the receipt balance rises, or what is paid for receipts.

        An amount too small to be booked, which the contract refuses, gives 0.

        Raises
        ------
        UnknownTokenError, InvalidAmountError
            The reserve does not trade the tokens; the amount is negative.
        InsufficientLiquidityError
            Beyond the cap, or more than lies in the reserve.
        """
        return self.swap(token_in, amount_in, token_out).amount_out

    def quote_out(self, token_in: int, amount_out: int, token_out: int | None = None) -> int:
        """Least asset to supply for the receipts to rise by at least that, or receipts to withdraw that much.

        Raises as `quote_in`.
        """
        check_amount(amount_out)
        if not is_zero_for_one(self.address, *self.tokens, token_in, token_out) or amount_out == 0:
            return self.swap(token_in, amount_out, token_out).amount_in
        amount_in = max(amount_out - 2, 1)
        # One scaled unit is worth more than one token: the next supply that books another unit may be further off.
        while self.quote_in(token_in, amount_in) < amount_out:
            amount_in += 1
        return amount_in

    def swap(self, token_in: int, amount_in: int, token_out: int | None = None) -> Swap[AaveV3Reserve]:
        """Supply or withdraw, and the reserve afterwards. Raises as `quote_in`."""
        check_amount(amount_in)
        supplies = is_zero_for_one(self.address, *self.tokens, token_in, token_out)
        limit = self.room if supplies else self.available
        if limit is not None and amount_in > limit:
            raise InsufficientLiquidityError(
                f"reserve {self.address} can {'take' if supplies else 'pay'} at most {limit}, not {amount_in}"
            )
        scaled = ray_divide(amount_in, self.index)
        if scaled == 0:
            return Swap(0, 0, self)
        if supplies:
            after = replace(
                self,
                scaled_balance=self.scaled_balance + scaled,
                available=self.available + amount_in,
                room=None if self.room is None else self.room - amount_in,
            )
            return Swap(amount_in, after.balance - self.balance, after)
        if amount_in > self.balance:
            raise InsufficientLiquidityError(
                f"reserve {self.address}: the holder has {self.balance} receipts, not {amount_in}; trade less"
            )
        after = replace(
            self,
            scaled_balance=self.scaled_balance - scaled,
            available=self.available - amount_in,
            room=None if self.room is None else self.room + amount_in,
        )
        return Swap(self.balance - after.balance, amount_in, after)

    def most_in(self, token_in: int, token_out: int | None = None) -> int | None:
        """What the cap leaves, or what lies in the reserve and the holder has."""
        if is_zero_for_one(self.address, *self.tokens, token_in, token_out):
            return self.room
        return min(self.available, self.balance)

    def marginal_price(self, token_in: int, token_out: int | None = None) -> float:
        """One for one."""
        is_zero_for_one(self.address, *self.tokens, token_in, token_out)
        return 1.0

    def curve(self) -> LinearCurve:
        """The reserve in floats."""
        return LinearCurve(1.0, math.inf if self.room is None else float(self.room), float(self.available))
