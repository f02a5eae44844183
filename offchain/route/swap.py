# SPDX-License-Identifier: Apache-2.0
"""What a pool says about one swap: exactly in integers, or approximately for a search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from offchain.route.errors import InvalidAmountError, UnknownTokenError

PoolT_co = TypeVar("PoolT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Swap(Generic[PoolT_co]):
    """An exact swap and the pool that it leaves behind."""

    amount_in: int
    """What the pool takes, fee included; less than offered when its liquidity ends."""
    amount_out: int
    after: PoolT_co


@dataclass(frozen=True, slots=True)
class Response:
    """What trades best against one pool at given token prices, in floats.

    Amounts are the trader's net changes in base units: one negative, one positive, or both
    zero when the prices lie inside the pool's fee band.
    """

    amount0: float
    amount1: float
    curvature: float
    """Value moved per unit of log price, in the numeraire of the prices; positive also inside
    the fee band, where it is that of the nearest trade."""


def is_zero_for_one(pool: str, token0: int, token1: int, token_in: int) -> bool:
    """Whether selling `token_in` sells the pool's token0.

    Raises
    ------
    UnknownTokenError
        The pool does not trade the token.
    """
    if token_in == token0:
        return True
    if token_in == token1:
        return False
    raise UnknownTokenError(f"pool {pool} trades tokens {token0} and {token1}, not {token_in}")


def check_amount(amount: int) -> None:
    """Refuse what is not a non-negative integer.

    Raises
    ------
    InvalidAmountError
        Names the amount.
    """
    if not isinstance(amount, int) or amount < 0:
        raise InvalidAmountError(f"amount {amount!r} must be a non-negative integer of base units")
