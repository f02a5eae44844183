# SPDX-License-Identifier: Apache-2.0
"""Joint paths of returns over a horizon, with the same seed the same paths."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray, RiskError, as_matrix
from offchain.risk.measures.bootstrap import block_indices
from offchain.risk.tails.copula import fit_joint
from offchain.risk.tails.filtered import RISKMETRICS_DECAY, smoothed_volatility

Method = Literal["block", "filtered", "copula"]


def path_scenarios(
    returns: ArrayLike,
    horizon: int,
    *,
    count: int = 10_000,
    method: Method = "filtered",
    block: float = 10.0,
    decay: float = RISKMETRICS_DECAY,
    seed: int = 0,
) -> FloatArray:
    """Simulate paths of several assets.

    Parameters
    ----------
    returns
        Shape (T, n), simple, oldest first.
    horizon
        Periods.
    count
        Paths.
    method
        ``"block"`` draws blocks of past rows as they were. ``"filtered"`` draws rows of surprises in units of each
        asset's smoothed volatility and lets the volatilities react, starting from the present ones, so that paths
        begin in today's regime. ``"copula"`` draws each period from a t copula with Pareto tails, independent in time.
    block
        Mean length of blocks.
    decay
        Of the smoothing, per period.
    seed
        The same arguments give the same paths.

    Returns
    -------
    FloatArray
        Shape (count, horizon, n), not below -1.
    """
    rows = as_matrix(returns, minimum=20)
    if horizon < 1 or count < 1:
        raise RiskError(f"horizon {horizon} and count {count} must be at least one")
    if method == "copula":
        drawn: FloatArray = fit_joint(rows).draw(count * horizon, seed).reshape(count, horizon, rows.shape[1])
        return drawn
    if method == "block":
        return np.asarray(rows[block_indices(len(rows), count, block, length=horizon, seed=seed)])
    if method != "filtered":
        raise RiskError(f"no way to make paths is called {method!r}; there are block, filtered and copula")
    return _filtered(rows, horizon, count, decay, seed)


def _filtered(rows: FloatArray, horizon: int, count: int, decay: float, seed: int) -> FloatArray:
    volatility = np.column_stack([smoothed_volatility(column, decay) for column in rows.T])
    # The first volatilities rest on a handful of returns.
    skipped = min(math.ceil(2.0 / (1.0 - decay)), rows.shape[0] // 4)
    known = np.all(volatility[:-1] > 0.0, axis=1)
    known[:skipped] = False
    surprises = rows[known] / volatility[:-1][known]
    if len(surprises) < 2:
        raise RiskError("assets whose returns are all zero have no surprises to draw from")
    rng = np.random.default_rng(seed)
    variance = np.broadcast_to(volatility[-1] ** 2, (count, rows.shape[1])).copy()
    out = np.empty((count, horizon, rows.shape[1]))
    for t in range(horizon):
        move = np.sqrt(variance) * surprises[rng.integers(0, len(surprises), count)]
        out[:, t] = np.maximum(move, -1.0)
        variance = decay * variance + (1.0 - decay) * move**2
    return out
