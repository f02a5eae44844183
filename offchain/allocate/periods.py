# SPDX-License-Identifier: Apache-2.0
"""What holdings are worth beyond the first part of the horizon, when one may trade again later.

The horizon T is cut into H parts of t = T / H. With w_1 the holdings after today's trades, b_h and s_h what is bought
and sold at the start of part h = 2, ..., H, and w_h = w_1 + sum over j <= h of (b_j - s_j),

    V(w_1) = max  sum_h t (mu_h'w_h - aversion / 2 * w_h'S w_h) - cost * sum_h 1'(b_h + s_h)
             subject to  lower <= w_h <= upper,   1'w_h <= 1'w_1,   b, s >= 0

is concave in w_1, and its slope is read off the multipliers of the rows in which w_1 stands (the envelope theorem).
So it is a term of the program like any other, and today's trades alone meet the pools. Expected returns decay towards
those under which the benchmark is optimal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.errors import SolverError
from offchain.allocate.program import Objective
from offchain.forecast.expected import implied_returns
from offchain.forecast.forecast import Forecast
from offchain.mandate import Mandate, Periods

FloatArray = NDArray[np.float64]

DAYS_PER_YEAR = 365.0


@dataclass(frozen=True, slots=True, eq=False)
class LaterTrades:
    """V above, as a `Term` of one piece.

    Attributes
    ----------
    linear
        Shape (H - 1, n): t mu_h.
    factor
        Shape (n, k): F F' = t * aversion * covariance.
    cost
        Of value traded.
    lower, upper
        Shape (n,): the mandate's bounds.
    """

    linear: FloatArray
    factor: FloatArray
    cost: float
    lower: FloatArray
    upper: FloatArray

    @property
    def pieces(self) -> int:
        """One."""
        return 1

    @property
    def most(self) -> float:
        """See `Term`; weights are at most a few."""
        later = len(self.linear)
        return 10.0 * (float(np.abs(self.linear).sum()) + later * float((self.factor**2).sum()) + 2 * self.cost * later)

    def values(self, holdings: FloatArray) -> FloatArray:
        """See `Term`."""
        value, _ = self._solve(holdings)
        return np.array([value])

    def tangents(self, holdings: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `Term`."""
        value, slope = self._solve(holdings)
        return slope[None, :], np.array([value - float(slope @ holdings)])

    def _solve(self, holdings: FloatArray) -> tuple[float, FloatArray]:
        """V and its slope.

        Raises
        ------
        SolverError
            Clarabel has no answer, or its dual value is not its primal one.
        """
        import clarabel
        import scipy.sparse as sp

        later, count = self.linear.shape
        # What is added to the holdings by the start of each part, from the purchases and sales of all.
        moves = np.kron(np.tril(np.ones((later, later))), np.hstack([np.eye(count), -np.eye(count)]))
        gram = self.factor @ self.factor.T
        quadratic = moves.T @ np.kron(np.eye(later), gram) @ moves
        pull = self.linear - gram @ holdings
        size = moves.shape[1]
        sums = np.kron(np.eye(later), np.ones((1, count))) @ moves
        rows = np.vstack([moves, -moves, sums, -np.eye(size)])
        high, low = np.tile(self.upper - holdings, later), np.tile(holdings - self.lower, later)
        rooms = np.concatenate([high, low, np.zeros(later), np.zeros(size)])
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-10
        solver = clarabel.DefaultSolver(
            sp.triu(sp.csc_matrix(quadratic)).tocsc(),
            self.cost - moves.T @ pull.ravel(),
            sp.csc_matrix(rows),
            rooms,
            [clarabel.NonnegativeConeT(len(rooms))],
            settings,
        )
        found = solver.solve()
        if str(found.status) not in ("Solved", "AlmostSolved") or abs(found.obj_val - found.obj_val_dual) > 1e-8:
            raise SolverError(f"later trades: Clarabel answers {found.status}; do the mandate's bounds leave room?")
        still = float((self.linear @ holdings).sum()) - later * float(holdings @ gram @ holdings) / 2
        worth = np.array(found.z)
        limits = later * count
        after = np.tile(holdings, (later, 1)) + (moves @ np.array(found.x)).reshape(later, count)
        slope = (self.linear - after @ gram).sum(axis=0)
        slope += (worth[limits : 2 * limits] - worth[:limits]).reshape(later, count).sum(axis=0)
        return still - float(found.obj_val_dual), slope


def over_periods(full: Objective, forecast: Forecast, mandate: Mandate, periods: Periods) -> Objective:
    """The utility of today's holdings with later trades in view.

    Parameters
    ----------
    full
        Mean-variance over the whole horizon, from `mean_variance`.
    """
    part = forecast.horizon_days / DAYS_PER_YEAR / periods.count
    aversion = mandate.objective.risk_aversion
    settled = implied_returns(forecast.covariance, np.array(mandate.benchmark_weights), aversion)
    days = forecast.horizon_days / periods.count * np.arange(periods.count)
    left = 0.5 ** (days / periods.half_life_days)
    returns = part * (settled + left[:, None] * (forecast.expected_returns - settled))
    factor = full.factor / np.sqrt(periods.count)
    bounds = np.array([(asset.min_weight_bps, asset.max_weight_bps) for asset in mandate.ordered_assets]) / 10_000
    later = LaterTrades(returns[1:], factor, periods.cost_bps / 10_000, bounds[:, 0], bounds[:, 1])
    return Objective(1 + returns[0], factor, terms=(later,))
