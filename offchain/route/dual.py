# SPDX-License-Identifier: Apache-2.0
"""A sale through all pools at once, in floats: its dual prices, its flow, and a bound on every other.

In reference values the problem is

    maximise   y_b
    subject to y = sum_k (what pool k pays less what it takes),  y_i >= -s_i for i != b

with s sold and b bought. For any prices nu >= 0 with nu_b = 1, nobody can get more than

    G(nu) = sum_k arb_k(nu) + sum_i nu_i s_i,

and at the least G somebody can. See ``docs/engine.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.route.kernels import NO_COSTS, PoolTable, respond_each
from offchain.route.kernels.search import Wishes, search

FloatArray = NDArray[np.float64]

TOLERANCE = 1e-12
"""Largest imbalance of a token, as a fraction of what is sold."""
ROUNDS = 200
_WORTHLESS = -46.0  # log price: 1e-20 of the reference
_SNAP = 1e-7


@dataclass(frozen=True, slots=True)
class Sale:
    """What to sell for what, in reference values.

    Attributes
    ----------
    sold
        Shape (n,): not negative; 0 at `buy`.
    buy
        The token that is bought.
    reachable
        Shape (n,): tokens that some path of pools connects with it.
    """

    sold: FloatArray
    buy: int
    reachable: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DualPoint:
    """What the pools answer to prices.

    Attributes
    ----------
    logs
        Shape (n,): log prices relative to the reference; 0 for the token that is bought.
    trades
        Shape (slots,): the trader's net changes, reference values.
    surplus
        Shape (pools,): the most that a trade with each pool is worth at these prices.
    weights
        Shape (pools,): value that each moves per unit of log price.
    bound
        No sale through any of these pools, at no cost, yields more.
    miss
        Largest imbalance of a token.
    """

    logs: FloatArray
    trades: FloatArray
    surplus: FloatArray
    weights: FloatArray
    bound: float
    miss: float

    @property
    def prices(self) -> FloatArray:
        """Shape (n,): relative to the reference."""
        prices: FloatArray = np.exp(self.logs)
        return prices


def wishes_of(sale: Sale, slack: float = 0.0) -> Wishes:
    """The sale as what the search asks for; `slack` keeps that much of every token back."""
    count = len(sale.sold)
    fixed = ~sale.reachable
    fixed[sale.buy] = True
    none = np.zeros(count)
    wanted = np.where(fixed, 0.0, slack - sale.sold)
    return Wishes(wanted, np.ones(count), none, none, np.full(count, np.inf), fixed, np.full(count, _WORTHLESS))


def solve_sale(
    table: PoolTable,
    sale: Sale,
    start: FloatArray | None = None,
    costs: FloatArray | None = None,
    temperature: float = 0.0,
    tolerance: float = TOLERANCE,
    slack: float = 0.0,
) -> DualPoint:
    """Find the sale's dual prices.

    Parameters
    ----------
    table
        The pools.
    start
        Shape (n,): log prices to begin from.
    costs, temperature
        Fixed cost a pool, shape (pools,), smoothed over that much; without them trades are free.
    slack
        See `wishes_of`: with a little of it the flow obeys the constraints in spite of rounding.
    """
    count = len(sale.sold)
    logs = np.zeros(count) if start is None else start.copy()
    counters = np.zeros(2, np.int64)
    wishes = wishes_of(sale, slack)
    miss = search(table, wishes, NO_COSTS if costs is None else costs, temperature, logs, tolerance, ROUNDS, counters)
    _snap(table, logs, wishes.fixed)
    return answer(table, sale, logs, float(miss))


def answer(table: PoolTable, sale: Sale, logs: FloatArray, miss: float = 0.0) -> DualPoint:
    """What the pools say to given prices, and the bound that follows."""
    pools = len(table.slot) - 1
    trades, surplus, weights = np.zeros(len(table.token)), np.zeros(pools), np.zeros(pools)
    respond_each(table, logs, trades, surplus, weights)
    bound = float(surplus.sum() + np.exp(logs) @ sale.sold)
    return DualPoint(logs, trades, surplus, weights, bound, miss)


def _snap(table: PoolTable, logs: FloatArray, fixed: NDArray[np.bool_]) -> None:
    """Put wrapped tokens exactly at their rates, where the search left them within its elasticity.

    A rate without limit bounds nothing unless prices keep to it to the last digit.
    """
    linear = table.linear
    for k in range(len(linear.pool)):
        first, second = linear.first[k], linear.second[k]
        gain = logs[second] + linear.log_rate[k] - logs[first]
        if abs(gain) < _SNAP:
            if not fixed[second]:
                logs[second] = logs[first] - linear.log_rate[k]
            elif not fixed[first]:
                logs[first] = logs[second] + linear.log_rate[k]
