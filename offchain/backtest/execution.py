# SPDX-License-Identifier: Apache-2.0
"""An order against exact pools: clamped legs, minimum outputs, what each leg cost and to whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from offchain.backtest.errors import Refused
from offchain.backtest.lending import act
from offchain.market.snapshot import LendingState
from offchain.route.errors import InsufficientLiquidityError, LiquidityUnknownError
from offchain.route.leg import LendingAction, Venue
from offchain.route.pool import Pool
from offchain.settle.order import Leg, Order

PPM = 1_000_000
V2_FEE_PPM = 3_000


@dataclass(frozen=True, slots=True)
class LegCost:
    """Where the value of one leg went, USD at the market's prices; the four parts add up to value in less value out."""

    fee: float
    """Kept by the pool as its fee."""
    impact: float
    """Given up by moving the pool's price."""
    sandwich: float
    """Taken by an attacker around the transaction."""
    basis: float
    """The pool stood that far from the market's prices when the leg began; negative when in our favour."""

    @property
    def total(self) -> float:
        """USD."""
        return self.fee + self.impact + self.sandwich + self.basis


@dataclass(frozen=True, slots=True)
class Executed:
    """What the legs did.

    Attributes
    ----------
    holdings
        Base units afterwards.
    pools
        All pools afterwards, in the order they came in.
    amounts_in, amounts_out
        Base units that left and entered the wallet, a leg each.
    used
        Index of each leg's pool; -1 for a lending action.
    lending
        The lending account afterwards; None without one.
    """

    holdings: tuple[int, ...]
    pools: tuple[Pool, ...]
    amounts_in: tuple[int, ...]
    amounts_out: tuple[int, ...]
    used: tuple[int, ...]
    lending: LendingState | None = None


def execute(
    order: Order, holdings: Sequence[int], pools: Sequence[Pool], lending: LendingState | None = None
) -> Executed:
    """Run an order's legs as ``Vault._execute`` does.

    Parameters
    ----------
    lending
        The vault's lending account, where it has one.

    Raises
    ------
    Refused
        A leg pays less than its minimum, its pool does not exist or cannot fill it, or the lending pool reverts.
    """
    held, after = list(holdings), list(pools)
    amounts_in, amounts_out, used = [], [], []
    for leg in order.legs:
        if lending is not None and leg.venue == lending.venue:
            asset, action = leg.token_in, LendingAction(leg.fee)
            lending, change = act(lending, action, asset, leg.amount_in, held[asset])
            if max(0, change) < leg.min_amount_out:
                raise Refused("orders: amount out below minimum")
            held[asset] += change
            amounts_in.append(max(0, -change))
            amounts_out.append(max(0, change))
            used.append(-1)
            continue
        index = find_pool(after, leg)
        amount_in, amount_out = min(leg.amount_in, held[leg.token_in]), 0
        if amount_in:
            minimum = -(-leg.min_amount_out * amount_in // leg.amount_in)
            try:
                swap = after[index].swap(leg.token_in, amount_in)
            except (InsufficientLiquidityError, LiquidityUnknownError):
                raise Refused("uniswap: not enough liquidity") from None
            amount_in, amount_out = swap.amount_in, swap.amount_out
            if amount_out < minimum:
                raise Refused("orders: amount out below minimum")
            after[index] = swap.after
            held[leg.token_in] -= amount_in
            held[leg.token_out] += amount_out
        amounts_in.append(amount_in)
        amounts_out.append(amount_out)
        used.append(index)
    return Executed(tuple(held), tuple(after), tuple(amounts_in), tuple(amounts_out), tuple(used), lending)


def leg_costs(
    order: Order, before: Sequence[Pool], quiet: Executed, real: Executed, unit_prices: Sequence[float]
) -> tuple[LegCost, ...]:
    """Attribute the cost of each leg.

    Parameters
    ----------
    before
        Pools before the order, without any attack.
    quiet
        What the order would have done without an attack; `real` itself where there was none.
    real
        What it did.
    unit_prices
        Shape (n,): the market's USD per base unit.
    """
    pools, costs = list(before), []
    for position, leg in enumerate(order.legs):
        amount_in, amount_out = real.amounts_in[position], real.amounts_out[position]
        index = quiet.used[position]
        if index < 0:
            costs.append(LegCost(0.0, 0.0, 0.0, 0.0))
            continue
        pool = pools[index]
        if quiet.amounts_in[position]:
            pools[index] = pool.swap(leg.token_in, quiet.amounts_in[position]).after
        if not amount_in:
            costs.append(LegCost(0.0, 0.0, 0.0, 0.0))
            continue
        keep = 1 - fee_fraction(pool)
        middle = pool.marginal_price(leg.token_in) / keep
        # Legs after an attacked one may have other inputs: rates are what is compared.
        quiet_in = quiet.amounts_in[position]
        undisturbed = quiet.amounts_out[position] / quiet_in * amount_in if quiet_in else amount_in * middle * keep
        price_in, price_out = unit_prices[leg.token_in], unit_prices[leg.token_out]
        fair_out = amount_in * middle
        costs.append(
            LegCost(
                fee=fair_out * (1 - keep) * price_out,
                impact=(fair_out * keep - undisturbed) * price_out,
                sandwich=(undisturbed - amount_out) * price_out,
                basis=amount_in * price_in - fair_out * price_out,
            )
        )
    return tuple(costs)


def find_pool(pools: Sequence[Pool], leg: Leg) -> int:
    """Index of the pool that the vault would call for a leg.

    Raises
    ------
    Refused
        There is none.
    """
    pair = {leg.token_in, leg.token_out}
    for index, pool in enumerate(pools):
        same = pool.venue == leg.venue and {pool.token0, pool.token1} == pair
        if same and (leg.venue is Venue.UNISWAP_V2 or pool.fee_ppm == leg.fee):
            return index
    raise Refused("uniswap: no such pool")


def fee_fraction(pool: Pool) -> float:
    """Part of the input that the pool keeps."""
    return (V2_FEE_PPM if pool.venue is Venue.UNISWAP_V2 else pool.fee_ppm) / PPM
