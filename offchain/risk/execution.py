# SPDX-License-Identifier: Apache-2.0
"""Selling a large position over time: impact against the risk of waiting (Almgren and Chriss 2000)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from offchain.risk.arrays import FloatArray, RiskError


@dataclass(frozen=True, slots=True)
class ImpactModel:
    """How trading moves the price, in the units of "Optimal execution of portfolio transactions".

    Attributes
    ----------
    volatility
        Of the price per root of the unit of time, in price units (not relative).
    spread
        epsilon, fixed cost per unit traded: half the spread and fees.
    permanent
        gamma, permanent change of the price per unit traded.
    temporary
        eta, temporary concession per unit traded in a unit of time.
    """

    volatility: float
    spread: float
    permanent: float
    temporary: float


@dataclass(frozen=True, eq=False)
class Schedule:
    """What to hold when.

    Attributes
    ----------
    holdings
        Shape (N + 1,), from the whole position to nothing.
    trades
        Shape (N,), sold in each interval.
    expected_cost
        Expected shortfall against the price at the start, in price times units.
    variance
        Of that cost.
    urgency
        kappa: the inverse is the time in which a position falls by a factor e when there is no hurry to end.
    """

    holdings: FloatArray
    trades: FloatArray
    expected_cost: float
    variance: float
    urgency: float


def optimal_schedule(
    quantity: float, horizon: float, intervals: int, risk_aversion: float, model: ImpactModel
) -> Schedule:
    r"""Minimise expected cost plus risk aversion times its variance.

    .. math::
        x_j = X \frac{\sinh \kappa (T - t_j)}{\sinh \kappa T}, \quad
        \frac{2}{\tau^2} (\cosh \kappa \tau - 1) = \frac{\lambda \sigma^2}{\eta - \gamma \tau / 2}

    Almgren and Chriss, "Optimal execution of portfolio transactions", Journal of Risk 3 (2000), equations 16 to 20.

    Parameters
    ----------
    quantity
        X, units to sell.
    horizon, intervals
        T, and N equal intervals of it.
    risk_aversion
        lambda, per price times units; zero sells evenly.

    Raises
    ------
    RiskError
        When an input is negative, or permanent impact is so strong that selling at once is best.
    """
    if horizon <= 0.0 or intervals < 1 or risk_aversion < 0.0:
        raise RiskError(f"horizon {horizon}, {intervals} intervals, risk aversion {risk_aversion}: out of range")
    step = horizon / intervals
    effective = model.temporary - 0.5 * model.permanent * step
    if effective <= 0.0:
        raise RiskError("the temporary impact must exceed the permanent one of half an interval; take more intervals")
    squared = risk_aversion * model.volatility**2 / effective
    urgency = math.acosh(1.0 + 0.5 * squared * step**2) / step
    left = horizon - step * np.arange(intervals + 1)
    # In the limit of no urgency the hyperbolic sine is a straight line.
    share = left / horizon if urgency * horizon < 1e-8 else _sinh_ratio(urgency * left, urgency * horizon)
    return cost_of(quantity * share, step, model, urgency)


def cost_of(holdings: FloatArray, step: float, model: ImpactModel, urgency: float = math.nan) -> Schedule:
    r"""Return a schedule of one's own with its expected cost and variance.

    .. math::
        E = \tfrac12 \gamma X^2 + \epsilon \sum |n_j| + \frac{\eta - \gamma \tau / 2}{\tau} \sum n_j^2, \quad
        V = \sigma^2 \tau \sum_{j \ge 1} x_j^2

    Parameters
    ----------
    holdings
        Shape (N + 1,), the last one zero.
    step
        Length of an interval.
    """
    trades = -np.diff(holdings)
    effective = model.temporary - 0.5 * model.permanent * step
    expected = (
        0.5 * model.permanent * float(holdings[0]) ** 2
        + model.spread * float(np.abs(trades).sum())
        + effective / step * float(trades @ trades)
    )
    variance = model.volatility**2 * step * float(holdings[1:] @ holdings[1:])
    return Schedule(holdings, trades, expected, variance, urgency)


def _sinh_ratio(x: FloatArray, whole: float) -> FloatArray:
    """sinh(x) / sinh(whole) for 0 <= x <= whole, without overflow."""
    ratio: FloatArray = np.exp(x - whole) * np.expm1(-2.0 * x) / math.expm1(-2.0 * whole)
    return ratio
