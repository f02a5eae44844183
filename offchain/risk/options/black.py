# SPDX-License-Identifier: Apache-2.0
"""Prices and Greeks of European options: Black-Scholes on a spot, Black-76 on a forward, and coin-settled options.

Units, unless a name says otherwise: volatility and rates per year of 365 days as fractions, time in years, vega per
1.00 of volatility, rho per 1.00 of rate, theta per year of calendar time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import BoolArray, FloatArray
from offchain.risk.options.errors import OptionError
from offchain.risk.options.greeks_kernel import price_and_greeks, second_order


@dataclass(frozen=True, slots=True)
class Greeks:
    """A price and its first derivatives, each of the inputs' common shape.

    Attributes
    ----------
    price
        In units of the spot or forward.
    delta, gamma
        First and second derivative by the spot (or forward).
    vega
        By the volatility, per 1.00.
    theta
        By calendar time, per year: negative where the option loses.
    rho
        By the rate, per 1.00, with spot and yield held (Black-Scholes) or the forward held (Black-76).
    """

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    rho: FloatArray


@dataclass(frozen=True, slots=True)
class HigherGreeks:
    """Further derivatives, per 1.00 of volatility and per year; zero at expiry.

    Attributes
    ----------
    vanna
        Of delta by volatility.
    volga
        Of vega by volatility.
    charm, veta, color
        Of delta, vega and gamma by calendar time.
    speed, zomma
        Of gamma by spot and by volatility.
    """

    vanna: FloatArray
    volga: FloatArray
    charm: FloatArray
    veta: FloatArray
    speed: FloatArray
    zomma: FloatArray
    color: FloatArray


def black_scholes(
    spot: ArrayLike,
    strike: ArrayLike,
    expiry_years: ArrayLike,
    volatility: ArrayLike,
    *,
    is_call: ArrayLike = True,
    rate: ArrayLike = 0.0,
    carry_yield: ArrayLike = 0.0,
) -> Greeks:
    """Price options on a spot with a continuous yield (Black and Scholes 1973, Merton 1973).

    Parameters
    ----------
    spot, strike
        Positive.
    expiry_years, volatility
        Not negative; with either at zero the price is the discounted intrinsic value of the forward.
    is_call
        True for a call, False for a put.
    rate, carry_yield
        Continuously compounded, per year. A staking yield is a carry yield.

    Returns
    -------
    Greeks
        Of the shape that the inputs broadcast to.

    Raises
    ------
    OptionError
        When terms are impossible; the error names the first.
    """
    return _price(spot, strike, expiry_years, volatility, is_call, rate, carry_yield, of_forward=False)


def black_76(
    forward: ArrayLike,
    strike: ArrayLike,
    expiry_years: ArrayLike,
    volatility: ArrayLike,
    *,
    is_call: ArrayLike = True,
    rate: ArrayLike = 0.0,
) -> Greeks:
    """Price options on a forward or future (Black 1976); arguments and errors as `black_scholes`.

    Rho holds the forward, so it is minus time times price. Delta and gamma are by the forward.
    """
    return _price(forward, strike, expiry_years, volatility, is_call, rate, rate, of_forward=True)


@dataclass(frozen=True, slots=True)
class InverseGreeks:
    """A coin-settled option as its holder sees it.

    Attributes
    ----------
    price
        In coin.
    delta
        Of the dollar value by the forward, in coin: what to hedge when the coin premium is not held.
    net_delta
        ``delta - price``: what to hedge when the premium was paid in coin.
    gamma
        Of the dollar value, in coin per dollar.
    vega, theta
        In coin, per 1.00 of volatility and per year.
    coin_delta, coin_gamma
        First and second derivative of the coin price by the forward.
    """

    price: FloatArray
    delta: FloatArray
    net_delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    coin_delta: FloatArray
    coin_gamma: FloatArray


def inverse_black_76(
    forward: ArrayLike,
    strike: ArrayLike,
    expiry_years: ArrayLike,
    volatility: ArrayLike,
    *,
    is_call: ArrayLike = True,
) -> InverseGreeks:
    """Price options settled in the coin they are written on, as Deribit's: the Black-76 price over the forward.

    The payoff is ``max(F - K, 0) / F`` coins for a call, with a dollar strike. Coin margin earns no interest, so
    nothing is discounted. Arguments and errors as `black_76`.
    """
    dollars = black_76(forward, strike, expiry_years, volatility, is_call=is_call)
    price = np.asarray(forward, dtype=np.float64)
    coin = dollars.price / price
    net = dollars.delta - coin
    return InverseGreeks(
        price=coin,
        delta=dollars.delta,
        net_delta=net,
        gamma=dollars.gamma,
        vega=dollars.vega / price,
        theta=dollars.theta / price,
        coin_delta=net / price,
        coin_gamma=dollars.gamma / price - 2.0 * net / price**2,
    )


def exchange_greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    expiry_years: ArrayLike,
    volatility: ArrayLike,
    *,
    is_call: ArrayLike = True,
) -> Greeks:
    """Greeks in dollars and in the units Deribit publishes.

    Black-76 on the expiry's own future at rate zero; vega per volatility point, theta per day, and rho per
    percentage point of a rate that moves the future, which is the spot's rho.
    """
    spot = black_scholes(forward, strike, expiry_years, volatility, is_call=is_call)
    return Greeks(spot.price, spot.delta, spot.gamma, spot.vega / 100.0, spot.theta / 365.0, spot.rho / 100.0)


def higher_greeks(
    spot: ArrayLike,
    strike: ArrayLike,
    expiry_years: ArrayLike,
    volatility: ArrayLike,
    *,
    is_call: ArrayLike = True,
    rate: ArrayLike = 0.0,
    carry_yield: ArrayLike = 0.0,
) -> HigherGreeks:
    """Differentiate twice and more; arguments and errors as `black_scholes`.

    For an option on a forward pass the forward as the spot and the rate as the yield too.
    """
    inputs, shape, call = _broadcast(spot, strike, expiry_years, volatility, rate, carry_yield, is_call)
    out = np.empty((7, call.size))
    _check(price_and_greeks(*inputs, call, False, np.empty((6, call.size))), inputs, shape)
    second_order(*inputs, call, out)
    return HigherGreeks(*(row.reshape(shape) for row in out))


def intrinsic(forward: ArrayLike, strike: ArrayLike, *, is_call: ArrayLike = True) -> FloatArray:
    """Return the payoff if the forward were final."""
    difference = np.asarray(forward, dtype=np.float64) - np.asarray(strike, dtype=np.float64)
    return np.maximum(np.where(is_call, difference, -difference), 0.0)


def _price(
    spot: ArrayLike,
    strike: ArrayLike,
    expiry: ArrayLike,
    volatility: ArrayLike,
    is_call: ArrayLike,
    rate: ArrayLike,
    carry_yield: ArrayLike,
    *,
    of_forward: bool,
) -> Greeks:
    inputs, shape, call = _broadcast(spot, strike, expiry, volatility, rate, carry_yield, is_call)
    out = np.empty((6, call.size))
    _check(price_and_greeks(*inputs, call, of_forward, out), inputs, shape)
    return Greeks(*(row.reshape(shape) for row in out))


Inputs = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]


def _broadcast(
    spot: ArrayLike, strike: ArrayLike, expiry: ArrayLike, volatility: ArrayLike, rate: ArrayLike,
    carry_yield: ArrayLike, is_call: ArrayLike,
) -> tuple[Inputs, tuple[int, ...], BoolArray]:  # fmt: skip
    numbers = [np.asarray(one, dtype=np.float64) for one in (spot, strike, expiry, volatility, rate, carry_yield)]
    call = np.asarray(is_call)
    if call.dtype != np.bool_:
        raise OptionError(f"is_call must be True or False, not of type {call.dtype}; compare kinds with 'call' first")
    try:
        shape = np.broadcast_shapes(*(one.shape for one in numbers), call.shape)
    except ValueError as error:
        raise OptionError(f"option terms do not have one shape: {error}") from None
    a, b, c, d, e, f = (np.ascontiguousarray(np.broadcast_to(one, shape)).reshape(-1) for one in numbers)
    return (a, b, c, d, e, f), shape, np.ascontiguousarray(np.broadcast_to(call, shape)).reshape(-1)


def _check(wrong: int, inputs: Inputs, shape: tuple[int, ...]) -> None:
    if not wrong:
        return
    names = ("spot or forward", "strike", "expiry_years", "volatility", "rate", "carry_yield")
    tests = (inputs[0] > 0.0, inputs[1] > 0.0, inputs[2] >= 0.0, inputs[3] >= 0.0)
    for position, name in enumerate(names):
        good = np.isfinite(inputs[position])
        if position < len(tests):
            good &= tests[position]
        if not good.all():
            at = int(np.argmin(good))
            place = ", ".join(str(int(axis)) for axis in np.unravel_index(at, shape)) if shape else ""
            needed = "positive" if position < 2 else "zero or positive" if position < 4 else "finite"
            raise OptionError(f"{name}[{place}] is {inputs[position][at]}; it must be {needed}")
    raise OptionError("option terms are too large to be multiplied; check their units")
