# SPDX-License-Identifier: Apache-2.0
"""Prices, Greeks and implied volatility of 100,000 options against plain numpy."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from bench import Row, compare
from offchain.risk.options.black import black_scholes
from offchain.risk.options.implied import implied_volatility

COUNT = 100_000
ROOT_TWO_PI = np.sqrt(2 * np.pi)


def rows() -> list[Row]:
    return [greeks(), implied_vol()]


def sample() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    spot = rng.uniform(50, 150, COUNT)
    return {
        "spot": spot,
        "strike": spot * np.exp(rng.normal(0, 0.2, COUNT)),
        "time": rng.uniform(0.05, 2, COUNT),
        "sigma": rng.uniform(0.2, 1.5, COUNT),
        "rate": rng.uniform(0, 0.05, COUNT),
        "call": rng.random(COUNT) < 0.5,
    }


def plain_greeks(spot, strike, time, sigma, rate, call):  # type: ignore[no-untyped-def]
    """Price, delta, gamma, vega, theta and rho, vectorised as one would by hand."""
    root = np.sqrt(time)
    deviation = sigma * root
    d1 = (np.log(spot / strike) + rate * time) / deviation + 0.5 * deviation
    d2 = d1 - deviation
    first, second = ndtr(d1), ndtr(d2)
    density = np.exp(-0.5 * d1 * d1) / ROOT_TWO_PI
    present = strike * np.exp(-rate * time)
    price = np.where(call, spot * first - present * second, present * (1 - second) - spot * (1 - first))
    delta = np.where(call, first, first - 1)
    gamma = density / (spot * deviation)
    vega = spot * density * root
    signed = np.where(call, second, second - 1)
    theta = -spot * density * sigma / (2 * root) - rate * present * signed
    return price, delta, gamma, vega, theta, time * present * signed


def newton(price, forward, strike, time, call, steps=100):  # type: ignore[no-untyped-def]
    """Damped Newton on the price for all options at once, until every one has converged."""
    sigma = np.full(price.size, 0.5)
    root, moneyness = np.sqrt(time), np.log(forward / strike)
    for _ in range(steps):
        deviation = sigma * root
        d1 = moneyness / deviation + 0.5 * deviation
        first, second = ndtr(d1), ndtr(d1 - deviation)
        model = np.where(call, forward * first - strike * second, strike * (1 - second) - forward * (1 - first))
        vega = forward * root * np.exp(-0.5 * d1 * d1) / ROOT_TWO_PI
        step = np.clip((model - price) / np.maximum(vega, 1e-12), -0.3, 0.3)
        sigma = np.maximum(sigma - step, 1e-3)
        if np.abs(step).max() < 1e-10:
            break
    return sigma


def greeks() -> Row:
    one = sample()

    def ours():  # type: ignore[no-untyped-def]
        return black_scholes(
            one["spot"], one["strike"], one["time"], one["sigma"], is_call=one["call"], rate=one["rate"]
        )

    def peer():  # type: ignore[no-untyped-def]
        return plain_greeks(**one)

    found = ours()
    names = ("price", "delta", "gamma", "vega", "theta", "rho")
    error = max(float(np.abs(getattr(found, name) - theirs).max()) for name, theirs in zip(names, peer(), strict=True))
    return {"name": "greeks", "size": {"options": COUNT}, "peer": "numpy", **compare(ours, peer), "error": error}


def implied_vol() -> Row:
    one = sample()
    forward, strike, time, call = one["spot"], one["strike"], one["time"], one["call"]
    price = plain_greeks(forward, strike, time, one["sigma"], 0.0, call)[0]

    def ours():  # type: ignore[no-untyped-def]
        return implied_volatility(price, forward, strike, time, is_call=call)

    def peer():  # type: ignore[no-untyped-def]
        return newton(price, forward, strike, time, call)

    # Where rounding of the price moves the volatility by more, no method recovers it.
    vega = plain_greeks(forward, strike, time, one["sigma"], 0.0, call)[3]
    determined = 4 * np.spacing(np.maximum(price, 1)) / np.maximum(vega, 1e-300) < 1e-11
    error = float(np.abs(ours().volatility - one["sigma"])[determined].max())
    times = compare(ours, peer, peer_runs=3)
    return {
        "name": "implied_vol", "size": {"options": COUNT}, "peer": "numpy Newton", **times,
        "error": error, "determined": float(determined.mean()),
    }  # fmt: skip
