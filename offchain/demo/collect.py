# SPDX-License-Identifier: Apache-2.0
"""Writes a simulation down, for the report and the summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from offchain.demo.simulation import Simulation
from offchain.keeper.report import TickReport
from offchain.market.snapshot import BreakerState, Snapshot
from offchain.settle.calls import TRIPPED, topic
from offchain.settle.node import Node
from offchain.web.record import (
    AssetLimits,
    BreakerRecord,
    FlowRecord,
    LegRecord,
    RunLimits,
    RunRecord,
    SettlementRecord,
    TickRecord,
)

ONE = 10**18
FULL_BPS = 10_000
REASONS = ("none", "drawdown", "guardian")


@dataclass
class Log:
    """What happened so far."""

    simulation: Simulation
    first_block: int
    """Of the vault."""
    ticks: list[TickRecord] = field(default_factory=list)
    settlements: list[SettlementRecord] = field(default_factory=list)
    deposits: list[FlowRecord] = field(default_factory=list)
    redemptions: list[FlowRecord] = field(default_factory=list)

    def tick(self, report: TickReport) -> TickRecord:
        """Note a tick of the keeper, and what it settled."""
        if report.settlement is not None:
            self.settlements.append(settlement_record(self.simulation, report))
        now = self.simulation.snapshot()
        record = TickRecord(
            timestamp=now.block.timestamp,
            block=now.block.number,
            value=now.value,
            value_per_share=now.vault.value_per_share,
            peak=now.vault.peak,
            weights=now.weights,
            loss_level=now.vault.loss_level,
            breaker=now.vault.breaker,
            decision=report.reason,
            base_fee=now.block.base_fee,
            prices_usd={asset.symbol: asset.price_usd for asset in now.assets},
        )
        self.ticks.append(record)
        return record

    def deposit(self, role: str, answer: Mapping[str, Any]) -> None:
        """Note what `ape run deposit` answered."""
        base = self.simulation.mandate.base_asset
        self.deposits.append(self._flow(role, "deposit", answer, {base: int(answer["assets"])}))

    def redemption(self, role: str, kind: str, answer: Mapping[str, Any]) -> None:
        """Note what `ape run redeem` answered; `kind` is ``"redeem"`` or ``"redeem in kind"``."""
        amounts = {symbol: int(amount) for symbol, amount in answer["paid"].items()}
        self.redemptions.append(self._flow(role, kind, answer, amounts))

    def _flow(self, role: str, kind: str, answer: Mapping[str, Any], amounts: Mapping[str, int]) -> FlowRecord:
        there = self.simulation.snapshot(int(answer["block"]))
        prices = {asset.symbol: asset.price for asset in there.assets}
        return FlowRecord(
            timestamp=there.block.timestamp,
            block=there.block.number,
            tx=str(answer["transaction"]),
            account=role,
            kind=kind,
            shares=int(answer["shares"]),
            amounts=dict(amounts),
            value=sum(amount * prices[symbol] // ONE for symbol, amount in amounts.items()),
            gas_used=int(answer["gas_used"]),
        )

    def record(self, *, title: str, subtitle: str, chain: str, seed: int, notes: Sequence[str]) -> RunRecord:
        """Everything together, once it is over."""
        simulation = self.simulation
        limits = simulation.mandate.limits
        last = simulation.snapshot()
        return RunRecord(
            title=title,
            subtitle=subtitle,
            vault=simulation.vault,
            chain=chain,
            mandate=simulation.mandate.name,
            seed=seed,
            assets=tuple(
                AssetLimits(one.symbol, one.decimals, one.min_weight_bps / FULL_BPS, one.max_weight_bps / FULL_BPS)
                for one in simulation.mandate.ordered_assets
            ),
            limits=RunLimits(
                limits.loss_capacity_bps,
                limits.loss_refill_bps_per_day,
                limits.drawdown_reduce_bps,
                limits.drawdown_halt_bps,
            ),
            ticks=tuple(self.ticks),
            settlements=tuple(self.settlements),
            breaker_events=tuple(breaker_records(simulation, last.vault.mandate, self.first_block)),
            deposits=tuple(self.deposits),
            redemptions=tuple(self.redemptions),
            final_value=last.value,
            final_supply=last.vault.total_supply,
            notes=tuple(notes),
        )


def settlement_record(simulation: Simulation, report: TickReport) -> SettlementRecord:
    """Plan, order and receipt of a settlement side by side, with the chain's state right after it."""
    settlement, order, plan = report.settlement, report.order, report.plan
    if settlement is None or order is None or plan is None:
        raise ValueError("the report is of a tick that settled nothing")
    after = simulation.snapshot(settlement.block_number)
    symbols = simulation.mandate.symbols
    gas_cost = settlement.gas_used * settlement.effective_gas_price / ONE
    attacks = [one.profit_usd for one in simulation.bot.results if one.block_number == settlement.block_number]
    return SettlementRecord(
        tx=settlement.transaction,
        block=settlement.block_number,
        timestamp=after.block.timestamp,
        nonce=settlement.nonce,
        reason=str(plan.reason),
        value_before=settlement.value_before,
        value_after=settlement.value_after,
        loss=settlement.loss,
        turnover=settlement.turnover,
        loss_level=settlement.loss_level,
        gas_used=settlement.gas_used,
        effective_gas_price=settlement.effective_gas_price,
        gas_cost_usd=gas_cost * simulation.driver.prices["WETH"],
        planned_cost_usd=plan.slippage_cost_usd,
        weights_before=plan.weights_before,
        planned_weights=plan.weights_after,
        weights=after.weights,
        bounds=bounds_in_force(after),
        legs=tuple(
            LegRecord(
                venue=leg.venue.name.lower(),
                pool=leg.pool,
                fee_ppm=leg.fee_ppm,
                token_in=symbols[leg.token_in],
                token_out=symbols[leg.token_out],
                amount_in=paid,
                planned_amount_out=leg.amount_out,
                min_amount_out=signed.min_amount_out,
                amount_out=got,
            )
            for leg, signed, paid, got in zip(
                plan.legs, order.order.legs, settlement.amounts_in, settlement.amounts_out, strict=True
            )
        ),
        attacker_profit_usd=sum(attacks) if attacks else None,
    )


def bounds_in_force(snapshot: Snapshot) -> tuple[tuple[float, float], ...]:
    """Weights a settlement may end at: while only reducing nothing holds anybody back from the base asset."""
    limits = snapshot.vault.limits
    pairs = [
        (low / FULL_BPS, high / FULL_BPS)
        for low, high in zip(limits.min_weights_bps, limits.max_weights_bps, strict=True)
    ]
    if snapshot.vault.breaker is BreakerState.ACTIVE:
        return tuple(pairs)
    return ((pairs[0][0], 1.0), *((0.0, high) for _, high in pairs[1:]))


def breaker_records(simulation: Simulation, mandate_contract: str, first_block: int) -> list[BreakerRecord]:
    """Every trip, from the chain's own events."""
    node = Node(simulation.client)
    records = []
    for log in node.logs(mandate_contract, [topic(TRIPPED)], first_block):
        words = [int(log["data"][2 + 64 * i : 66 + 64 * i], 16) for i in range(3)]
        block = int(log["blockNumber"], 16)
        header = simulation.client.call("eth_getBlockByNumber", hex(block), False)
        records.append(
            BreakerRecord(
                timestamp=int(header["timestamp"], 16),
                block=block,
                tx=str(log["transactionHash"]),
                state=BreakerState(int(log["topics"][1], 16)),
                reason=REASONS[words[0]],
                value_per_share=words[1],
                peak=words[2],
            )
        )
    return records
