# SPDX-License-Identifier: Apache-2.0
"""The joint program stated in cvxpy and solved by Clarabel: what the kernels are measured and tested against.

A constant product, or the part of a ladder between two ticks, pays out/in <= m z / (1 + z / R) for
an input z after the fee, R the reserve it meets and m the price there: with kappa = scale / R and
everything in units of ``scale`` that is the cone kappa z^2 <= (z - y)(1 + kappa z). Scaled by the
smallest of reserve, capacity and the whole value it stays well conditioned over twelve decades of
reserves, where the textbook forms (geometric mean of reserves) fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.errors import SolverError
from offchain.allocate.solution import Program

if TYPE_CHECKING:
    from offchain.route.kernels import PoolTable

FloatArray = NDArray[np.float64]
_TOLERANCE = {"tol_gap_abs": 1e-9, "tol_gap_rel": 1e-9, "tol_feas": 1e-9}


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What Clarabel answers.

    Attributes
    ----------
    x
        Shape (N,).
    value
        Objective there.
    status
        cvxpy's word for it.
    """

    x: FloatArray
    value: float
    status: str


@dataclass(frozen=True, slots=True, eq=False)
class _Edges:
    """One-way exchanges. All shapes (edges,): tokens, reserve met, price at no input, part kept of it, capacity."""

    sold: NDArray[np.int64]
    bought: NDArray[np.int64]
    reserve: FloatArray
    price: FloatArray
    keep: FloatArray
    capacity: FloatArray


def solve_reference(program: Program, table: PoolTable, root: FloatArray | None = None, **settings: float) -> Reference:
    """Solve the program over constant products and ladders.

    Parameters
    ----------
    root
        Shape (k, N) with ``root.T @ root`` = gram, where a shape smaller than a Cholesky factor is known.
    settings
        For Clarabel.

    Raises
    ------
    SolverError
        The table holds pools of other kinds, or cvxpy has no answer.
    """
    import cvxpy as cp
    import scipy.sparse as sp

    if len(table.weighted.pool) or len(table.stable.pool) or len(table.linear.pool):
        raise SolverError("the reference knows constant products and ladders only; leave other pools out")
    edges = _edges(table)
    count, size, number = len(program.start), len(program.linear), len(edges.sold)
    scale = np.minimum(np.minimum(edges.reserve, edges.capacity), 1.0)
    bend = scale / edges.reserve
    x, z, y = cp.Variable(size), cp.Variable(number, nonneg=True), cp.Variable(number)
    first, second = z - y, 1 + cp.multiply(bend, z)
    cone = cp.SOC(first + second, cp.vstack([cp.multiply(2 * np.sqrt(bend), z), first - second]), axis=0)
    constraints: list[Any] = [cone, x >= program.lower, x <= program.upper]
    limited = np.flatnonzero(np.isfinite(edges.capacity))
    if len(limited):
        constraints.append(z[limited] <= edges.capacity[limited] / scale[limited])
    columns = np.arange(number)
    paid = sp.csr_matrix((scale * edges.price, (edges.bought, columns)), (count, number))
    given = sp.csr_matrix((scale / edges.keep, (edges.sold, columns)), (count, number))
    constraints.append(x[:count] == program.start + paid @ y - given @ z)
    if len(program.rooms):
        constraints.append(program.rows @ x <= program.rooms)
    if root is None:
        eigenvalues, vectors = np.linalg.eigh(program.gram)
        root = (vectors * np.sqrt(np.maximum(eigenvalues, 0.0))).T
    problem = cp.Problem(cp.Maximize(program.linear @ x - cp.sum_squares(root @ x) / 2), constraints)
    try:
        problem.solve(solver=cp.CLARABEL, **(_TOLERANCE | settings))
    except cp.SolverError as error:
        raise SolverError(f"Clarabel gave up: {error}") from error
    if x.value is None:
        raise SolverError(f"Clarabel answers {problem.status}")
    return Reference(np.asarray(x.value), float(problem.value), problem.status)


def _edges(table: PoolTable) -> _Edges:
    """Both directions of every pool, tick by tick."""
    rows = table.product
    endless = np.full(len(rows.pool), np.inf)
    keep = rows.keep**2
    parts: list[tuple[Any, ...]] = [
        (rows.first, rows.second, rows.size / rows.root, rows.root**2, keep, endless),
        (rows.second, rows.first, rows.size * rows.root, rows.root**-2.0, keep, endless),
    ]
    ladder = table.ladder
    for k in range(len(ladder.pool)):
        start, stop, now = ladder.start[k], ladder.stop[k], ladder.root[k]
        edges, depth = ladder.edge_root[start:stop], ladder.edge_liquidity[start : stop - 1]
        low, high = edges[:-1], edges[1:]
        for down in (True, False):
            near = np.minimum(now, high) if down else np.maximum(now, low)
            chosen = (depth > 0) & ((near > low) if down else (near < high))
            at, liquidity = near[chosen], depth[chosen]
            ends = np.full((2, len(at)), [[ladder.first[k]], [ladder.second[k]]])
            if down:
                capacity = liquidity * (1 / low[chosen] - 1 / at)
                kept = np.full(len(at), ladder.keep_first[k] ** 2)
                parts.append((ends[0], ends[1], liquidity / at, at**2, kept, capacity))
            else:
                capacity = liquidity * (high[chosen] - at)
                kept = np.full(len(at), ladder.keep_second[k] ** 2)
                parts.append((ends[1], ends[0], liquidity * at, at**-2.0, kept, capacity))
    return _Edges(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
