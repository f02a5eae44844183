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
graph Laplacian with one weight a pool, so a damped Newton step costs one n x n solve, in
compiled code (`offchain.route.kernels.search`). Any number of hops, splits and standing
arbitrage between pools come out of the same equations.
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
_FARTHEST = 3.0  # log price from the asker's own: nobody means a price twenty times off


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
    return FlowSearch(pools, demand).solve(start)


class FlowSearch:
    """One demand and one table of pools, asked for the best flow through all of them or some."""

    def __init__(self, pools: Sequence[Pool], demand: Demand) -> None:
        from offchain.route.kernels import build_table

        self._demand = demand
        self._ends = np.array([(pool.token0, pool.token1) for pool in pools], dtype=np.intp).reshape(-1, 2)
        self._table = build_table([pool.curve() for pool in pools], [pool.tokens for pool in pools], demand.unit_values)
        self._pieces, self._home = demand.pieces(), np.log(demand.marginal)
        self._lowest = np.full(len(self._home), -np.inf)
        self._moves, self._needed = ~demand.free, demand.exact & (demand.wanted != 0)
        # A token that no pool trades stays as it is: no price can change what missing the wish costs.
        unmoved = demand.worth(np.zeros(len(self._home)))
        self._fixed_worth = np.where(demand.free, -demand.marginal * demand.wanted, unmoved)

    def solve(self, start: FloatArray | None = None, kept: NDArray[np.bool_] | None = None) -> Flow:
        """As `solve_flow`, through the pools that are `kept`, shape (m,), by default all."""
        from offchain.route.kernels import select
        from offchain.route.kernels.search import Wishes, best_flow

        demand, table, ends = self._demand, self._table, self._ends
        if kept is not None:
            table, ends = select(table, kept), ends[kept]
        traded = np.zeros(len(self._home), np.bool_)
        traded[ends.ravel()] = True
        stranded = self._needed & ~traded
        if stranded.any():
            raise RouteNotFoundError(int(np.argmax(stranded)), "no pool trades it; list one or leave it alone")
        variable = traded & self._moves
        fixed = ~variable
        logs = self._home.copy() if start is None else np.where(variable, np.log(start), self._home)
        wishes = Wishes(demand.wanted, demand.marginal, *self._pieces, fixed, self._lowest)
        change, trades, surplus = np.empty(len(logs)), np.empty(self._ends.shape), np.empty(len(self._ends))
        miss, value = best_flow(table, wishes, logs, TOLERANCE, _ROUNDS, change, trades.ravel(), surplus)
        prices = np.exp(logs)
        self._check(variable, miss, change, prices)
        value += float(self._fixed_worth[fixed].sum())
        return Flow(prices, change, trades / demand.unit_values[self._ends], surplus, value)

    def _check(self, variable: NDArray[np.bool_], miss: float, change: FloatArray, prices: FloatArray) -> None:
        """Raise where the wish is not met, or only at prices that nobody means."""
        demand = self._demand
        far = np.abs(np.log(prices) - self._home)
        if miss > _ACCEPTED:
            short = np.where(variable, np.abs(change - demand.change_at(prices)[0]), 0.0)
            why = f"the pools miss the wanted change by {miss:.1e} of the portfolio's value"
            raise RouteNotFoundError(int(np.argmax(short)), f"{why}; trade less")
        if far.max(initial=0.0) > _FARTHEST:
            worst = int(np.argmax(far))
            raise RouteNotFoundError(worst, f"it would go for {prices[worst]:.1e} times its price; trade less")
