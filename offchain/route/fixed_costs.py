# SPDX-License-Identifier: Apache-2.0
"""Which pools are worth their fixed cost, gas above all.

With a cost c_k for using pool k at all, a sale yields at most

    G_c(nu) = sum_k max(0, arb_k(nu) - c_k) + sum_i nu_i s_i

at any prices nu. The search smooths the maximum, sharpens it in steps, keeps the pools whose
surplus then exceeds their cost, and improves the choice by single exchanges. The bound is
rigorous whatever the search finds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.route.dual import DualPoint, Sale, answer, solve_sale
from offchain.route.kernels import PoolTable, select

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_TEMPERATURES = (1.0, 0.3, 0.1, 0.03)
_FRACTIONS = (1.0, 0.7, 0.4, 0.0)
_EXCHANGES = 60
_UNSOLD = 1e-9
_SMALL = 1e-8
"""Of what is sold: below that the optimum without costs says enough about what pays."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Pools to use.

    Attributes
    ----------
    kept
        Shape (pools,).
    point
        The sale's optimum over them.
    net
        Its yield less the costs of the pools that it uses.
    bound
        No sale through any pools nets more.
    """

    kept: BoolArray
    point: DualPoint
    net: float
    bound: float


def choose_pools(table: PoolTable, sale: Sale, costs: FloatArray, free: DualPoint) -> Choice:
    """Choose the pools whose use pays.

    Parameters
    ----------
    costs
        Shape (pools,): of using each, reference values; not negative.
    free
        The optimum without costs.
    """
    search = _Search(table, sale, costs, free)
    search.homotopy()
    search.improve()
    return search.best


def net_bound(point: DualPoint, sale: Sale, costs: FloatArray) -> float:
    """G_c at the point's prices; the point must be of all pools."""
    return float(np.maximum(point.surplus - costs, 0.0).sum() + point.prices @ sale.sold)


class _Search:
    def __init__(self, table: PoolTable, sale: Sale, costs: FloatArray, free: DualPoint) -> None:
        self.table, self.sale, self.costs = table, sale, costs
        self.unsold = self._left_over(free)
        self.tried: set[bytes] = set()
        everything = np.ones(len(costs), dtype=bool)
        self.best = Choice(everything, free, self._net(free), net_bound(free, sale, costs))

    def homotopy(self) -> None:
        """Sharpen the smoothed costs, and try what each answer recommends."""
        point = self.best.point
        self._try(point.surplus > self.costs, point)
        if self.costs.max() < _SMALL:
            return
        scale = float(np.median(self.costs[self.costs > 0])) if np.any(self.costs > 0) else 0.0
        for temperature in _TEMPERATURES:
            point = solve_sale(self.table, self.sale, point.logs, self.costs, temperature * scale, 1e-8)
            self._tighten(point)
        for fraction in _FRACTIONS:
            self._try(point.surplus > fraction * self.costs, point)

    def improve(self) -> None:
        """Strike out the pool that earns least, or take in the one that would earn most, while that helps."""
        for _ in range(_EXCHANGES):
            before = self.best
            point = before.point
            used = self._used(point) & before.kept
            margin = point.surplus - self.costs
            weak = [k for k in np.flatnonzero(used).tolist() if margin[k] < 0]
            wanted: list[int] = np.flatnonzero(~before.kept & (margin > -0.3 * self.costs)).tolist()
            weak.sort(key=lambda k: (margin[k], k))
            wanted.sort(key=lambda k: (-margin[k], k))
            for k in [*weak[:8], *wanted[:8]]:
                kept = used.copy()
                kept[k] = not kept[k]
                self._try(kept, point)
                if self.best is not before:
                    break
            else:
                break

    def _try(self, kept: BoolArray, near: DualPoint) -> None:
        """Solve over some pools; keep them when that nets more and sells all that can be sold."""
        key = kept.tobytes()
        if key in self.tried or not kept.any():
            return
        self.tried.add(key)
        point = solve_sale(select(self.table, kept), self.sale, near.logs)
        if np.any(self._left_over(point) > self.unsold + _UNSOLD):
            return
        net = self._net(point)
        if net > self.best.net:
            full = answer(self.table, self.sale, point.logs)
            bound = min(self.best.bound, net_bound(full, self.sale, self.costs))
            point = DualPoint(point.logs, point.trades, full.surplus, point.weights, point.bound, point.miss)
            self.best = Choice(kept, point, net, bound)

    def _tighten(self, point: DualPoint) -> None:
        bound = net_bound(point, self.sale, self.costs)
        if bound < self.best.bound:
            best = self.best
            self.best = Choice(best.kept, best.point, best.net, bound)

    def _used(self, point: DualPoint) -> BoolArray:
        return np.add.reduceat(np.abs(point.trades), self.table.slot[:-1]) > 0

    def _net(self, point: DualPoint) -> float:
        return self._gathered(point) - float(self.costs[self._used(point)].sum())

    def _gathered(self, point: DualPoint) -> float:
        """What the flow yields: its bound, less what it leaves unsold at its prices."""
        return point.bound - float(point.prices @ self._left_over(point))

    def _left_over(self, point: DualPoint) -> FloatArray:
        flow = np.zeros(len(self.sale.sold))
        np.add.at(flow, self.table.token, point.trades)
        left = np.maximum(self.sale.sold + flow, 0.0)
        left[self.sale.buy] = 0.0
        left[~self.sale.reachable] = 0.0
        return left
