# SPDX-License-Identifier: Apache-2.0
"""Best flow of value through all pools at once, in floats, by its dual prices.

The problem, in fractions of the portfolio's value at reference prices (x units of token i
are worth x * unit_values[i]):

    maximise   sum_i m_i (y_i - w_i) - s_i/2 (y_i - w_i)^2
    subject to y = sum_k (what pool k pays less what it takes)

with `w` the wanted net change, `m` what a unit of each token is worth to the asker and `s`
how stiffly the wish is meant. Its dual has one price a token and decouples the pools: at
prices nu pool k answers with its best trade, worth arb_k(nu), and

    minimise over nu   G(nu) = sum_k arb_k(nu) + sum_i (m_i - nu_i)^2 / (2 s_i) - nu_i w_i .

G bounds the maximum from above at every nu. In log prices the pools' second derivative is a
graph Laplacian with one weight a pool, so a damped Newton step costs one n x n solve. Any
number of hops, splits and standing arbitrage between pools come out of the same equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.route.errors import InvalidAmountError, RouteNotFoundError
from offchain.route.pool import Pool

FloatArray = NDArray[np.float64]

TOLERANCE = 1e-11
"""Largest unmet net change, as a fraction of value."""
_ACCEPTED = 1e-8
_ROUNDS = 60
_LONGEST_STEP = 0.2  # in log price
_FARTHEST = 3.0  # log price from the asker's own: nobody means a price twenty times off
_IDLE_WEIGHT = 1e-6


@dataclass(frozen=True, slots=True)
class Demand:
    """What to trade. All arrays have shape (n,).

    Attributes
    ----------
    unit_values
        Value of one base unit at reference prices, as a fraction of the portfolio's; positive.
    wanted
        Net change of each token, as a fraction of the portfolio's value.
    marginal
        Worth of a unit relative to its reference price, about 1; positive.
    stiffness
        What missing the wish costs, per squared fraction: infinite means exactly, 0 means
        that any change is welcome at the price `marginal`.
    """

    unit_values: FloatArray
    wanted: FloatArray
    marginal: FloatArray
    stiffness: FloatArray

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises
        ------
        InvalidAmountError
            Names the field.
        """
        positive = ("unit_values", "marginal")
        for name in (*positive, "wanted"):
            values = getattr(self, name)
            if not np.all(np.isfinite(values)) or (name in positive and not np.all(values > 0)):
                raise InvalidAmountError(f"{name} {values} must be finite{' and positive' if name in positive else ''}")
        if not np.all(self.stiffness >= 0):
            raise InvalidAmountError(f"stiffness {self.stiffness} must not be negative")


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
        exact = np.isinf(demand.stiffness)
        stranded = ~traded & exact & (demand.wanted != 0)
        if stranded.any():
            raise RouteNotFoundError(int(np.argmax(stranded)), "no pool trades it; list one or leave it alone")
        self.variable = traded & (demand.stiffness > 0)
        self.softness = np.zeros(count)
        soft = (demand.stiffness > 0) & ~exact
        self.softness[soft] = 1 / demand.stiffness[soft]

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
        met = self.demand.wanted + (self.demand.marginal - prices) * self.softness
        excess = np.where(self.variable, change - met, 0.0)
        return _Point(prices, trades, curvature, change, excess)

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
        ridge = 1e-9 * float(np.max(point.curvature, initial=0.0)) + 1e-12
        hessian[np.diag_indices(count)] += point.prices**2 * self.softness + ridge
        free = np.flatnonzero(self.variable)
        step = np.zeros(count)
        step[free] = np.linalg.solve(hessian[np.ix_(free, free)], -(point.prices * point.excess)[free])
        longest = float(np.max(np.abs(step), initial=0.0))
        return step * min(1.0, _LONGEST_STEP / longest) if longest > 0 else step

    def _search_line(self, logs: FloatArray, start: _Point, step: FloatArray) -> tuple[FloatArray, _Point]:
        """Walk to where the slope along the step has fallen below half of what it was, on either side."""

        def slope(point: _Point) -> float:
            return float(np.dot(point.prices * point.excess, step))

        initial = slope(start)
        enough = -0.5 * initial
        low, low_slope, high, high_slope = 0.0, initial, 0.0, 0.0
        length = 1.0
        longest = _FARTHEST / max(float(np.max(np.abs(step), initial=0.0)), 1e-12)
        point = start
        for _ in range(40):
            point = self._evaluate(logs + length * step)
            here = slope(point)
            if abs(here) <= enough:
                break
            if here < 0:
                low, low_slope = length, here
            else:
                high, high_slope = length, here
            if high == 0.0:
                if length > longest:
                    break
                length *= 2.0
            else:
                fraction = low_slope / (low_slope - high_slope)
                length = low + (high - low) * min(max(fraction, 0.1), 0.9)
        return logs + length * step, point

    def _flow(self, point: _Point) -> Flow:
        demand, prices = self.demand, point.prices
        worth = point.trades * demand.unit_values[self.ends] * prices[self.ends]
        surplus = np.maximum(worth.sum(axis=1), 0.0)
        dual = (demand.marginal - prices) ** 2 * self.softness / 2 - prices * demand.wanted
        # A token that no pool trades stays as it is: no price can change what missing the wish costs.
        stranded = ~self.variable & (demand.stiffness > 0)
        missed = np.zeros_like(dual)
        missed[stranded] = -demand.marginal[stranded] * demand.wanted[stranded]
        soft = stranded & np.isfinite(demand.stiffness)
        missed[soft] -= demand.stiffness[soft] * demand.wanted[soft] ** 2 / 2
        value = float(surplus.sum() + np.where(stranded, missed, dual).sum())
        return Flow(prices, point.change, point.trades, surplus, value)
