# SPDX-License-Identifier: Apache-2.0
"""Rebalancing a portfolio: the joint program against optimising first and routing afterwards, three ways.

All start from the same holdings and the same pools, and are judged by the same utility of what they end with. The
peers go to the weights that are optimal without costs: by the best flow through all pools, by splits on a 5 % grid
over paths of one or two pools, as routers do, and by the best single path of each trade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from bench import Row
from offchain.allocate.solution import Program, optimise
from offchain.allocate.solvers import Weights, solve_weights
from offchain.route.errors import RouteNotFoundError
from offchain.route.kernels import PoolTable, product_table
from tests.support.markets import Market, random_market

TOKENS, POOLS, MARKETS = 8, 60, 12
VALUES = (1e5, 1e6, 1e7, 1e8)
STIFFNESS = 100.0
"""As the planner's: missing a weight by a basis point counts 5e-7."""
CHUNKS = 20

Floats = NDArray[np.float64]


def rows() -> list[Row]:
    return [rebalance(value) for value in VALUES]


def rebalance(value: float) -> Row:
    """Mean over markets of the utility gained over doing nothing, in basis points of value.

    Markets in which some way does not keep the limits are left out."""
    gained: dict[str, list[float]] = {}
    lost: dict[str, list[float]] = {}
    for seed in range(MARKETS):
        market = random_market(TOKENS, POOLS, seed, value=value, risk_aversion=4.0)
        program = market.program
        idle = program.value(program.start)
        ways = _ways(market)
        if any(max((h - program.upper).max(), (program.lower - h).max()) > 1e-6 for h in ways.values()):
            continue
        for name, holdings in ways.items():
            gained.setdefault(name, []).append(1e4 * (program.value(holdings) - idle))
            lost.setdefault(name, []).append(1e4 * (1 - holdings.sum()))
    return {
        "name": "rebalance", "size": {"usd": f"{value:.0e}", "markets": len(gained["joint"])},
        "utility_gained_bps": {name: round(mean(each), 2) for name, each in gained.items()},
        "value_lost_bps": {name: round(mean(each), 2) for name, each in lost.items()},
        "joint_is_best": all(
            gained["joint"][k] >= each[k] - 2e-4 for each in gained.values() for k in range(len(each))
        ),
    }  # fmt: skip


def _ways(market: Market) -> dict[str, Floats]:
    table = product_table(market.ends, market.reserves, market.keep, market.units)
    reserves = market.reserves * market.units[market.ends]
    pools = [
        Product((first, second), (float(side0), float(side1)), float(keep))
        for (first, second), (side0, side1), keep in zip(market.ends.tolist(), reserves, market.keep, strict=True)
    ]
    return ways(market.program, table, pools)


class Place(Protocol):
    """Where a path may trade, in units of value."""

    @property
    def ends(self) -> tuple[int, int]: ...

    @property
    def depth(self) -> float: ...

    def swap(self, token: int, amount: float) -> tuple[float, Self]:
        """What it pays, and itself afterwards."""


@dataclass(frozen=True, slots=True)
class Product:
    """A constant product; `keep` is what is left of an input after the fee."""

    ends: tuple[int, int]
    reserves: tuple[float, float]
    keep: float

    @property
    def depth(self) -> float:
        return min(self.reserves)

    def swap(self, token: int, amount: float) -> tuple[float, Product]:
        side = self.ends.index(token)
        taken, given = self.reserves[side], self.reserves[1 - side]
        kept = amount * self.keep
        out = given * kept / (taken + kept)
        after = (taken + amount, given - out)
        return out, replace(self, reserves=after if side == 0 else after[::-1])


def ways(program: Program, table: PoolTable, pools: Sequence[Place]) -> dict[str, Floats]:
    """Holdings after each way, as fractions of the value before; `table` and `pools` are the same pools."""
    wanted = solve_weights(Weights.build(program.gram, program.linear, program.lower, program.upper)).x
    towards = Program.box(
        program.start,
        1 + STIFFNESS * wanted,
        STIFFNESS * np.eye(len(wanted)),
        program.lower,
        program.upper,
    )
    return {
        "joint": optimise(program, table).x,
        "optimise, then route": optimise(towards, table).x,
        "5 % grid": _Paths(pools, program.start).trade(wanted, CHUNKS),
        "single path": _Paths(pools, program.start).trade(wanted, 1),
    }


class _Paths:
    """Trades one after the other over paths of one or two pools, in units of value; pools move as they trade."""

    def __init__(self, pools: Sequence[Place], start: Floats) -> None:
        self.pools = list(pools)
        self.start = start
        self.between: dict[tuple[int, int], list[int]] = {}
        for pool, place in enumerate(pools):
            first, second = place.ends
            self.between.setdefault((first, second), []).append(pool)
            self.between.setdefault((second, first), []).append(pool)

    def trade(self, wanted: Floats, chunks: int) -> Floats:
        """Sell what is too much for what is too little, the largest pair first."""
        holdings, rest = self.start.copy(), wanted - self.start
        for _ in range(4 * len(rest)):
            sold, bought = int(np.argmin(rest)), int(np.argmax(rest))
            amount = min(-rest[sold], rest[bought])
            if amount < 1e-6:
                break
            paid = 0.0
            for _ in range(chunks):
                best = max(self._paths(sold, bought), key=lambda path: self._pay(path, sold, amount / chunks))
                part = self._pay(best, sold, amount / chunks, trade=True)
                if part <= 0:
                    raise RouteNotFoundError(sold, "no path takes a part of it that large; rebalance less")
                paid += part
            holdings[sold] -= amount
            holdings[bought] += paid
            rest[sold] += amount
            rest[bought] -= amount
        return holdings

    def _paths(self, sold: int, bought: int) -> list[tuple[int, ...]]:
        direct = [(pool,) for pool in self.between.get((sold, bought), ())]
        hops = [
            (first, second)
            for middle in range(len(self.start))
            if middle not in (sold, bought)
            for first in self._deepest(sold, middle)
            for second in self._deepest(middle, bought)
        ]
        return [*direct, *hops]

    def _deepest(self, first: int, second: int) -> list[int]:
        return sorted(self.between.get((first, second), ()), key=lambda pool: -self.pools[pool].depth)[:3]

    def _pay(self, path: tuple[int, ...], token: int, amount: float, trade: bool = False) -> float:
        for pool in path:
            place = self.pools[pool]
            amount, after = place.swap(token, amount)
            token = place.ends[1 - place.ends.index(token)]
            if trade:
                self.pools[pool] = after
        return amount
