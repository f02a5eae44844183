# SPDX-License-Identifier: Apache-2.0
r"""Log-likelihood of the GARCH family and its gradient, in one pass over the returns.

With :math:`e_t = r_t - \mu` and :math:`z_t = e_t / \sqrt{h_t}`:

.. math::
    \text{garch, gjr:} \quad & h_{t+1} = \omega + (\alpha + \gamma 1[e_t < 0]) e_t^2 + \beta h_t \\
    \text{egarch:} \quad & \ln h_{t+1} = \omega + \alpha z_t + \gamma (|z_t| - \sqrt{2 / \pi}) + \beta \ln h_t

The gradient follows the same recursions: Fiorentini, Calzolari and Panattoni, "Analytic derivatives and the
computation of GARCH estimates" (1996).
"""

from __future__ import annotations

import math

import numpy as np

from offchain.forecast.volatility.density import NORMAL, density_constants, log_density
from offchain.risk.arrays import FloatArray
from offchain.risk.compiled import compiled

GARCH, GJR, EGARCH = 0, 1, 2
SAMPLE, GIVEN = 0, 1
"""Before the first row: the mean squared residual at the current mean; or a variance given from outside."""
MU, OMEGA, ALPHA, GAMMA, BETA, NU, SKEW = range(7)
SLOTS = 7
MEAN_ABS_NORMAL = math.sqrt(2.0 / math.pi)


@compiled
def presample(returns: FloatArray, mu: float) -> tuple[float, float]:
    """Mean residual and mean squared residual."""
    first = second = 0.0
    for value in returns:
        first += value - mu
        second += (value - mu) ** 2
    return first / returns.size, second / returns.size


@compiled
def first_variance(
    theta: FloatArray, recursion: int, start: int, mean_residual: float, before: float, slopes: FloatArray
) -> float:
    """Variance of the first row (its logarithm for egarch) and its derivatives by the first five parameters.

    With `SAMPLE`, `before` is the mean squared residual and moves with the mean; the shock before the first row
    is then the mean residual in egarch, and of either sign in gjr. With `GIVEN`, egarch takes no shock.
    """
    alpha, gamma, beta = theta[ALPHA], theta[GAMMA], theta[BETA]
    drift = -2.0 * mean_residual if start == SAMPLE else 0.0
    slopes[OMEGA] = 1.0
    if recursion != EGARCH:
        persistence = alpha + 0.5 * gamma + beta
        slopes[MU] = persistence * drift
        slopes[ALPHA], slopes[GAMMA], slopes[BETA] = before, 0.5 * before, before
        return float(theta[OMEGA] + persistence * before)
    slopes[BETA] = math.log(before)
    log_variance: float = theta[OMEGA] + beta * slopes[BETA]
    slopes[MU] = beta * drift / before
    slopes[ALPHA] = slopes[GAMMA] = 0.0
    if start == SAMPLE:
        z = mean_residual / math.sqrt(before)
        by_mu = -1.0 / math.sqrt(before) - 0.5 * z * drift / before
        slopes[ALPHA], slopes[GAMMA] = z, abs(z) - MEAN_ABS_NORMAL
        slopes[MU] += (alpha + (gamma if z >= 0.0 else -gamma)) * by_mu
        log_variance += alpha * z + gamma * slopes[GAMMA]
    return log_variance


