# SPDX-License-Identifier: Apache-2.0
r"""Densities of the shocks, standardised to mean zero and variance one, with their derivatives.

Normal; Student's t; the skewed t of Hansen, "Autoregressive conditional density estimation" (1994):

.. math::
    f(z) = b c \left(1 + \frac{u^2}{\nu - 2}\right)^{-(\nu + 1) / 2}, \quad
    u = \frac{b z + a}{1 + \lambda \operatorname{sgn}(b z + a)}, \quad
    a = 4 \lambda c \frac{\nu - 2}{\nu - 1}, \quad b^2 = 1 + 3 \lambda^2 - a^2
"""

from __future__ import annotations

import math

import numpy as np

from offchain.risk.arrays import FloatArray
from offchain.risk.compiled import compiled

NORMAL, STUDENT, SKEWED = 0, 1, 2
LOG_TWO_PI = math.log(2.0 * math.pi)


@compiled
def digamma(x: float) -> float:
    """Derivative of the logarithm of the gamma function at positive x, to 1e-12."""
    shift = 0.0
    while x < 10.0:
        shift -= 1.0 / x
        x += 1.0
    inverse = 1.0 / (x * x)
    series = inverse * (
        1.0 / 12 - inverse * (1.0 / 120 - inverse * (1.0 / 252 - inverse * (1.0 / 240 - inverse / 132)))
    )
    return shift + math.log(x) - 0.5 / x - series


@compiled
def density_constants(errors: int, nu: float, skew: float) -> FloatArray:
    """C, C', a, b, da/dnu, db/dnu, da/dskew, db/dskew: what a density needs besides z. Shape (8,)."""
    out = np.zeros(8)
    out[3] = 1.0
    if errors == NORMAL:
        out[0] = -0.5 * LOG_TWO_PI
        return out
    constant = math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(math.pi * (nu - 2.0))
    slope = 0.5 * (digamma(0.5 * (nu + 1.0)) - digamma(0.5 * nu)) - 0.5 / (nu - 2.0)
    out[0], out[1] = constant, slope
    if errors == SKEWED:
        c = math.exp(constant)
        k = c * (nu - 2.0) / (nu - 1.0)
        a = 4.0 * skew * k
        b = math.sqrt(1.0 + 3.0 * skew * skew - a * a)
        out[2], out[3] = a, b
        out[4] = 4.0 * skew * (c * slope * (nu - 2.0) / (nu - 1.0) + c / (nu - 1.0) ** 2)
        out[5] = -a * out[4] / b
        out[6] = 4.0 * k
        out[7] = (3.0 * skew - a * out[6]) / b
        out[0] += math.log(b)
    return out


@compiled
def log_density(
    z: float, errors: int, nu: float, skew: float, constants: FloatArray
) -> tuple[float, float, float, float]:
    """Log density at z and its derivatives by z, nu and skew."""
    if errors == NORMAL:
        return constants[0] - 0.5 * z * z, -z, 0.0, 0.0
    b = constants[3]
    y = b * z + constants[2]
    side = 1.0 if y >= 0.0 else -1.0
    stretch = 1.0 + side * skew if errors == SKEWED else 1.0
    u = y / stretch
    square = u * u
    room = nu - 2.0
    fat = math.log1p(square / room)
    by_u = -(nu + 1.0) * u / (room + square)
    by_nu = constants[1] - 0.5 * fat + 0.5 * (nu + 1.0) * square / (room * (room + square))
    by_skew = 0.0
    if errors == SKEWED:
        by_a = by_u / stretch
        by_b = 1.0 / b + by_u * z / stretch
        by_nu += by_a * constants[4] + by_b * constants[5]
        by_skew = by_a * constants[6] + by_b * constants[7] - by_u * side * u / stretch
    return constants[0] - 0.5 * (nu + 1.0) * fat, by_u * b / stretch, by_nu, by_skew
