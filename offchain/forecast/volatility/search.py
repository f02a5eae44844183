# SPDX-License-Identifier: Apache-2.0
r"""Maximum likelihood for the GARCH family: quasi-Newton steps in coordinates without bounds, all in machine code.

Coordinates :math:`x` keep the process stationary and every variance positive: for garch and gjr

.. math::
    \mu = m + s x_0, \quad p = \sigma(x_1), \quad q = \sigma(x_2), \quad u = 2 \sigma(x_3), \quad
    \alpha = p q u, \quad \gamma = 2 p q (1 - u), \quad \beta = p (1 - q), \quad \omega = s^2 (1 - p) e^{x_4}

with persistence :math:`p = \alpha + \gamma / 2 + \beta`, the sample's mean m and deviation s, and u = 1 for garch.
"""

from __future__ import annotations

import math

import numpy as np

from offchain.forecast.volatility.likelihood import (
    ALPHA,
    BETA,
    EGARCH,
    GAMMA,
    GJR,
    MU,
    NU,
    OMEGA,
    SKEW,
    SLOTS,
    log_likelihood,
)
from offchain.risk.arrays import BoolArray, FloatArray
from offchain.risk.compiled import compiled

NU_LOW, NU_HIGH = 2.05, 500.0
MAX_STEPS = 300
MAX_DAMPING = 1e12
RENEWAL = 15
"""Steps between two looks at the likelihood's own curvature."""
LONGEST = 2.0
"""Longest step along any coordinate."""


@compiled
def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


@compiled
def to_parameters(x: FloatArray, recursion: int, center: float, deviation: float, theta: FloatArray) -> FloatArray:
    """Fill `theta` from coordinates and return its derivatives by them, shape (7, 7)."""
    jacobian = np.zeros((SLOTS, SLOTS))
    theta[MU] = center + deviation * x[0]
    jacobian[MU, 0] = deviation
    scale = deviation * deviation
    if recursion == EGARCH:
        beta = math.tanh(x[1])
        by_beta = 1.0 - beta * beta
        level = math.log(scale) + x[4]
        theta[ALPHA], theta[GAMMA], theta[BETA], theta[OMEGA] = x[2], x[3], beta, (1.0 - beta) * level
        jacobian[ALPHA, 2] = jacobian[GAMMA, 3] = 1.0
        jacobian[BETA, 1] = by_beta
        jacobian[OMEGA, 1], jacobian[OMEGA, 4] = -by_beta * level, 1.0 - beta
    else:
        p, q = _logistic(x[1]), _logistic(x[2])
        u = 2.0 * _logistic(x[3]) if recursion == GJR else 1.0
        by_p, by_q, by_u = p * _logistic(-x[1]), q * _logistic(-x[2]), 0.5 * u * (2.0 - u)
        tail = scale * math.exp(x[4])
        theta[ALPHA], theta[GAMMA], theta[BETA] = p * q * u, 2.0 * p * q * (1.0 - u), p * (1.0 - q)
        theta[OMEGA] = tail * _logistic(-x[1])
        jacobian[ALPHA, 1], jacobian[ALPHA, 2], jacobian[ALPHA, 3] = by_p * q * u, p * by_q * u, p * q * by_u
        jacobian[GAMMA, 1], jacobian[GAMMA, 2] = 2.0 * by_p * q * (1.0 - u), 2.0 * p * by_q * (1.0 - u)
        jacobian[GAMMA, 3] = -2.0 * p * q * by_u
        jacobian[BETA, 1], jacobian[BETA, 2] = by_p * (1.0 - q), -p * by_q
        jacobian[OMEGA, 1], jacobian[OMEGA, 4] = -tail * by_p, theta[OMEGA]
    open_part = _logistic(x[5])
    theta[NU] = NU_LOW + (NU_HIGH - NU_LOW) * open_part
    jacobian[NU, 5] = (NU_HIGH - NU_LOW) * open_part * _logistic(-x[5])
    theta[SKEW] = math.tanh(x[6])
    jacobian[SKEW, 6] = 1.0 - theta[SKEW] ** 2
    return jacobian


