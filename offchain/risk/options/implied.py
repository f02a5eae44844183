# SPDX-License-Identifier: Apache-2.0
"""Implied volatility: a number that reprices the option, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offchain.risk.arrays import FloatArray
from offchain.risk.options import implied_kernel as kernel
from offchain.risk.options.errors import OptionError


class Reason(IntEnum):
    """Why an option has no implied volatility."""

    OK = kernel.OK
    BELOW_INTRINSIC = kernel.BELOW_INTRINSIC
    ABOVE_MAXIMUM = kernel.ABOVE_MAXIMUM
    NO_TIME_VALUE = kernel.NO_TIME_VALUE
    NOT_FINITE = kernel.NOT_FINITE
    NOT_POSITIVE = kernel.NOT_POSITIVE
    EXPIRED = kernel.EXPIRED
    UNSOLVED = kernel.UNSOLVED

    @property
    def text(self) -> str:
        """The reason in words."""
        return _TEXTS[self]


_TEXTS = {
    Reason.OK: "has an implied volatility",
    Reason.BELOW_INTRINSIC: "the price is below the intrinsic value",
    Reason.ABOVE_MAXIMUM: "the price is at or above the most an option can cost (forward for a call, strike for a put)",
    Reason.NO_TIME_VALUE: "the price is the intrinsic value to the last digit: every small volatility gives it",
    Reason.NOT_FINITE: "a price, forward, strike, expiry or rate is not a finite number",
    Reason.NOT_POSITIVE: "the forward or the strike is not positive",
    Reason.EXPIRED: "no time is left",
    Reason.UNSOLVED: "no volatility was found",
}


@dataclass(frozen=True, slots=True)
class ImpliedVolatility:
    """What prices say.

    Attributes
    ----------
    volatility
        Per year; NaN exactly where `reason` is not OK. Of the inputs' common shape.
    reason
        `Reason` as int8, of the same shape.
    """

    volatility: FloatArray
    reason: NDArray[np.int8]

    def reasons(self) -> list[Reason]:
        """Return the reasons as an enumeration, flattened."""
        return [Reason(int(code)) for code in self.reason.reshape(-1)]


def implied_volatility(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    expiry_years: ArrayLike,
    *,
    is_call: ArrayLike = True,
    rate: ArrayLike = 0.0,
) -> ImpliedVolatility:
    """Invert Black-76 for the volatility.

    Nothing is raised for a bad row: its reason says what is wrong. The volatility reprices the option to the price's
    rounding; where the time value is small beside the price, that is all that the price determines.

    Parameters
    ----------
    price
        Present value in units of the forward. For a coin-settled option multiply the coin price by the forward; for
        one on a spot the forward is ``spot * exp((rate - carry_yield) * expiry_years)``.
    forward, strike
        Positive.
    expiry_years
        Years of 365 days.
    is_call
        True for a call, False for a put.
    rate
        Continuously compounded, per year.

    Returns
    -------
    ImpliedVolatility

    Raises
    ------
    OptionError
        When the inputs do not broadcast to one shape.
    """
    call = np.asarray(is_call)
    if call.dtype != np.bool_:
        raise OptionError(f"is_call must be True or False, not of type {call.dtype}; compare kinds with 'call' first")
    numbers = [np.asarray(one, dtype=np.float64) for one in (price, forward, strike, expiry_years, rate)]
    try:
        shape = np.broadcast_shapes(*(one.shape for one in numbers), call.shape)
    except ValueError as error:
        raise OptionError(f"prices and option terms do not have one shape: {error}") from None
    a, b, c, d, e = (np.ascontiguousarray(np.broadcast_to(one, shape)).reshape(-1) for one in numbers)
    call = np.ascontiguousarray(np.broadcast_to(call, shape)).reshape(-1)
    volatility = np.empty(call.size)
    reason = np.empty(call.size, dtype=np.int8)
    kernel.invert(a, b, c, d, e, call, volatility, reason)
    return ImpliedVolatility(volatility.reshape(shape), reason.reshape(shape))
