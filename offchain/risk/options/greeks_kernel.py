# SPDX-License-Identifier: Apache-2.0
"""The loop that prices options and differentiates them."""

from __future__ import annotations

import math

import numpy as np

from offchain.risk.arrays import BoolArray, FloatArray
from offchain.risk.compiled import compiled
from offchain.risk.options.mills import mills

DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
PRICE, DELTA, GAMMA, VEGA, THETA, RHO = range(6)


@compiled
def price_and_greeks(
    spot: FloatArray,
    strike: FloatArray,
    expiry: FloatArray,
    volatility: FloatArray,
    rate: FloatArray,
    carry_yield: FloatArray,
    is_call: BoolArray,
    rho_of_forward: bool,
    out: FloatArray,
) -> int:
    r"""Fill `out`, shape (6, n), and return how many options have impossible terms.

    .. math::
        d_{1,2} = \frac{\ln(S / K) + (r - q) T}{\sigma \sqrt T} \pm \frac{\sigma \sqrt T}{2}, \quad
        V = e\,[S e^{-qT} \Phi(e d_1) - K e^{-rT} \Phi(e d_2)], \quad e = \pm 1

    with one exponential for the density: :math:`\Phi(-|d|) = \varphi(d) M(|d|)` and
    :math:`\varphi(d_2) = \varphi(d_1) S e^{-qT} / K e^{-rT}`.
    """
    wrong = 0
    for i in range(spot.size):
        time, sigma, r, q = expiry[i], volatility[i], rate[i], carry_yield[i]
        forward = spot[i] * math.exp(-q * time)
        discount = math.exp(-r * time)
        present = strike[i] * discount
        root = math.sqrt(time)
        deviation = sigma * root
        alive = deviation > 0.0
        # Without time or volatility left, only the sign of the moneyness counts.
        inverse = 1.0 / deviation if alive else 1e300
        d1 = math.log(forward / present) * inverse + 0.5 * deviation
        d2 = d1 - deviation
        density = DENSITY * math.exp(-0.5 * d1 * d1)
        tail1 = density * mills(abs(d1))
        tail2 = density * (forward / present) * mills(abs(d2))
        sign = 1.0 if is_call[i] else -1.0
        first = tail1 if sign * d1 < 0.0 else 1.0 - tail1
        second = tail2 if sign * d2 < 0.0 else 1.0 - tail2
        price = sign * (forward * first - present * second)
        vega = forward * density * root if alive else 0.0
        delta = sign * math.exp(-q * time) * first
        out[PRICE, i] = price if price > 0.0 else 0.0
        out[DELTA, i] = delta
        out[GAMMA, i] = (forward / spot[i]) * density * inverse / spot[i] if alive else 0.0
        out[VEGA, i] = vega
        decay = 0.5 * forward * density * sigma / root if alive else 0.0
        out[THETA, i] = q * spot[i] * delta - r * sign * present * second - decay
        out[RHO, i] = -time * price if rho_of_forward else sign * time * present * second
        terms = spot[i] * strike[i] * (1.0 + time + sigma) * (1.0 + r * r + q * q)
        if not (spot[i] > 0.0 and strike[i] > 0.0 and time >= 0.0 and sigma >= 0.0 and terms < np.inf):
            wrong += 1
    return wrong


@compiled
def second_order(
    spot: FloatArray,
    strike: FloatArray,
    expiry: FloatArray,
    volatility: FloatArray,
    rate: FloatArray,
    carry_yield: FloatArray,
    is_call: BoolArray,
    out: FloatArray,
) -> None:
    """Fill `out`, shape (7, n): vanna, volga, charm, veta, speed, zomma, color; zero at expiry.

    Charm, veta and color are changes per year as calendar time passes. Terms have been checked by
    `price_and_greeks` before.
    """
    for i in range(spot.size):
        s, time, sigma, r, q = spot[i], expiry[i], volatility[i], rate[i], carry_yield[i]
        root = math.sqrt(time)
        deviation = sigma * root
        if not deviation > 0.0:
            out[:, i] = 0.0
            continue
        fade = math.exp(-q * time)
        d1 = (math.log(s / strike[i]) + (r - q) * time) / deviation + 0.5 * deviation
        d2 = d1 - deviation
        density = DENSITY * math.exp(-0.5 * d1 * d1)
        tail = density * mills(abs(d1))
        sign = 1.0 if is_call[i] else -1.0
        first = tail if sign * d1 < 0.0 else 1.0 - tail
        vega = s * fade * density * root
        gamma = fade * density / (s * deviation)
        drift = (2.0 * (r - q) * time - d2 * deviation) / (2.0 * time * deviation)
        out[0, i] = -fade * density * d2 / sigma
        out[1, i] = vega * d1 * d2 / sigma
        out[2, i] = sign * q * fade * first - fade * density * drift
        out[3, i] = vega * (q + (r - q) * d1 / deviation - (1.0 + d1 * d2) / (2.0 * time))
        out[4, i] = -gamma / s * (d1 / deviation + 1.0)
        out[5, i] = gamma * (d1 * d2 - 1.0) / sigma
        out[6, i] = gamma * (q + d1 * drift + 1.0 / (2.0 * time))
