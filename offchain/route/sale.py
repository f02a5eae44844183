# SPDX-License-Identifier: Apache-2.0
"""Selling a basket of tokens for one token through any number of pools and hops, to the wei."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.route.curves import Curve, LinearCurve
from offchain.route.dual import DualPoint, Sale, answer, solve_sale
from offchain.route.errors import InvalidAmountError, RouteNotFoundError
from offchain.route.fixed_costs import choose_pools, net_bound
from offchain.route.kernels import PoolTable, build_table
from offchain.route.pool import AnyPool
from offchain.route.reference import limit_wraps, reference_values
from offchain.route.sequence import DoneSwap, PlannedSwap, Sequencer

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# All in units of the basket's value.
_DEPTH = 10.0  # wraps count as elastic over that much
_IDLE = 1e-12  # a pool that moves less is left alone
_MATTERS = 1e-11  # fixed costs below do not change the choice of pools
_CLOSE = 2e-9  # a plan that close to its bound is good enough

_ROUNDS = 4
"""Swaps for each one planned, at most, on one walk along a flow with cycles."""
_WALKS = 16
_GAIN = 0.005
"""Of what is missing: what another walk must bring."""
_FLOAT_ERROR = 1e-14


@dataclass(frozen=True, slots=True)
class SaleRoute:
    """Exact swaps that sell a basket, and how good they are.

    Attributes
    ----------
    swaps
        In order; pools are indices into the asker's.
    out
        Base units of the token bought.
    left
        By token, base units of the basket that no pool would take, or not for a base unit of anything.
    bound
        Base units: no other routing yields more, after its fixed costs.
    net
        `out` less the swaps' fixed costs, base units.
    prices
        Shape (n,): base units of the token bought for one more base unit of each; 0 where no path leads to it.
    pools
        States afterwards.
    seconds
        What the search and the swaps took.
    """

    swaps: tuple[DoneSwap, ...]
    out: int
    left: tuple[int, ...]
    bound: float
    net: float
    prices: FloatArray
    pools: tuple[AnyPool, ...]
    seconds: float

    @property
    def gap(self) -> float:
        """What any other routing could gain at most, relative to what this one yields or to one base unit."""
        return max(self.bound - self.net, 0.0) / max(self.out, 1)


def sell_basket(
    pools: Sequence[AnyPool], sold: Sequence[int], buy: int, costs: Sequence[float] | None = None
) -> SaleRoute:
    """Find the best way to sell a basket, and run it on the pools.

    Everything in the basket is sold as far as pools can take it; fixed costs decide which way.
    Standing arbitrage between pools is taken along where it pays and what is at hand can start it:
    where it is large beside the basket, the flow is searched and walked several times, each time
    from where the last walk ended.

    Parameters
    ----------
    pools
        Of any kinds; tokens are indices into `sold`.
    sold
        Base units to sell of each token; 0 for `buy`.
    buy
        Index of the token wanted.
    costs
        Of using each pool once, base units of `buy`; by default nothing.

    Raises
    ------
    InvalidAmountError
        An amount is negative, nothing is sold, or what is bought is sold too.
    RouteNotFoundError
        No path of pools leads from something sold to what is bought; names the token.
    """
    began = time.perf_counter()
    _check(sold, buy)
    task = _Task(pools, sold, buy, costs)
    flow = task.search(pools, sold)
    best = task.walk(pools, sold, flow, _ROUNDS)
    if flow.bound - task.net(best) > _CLOSE:
        best = max(best, task.walk(pools, sold, flow, 0), key=task.net)
    unit = task.units[buy]
    return SaleRoute(
        tuple(best.done),
        best.holdings[buy],
        tuple(0 if token == buy else held for token, held in enumerate(best.holdings)),
        flow.bound / unit * (1 + _FLOAT_ERROR),
        task.net(best) / unit,
        np.where(task.reachable, flow.point.prices * task.units / unit, 0.0),
        tuple(best.pools),
        time.perf_counter() - began,
    )


def _check(sold: Sequence[int], buy: int) -> None:
    for token, amount in enumerate(sold):
        if amount < 0:
            raise InvalidAmountError(f"token {token}: amount {amount} to sell is negative")
    if not any(sold):
        raise InvalidAmountError("nothing is to be sold")
    if sold[buy]:
        raise InvalidAmountError(f"token {buy} is both sold and bought")


@dataclass(frozen=True, slots=True)
class _Flow:
    """Pools to use, the optimum over them, and what no routing nets more than; reference values."""

    table: PoolTable
    kept: BoolArray
    point: DualPoint
    bound: float


class _Task:
    """The sale in reference values, in which the basket counts 1."""

    def __init__(self, pools: Sequence[AnyPool], sold: Sequence[int], buy: int, costs: Sequence[float] | None) -> None:
        self.buy = buy
        self.tokens = [pool.tokens for pool in pools]
        values = reference_values([pool.curve() for pool in pools], self.tokens, buy, len(sold))
        self.reachable = values > 0
        for token, amount in enumerate(sold):
            if amount and not self.reachable[token]:
                raise RouteNotFoundError(token, f"no pools lead from it to token {buy}; leave it out or add one")
        basket = float(values @ np.array([float(amount) for amount in sold]))
        self.units = np.where(self.reachable, values / basket, 1.0)
        self.costs = np.zeros(len(pools)) if costs is None else np.asarray(costs, np.float64) * self.units[buy]
        # A swap loses half a base unit of what it pays to rounding.
        self._rounding = np.array([0.5 * max(self.units[token] for token in members) for members in self.tokens])

    def search(self, pools: Sequence[AnyPool], holdings: Sequence[int]) -> _Flow:
        """The best flow that sells all holdings but those of the token bought."""
        amounts = np.array([float(held) for held in holdings])
        curves: list[Curve] = [
            pool.curve() if self.reachable[members[0]] else LinearCurve(0.0, 0.0, 0.0)
            for pool, members in zip(pools, self.tokens, strict=True)
        ]
        table = build_table(limit_wraps(curves, self.tokens, amounts), self.tokens, self.units, _DEPTH)
        sold = amounts * self.units
        sold[self.buy] = 0.0
        sale = Sale(sold, self.buy, self.reachable)
        free = solve_sale(table, sale)
        at_hand = float(amounts[self.buy] * self.units[self.buy])
        bound = net_bound(free, sale, self.costs)
        costs = self.costs + self._rounding
        if not len(costs) or costs.max() * len(sold) < _MATTERS:
            return _Flow(table, np.ones(len(pools), dtype=bool), free, bound + at_hand)
        choice = choose_pools(table, sale, costs, free)
        full = answer(table, sale, choice.point.logs)
        bound = min(bound, net_bound(full, sale, self.costs))
        return _Flow(table, choice.kept, choice.point, bound + at_hand)

    def walk(self, pools: Sequence[AnyPool], sold: Sequence[int], flow: _Flow, rounds: int) -> Sequencer:
        """Run the flow, then what is still worth it from there, while that helps."""
        worker = Sequencer(pools, sold, self.buy)
        planned = self._planned(flow)
        worker.run(planned, rounds)
        ways = list(planned)
        for _ in range(_WALKS):
            missing = flow.bound - self.net(worker)
            if missing <= _CLOSE:
                break
            further = worker.copy()
            planned = self._planned(self.search(worker.pools, worker.holdings))
            further.run(planned, rounds)
            ways += planned
            enough = self.net(further) > self.net(worker) + _GAIN * missing
            worker = max(worker, further, key=self.net)
            if not enough:
                break
        worker.sweep(ways, self._worth_sweeping(flow.point))
        return worker

    def net(self, worker: Sequencer) -> float:
        """What has been gathered less the fixed costs of the swaps."""
        spent = math.fsum(self.costs[swap.pool] for swap in worker.done)
        return float(worker.holdings[self.buy] * self.units[self.buy]) - spent

    def _planned(self, flow: _Flow) -> list[PlannedSwap]:
        """The flow as swaps of one token for one other."""
        planned = []
        slot, trades, point = flow.table.slot.tolist(), flow.point.trades, flow.point
        values = trades.tolist()
        moved = np.maximum.reduceat(np.abs(trades), flow.table.slot[:-1]) if len(trades) else np.zeros(0)
        for k in np.flatnonzero(flow.kept & (moved > _IDLE)).tolist():
            members = self.tokens[k]
            own = values[slot[k] : slot[k + 1]]
            if len(members) == 2:
                sold = 0 if own[0] < 0 else 1
                pairs = [(sold, 1 - sold, 1.0)] if own[sold] < 0 < own[1 - sold] else []
            else:
                pairs = _pairs(np.array(own) * point.prices[list(members)])
            for i, j, share in pairs:
                amount = -own[i] * share / self.units[members[i]]
                planned.append(PlannedSwap(k, members[i], members[j], float(amount), float(point.weights[k])))
        return planned

    def _worth_sweeping(self, point: DualPoint) -> list[int]:
        """By token, the least remainder that is worth a swap of its own."""
        cost = float(np.median(self.costs)) if len(self.costs) else 0.0
        least = cost / np.maximum(point.prices * self.units, 1e-300)
        return [math.ceil(min(amount, 1e77)) for amount in least]


def _pairs(values: FloatArray) -> list[tuple[int, int, float]]:
    """Match what a pool's trade sells with what it buys, by value.

    Returns
    -------
    list of (place sold, place bought, share of what is sold of it)
    """
    sold = [(int(i), -float(values[i])) for i in np.flatnonzero(values < 0)]
    bought = [(int(i), float(values[i])) for i in np.flatnonzero(values > 0)]
    if not sold or not bought:
        return []
    total_sold, total_bought = math.fsum(v for _, v in sold), math.fsum(v for _, v in bought)
    pairs = []
    places = iter(bought)
    j, rest = next(places)
    for i, value in sold:
        need = value / total_sold * total_bought
        whole = need
        while need > 0:
            part = min(need, rest)
            if part > 1e-9 * whole:
                pairs.append((i, j, part / whole))
            need, rest = need - part, rest - part
            if rest <= 0:
                following = next(places, None)
                if following is None:
                    break
                j, rest = following
    return pairs
