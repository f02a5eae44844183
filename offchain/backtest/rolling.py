# SPDX-License-Identifier: Apache-2.0
"""The fast path: daily mean-variance on rolling moments over years, for sweeps over parameters.

It leaves out what the engine has (pools, oracles, integer limits, gas) and charges a proportional cost instead: to
look through thousands of parameters before the engine runs the few that matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offchain.backtest.errors import BacktestError
from offchain.risk.arrays import FloatArray, as_matrix

TOLERANCE = 1e-13
"""Gain a unit of weight, over one row's return, that a solved row may leave."""
ACCEPTED = 1e-9
_MOVES = 200_000


@dataclass(frozen=True, eq=False)
class RollingRun:
    """What a rolling mean-variance portfolio did.

    Attributes
    ----------
    weights
        Shape (T - window, n): held over row ``window + k``.
    gross_returns, net_returns
        Shape (T - window,): before and after costs.
    turnover
        Shape (T - window,): sum of absolute changes of weight.
    residual
        Largest gain a unit of weight that any row's solution left, in returns of one row.
    """

    weights: FloatArray
    gross_returns: FloatArray
    net_returns: FloatArray
    turnover: FloatArray
    residual: float


def rolling_mean_variance(
    returns: FloatArray,
    *,
    window: int = 250,
    risk_aversion: float = 5.0,
    cost_bps: float = 10.0,
    lower: float | FloatArray = 0.0,
    upper: float | FloatArray = 1.0,
) -> RollingRun:
    r"""Hold each row the optimum of the moments of the `window` rows before it.

    .. math:: \max_w\; \mu^\top w - \tfrac{\gamma}{2} w^\top \Sigma w - c\,\lVert w - w^- \rVert_1
        \quad \text{s.t. } \mathbf 1^\top w = 1,\; l \le w \le u

    with the sample mean and covariance (n - 1), and :math:`w^-` the weights that the row before left.

    Parameters
    ----------
    returns
        Shape (T, n): simple returns a row.
    risk_aversion
        Of a row's variance.
    cost_bps
        Of a traded unit of value; bought and sold are both charged.
    lower, upper
        Bounds of the weights: numbers or shape (n,).

    Raises
    ------
    RiskError
        Returns that are missing or not finite.
    BacktestError
        Too few rows, bounds that no weights meet, or a row that did not converge.
    """
    from offchain.backtest.rolling_kernel import run_rolling

    table = np.ascontiguousarray(as_matrix(returns))
    rows, count = table.shape
    if not 2 <= window < rows:
        raise BacktestError(f"a window of {window} rows in {rows}: needs at least 2 and fewer than there are")
    low = np.broadcast_to(np.asarray(lower, dtype=np.float64), (count,)).copy()
    high = np.broadcast_to(np.asarray(upper, dtype=np.float64), (count,)).copy()
    if np.any(low > high) or low.sum() > 1 or high.sum() < 1:
        raise BacktestError(f"bounds that sum to {low.sum():g} and {high.sum():g} leave no weights that sum to 1")
    if risk_aversion <= 0 or cost_bps < 0:
        raise BacktestError("risk aversion must be positive and the cost not negative")
    weights = np.empty((rows - window, count))
    gross, turnover = np.empty(rows - window), np.empty(rows - window)
    cost = cost_bps / 10_000
    residual = run_rolling(table, window, risk_aversion, cost, low, high, weights, gross, turnover, TOLERANCE, _MOVES)
    if not residual <= ACCEPTED:
        raise BacktestError(f"a row's program was left with a gain of {residual:.1e}; is the covariance singular?")
    return RollingRun(weights, gross, gross - cost * turnover, turnover, float(residual))
