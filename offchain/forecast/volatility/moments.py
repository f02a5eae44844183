# SPDX-License-Identifier: Apache-2.0
"""Quantiles and partial moments of the standardised shocks, and what egarch expects of the rows to come."""

from __future__ import annotations

import math

import numpy as np

from offchain.forecast.volatility.density import NORMAL, SKEWED, STUDENT, density_constants, log_density
from offchain.forecast.volatility.likelihood import MEAN_ABS_NORMAL
from offchain.risk.arrays import FloatArray


def quantile(level: float, errors: int, nu: float, skew: float) -> float:
    """Quantile of a shock with mean zero and variance one.

    Parameters
    ----------
    level
        Between 0 and 1.
    """
    from scipy import special

    if errors == NORMAL:
        return float(special.ndtri(level))
    scale = math.sqrt((nu - 2.0) / nu)
    if errors == STUDENT:
        return scale * float(special.stdtrit(nu, level))
    constants = density_constants(SKEWED, nu, skew)
    a, b = float(constants[2]), float(constants[3])
    low = 0.5 * (1.0 - skew)
    if level < low:
        return (1.0 - skew) / b * scale * float(special.stdtrit(nu, level / (1.0 - skew))) - a / b
    return (1.0 + skew) / b * scale * float(special.stdtrit(nu, 0.5 + (level - low) / (1.0 + skew))) - a / b


def lower_square(errors: int, nu: float, skew: float) -> float:
    """E[z² 1(z < 0)]: one half unless the errors are skewed."""
    if errors != SKEWED:
        return 0.5
    from scipy.integrate import quad

    constants = density_constants(errors, nu, skew)

    def integrand(z: float) -> float:
        return z * z * math.exp(log_density(z, errors, nu, skew, constants)[0])

    return float(quad(integrand, -np.inf, 0.0, epsabs=1e-12, epsrel=1e-10)[0])


def egarch_path(
    first: float,
    omega: float,
    alpha: float,
    gamma: float,
    beta: float,
    horizon: int,
    shocks: FloatArray | None = None,
) -> FloatArray:
    r"""Variance expected of the next rows, shape (horizon,).

    With :math:`g = \omega + \alpha z + \gamma (|z| - \sqrt{2/\pi})`:

    .. math:: E[h_k] = h_1^{\beta^{k-1}} \prod_{i=0}^{k-2} E[e^{\beta^i g}]

    exactly for normal shocks. With fat tails those expectations are infinite: pass the standardised shocks seen so
    far, shape (T,), and the means are taken over them.
    """
    from scipy.special import log_ndtr

    path = np.empty(horizon)
    path[0] = first
    total, power = 0.0, 1.0
    for k in range(1, horizon):
        if shocks is None:
            up, down = power * (gamma + alpha), power * (gamma - alpha)
            mean = np.logaddexp(0.5 * up * up + log_ndtr(up), 0.5 * down * down + log_ndtr(down))
        else:
            mean = np.log(np.mean(np.exp(power * (alpha * shocks + gamma * np.abs(shocks)))))
        total += power * (omega - gamma * MEAN_ABS_NORMAL) + float(mean)
        power *= beta
        path[k] = math.exp(total + power * math.log(first))
    return path
