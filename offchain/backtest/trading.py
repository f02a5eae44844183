# SPDX-License-Identifier: Apache-2.0
"""One order: executed on the pools, attacked if there is an attacker, judged by the vault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from offchain.allocate import Plan
from offchain.backtest.errors import Refused
from offchain.backtest.execution import Executed, LegCost, execute, leg_costs
from offchain.backtest.ledger import Ledger
from offchain.backtest.records import SettlementRecord
from offchain.backtest.sandwich import sandwich
from offchain.market.snapshot import Snapshot
from offchain.route.gas import LENDING_GAS
from offchain.route.leg import LendingAction
from offchain.route.pool import Pool
from offchain.settle.order import Order

SETTLE_GAS, LEG_GAS = 250_000, 63_000
"""Units of gas, from receipts of settlements of five assets."""


@dataclass(frozen=True, slots=True)
class Traded:
    """An order that settled.

    Attributes
    ----------
    ledger
        The vault afterwards.
    pools
        All pools afterwards, an attacker's trades included.
    amounts_in, amounts_out, costs
        A leg each; base units.
    loss, turnover
        Charged to the budgets, fractions at 1e18.
    """

    ledger: Ledger
    pools: tuple[Pool, ...]
    amounts_in: tuple[int, ...]
    amounts_out: tuple[int, ...]
    costs: tuple[LegCost, ...]
    loss: int
    turnover: int


def settle(
    order: Order,
    ledger: Ledger,
    snapshot: Snapshot,
    pools: Sequence[Pool],
    unit_prices: Sequence[float],
    *,
    attack_gas_usd: float | None = None,
) -> Traded:
    """Settle an order as the vault would.

    Parameters
    ----------
    ledger
        The vault that the snapshot shows.
    unit_prices
        Shape (n,): the market's USD per base unit.
    attack_gas_usd
        USD of a unit of gas to an attacker; None when nobody attacks.

    Raises
    ------
    Refused
        The vault reverts, with its reason.
    """
    if snapshot.block.base_fee > order.max_base_fee:
        raise Refused("orders: base fee above ceiling")
    if snapshot.block.number > order.deadline:
        raise Refused("orders: expired")
    if order.nonce != ledger.nonce:
        raise Refused("orders: wrong nonce")

    def judge(executed: Executed) -> tuple[Ledger, int, int]:
        after, lost, turned = ledger.judged(snapshot, executed.holdings, executed.lending)
        prices = [asset.price for asset in snapshot.assets]
        if after.value_per_share(prices) < order.min_value_per_share:
            raise Refused("limits: value per share")
        return after, lost, turned

    def accepts(executed: Executed) -> bool:
        try:
            judge(executed)
        except Refused:
            return False
        return True

    def attempted(moved: Sequence[Pool]) -> Executed:
        return execute(order, ledger.holdings, moved, ledger.lending)

    quiet = real = attempted(pools)
    judged = judge(quiet)
    if attack_gas_usd is not None:
        attack = sandwich(order, quiet, attempted, pools, unit_prices, attack_gas_usd, accepts)
        if attack is not None:
            real = attack.executed
            judged = judge(real)
    costs = leg_costs(order, pools, quiet, real, unit_prices)
    return Traded(judged[0], real.pools, real.amounts_in, real.amounts_out, costs, judged[1], judged[2])


def settlement_gas(order: Order) -> int:
    """Units of gas that the keeper pays for an order."""
    lending_gas = sum(LENDING_GAS[LendingAction(leg.fee)] for leg in order.legs if leg.token_in == leg.token_out)
    return SETTLE_GAS + lending_gas + LEG_GAS * sum(leg.token_in != leg.token_out for leg in order.legs)


def settlement_record(now: int, plan: Plan, traded: Traded, value: float, gas: float) -> SettlementRecord:
    """What is written down of an order that settled; value and gas in USD."""
    costs = traded.costs
    return SettlementRecord(
        timestamp=now,
        reason=str(plan.reason),
        legs=len(plan.legs),
        value=value,
        planned_cost=plan.slippage_cost_usd,
        fees=sum(cost.fee for cost in costs),
        impact=sum(cost.impact for cost in costs),
        sandwich=sum(cost.sandwich for cost in costs),
        basis=sum(cost.basis for cost in costs),
        gas=gas,
        loss=traded.loss,
        turnover=traded.turnover,
        binding=tuple(limit.name for limit in plan.binding_limits),
    )