@compiled
def _evaluate(
    x: FloatArray,
    returns: FloatArray,
    kind: tuple[int, int, int],
    before: float,
    center: float,
    deviation: float,
    free: BoolArray,
    theta: FloatArray,
    slope: FloatArray,
    curvature: FloatArray,
) -> float:
    """Log-likelihood at coordinates; fills `theta`, the slope and, unless empty, the scores' outer products."""
    recursion, errors, start = kind
    jacobian = to_parameters(x, recursion, center, deviation, theta)
    gradient = np.zeros(SLOTS)
    outer = np.zeros(curvature.shape)
    value = log_likelihood(theta, returns, recursion, errors, start, before, gradient, outer)
    for j in range(SLOTS):
        slope[j] = 0.0
        if free[j]:
            for i in range(SLOTS):
                slope[j] += gradient[i] * jacobian[i, j]
    if curvature.size:
        for j in range(SLOTS):
            for k in range(SLOTS):
                total = 0.0
                for a in range(SLOTS):
                    for b in range(SLOTS):
                        total += jacobian[a, j] * outer[a, b] * jacobian[b, k]
                curvature[j, k] = total
    return value


@compiled
def _curvature(
    x: FloatArray,
    returns: FloatArray,
    kind: tuple[int, int, int],
    before: float,
    center: float,
    deviation: float,
    free: BoolArray,
    theta: FloatArray,
    curvature: FloatArray,
) -> None:
    """Fill minus the Hessian at x, from differences of the gradient; of the scores, where those are not finite.

    An egarch recursion may run away a hair's breadth beside parameters at which it does not.
    """
    low, high, nothing, probe = np.zeros(SLOTS), np.zeros(SLOTS), np.zeros((0, 0)), np.zeros(SLOTS)
    for j in range(SLOTS):
        if not free[j]:
            continue
        step = 1e-5 * max(1.0, abs(x[j]))
        for side in (1.0, -1.0):
            for i in range(SLOTS):
                probe[i] = x[i]
            probe[j] += side * step
            to = high if side > 0.0 else low
            _evaluate(probe, returns, kind, before, center, deviation, free, theta, to, nothing)
        for i in range(SLOTS):
            curvature[i, j] = (low[i] - high[i]) / (2.0 * step)
    if not np.all(np.isfinite(curvature)):
        _evaluate(x, returns, kind, before, center, deviation, free, theta, low, curvature)
        return
    for i in range(SLOTS):
        for j in range(i):
            curvature[i, j] = curvature[j, i] = 0.5 * (curvature[i, j] + curvature[j, i])
    to_parameters(x, kind[0], center, deviation, theta)


@compiled
def _invert(curvature: FloatArray, free: BoolArray, inverse: FloatArray) -> bool:
    """Fill the inverse over what is free, with as much damping as makes the curvature positive definite.

    False, and nothing filled, where none does: the curvature is not finite.
    """
    lower = np.zeros((SLOTS, SLOTS))
    damping = 0.0
    while not _factorise(curvature, free, damping, lower):
        damping = max(1e-8, 10.0 * damping)
        if damping > MAX_DAMPING:
            return False
    column = np.zeros(SLOTS)
    for k in range(SLOTS):
        for i in range(SLOTS):
            inverse[i, k] = 0.0
        if not free[k]:
            continue
        for i in range(SLOTS):
            total = 1.0 if i == k else 0.0
            for j in range(i):
                total -= lower[i, j] * column[j]
            column[i] = total / lower[i, i]
        for i in range(SLOTS - 1, -1, -1):
            total = column[i]
            for j in range(i + 1, SLOTS):
                total -= lower[j, i] * inverse[j, k]
            inverse[i, k] = total / lower[i, i]
    return True


@compiled
def _factorise(curvature: FloatArray, free: BoolArray, damping: float, lower: FloatArray) -> bool:
    """Cholesky factor of the curvature with its diagonal raised by a fraction; False where there is none."""
    for i in range(SLOTS):
        for j in range(i + 1):
            total = 0.0
            if free[i] and free[j]:
                total = curvature[i, j]
                if i == j:
                    total += damping * (abs(total) + 1e-12)
            elif i == j:
                total = 1.0
            own = total
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            if i == j:
                if not total > 1e-12 * abs(own):
                    return False
                lower[i, i] = math.sqrt(total)
            else:
                lower[i, j] = total / lower[j, j]
    return True


@compiled
def _dot(left: FloatArray, right: FloatArray) -> float:
    total = 0.0
    for i in range(SLOTS):
        total += left[i] * right[i]
    return total


@compiled
def _times(matrix: FloatArray, vector: FloatArray, out: FloatArray) -> None:
    for i in range(SLOTS):
        out[i] = _dot(matrix[i], vector)


