# SPDX-License-Identifier: Apache-2.0
r"""The inversion behind `offchain.risk.options.implied`.

With :math:`k = |\ln F/K|` and total volatility :math:`s`, the out-of-the-money price over the smaller of forward and
strike is

.. math:: p(s) = \varphi(a) [M(a) - M(b)], \quad a = k/s - s/2, \; b = k/s + s/2

with the Mills ratio M, and :math:`1 - p = \varphi(a) [M(-a) + M(b)]` once a < 0. Householder's method of the third
order on the logarithm of whichever applies needs no exponential and keeps its digits in both wings. It starts from
the normal (Bachelier) model, whose inverse is a function of one variable, corrected by the exact relation at the
money: within a few per cent of the answer wherever it has one, so that two steps are enough for nearly every option
and four for all.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from offchain.risk.arrays import BoolArray, FloatArray
from offchain.risk.compiled import compiled, inlined
from offchain.risk.options.mills import mills

OK, BELOW_INTRINSIC, ABOVE_MAXIMUM, NO_TIME_VALUE, NOT_FINITE, NOT_POSITIVE, EXPIRED, UNSOLVED = range(8)

ROOT_TWO_PI = math.sqrt(2.0 * math.pi)
LOG_ROOT_TWO_PI = 0.5 * math.log(2.0 * math.pi)
ROUNDING = 4.0 * 2.0**-52
CLOSE = 1e-4
"""A step this small relative to the answer leaves an error of its fourth power."""
MOST_STEPS = 64


@inlined
def _start(k: float, ratio_root: float, p: float) -> float:
    """Total volatility of the normal model, mended for the log-normal one."""
    base = ROOT_TWO_PI * p / ratio_root
    x = k / base
    t = math.log(1.0 + x)
    u = math.sqrt(t)
    numerator = 1.0071194 + u * (-0.86344003 + u * 0.44846918)
    denominator = 1.0 + u * (-0.71508818 + u * 0.44783834)
    slope = x / t if x > 1e-8 else 1.0
    s = base * slope * math.sqrt(1.0 + 0.5 * t) * denominator / numerator
    z = min(s * s / (2.0 * math.pi), 0.9)
    # 2/sqrt(pi) erfinv(y) / y with z = y^2.
    return s * (1.0 + z * (-1.0711287 + z * 0.18546388)) / (1.0 + z * (-1.3322438 + z * 0.3861039))


@inlined
def _step(k: float, s: float, p: float, q: float) -> float:
    """Householder's step of the third order for ln p, or for ln q with q = 1 - p."""
    inverse = 1.0 / s
    c = k * inverse
    a = c - 0.5 * s
    low = a >= 0.0
    sign = 1.0 if low else -1.0
    v = mills(abs(a)) - sign * mills(c + 0.5 * s)
    miss = math.log(v / (p if low else q)) - 0.5 * a * a - LOG_ROOT_TWO_PI
    newton = -miss * v * sign
    first = sign / v
    c2 = c * c * inverse
    curvature = c2 - 0.25 * s
    second = curvature - first
    third = curvature * (curvature - 3.0 * first) + 2.0 * first * first - 3.0 * c2 * inverse - 0.25
    return newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + third * newton / 6.0))


@compiled
def invert(
    price: FloatArray,
    forward: FloatArray,
    strike: FloatArray,
    expiry: FloatArray,
    rate: FloatArray,
    is_call: BoolArray,
    out: FloatArray,
    reason: NDArray[np.int8],
) -> None:
    """Fill `out` with volatilities per year and `reason` with why there is none (then `out` is NaN)."""
    for i in range(price.size):
        f, x = forward[i], strike[i]
        smaller, larger = min(f, x), max(f, x)
        undiscounted = price[i] * math.exp(rate[i] * expiry[i])
        inside = max(f - x, 0.0) if is_call[i] else max(x - f, 0.0)
        time_value = undiscounted - inside
        slack = ROUNDING * inside
        ratio = larger / smaller
        k = math.log(ratio)
        p = time_value / smaller
        q = 1.0 - p
        s = _start(k, math.sqrt(ratio), p)
        s += _step(k, s, p, q)
        last = _step(k, s, p, q)
        s += last
        out[i] = s / math.sqrt(expiry[i])
        code = OK if abs(last) < CLOSE * s else UNSOLVED
        code = NO_TIME_VALUE if time_value <= slack else code
        code = ABOVE_MAXIMUM if q <= ROUNDING else code
        code = BELOW_INTRINSIC if time_value < -slack else code
        code = EXPIRED if expiry[i] <= 0.0 else code
        code = NOT_POSITIVE if smaller <= 0.0 else code
        total = undiscounted + f + x + expiry[i]
        code = code if abs(total) < np.inf else NOT_FINITE
        reason[i] = code
    for i in range(price.size):
        if reason[i] == UNSOLVED:
            f, x = forward[i], strike[i]
            smaller, larger = min(f, x), max(f, x)
            inside = max(f - x, 0.0) if is_call[i] else max(x - f, 0.0)
            p = (price[i] * math.exp(rate[i] * expiry[i]) - inside) / smaller
            s, solved = _carefully(math.log(larger / smaller), math.sqrt(larger / smaller), p)
            out[i] = s / math.sqrt(expiry[i])
            if solved:
                reason[i] = OK
        if reason[i] != OK:
            out[i] = np.nan


@compiled
def _carefully(k: float, ratio_root: float, p: float) -> tuple[float, bool]:
    """Iterate with steps of at most half the value, as long as it takes."""
    s = _start(k, ratio_root, p)
    if not 1e-12 < s < 1e3:
        s = 1.0
    for _ in range(MOST_STEPS):
        step = _step(k, s, p, 1.0 - p)
        if not abs(step) <= 0.5 * s:
            step = 0.5 * s if step > 0.0 else -0.5 * s
        s += step
        if abs(step) < CLOSE * s:
            return s, True
    return s, False
