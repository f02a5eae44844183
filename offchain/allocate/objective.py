# SPDX-License-Identifier: Apache-2.0
"""What a plan is judged by: the mandate's utility, or while reducing the risk it sheds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.errors import ForecastInvalidError
from offchain.allocate.program import Objective
from offchain.forecast.forecast import Forecast

FloatArray = NDArray[np.float64]

DAYS_PER_YEAR = 365.0
REPAIR_WORTH = 1.0
"""Worth of removing one unit of weight in violation: far above what any repair costs."""
REDUCE_WORTH = 0.05
"""Worth of turning a unit of risky value into base asset: it is sold up to that much below its oracle price."""


def mean_variance(forecast: Forecast, risk_aversion: float) -> Objective:
    """(1 + mu T)'w - risk_aversion / 2 * T w'Sw over the forecast's horizon T.

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
    return Objective(1 + forecast.expected_returns * years, factor)


def reducing(utility: Objective) -> Objective:
    """The same risk, no expected returns, and base asset preferred to everything else.

    Everything risky goes while its price in the pools is within `REDUCE_WORTH` of the
    oracle's; where the budgets allow only a part, what adds most risk goes first.
    """
    linear = np.full(len(utility.linear), 1 - REDUCE_WORTH)
    linear[0] = 1.0
    return replace(utility, linear=linear)


def _square_root(covariance: FloatArray) -> FloatArray:
    if not np.all(np.isfinite(covariance)) or not np.allclose(covariance, covariance.T, rtol=1e-9, atol=1e-14):
        raise ForecastInvalidError("the covariance is not a symmetric matrix of numbers; check the price history")
    eigenvalues, vectors = np.linalg.eigh(covariance)
    if eigenvalues.min(initial=0.0) < -1e-8 * max(1e-12, eigenvalues.max(initial=0.0)):
        raise ForecastInvalidError(f"the covariance has a negative eigenvalue ({eigenvalues.min():.1e})")
    root: FloatArray = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
    return root
