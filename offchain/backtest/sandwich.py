# SPDX-License-Identifier: Apache-2.0
"""Attackers who read the mempool: what an order loses to them, at most what its minimum outputs allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from offchain.backtest.errors import Refused
from offchain.backtest.execution import Executed, find_pool
from offchain.route.errors import RouteError
from offchain.route.pool import Pool
from offchain.settle.order import Leg, Order

GAS_OF_BOTH = 350_000
"""What front-run and back-run use together, about."""
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_STEPS = 40


@dataclass(frozen=True, slots=True)
class Sandwich:
    """An attack on an order and what is left after it.

    Attributes
    ----------
    executed
        The order between the attacker's two swaps; its pools are those after both.
    profit_usd
        The attacker's, after gas.
    """

    executed: Executed
    profit_usd: float


def sandwich(
    order: Order,
    quiet: Executed,
    attempted: Callable[[Sequence[Pool]], Executed],
    pools: Sequence[Pool],
    unit_prices: Sequence[float],
    gas_usd: float,
    accepts: Callable[[Executed], bool],
) -> Sandwich | None:
    """Attack an order's largest leg as well as it can be done; None when no attack pays.

    The attacker buys before the leg and sells after the order, in the same pool. The leg's minimum output bounds
    what can be taken; what the vault would refuse is not tried.

    Parameters
    ----------
    quiet
        What the order does when nobody attacks.
    attempted
        What it does on other pools; raises `Refused`.
    unit_prices
        Shape (n,): USD per base unit.
    gas_usd
        USD of a unit of gas.
    accepts
        Whether the vault would accept an execution.
    """
    filled = zip(order.legs, quiet.amounts_in, quiet.used, strict=True)
    trades = [leg for leg, amount, used in filled if amount and used >= 0]
    if not trades:
        return None
    victim = max(trades, key=lambda leg: leg.amount_in * unit_prices[leg.token_in])
    index = find_pool(pools, victim)

    def attempt(spent: int) -> Sandwich | None:
        if spent <= 0:
            return None
        try:
            front = pools[index].swap(victim.token_in, spent)
            moved = [*pools[:index], front.after, *pools[index + 1 :]]
            executed = attempted(moved)
            back = executed.pools[index].swap(victim.token_out, front.amount_out)
        except (Refused, RouteError):
            return None
        if not accepts(executed):
            return None
        gained = (back.amount_out - front.amount_in) * unit_prices[victim.token_in]
        after = (*executed.pools[:index], back.after, *executed.pools[index + 1 :])
        return Sandwich(replace(executed, pools=after), gained - GAS_OF_BOTH * gas_usd)

    best = _best(attempt, _most(attempt, victim))
    return best if best is not None and best.profit_usd > 0 else None


def _most(attempt: Callable[[int], Sandwich | None], victim: Leg) -> int:
    """Largest front-run that the order still survives."""
    low, high = 0, max(1, victim.amount_in)
    for _ in range(30):
        if attempt(high) is None:
            break
        low, high = high, high * 4
    for _ in range(_STEPS):
        middle = (low + high) // 2
        if attempt(middle) is None:
            high = middle
        else:
            low = middle
        if high - low <= max(1, high >> 20):
            break
    return low


def _best(attempt: Callable[[int], Sandwich | None], most: int) -> Sandwich | None:
    """Golden section over the size; the gain has one peak."""
    if most <= 0:
        return None

    def gain(size: float) -> float:
        result = attempt(int(size))
        return -math.inf if result is None else result.profit_usd

    low, high = 0.0, float(most)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = gain(left), gain(right)
    for _ in range(_STEPS // 2):
        if at_left < at_right:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = gain(right)
        else:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = gain(left)
    size = most if gain(float(most)) >= max(at_left, at_right) else int((low + high) / 2)
    return attempt(size)
