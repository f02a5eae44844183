# SPDX-License-Identifier: Apache-2.0
"""Best flow of value through all pools at once, in floats, by its dual prices.

The problem, in fractions of the portfolio's value at reference prices (x units of token i
are worth x * unit_values[i]):

    maximise   sum_i worth_i(y_i)
    subject to y = sum_k (what pool k pays less what it takes)

with worth_i concave around the wanted change (`Demand`). Its dual has one price a token and
decouples the pools: at prices nu pool k answers with its best trade, worth arb_k(nu), and

    minimise over nu   G(nu) = sum_k arb_k(nu) + sum_i max_y (worth_i(y) - nu_i y) .

G bounds the maximum from above at every nu. In log prices the pools' second derivative is a
graph Laplacian with one weight a pool, so a damped Newton step costs one n x n solve. Any
number of hops, splits and standing arbitrage between pools come out of the same equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.route.demand import Demand, FloatArray
from offchain.route.errors import RouteNotFoundError
from offchain.route.pool import Pool

TOLERANCE = 1e-11
"""Largest unmet net change, as a fraction of value."""
_ACCEPTED = 1e-8
_ROUNDS = 60
_LONGEST_STEP = 0.2  # in log price
_FARTHEST = 3.0  # log price from the asker's own: nobody means a price twenty times off
_IDLE_WEIGHT = 1e-6
_RIDGES, _CUTS = 60, 60


@dataclass(frozen=True, slots=True)
class Flow:
    """The optimum. Trades are the asker's net changes of a pool's two tokens, in base units.

    Attributes
    ----------
    prices
        Shape (n,): dual prices relative to the reference prices, what one more unit costs.
    change
        Shape (n,): net change as fractions of value.
    trades
        Shape (m, 2): amounts of token0 and token1, zeros for an unused pool.
    surplus
        Shape (m,): what each pool contributes at the dual prices, fractions of value.
    value
        Objective; as a dual value it bounds every feasible flow's.
    """

    prices: FloatArray
    change: FloatArray
    trades: FloatArray
    surplus: FloatArray
    value: float

    @property
    def used(self) -> NDArray[np.bool_]:
        """Shape (m,): which pools trade."""
        traded: NDArray[np.bool_] = self.trades[:, 0] != 0
        return traded


@dataclass(slots=True)
class _Point:
    prices: FloatArray
    trades: FloatArray
    curvature: FloatArray
    change: FloatArray
    excess: FloatArray
    softness: FloatArray


def solve_flow(pools: Sequence[Pool], demand: Demand, start: FloatArray | None = None) -> Flow:
    """Find the best flow. Deterministic; leaves the pools as they are.

    Parameters
    ----------
    pools
        Each trades two of the demand's tokens.
    demand
        What to trade.
    start
        Shape (n,): positive dual prices to begin from, by default `demand.marginal`; they change the
        way, not the answer.

    Raises
    ------
    RouteNotFoundError
        The pools cannot meet a stiff wish; names the token that is furthest off.
    """
    return _Search(pools, demand).solve(demand.marginal if start is None else start)


class _Search:
    def __init__(self, pools: Sequence[Pool], demand: Demand) -> None:
        self.pools = pools
        self.demand = demand
        count = len(demand.wanted)
        self.ends = np.array([(pool.token0, pool.token1) for pool in pools], dtype=np.intp).reshape(-1, 2)
        traded = np.zeros(count, dtype=bool)
        traded[self.ends.ravel()] = True
        stranded = ~traded & demand.exact & (demand.wanted != 0)
        if stranded.any():
            raise RouteNotFoundError(int(np.argmax(stranded)), "no pool trades it; list one or leave it alone")
        self.variable = traded & ~demand.free

    def solve(self, start: FloatArray) -> Flow:
        logs = np.log(np.where(self.variable, start, self.demand.marginal))
        point = self._evaluate(logs)
        best = self._residual(point)
        for _ in range(_ROUNDS):
            if best <= TOLERANCE:
                break
            step = self._newton(point)
            logs, point = self._search_line(logs, point, step)
            best = self._residual(point)
            if np.max(np.abs(logs - np.log(self.demand.marginal))) > _FARTHEST:
                break
        if best > _ACCEPTED:
            worst = int(np.argmax(np.where(self.variable, np.abs(point.excess), 0)))
            raise RouteNotFoundError(
                worst, f"the pools miss the wanted change by {best:.1e} of the portfolio's value; trade less"
            )
        return self._flow(point)

    def _evaluate(self, logs: FloatArray) -> _Point:
        prices = np.exp(logs)
        per_unit = (prices * self.demand.unit_values).tolist()
        trades = np.zeros((len(self.pools), 2))
        curvature = np.zeros(len(self.pools))
        for index, pool in enumerate(self.pools):
            response = pool.respond(per_unit[pool.token0], per_unit[pool.token1])
            trades[index] = response.amount0, response.amount1
            curvature[index] = response.curvature
        change = np.zeros(len(prices))
        np.add.at(change, self.ends, trades * self.demand.unit_values[self.ends])
        wish, softness = self.demand.change_at(prices)
        excess = np.where(self.variable, change - wish, 0.0)
        return _Point(prices, trades, curvature, change, excess, softness)

    def _residual(self, point: _Point) -> float:
        return float(np.max(np.abs(point.excess), initial=0.0))

    def _newton(self, point: _Point) -> FloatArray:
        weights = np.where(point.trades[:, 0] != 0, point.curvature, point.curvature * _IDLE_WEIGHT)
        count = len(point.prices)
        hessian = np.zeros((count, count))
        first, second = self.ends[:, 0], self.ends[:, 1]
        np.add.at(hessian, (first, first), weights)
        np.add.at(hessian, (second, second), weights)
        np.add.at(hessian, (first, second), -weights)
        np.add.at(hessian, (second, first), -weights)
        hessian[np.diag_indices(count)] += point.prices**2 * point.softness
        free = np.flatnonzero(self.variable)
        matrix, target = hessian[np.ix_(free, free)], -(point.prices * point.excess)[free]
        # Prices that move together are nearly free to do so: hold back that direction, not the others.
        ridge = 1e-9 * float(np.max(point.curvature, initial=0.0)) + 1e-12
        part = np.zeros(len(free))
        for _ in range(_RIDGES):
            part = np.linalg.solve(matrix + ridge * np.eye(len(free)), target)
            if np.max(np.abs(part), initial=0.0) <= _LONGEST_STEP:
                break
            ridge *= 10
        step = np.zeros(count)
        step[free] = part
        return step

    def _search_line(self, logs: FloatArray, start: _Point, step: FloatArray) -> tuple[FloatArray, _Point]:
        """Go the whole step, or back to where the slope along it is no longer steep upwards."""

        def slope(point: _Point) -> float:
            return float(np.dot(point.prices * point.excess, step))

        low, low_slope = 0.0, slope(start)
        enough = -0.5 * low_slope
        length = 1.0
        point = self._evaluate(logs + step)
        here = slope(point)
        high, high_slope = length, here
        for _ in range(_CUTS):
            if not (here > enough or (here < -enough and length < 1.0)):
                break
            if here > 0:
                high, high_slope = length, here
            else:
                low, low_slope = length, here
            if high - low < 1e-12:
                break
            fraction = low_slope / (low_slope - high_slope)
            length = low + (high - low) * min(max(fraction, 0.1), 0.9)
            point = self._evaluate(logs + length * step)
            here = slope(point)
        return logs + length * step, point

    def _flow(self, point: _Point) -> Flow:
        demand, prices = self.demand, point.prices
        worth = point.trades * demand.unit_values[self.ends] * prices[self.ends]
        surplus = np.maximum(worth.sum(axis=1), 0.0)
        # A token that no pool trades stays as it is: no price can change what missing the wish costs.
        stays = ~self.variable & ~demand.free
        parts = np.where(stays, demand.worth(np.zeros_like(prices)), demand.conjugate(prices))
        return Flow(prices, point.change, point.trades, surplus, float(surplus.sum() + parts.sum()))
