# SPDX-License-Identifier: Apache-2.0
"""Stableswap pools of Curve."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from offchain.route.curves import StableCurve
from offchain.route.errors import InsufficientLiquidityError, InvalidPoolError
from offchain.route.kind import PoolKind
from offchain.route.swap import Swap, check_tokens, find_pair, find_trade

PRECISION = 10**18
FEE_DENOMINATOR = 10**10
_ROUNDS = 255


@dataclass(frozen=True, slots=True)
class CurveStablePool:
    """Stableswap as the classic pools compute it (``get_dy``), for instance the 3pool.

    Attributes
    ----------
    balances
        As the pool counts them, base units.
    rates
        18 decimals of a common unit per base unit times 10**18: 10**(36 - decimals) for plain tokens.
    amplification
        What ``A()`` times ``a_precision`` is: the number that the pool's own formulae use.
    a_precision
        1 in the first pools, 100 in later ones.
    fee
        10 decimals, on the output.
    admin_fee
        10 decimals, the part of the fee that leaves the pool.
    exchange_rounding
        The first pools' ``get_dy`` takes the fee after rounding to base units and their ``exchange``
        before, which pays at most one base unit less. `False` answers as ``get_dy``, `True` as ``exchange``;
        later pools have only the second.
    """

    address: str
    tokens: tuple[int, ...]
    balances: tuple[int, ...]
    rates: tuple[int, ...]
    amplification: int
    fee: int
    a_precision: int = 1
    admin_fee: int = 0
    exchange_rounding: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises
        ------
        InvalidPoolError
            Names what is wrong.
        """
        check_tokens(self.address, self.tokens)
        count = len(self.tokens)
        if not len(self.balances) == len(self.rates) == count:
            raise InvalidPoolError(f"pool {self.address}: tokens, balances and rates differ in number")
        if min(self.balances) < 0 or min(self.rates) <= 0:
            raise InvalidPoolError(f"pool {self.address}: balances must not be negative and rates must be positive")
        if self.a_precision < 1 or self.amplification < self.a_precision:
            raise InvalidPoolError(f"pool {self.address}: amplification {self.amplification} is below 1")
        if not 0 <= self.fee < FEE_DENOMINATOR or not 0 <= self.admin_fee <= FEE_DENOMINATOR:
            raise InvalidPoolError(f"pool {self.address}: fee {self.fee} or admin fee {self.admin_fee} is out of range")

    @property
    def kind(self) -> PoolKind:
        """Curve, stableswap."""
        return PoolKind.CURVE_STABLE

    def quote_in(self, token_in: int, amount_in: int, token_out: int | None = None) -> int:
        """What the pool pays for `amount_in`, base units.

        Raises
        ------
        UnknownTokenError, InvalidAmountError
            The pool does not trade the tokens; the amount is negative.
        InsufficientLiquidityError
            The pool is empty on some side, or its iteration does not settle.
        """
        i, j = find_trade(self.address, self.tokens, amount_in, token_in, token_out)
        return self._payment(i, j, amount_in)[0] if amount_in else 0

    def quote_out(self, token_in: int, amount_out: int, token_out: int | None = None) -> int:
        """Least input for which the pool pays at least `amount_out`.

        The contract has no such function: found by bisection on `quote_in`.

        Raises
        ------
        UnknownTokenError, InvalidAmountError
            As `quote_in`.
        InsufficientLiquidityError
            The pool cannot pay that much.
        """
        i, j = find_trade(self.address, self.tokens, amount_out, token_in, token_out)
        if amount_out == 0:
            return 0
        if amount_out >= self.balances[j]:
            raise InsufficientLiquidityError(
                f"pool {self.address} holds {self.balances[j]} and cannot pay {amount_out}; trade less"
            )
        whole = self._scaled(j, amount_out) * FEE_DENOMINATOR // (FEE_DENOMINATOR - self.fee)
        guess = max(whole * PRECISION // self.rates[i], 1)
        low, high = 0, guess
        while self._payment(i, j, high)[0] < amount_out:
            low, high = high, 2 * high
            if high > guess << 200:
                raise InsufficientLiquidityError(f"pool {self.address} cannot pay {amount_out}; trade less")
        while high - low > 1:
            middle = (low + high) // 2
            if self._payment(i, j, middle)[0] < amount_out:
                low = middle
            else:
                high = middle
        return high

    def swap(self, token_in: int, amount_in: int, token_out: int | None = None) -> Swap[CurveStablePool]:
        """Exact-input swap and the pool afterwards. Raises as `quote_in`."""
        i, j = find_trade(self.address, self.tokens, amount_in, token_in, token_out)
        if amount_in == 0:
            return Swap(0, 0, self)
        amount_out, admin = self._payment(i, j, amount_in)
        balances = list(self.balances)
        balances[i] += amount_in
        balances[j] -= amount_out + admin
        return Swap(amount_in, amount_out, replace(self, balances=tuple(balances)))

    def most_in(self, token_in: int, token_out: int | None = None) -> int | None:
        """No limit."""
        return None

    def marginal_price(self, token_in: int, token_out: int | None = None) -> float:
        """Base units out per base unit in, of an infinitesimal input, after the fee; 0 for an empty pool."""
        i, j = find_pair(self.address, self.tokens, token_in, token_out)
        curve = self.curve()
        if not curve.tradable:
            return 0.0
        q = len(self.tokens) / float(np.prod(curve.shares))
        slope = (curve.amplification + q / curve.shares) / curve.units
        return float(curve.keep * slope[i] / slope[j])

    def curve(self) -> StableCurve:
        """The pool in floats."""
        count = len(self.tokens)
        balances = np.array([float(balance) for balance in self.balances])
        rates = np.array([rate / PRECISION for rate in self.rates])
        scale = self.amplification * count / self.a_precision
        return StableCurve.build(balances, rates, scale, 1 - self.fee / FEE_DENOMINATOR)

    def _scaled(self, place: int, amount: int) -> int:
        return amount * self.rates[place] // PRECISION

    def _payment(self, i: int, j: int, amount_in: int) -> tuple[int, int]:
        """What is paid out, and what part of the fee leaves the pool, base units."""
        scaled = [self._scaled(place, balance) for place, balance in enumerate(self.balances)]
        if min(scaled) <= 0:
            raise InsufficientLiquidityError(f"pool {self.address} is empty on a side; trade elsewhere")
        after = self._balance_after(i, j, scaled[i] + self._scaled(i, amount_in), scaled)
        change = max(scaled[j] - after - 1, 0)
        fee = self.fee * change // FEE_DENOMINATOR
        admin = fee * self.admin_fee // FEE_DENOMINATOR * PRECISION // self.rates[j]
        if self.exchange_rounding:
            return (change - fee) * PRECISION // self.rates[j], admin
        paid = change * PRECISION // self.rates[j]
        return paid - self.fee * paid // FEE_DENOMINATOR, admin

    def _invariant(self, scaled: list[int]) -> int:
        """D by Newton's method, as ``get_D``."""
        count, total = len(scaled), sum(scaled)
        scale = self.amplification * count
        invariant = total
        for _ in range(_ROUNDS):
            product = invariant
            for balance in scaled:
                product = product * invariant // (balance * count)
            before = invariant
            top = (scale * total // self.a_precision + product * count) * invariant
            bottom = (scale - self.a_precision) * invariant // self.a_precision + (count + 1) * product
            invariant = top // bottom
            if abs(invariant - before) <= 1:
                return invariant
        raise InsufficientLiquidityError(f"pool {self.address}: its invariant does not settle; trade elsewhere")

    def _balance_after(self, i: int, j: int, given: int, scaled: list[int]) -> int:
        """Balance of j that keeps D when that of i is `given`, as ``get_y``."""
        count, invariant = len(scaled), self._invariant(scaled)
        scale = self.amplification * count
        c, total = invariant, 0
        for place, balance in enumerate(scaled):
            if place == j:
                continue
            here = given if place == i else balance
            total += here
            c = c * invariant // (here * count)
        c = c * invariant * self.a_precision // (scale * count)
        b = total + invariant * self.a_precision // scale
        y = invariant
        for _ in range(_ROUNDS):
            before = y
            y = (y * y + c) // (2 * y + b - invariant)
            if abs(y - before) <= 1:
                return y
        raise InsufficientLiquidityError(f"pool {self.address}: its iteration does not settle; trade less")
