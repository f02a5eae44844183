# SPDX-License-Identifier: Apache-2.0
"""The mandate's program with constant-product pools inside, stated in cvxpy: the oracle of the allocate room's tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cvxpy as cp
import numpy as np

CONSTANT_PRODUCT = tuple(
    (token0, token1, 0, depth)
    for token0, token1, depth in (
        (0, 1, 6e6),
        (0, 1, 1e6),
        (2, 1, 3e6),
        (2, 0, 1e6),
        (4, 1, 4e6),
        (3, 1, 5e5),
        (3, 0, 3e5),
    )
)
"""Pools of a vault, as the allocate room's `make_vaults` takes them."""


def unit_values(snapshot: Any) -> np.ndarray:
    """Value of a base unit of each asset as a fraction of the vault's."""
    return np.array([asset.price / 1e18 / snapshot.value for asset in snapshot.assets])


def solve_with_pools(
    pools: Sequence[Any], units: np.ndarray, limits: Any, utility: Callable[[Any], Any]
) -> tuple[float, np.ndarray]:
    """Best utility of the holdings after trading, and those holdings; `utility` may bring constraints of its own."""
    count = len(units)
    paid, given = cp.Variable((len(pools), 2), nonneg=True), cp.Variable((len(pools), 2), nonneg=True)
    change: Any = 0
    constraints = []
    for k, pool in enumerate(pools):
        ends = [pool.token0, pool.token1]
        reserves = np.array([pool.reserve0, pool.reserve1]) * units[ends]
        after = cp.multiply(1 / reserves, reserves + 0.997 * given[k] - paid[k])
        constraints.append(cp.geo_mean(after) >= 1)
        basis = np.zeros((count, 2))
        basis[ends, [0, 1]] = 1
        change += basis @ (paid[k] - given[k])
    holdings = limits.weights + change
    worth = 1 + cp.sum(change)
    constraints += [
        holdings >= cp.multiply(limits.lower, worth),
        holdings <= cp.multiply(limits.upper, worth),
        cp.sum(cp.pos(change)) <= limits.turnover,
        cp.sum(cp.neg(change)) <= limits.turnover,
        -cp.sum(change) <= limits.loss,
    ]
    for band in limits.bands:
        constraints += [band.members @ holdings >= band.lower * worth, band.members @ holdings <= band.upper * worth]
    stated = utility(holdings)
    if isinstance(stated, tuple):
        stated, more = stated
        constraints += more
    problem = cp.Problem(cp.Maximize(stated), constraints)
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return float(problem.value), np.asarray(holdings.value)
