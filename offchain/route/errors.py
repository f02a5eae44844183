# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a wish to trade and a list of swaps."""

from __future__ import annotations

from offchain.errors import PlimsollError


class RouteError(PlimsollError):
    """Base of every error of the route room."""


class InvalidPoolError(RouteError):
    """A pool state that no chain can hold."""


class UnsupportedPoolError(RouteError):
    """A pool whose quotes cannot be known in advance, such as one with hooks."""


class InvalidAmountError(RouteError):
    """An amount or a price that is negative, zero where it may not be, or not finite."""


class UnknownTokenError(RouteError):
    """A token that the pool does not trade."""


class InsufficientLiquidityError(RouteError):
    """The pool cannot pay that much, whatever it is given."""


class LiquidityUnknownError(RouteError):
    """The swap runs past the ticks that the snapshot read.

    Attributes
    ----------
    pool
        Address.
    word
        First word of the tick bitmap that the swap needs and the snapshot lacks.
    """

    def __init__(self, pool: str, word: int, first_word: int, last_word: int) -> None:
        self.pool = pool
        self.word = word
        super().__init__(
            f"pool {pool}: the swap needs word {word} of the tick bitmap and the snapshot holds "
            f"{first_word} to {last_word}; trade less or read more words"
        )


class RouteNotFoundError(RouteError):
    """The pools cannot bring about the wanted trade.

    Attributes
    ----------
    token
        Index of the token whose change could not be met.
    """

    def __init__(self, token: int, why: str) -> None:
        self.token = token
        super().__init__(f"token {token}: {why}")
