# SPDX-License-Identifier: Apache-2.0
"""What a plan is judged by: the mandate's utility, or while reducing the risk it sheds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.borrowing import Borrowing
from offchain.allocate.errors import ForecastInvalidError
from offchain.allocate.periods import over_periods
from offchain.allocate.program import Objective
from offchain.allocate.terms import LogWeights, ShortfallCost, VolatilityCost
from offchain.forecast.forecast import Forecast
from offchain.mandate import (
    CvarObjective,
    Mandate,
    MaximumSharpeObjective,
    MeanVarianceObjective,
    MinimumVarianceObjective,
    RiskParityObjective,
    TrackingObjective,
    VolatilityTargetObjective,
)

FloatArray = NDArray[np.float64]

DAYS_PER_YEAR = 365.0
VOLATILITY_WORTH = 1.0
"""Worth of a unit of annual volatility above the target: far above what getting rid of it costs."""
REPAIR_WORTH = 1.0
"""Worth of removing one unit of weight in violation: far above what any repair costs."""
REDUCE_WORTH = 0.05
"""Worth of turning a unit of risky value into base asset: it is sold up to that much below its oracle price."""


def mean_variance(forecast: Forecast, risk_aversion: float, borrowing: Borrowing | None = None) -> Objective:
    """(1 + mu T)'w - risk_aversion / 2 * T w'Sw over the forecast's horizon T, less interest on what is owed.

    What counts as collateral earns what its suppliers earn.

    Raises
    ------
    ForecastInvalidError
        A moment is missing, the covariance is not symmetric positive semidefinite, or the horizon
        is not positive.
    """
    years = forecast.horizon_days / DAYS_PER_YEAR
    if not np.isfinite(years) or years <= 0:
        raise ForecastInvalidError(f"horizon of {forecast.horizon_days} days; it must be positive")
    if not np.all(np.isfinite(forecast.expected_returns)):
        missing = [
            symbol
            for symbol, value in zip(forecast.symbols, forecast.expected_returns, strict=True)
            if not np.isfinite(value)
        ]
        raise ForecastInvalidError(f"expected return of {', '.join(missing)} is not a number; check the price history")
    factor = _square_root(forecast.covariance) * np.sqrt(risk_aversion * years)
    linear = 1 + forecast.expected_returns * years
    if borrowing is None:
        return Objective(linear, factor)
    return Objective(linear + borrowing.earned, factor, interest=borrowing.interest, kept=borrowing.kept)


def mandated(forecast: Forecast, mandate: Mandate, borrowing: Borrowing | None = None) -> Objective:
    """The utility that the mandate's objective states; see `offchain.mandate.objectives` for each in words.

    For `maximum_sharpe` the expected return alone: `offchain.allocate.sharpe` finds the price of volatility.

    Raises
    ------
    ForecastInvalidError
        As `mean_variance`; also when CVaR is to count and there are no scenarios.
    """
    wanted = mandate.objective
    full = mean_variance(forecast, wanted.risk_aversion, borrowing)
    years = forecast.horizon_days / DAYS_PER_YEAR
    value_only = np.ones(len(full.linear))
    match wanted:
        case MinimumVarianceObjective():
            return replace(full, linear=value_only)
        case TrackingObjective():
            benchmark = np.array(mandate.benchmark_weights)
            return replace(full, linear=value_only + full.factor @ (full.factor.T @ benchmark))
        case RiskParityObjective():
            return replace(
                full, linear=value_only, terms=(_parity(full.factor, mandate),) if len(value_only) > 1 else ()
            )
        case VolatilityTargetObjective():
            annual = full.factor / np.sqrt(wanted.risk_aversion * years)
            return replace(full, terms=(VolatilityCost(annual, VOLATILITY_WORTH, wanted.target_volatility),))
        case MaximumSharpeObjective():
            return replace(full, factor=np.zeros_like(full.factor))
        case CvarObjective():
            if forecast.scenarios is None:
                raise ForecastInvalidError("the objective cvar needs scenarios, and the forecast has none")
            term = ShortfallCost(forecast.scenarios, wanted.level, wanted.shortfall_aversion)
            return replace(full, factor=np.zeros_like(full.factor), terms=(term,))
        case MeanVarianceObjective() if wanted.periods is not None:
            return over_periods(full, forecast, mandate, wanted.periods)
        case _:
            return full


def _parity(factor: FloatArray, mandate: Mandate) -> LogWeights:
    """Logarithms of all weights but the base asset's, scaled so that parity, fully invested, is where they pull to.

    With shares b that add up to 1, risk parity solves w_i (G w)_i = c b_i, the optimum of
    c sum b_i log w_i - w'Gw / 2 (Spinu, 2013); it adds up to what may be invested for one c.
    """
    count = len(factor)
    shares = np.full(count, 1 / (count - 1))
    shares[0] = 0.0
    risky = parity_weights(factor[1:] @ factor[1:].T)
    risky *= 1 - mandate.base.min_weight_bps / 10_000
    return LogWeights(shares * float(np.sum((factor[1:].T @ risky) ** 2)))


def parity_weights(gram: FloatArray) -> FloatArray:
    """Weights that add up to 1 and add equal parts of the risk w'Gw; shape (n,).

    Coordinate by coordinate (Griveau-Billion, Richard and Roncalli, 2013), to the last digits.

    Raises
    ------
    ForecastInvalidError
        Some asset has no risk, or the search does not end.
    """
    count = len(gram)
    diagonal = np.diag(gram)
    if (diagonal <= 0).any():
        raise ForecastInvalidError("risk parity needs every asset but the base to have some risk; leave out the others")
    weights = 1 / np.sqrt(diagonal)
    for _ in range(2_000):
        for i in range(count):
            pull = float(gram[i] @ weights - gram[i, i] * weights[i])
            weights[i] = (-pull + np.sqrt(pull * pull + 4 * gram[i, i] / count)) / (2 * gram[i, i])
        if np.abs(weights * (gram @ weights) - 1 / count).max() < 1e-13:
            break
    else:
        raise ForecastInvalidError("risk parity was not found: the covariance is too close to singular")
    normal: FloatArray = weights / weights.sum()
    return normal


def reducing(utility: Objective) -> Objective:
    """The same risk, no expected returns, no interest, and base asset preferred to everything else.

    Everything risky goes while its price in the pools is within `REDUCE_WORTH` of the
    oracle's; where the budgets allow only a part, what adds most risk goes first.
    """
    linear = np.full(len(utility.linear), 1 - REDUCE_WORTH)
    linear[0] = 1.0
    return replace(utility, linear=linear, terms=(), interest=None)


def _square_root(covariance: FloatArray) -> FloatArray:
    if not np.isfinite(covariance).all() or not _symmetric(covariance):
        raise ForecastInvalidError("the covariance is not a symmetric matrix of numbers; check the price history")
    eigenvalues, vectors = np.linalg.eigh(covariance)
    if eigenvalues.min(initial=0.0) < -1e-8 * max(1e-12, eigenvalues.max(initial=0.0)):
        raise ForecastInvalidError(f"the covariance has a negative eigenvalue ({eigenvalues.min():.1e})")
    root: FloatArray = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
    return root


def _symmetric(matrix: FloatArray) -> bool:
    return bool((np.abs(matrix - matrix.T) <= 1e-14 + 1e-9 * np.abs(matrix)).all())
