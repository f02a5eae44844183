# SPDX-License-Identifier: Apache-2.0
"""Amounts as people type them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from offchain.errors import PlimsollError


class AmountError(PlimsollError):
    """An amount that no token can have."""


def base_units(text: str, decimals: int, option: str) -> int:
    """Turn whole units as typed into base units.

    Parameters
    ----------
    option
        Where it was typed, for the message.

    Raises
    ------
    AmountError
        Not a positive number, or finer than the token.
    """
    try:
        amount = Decimal(text).scaleb(decimals)
        if amount.is_finite() and amount > 0 and amount == int(amount):
            return int(amount)
    except (InvalidOperation, OverflowError):
        pass
    raise AmountError(f"{option} {text}: must be a positive number with at most {decimals} decimals")