@compiled
def log_likelihood(
    theta: FloatArray,
    returns: FloatArray,
    recursion: int,
    errors: int,
    start: int,
    before: float,
    gradient: FloatArray,
    outer: FloatArray,
) -> float:
    """Log-likelihood of the returns; minus infinity where a variance is not positive.

    Parameters
    ----------
    theta
        Shape (7,): mean, omega, alpha, gamma, beta, degrees of freedom, skew.
    before
        Variance before the first row, used with `GIVEN`.
    gradient
        Shape (7,), overwritten.
    outer
        Shape (7, 7), overwritten with the sum of the scores' outer products; left alone when empty.
    """
    mu, omega, alpha, gamma, beta = theta[MU], theta[OMEGA], theta[ALPHA], theta[GAMMA], theta[BETA]
    nu, skew = theta[NU], theta[SKEW]
    gradient[:] = 0.0
    mean_residual = 0.0
    if start == SAMPLE:
        mean_residual, before = presample(returns, mu)
    if not before > 0.0:
        return -math.inf
    if recursion == GARCH and errors == NORMAL and outer.size == 0:
        return _plain(returns, mu, omega, alpha, beta, mean_residual if start == SAMPLE else 0.0, before, gradient)
    outer[:] = 0.0
    slopes = np.zeros(5)
    score = np.zeros(SLOTS)
    state = first_variance(theta, recursion, start, mean_residual, before, slopes)
    constants = density_constants(errors, nu, skew)
    total = 0.0
    for t in range(returns.size):
        e = returns[t] - mu
        if recursion == EGARCH:
            log_h = state
            deviation = math.exp(0.5 * log_h)
            to_log = 1.0
        else:
            if not state > 0.0:
                return -math.inf
            log_h = math.log(state)
            deviation = math.sqrt(state)
            to_log = 1.0 / state
        z = e / deviation
        value, by_z, by_nu, by_skew = log_density(z, errors, nu, skew, constants)
        total += value - 0.5 * log_h
        by_log = -0.5 * (1.0 + z * by_z) * to_log
        for i in range(5):
            score[i] = by_log * slopes[i]
        score[MU] -= by_z / deviation
        score[NU], score[SKEW] = by_nu, by_skew
        for i in range(SLOTS):
            gradient[i] += score[i]
        if outer.size:
            for i in range(SLOTS):
                for j in range(SLOTS):
                    outer[i, j] += score[i] * score[j]
        if recursion == EGARCH:
            pull = alpha + (gamma if z >= 0.0 else -gamma)
            keep = beta - 0.5 * pull * z
            for i in range(5):
                slopes[i] *= keep
            size = abs(z) - MEAN_ABS_NORMAL
            slopes[MU] -= pull / deviation
            slopes[OMEGA] += 1.0
            slopes[ALPHA] += z
            slopes[GAMMA] += size
            slopes[BETA] += log_h
            state = omega + alpha * z + gamma * size + beta * log_h
        else:
            news = alpha + gamma if e < 0.0 else alpha
            square = e * e
            for i in range(5):
                slopes[i] *= beta
            slopes[MU] -= 2.0 * news * e
            slopes[OMEGA] += 1.0
            slopes[ALPHA] += square
            slopes[GAMMA] += square if e < 0.0 else 0.0
            slopes[BETA] += state
            state = omega + news * square + beta * state
    return total if math.isfinite(total) else -math.inf


@compiled
def _plain(
    returns: FloatArray,
    mu: float,
    omega: float,
    alpha: float,
    beta: float,
    mean_residual: float,
    before: float,
    gradient: FloatArray,
) -> float:
    """GARCH(1,1) with normal errors: the common case, without branches and with few logarithms."""
    h = omega + (alpha + beta) * before
    by_mu, by_omega, by_alpha, by_beta = -2.0 * (alpha + beta) * mean_residual, 1.0, before, before
    to_mu = to_omega = to_alpha = to_beta = squares = logarithms = 0.0
    product, factors = 1.0, 0
    for value in returns:
        if not h > 0.0:
            return -math.inf
        e = value - mu
        inverse = 1.0 / h
        square = e * e
        ratio = square * inverse
        product *= h
        factors += 1
        if factors == 8 or product < 1e-200 or product > 1e200:
            logarithms += math.log(product)
            product, factors = 1.0, 0
        squares += ratio
        pull = 0.5 * (ratio - 1.0) * inverse
        to_mu += pull * by_mu + e * inverse
        to_omega += pull * by_omega
        to_alpha += pull * by_alpha
        to_beta += pull * by_beta
        by_mu = beta * by_mu - 2.0 * alpha * e
        by_omega = beta * by_omega + 1.0
        by_alpha = beta * by_alpha + square
        by_beta = beta * by_beta + h
        h = omega + alpha * square + beta * h
    logarithms += math.log(product)
    gradient[MU], gradient[OMEGA], gradient[ALPHA], gradient[BETA] = to_mu, to_omega, to_alpha, to_beta
    total = -0.5 * (logarithms + squares + returns.size * math.log(2.0 * math.pi))
    return total if math.isfinite(total) else -math.inf


@compiled
def conditional_variances(
    theta: FloatArray, returns: FloatArray, recursion: int, mean_residual: float, before: float, start: int
) -> FloatArray:
    """Variance of each row given the rows before it, and of the row to come: shape (T + 1,).

    `mean_residual` and `before` are those of the sample the parameters were estimated from, so that rows appended
    later change nothing.
    """
    alpha, gamma = theta[ALPHA], theta[GAMMA]
    out = np.empty(returns.size + 1)
    state = first_variance(theta, recursion, start, mean_residual, before, np.zeros(5))
    for t in range(returns.size):
        e = returns[t] - theta[MU]
        if recursion == EGARCH:
            out[t] = math.exp(state)
            z = e / math.sqrt(out[t])
            state = theta[OMEGA] + alpha * z + gamma * (abs(z) - MEAN_ABS_NORMAL) + theta[BETA] * state
        else:
            out[t] = state
            news = alpha + gamma if e < 0.0 else alpha
            state = theta[OMEGA] + news * e * e + theta[BETA] * state
    out[-1] = math.exp(state) if recursion == EGARCH else state
    return out