@compiled
def _update(inverse: FloatArray, change: FloatArray, bend: FloatArray) -> None:
    """Fold a step and the slope's change along it into the inverse curvature (BFGS)."""
    product = _dot(change, bend)
    if not product > 1e-14 * math.sqrt(_dot(change, change) * _dot(bend, bend)):
        return
    along = np.zeros(SLOTS)
    _times(inverse, bend, along)
    rho = 1.0 / product
    factor = rho * rho * _dot(bend, along) + rho
    for i in range(SLOTS):
        for j in range(SLOTS):
            inverse[i, j] += factor * change[i] * change[j] - rho * (along[i] * change[j] + change[i] * along[j])


@compiled
def _starting_point(
    returns: FloatArray,
    kind: tuple[int, int, int],
    before: float,
    center: float,
    deviation: float,
    free: BoolArray,
    theta: FloatArray,
    best: FloatArray,
) -> None:
    """Fill the best of a few usual persistences and shares of news."""
    best_value = -math.inf
    x, slope, nothing = np.zeros(SLOTS), np.zeros(SLOTS), np.zeros((0, 0))
    x[5] = math.log(4.0 / (NU_HIGH - NU_LOW - 4.0))
    for persistence in (0.9, 0.97, 0.99):
        for news in (0.06, 0.18):
            if kind[0] == EGARCH:
                x[1] = math.atanh(persistence)
                x[3] = 1.7 * news
            else:
                x[1] = math.log(persistence / (1.0 - persistence))
                x[2] = math.log(news / (1.0 - news))
            value = _evaluate(x, returns, kind, before, center, deviation, free, theta, slope, nothing)
            if value > best_value:
                best_value = value
                best[:] = x


@compiled
def maximise(
    returns: FloatArray, kind: tuple[int, int, int], before: float, free: BoolArray, tolerance: float, theta: FloatArray
) -> tuple[float, int, float]:
    """Fill `theta` with the maximum-likelihood parameters.

    Parameters
    ----------
    returns
        Shape (T,), not all equal.
    kind
        Recursion, errors and start, as `log_likelihood` numbers them.
    free
        Shape (7,): coordinates that are estimated.
    tolerance
        Largest gain in log-likelihood that a Newton step may still promise at the end.

    Returns
    -------
    tuple[float, int, float]
        Log-likelihood; steps taken, negative when they did not converge; the gain still promised.
    """
    center, spread = 0.0, 0.0
    if free[0]:
        center = returns.mean()
    for value in returns:
        spread += (value - center) ** 2
    deviation = math.sqrt(spread / returns.size)
    slope, next_slope = np.zeros(SLOTS), np.zeros(SLOTS)
    x, moved, direction = np.zeros(SLOTS), np.zeros(SLOTS), np.zeros(SLOTS)
    nothing, curvature, inverse = np.zeros((0, 0)), np.zeros((SLOTS, SLOTS)), np.zeros((SLOTS, SLOTS))
    _starting_point(returns, kind, before, center, deviation, free, theta, x)
    value = _evaluate(x, returns, kind, before, center, deviation, free, theta, slope, curvature)
    _invert(curvature, free, inverse)
    exact = False
    promised = math.inf
    for step in range(MAX_STEPS):
        _times(inverse, slope, direction)
        promised = _dot(direction, slope)
        if promised < tolerance and exact:
            to_parameters(x, kind[0], center, deviation, theta)
            return value, step, promised
        if promised < tolerance or step % RENEWAL == RENEWAL - 1:
            # The end is judged, and a slow search helped, by the likelihood's own curvature.
            _curvature(x, returns, kind, before, center, deviation, free, theta, curvature)
            _invert(curvature, free, inverse)
            exact = True
            continue
        largest = 0.0
        for i in range(SLOTS):
            largest = max(largest, abs(direction[i]))
        length = min(1.0, LONGEST / largest)
        noise = 1e-13 * abs(value)
        found = False
        for _ in range(40):
            for i in range(SLOTS):
                moved[i] = x[i] + length * direction[i]
            next_value = _evaluate(moved, returns, kind, before, center, deviation, free, theta, next_slope, nothing)
            if next_value >= value + 1e-4 * length * promised - noise:
                found = True
                break
            length *= 0.4
        if not found:
            if exact:
                to_parameters(x, kind[0], center, deviation, theta)
                return value, -step - 1, promised
            _curvature(x, returns, kind, before, center, deviation, free, theta, curvature)
            _invert(curvature, free, inverse)
            exact = True
            continue
        exact = False
        for i in range(SLOTS):
            direction[i], next_slope[i], slope[i] = moved[i] - x[i], slope[i] - next_slope[i], next_slope[i]
            x[i] = moved[i]
        value = next_value
        _update(inverse, direction, next_slope)
    to_parameters(x, kind[0], center, deviation, theta)
    return value, -MAX_STEPS, promised
