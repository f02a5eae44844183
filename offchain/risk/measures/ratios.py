# SPDX-License-Identifier: Apache-2.0
"""Return and risk per year, and ratios of the two.

Everywhere `returns` are simple returns of equal periods, shape (T,), oldest first, and `periods_per_year` is how many
such periods a year of 365 days has: 365 for daily, 8,760 for hourly bars. Markets do not close, so nothing here
assumes 252.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray, RiskError, as_series
from offchain.risk.measures.drawdown import max_drawdown


def annual_return(returns: ArrayLike, periods_per_year: float) -> float:
    r"""Compound growth per year, :math:`(\prod (1 + r_t))^{P/T} - 1`; minus one once everything was lost."""
    values = as_series(returns)
    if np.any(values <= -1.0):
        return -1.0
    return float(np.expm1(np.log1p(values).mean() * periods_per_year))


def annual_volatility(returns: ArrayLike, periods_per_year: float) -> float:
    """Sample standard deviation (T - 1), times the root of the periods per year."""
    return float(np.std(as_series(returns, minimum=2), ddof=1) * math.sqrt(periods_per_year))


def downside_deviation(returns: ArrayLike, periods_per_year: float, target: float = 0.0) -> float:
    r"""Root mean square of what falls short of a target, over all periods, per year.

    .. math:: \sqrt{P \cdot \frac1T \sum \min(r_t - \tau, 0)^2}

    Parameters
    ----------
    target
        Per year; divided by the periods per year.
    """
    short = np.minimum(as_series(returns) - target / periods_per_year, 0.0)
    return float(math.sqrt(np.mean(short**2) * periods_per_year))


def sharpe_ratio(returns: ArrayLike, periods_per_year: float, risk_free: float = 0.0) -> float:
    """Mean excess return over its sample standard deviation, per year (Sharpe 1994).

    Parameters
    ----------
    risk_free
        Per year, simple; divided by the periods per year.

    Returns
    -------
    float
        NaN when the returns do not vary.
    """
    excess = as_series(returns, minimum=2) - risk_free / periods_per_year
    return _ratio(float(excess.mean()) * periods_per_year, annual_volatility(excess, periods_per_year))


def sortino_ratio(returns: ArrayLike, periods_per_year: float, target: float = 0.0) -> float:
    """Mean excess over a target (per year) over the downside deviation from it, per year (Sortino and Price 1994)."""
    excess = float((as_series(returns, minimum=2) - target / periods_per_year).mean()) * periods_per_year
    return _ratio(excess, downside_deviation(returns, periods_per_year, target))


def calmar_ratio(returns: ArrayLike, periods_per_year: float) -> float:
    """Compound growth per year over the maximum drawdown (Young 1991); NaN without a drawdown."""
    return _ratio(annual_return(returns, periods_per_year), max_drawdown(returns).depth)


def omega_ratio(returns: ArrayLike, threshold: float = 0.0) -> float:
    """Mean gain above a threshold over mean loss below it (Keating and Shadwick 2002).

    Parameters
    ----------
    threshold
        Per period.
    """
    excess = as_series(returns) - threshold
    return _ratio(float(np.maximum(excess, 0.0).mean()), float(np.maximum(-excess, 0.0).mean()))


def tracking_error(returns: ArrayLike, benchmark: ArrayLike, periods_per_year: float) -> float:
    """Annual volatility of the difference from a benchmark's returns, each of shape (T,)."""
    return annual_volatility(_active(returns, benchmark), periods_per_year)


def information_ratio(returns: ArrayLike, benchmark: ArrayLike, periods_per_year: float) -> float:
    """Mean difference from a benchmark's returns per year over the tracking error."""
    return sharpe_ratio(_active(returns, benchmark), periods_per_year)


def beta(returns: ArrayLike, benchmark: ArrayLike) -> float:
    """Slope of the returns on a benchmark's; NaN when the benchmark does not vary."""
    one, other = as_series(returns, minimum=2), as_series(benchmark, "benchmark", minimum=2)
    _active(one, other)
    return _ratio(float(np.cov(one, other)[0, 1]), float(np.var(other, ddof=1)))


def _active(returns: ArrayLike, benchmark: ArrayLike) -> FloatArray:
    one, other = as_series(returns, minimum=2), as_series(benchmark, "benchmark", minimum=2)
    if one.size != other.size:
        raise RiskError(f"{one.size} returns and {other.size} of the benchmark: align them first")
    difference: FloatArray = one - other
    return difference


def _ratio(numerator: float, denominator: float) -> float:
    # A standard deviation of equal numbers is rounding, not risk.
    return numerator / denominator if denominator > 1e-14 * max(1.0, abs(numerator)) else math.nan
