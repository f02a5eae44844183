# SPDX-License-Identifier: Apache-2.0
"""From a wanted change of holdings to the legs that bring it about best, to the wei."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from offchain.route.demand import Demand, FloatArray
from offchain.route.errors import InvalidAmountError, RouteNotFoundError
from offchain.route.flow import Flow, FlowSearch
from offchain.route.gas import GasPrice
from offchain.route.leg import PlannedLeg
from offchain.route.pool import Pool

BoolArray = NDArray[np.bool_]

MAX_LEGS = 16
STIFFNESS = 100.0
"""Missing a change by one basis point of value counts as a loss of 5e-7 of value."""

_TRICKLE = 20.0  # times its gas: legs that move less are tried together


@dataclass(frozen=True, slots=True)
class Trade:
    """A wish to change holdings.

    Attributes
    ----------
    holdings
        Token base units that may be spent.
    prices
        Reference prices, USD at 18 decimals per 10**18 base units; positive.
    changes
        Wanted net change of each token, base units, negative to sell.
    residual
        Token that takes what the others leave: amounts seldom add up at what the pools charge. Its
        own change is a consequence, not a wish.
    marginal
        Shape (n,): worth of a unit relative to its reference price; by default 1.
    stiffness
        Shape (n,): see `Demand`; by default `STIFFNESS`, 0 for the residual. Infinite makes a
        change exact.
    """

    holdings: tuple[int, ...]
    prices: tuple[int, ...]
    changes: tuple[int, ...]
    residual: int = 0
    marginal: FloatArray | None = None
    stiffness: FloatArray | None = None

    @property
    def value(self) -> int:
        """USD at 18 decimals of the holdings at reference prices."""
        return sum(held * price // 10**18 for held, price in zip(self.holdings, self.prices, strict=True))

    def demand(self) -> Demand:
        """The wish in fractions of the holdings' value.

        Raises
        ------
        InvalidAmountError
            Nothing is held, something is negative, or more is to be sold than is held.
        """
        count = len(self.holdings)
        stiffness = self.stiffness
        if stiffness is None:
            stiffness = np.full(count, STIFFNESS)
            stiffness[self.residual] = 0.0
        for index, (held, change) in enumerate(zip(self.holdings, self.changes, strict=True)):
            if held < 0 or held + change < 0:
                raise InvalidAmountError(f"token {index}: holding {held} cannot change by {change}")
        value = self.value
        if value <= 0:
            raise InvalidAmountError("the holdings are worth nothing; there is nothing to trade")
        unit_values = np.array([price / 10**18 / value for price in self.prices])
        return Demand(
            unit_values,
            np.array(
                [change * price / 10**18 / value for change, price in zip(self.changes, self.prices, strict=True)]
            ),
            np.ones(count) if self.marginal is None else self.marginal,
            stiffness,
        )


@dataclass(frozen=True, slots=True)
class Route:
    """Legs in the order in which the vault executes them, and what they leave.

    Attributes
    ----------
    holdings
        Base units after the legs, to the wei.
    gas_cost_usd
        Of the whole settlement; 0 without legs.
    prices
        Shape (n,): what one more unit of each token would cost, relative to its reference price.
    pools
        Every pool's state after the legs, in the order given.
    """

    legs: tuple[PlannedLeg, ...]
    holdings: tuple[int, ...]
    gas_cost_usd: float
    prices: FloatArray
    pools: tuple[Pool, ...]


def best_route(pools: Sequence[Pool], trade: Trade, gas: GasPrice, max_legs: int = MAX_LEGS) -> Route:
    """Split a trade over all pools and hops.

    Finds the flow at which no pool offers a better price than another, strikes out legs that
    earn less than their gas, orders the rest so that the vault can run them one after the
    other, and rounds them so that no token is left over on its way.

    Parameters
    ----------
    pools
        Of the trade's tokens; unused ones are simply not used.
    trade
        Holdings, prices and wanted changes.
    gas
        Decides which legs pay.
    max_legs
        Most legs allowed.

    Raises
    ------
    RouteNotFoundError
        No flow meets the wish with at most `max_legs` legs; names the token.
    InvalidAmountError
        The wish has no meaning.
    LiquidityUnknownError
        The wish runs past the ticks that the snapshot read.
    """
    demand = trade.demand()
    value_usd = trade.value / 10**18
    costs = np.array([gas.of_leg(pool.venue) for pool in pools]) / value_usd
    flow = _prune(pools, demand, costs, max_legs)
    legs, holdings, after = _execute(pools, flow, trade, demand)
    return Route(legs, holdings, gas.of_settlement(legs), flow.prices, tuple(after))


def execute(
    pools: Sequence[Pool], holdings: Sequence[int], legs: Sequence[PlannedLeg]
) -> tuple[tuple[PlannedLeg, ...], tuple[int, ...], tuple[Pool, ...]]:
    """Run legs one after the other as the vault does: amounts clamp to what is there, zero amounts are skipped.

    Returns
    -------
    legs
        With what each pool really pays; their `amount_in` stays as ordered.
    holdings
        Base units afterwards.
    pools
        States afterwards, in the order given.

    Raises
    ------
    KeyError
        A leg names a pool that is not among `pools`.
    LiquidityUnknownError, InsufficientLiquidityError
        A leg asks more of a pool than is known or there.
    """
    states = {pool.address: pool for pool in pools}
    held = list(holdings)
    filled = []
    for leg in legs:
        swap = states[leg.pool].swap(leg.token_in, min(leg.amount_in, held[leg.token_in]))
        states[leg.pool] = swap.after
        held[leg.token_in] -= swap.amount_in
        held[leg.token_out] += swap.amount_out
        filled.append(replace(leg, amount_out=swap.amount_out))
    return tuple(filled), tuple(held), tuple(states[pool.address] for pool in pools)


def _prune(pools: Sequence[Pool], demand: Demand, costs: FloatArray, max_legs: int) -> Flow:
    """Backward elimination of legs that do not pay for their gas.

    Without pool k the objective falls by at least its surplus at the dual prices, so only
    legs whose surplus is below their gas are candidates.
    """
    search = FlowSearch(pools, demand)
    kept, flow = np.ones(len(pools), np.bool_), search.solve()
    moved = np.abs(flow.trades[:, 0]) * np.array([demand.unit_values[pool.token0] for pool in pools])
    trickles = flow.used & (moved < _TRICKLE * costs)
    if trickles.any():
        kept, flow = _without(search, costs, kept, flow, trickles)
    tried = np.zeros(len(pools), np.bool_)
    while True:
        if flow.used.sum() > max_legs:
            kept, flow = _with_one_less(search, demand, costs, flow, max_legs)
            continue
        candidates = flow.used & ~tried & (flow.surplus < costs)
        if not candidates.any():
            return flow
        weakest = int(np.argmin(np.where(candidates, flow.surplus - costs, np.inf)))
        tried[weakest] = True
        kept, flow = _without(search, costs, kept, flow, np.arange(len(pools)) == weakest)


def _with_one_less(
    search: FlowSearch, demand: Demand, costs: FloatArray, flow: Flow, max_legs: int
) -> tuple[BoolArray, Flow]:
    """The best flow through all but one of the used pools; a small surplus alone does not make one dispensable."""
    best: tuple[BoolArray, Flow] | None = None
    most = -np.inf
    # At today's dual prices nothing through the others is worth more than this, whichever of them it uses.
    ceiling = flow.value - flow.surplus.sum() + np.where(flow.used, np.maximum(flow.surplus - costs, 0.0), 0.0).sum()
    for index in sorted(np.flatnonzero(flow.used).tolist(), key=lambda index: (flow.surplus[index], index)):
        if ceiling - max(float(flow.surplus[index] - costs[index]), 0.0) < most:
            continue
        fewer = flow.used
        fewer[index] = False
        try:
            found = search.solve(flow.prices, fewer)
        except RouteNotFoundError:
            continue
        net = _net(found, costs)
        if net > most:
            best, most = (fewer, found), net
    if best is None:
        raise RouteNotFoundError(int(np.argmax(np.abs(demand.wanted))), f"no route has at most {max_legs} legs")
    return best


def _without(
    search: FlowSearch, costs: FloatArray, kept: BoolArray, flow: Flow, struck: BoolArray
) -> tuple[BoolArray, Flow]:
    """The flow without some pools, when it is worth more after gas than with them.

    Tried without stand-ins first: what is cut off would trickle through the next best pools.
    """
    net = _net(flow, costs)
    fewest, fewer = flow.used & ~struck, kept & ~struck
    for candidates in (fewest,) if (fewest == fewer).all() else (fewest, fewer):
        try:
            other = search.solve(flow.prices, candidates)
        except RouteNotFoundError:
            continue
        if _net(other, costs) >= net:
            return candidates, other
    return kept, flow


def _net(flow: Flow, costs: FloatArray) -> float:
    return flow.value - float(costs[flow.used].sum())


def _execute(
    pools: Sequence[Pool], flow: Flow, trade: Trade, demand: Demand
) -> tuple[tuple[PlannedLeg, ...], tuple[int, ...], list[Pool]]:
    """Order, round and run the legs on the exact pools."""
    goals = _goals(flow, trade, demand)
    holdings = list(trade.holdings)
    states = list(pools)
    legs: list[PlannedLeg] = []
    for token, outgoing, complete in _schedule(pools, flow, trade.holdings):
        for place, index in enumerate(outgoing):
            pool = states[index]
            amount = int(-flow.trades[index].min())
            if complete and place + 1 == len(outgoing):
                # All that was to come has come: what is left above the goal goes, to the wei.
                amount = holdings[token] - goals[token]
            amount = min(amount, holdings[token])
            if amount <= 0 or pool.quote_in(token, amount) <= 0:
                continue
            swap = pool.swap(token, amount)
            out = pool.token1 if token == pool.token0 else pool.token0
            states[index] = swap.after
            holdings[token] -= swap.amount_in
            holdings[out] += swap.amount_out
            legs.append(PlannedLeg(pool.venue, pool.address, token, out, pool.fee_ppm, swap.amount_in, swap.amount_out))
    return tuple(legs), tuple(holdings), states


def _goals(flow: Flow, trade: Trade, demand: Demand) -> list[int]:
    """Holdings to end with, base units: exact where the wish is, else as the flow found best."""
    goals = []
    for token, (held, change) in enumerate(zip(trade.holdings, trade.changes, strict=True)):
        missed = 0.0
        if np.isfinite(demand.stiffness[token]):
            missed = (flow.change[token] - demand.wanted[token]) / demand.unit_values[token]
        goals.append(max(0, held + change + round(missed)))
    return goals


def _schedule(pools: Sequence[Pool], flow: Flow, holdings: tuple[int, ...]) -> list[tuple[int, list[int], bool]]:
    """Group the legs by the token they sell, in an order that never spends what is not there yet.

    Returns
    -------
    list of (token, pools that sell it with the largest last, whether every inflow came before)
    """
    sold: dict[int, list[int]] = {}
    waiting: dict[int, int] = {}
    needed: dict[int, float] = {}
    for index in np.flatnonzero(flow.used).tolist():
        pool = pools[index]
        first = flow.trades[index, 0] < 0
        token_in, token_out = (pool.token0, pool.token1) if first else (pool.token1, pool.token0)
        sold.setdefault(token_in, []).append(index)
        waiting[token_out] = waiting.get(token_out, 0) + 1
        needed[token_in] = needed.get(token_in, 0.0) - float(flow.trades[index].min())
    order: list[tuple[int, list[int], bool]] = []
    while sold:
        # In a cycle of tokens somebody must begin: who can pay the most of it from stock.
        token = min(sold, key=lambda t: (waiting.get(t, 0) > 0, -min(1.0, holdings[t] / needed[t]), t))
        outgoing = sorted(sold.pop(token), key=lambda index: (-flow.trades[index].min(), index))
        order.append((token, outgoing, waiting.get(token, 0) == 0))
        for index in outgoing:
            pool = pools[index]
            waiting[pool.token1 if token == pool.token0 else pool.token0] -= 1
    return order
