# SPDX-License-Identifier: Apache-2.0
"""What a pool says about one swap, and the checks that all kinds of pools share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from offchain.route.curves.response import Response
from offchain.route.errors import InvalidAmountError, InvalidPoolError, UnknownTokenError

__all__ = ["Response", "Swap", "check_amount", "check_tokens", "find_pair", "find_trade", "is_zero_for_one"]

PoolT_co = TypeVar("PoolT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Swap(Generic[PoolT_co]):
    """An exact swap and the pool that it leaves behind."""

    amount_in: int
    """What the pool takes, fee included; less than offered when its liquidity ends."""
    amount_out: int
    after: PoolT_co


def is_zero_for_one(pool: str, token0: int, token1: int, token_in: int, token_out: int | None = None) -> bool:
    """Whether selling `token_in`, for `token_out` where it is named, sells the pool's token0.

    Raises
    ------
    UnknownTokenError
        The pool does not trade the token.
    """
    if token_in == token0 and token_out in (None, token1):
        return True
    if token_in == token1 and token_out in (None, token0):
        return False
    wrong = token_in if token_in not in (token0, token1) else token_out
    raise UnknownTokenError(f"pool {pool} trades tokens {token0} and {token1}, not {wrong}")


def find_pair(pool: str, tokens: Sequence[int], token_in: int, token_out: int | None) -> tuple[int, int]:
    """Places of the two tokens in a pool of several; `token_out` may be left out where there are two.

    Raises
    ------
    UnknownTokenError
        The pool does not trade one of them, or has several to choose from.
    """
    if token_out is None and len(tokens) == 2 and token_in in tokens:
        place = tokens.index(token_in)
        return place, 1 - place
    for token in (token_in, token_out):
        if token not in tokens:
            raise UnknownTokenError(f"pool {pool} trades tokens {', '.join(map(str, tokens))}, not {token}")
    if token_in == token_out:
        raise UnknownTokenError(f"pool {pool} cannot trade token {token_in} for itself")
    return tokens.index(token_in), tokens.index(token_out)


def find_trade(pool: str, tokens: Sequence[int], amount: int, token_in: int, token_out: int | None) -> tuple[int, int]:
    """Places of the two tokens that an amount is traded between. Raises as `check_amount` and `find_pair`."""
    check_amount(amount)
    return find_pair(pool, tokens, token_in, token_out)


def check_tokens(pool: str, tokens: Sequence[int]) -> None:
    """Refuse a pool of several tokens that no factory would make.

    Raises
    ------
    InvalidPoolError
        Fewer than two, more than eight, or one twice.
    """
    if not 2 <= len(tokens) <= 8 or len(set(tokens)) != len(tokens):
        raise InvalidPoolError(f"pool {pool}: it must trade two to eight different tokens")


def check_amount(amount: int) -> None:
    """Refuse what is not a non-negative integer.

    Raises
    ------
    InvalidAmountError
        Names the amount.
    """
    if not isinstance(amount, int) or amount < 0:
        raise InvalidAmountError(f"amount {amount!r} must be a non-negative integer of base units")
