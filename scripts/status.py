# SPDX-License-Identifier: Apache-2.0
"""``ape run status``: how a vault stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from scripts._command import VaultCommand, answer, json_option
from scripts._pending import pending_calls
from scripts._positions import read_positions
from scripts._timelock import moment
from scripts._vaults import (
    BREAKER_REASONS,
    BREAKER_STATES,
    SHARE_DECIMALS,
    StandingVault,
    deployments_option,
    events_since,
    open_vault,
    vault_option,
    whole,
)

USD = 18
ONE = 10**18
FULL_BPS = 10_000
CENT = 10**16
FAR_BACK = "unknown: this node does not look back to where the vault was created"


@click.command(cls=VaultCommand)
@vault_option
@deployments_option
@json_option
def cli(provider: Any, address: str | None, folder: Path, as_json: bool) -> None:
    """Show a vault's value, weights in their bounds, breaker, budgets, roles, and what its owner scheduled.

    Example: ape run status --network ethereum:local:foundry
    """
    standing = open_vault(provider, folder, address)
    document = read_status(provider, standing)
    answer(document, lines(document), as_json=as_json)


def read_status(provider: Any, standing: StandingVault) -> dict[str, Any]:
    """Everything there is to say, as plain values; integers that JSON readers may round are strings.

    Values are USD at 18 decimals, `None` while a price is not live; fractions are basis points.
    """
    vault, mandate = standing.vault, standing.mandate
    limits = mandate.limits()
    live = bool(vault.mark_is_live())
    _, prices = standing.oracle.try_prices()
    holdings, positions = list(vault.holdings()), read_positions(standing)
    # As the mandate weighs them: what is held, in the wallet and at venues, over what is left after the debt.
    values = [
        (amount + supplied) * price // ONE
        for amount, supplied, price in zip(holdings, positions.supplied, prices, strict=True)
    ]
    value = int(vault.value()) if live else None
    assets = [
        {
            "symbol": one.symbol,
            "address": one.address,
            "holding": str(amount),
            "supplied": str(supplied),
            "owed": str(owed),
            "decimals": one.decimals,
            "value": str(worth) if live else None,
            "weight_bps": worth * FULL_BPS / value if value else None,
            "min_weight_bps": int(low),
            "max_weight_bps": int(high),
        }
        for one, amount, supplied, owed, worth, low, high in zip(
            standing.asset_names(),
            holdings,
            positions.supplied,
            positions.owed,
            values,
            limits.min_weights_bps,
            limits.max_weights_bps,
            strict=True,
        )
    ]
    pending = pending_calls(provider, standing)
    return {
        "name": standing.deployment.name,
        "vault": vault.address,
        "block": provider.get_block("latest").number,
        "prices_live": live,
        "value": None if value is None else str(value),
        "value_per_share": str(vault.value_per_share()) if live else None,
        "peak": str(mandate.peak()),
        "drawdown_reduce_bps": int(limits.drawdown_reduce_bps),
        "drawdown_halt_bps": int(limits.drawdown_halt_bps),
        "total_supply": str(vault.totalSupply()),
        "total_assets": str(vault.totalAssets()),
        "base_decimals": standing.base_decimals,
        "breaker": BREAKER_STATES[mandate.breaker_state()],
        "breaker_reason": BREAKER_REASONS[mandate.breaker_reason()],
        "leverage": sum(values) / value if value else None,
        "health_factor": positions.health_factor,
        "max_leverage_bps": int(limits.max_leverage_bps),
        "min_health_bps": int(limits.min_health_bps),
        "deleverage_trigger_bps": int(limits.deleverage_trigger_bps),
        "order_nonce": int(vault.order_nonce()),
        "assets": assets,
        "loss_level_bps": mandate.loss_level() / 10**14,
        "loss_capacity_bps": int(limits.loss_capacity_bps),
        "loss_refill_bps_per_day": int(limits.loss_refill_bps_per_day),
        "turnover_level_bps": mandate.turnover_level() / 10**14,
        "turnover_capacity_bps": int(limits.turnover_capacity_bps),
        "turnover_refill_bps_per_day": int(limits.turnover_refill_bps_per_day),
        "entry_fee_bps": int(limits.entry_fee_bps),
        "exit_fee_bps": int(limits.exit_fee_bps),
        "owner": mandate.owner(),
        "curator": mandate.curator(),
        "guardian": mandate.guardian(),
        "signers": signers(provider, standing),
        "delay_seconds": int(mandate.delay()),
        "pending": None if pending is None else [asdict(one) for one in pending],
    }


def signers(provider: Any, standing: StandingVault) -> list[str] | None:
    """Who may sign now: of those it was created with and those added since; `None` where that cannot be known."""
    from eth_utils import to_checksum_address

    logs = events_since(provider, standing, standing.mandate.address, "SignerAdded(address)")
    if logs is None:
        return None
    first = standing.deployment.arguments.get("Mandate")
    candidates = [] if first is None else list(first[4])
    candidates += [to_checksum_address(bytes(log["topics"][1])[-20:]) for log in logs]
    return [one for one in dict.fromkeys(candidates) if standing.mandate.is_signer(one)]


def lines(status: dict[str, Any]) -> Iterator[str]:
    """Say the same to a person."""
    yield f"{status['name']} at {status['vault']}, block {status['block']:,}"
    if status["prices_live"]:
        per_share, peak = int(status["value_per_share"]), int(status["peak"])
        below = max(0, peak - per_share) * FULL_BPS / max(peak, 1)
        yield f"value        ${dollars(status['value'])}"
        yield f"per share    ${dollars(status['value_per_share'], 6)}, {below:.0f} bps below its peak"
        yield f"breaker line {status['drawdown_reduce_bps']} bps, halt at {status['drawdown_halt_bps']}"
    else:
        total = whole(int(status["total_assets"]), status["base_decimals"])
        yield f"value        {total} of the base asset at the last mark: a price is not live"
    yield f"breaker      {status['breaker']} ({status['breaker_reason']})"
    yield f"shares       {whole(int(status['total_supply']), SHARE_DECIMALS)}"
    for one in status["assets"]:
        weight = "      ?" if one["weight_bps"] is None else f"{one['weight_bps'] / 100:6.2f}%"
        band = f"{one['min_weight_bps'] / 100:g} to {one['max_weight_bps'] / 100:g} %"
        held, owed = int(one["holding"]) + int(one["supplied"]), int(one["owed"])
        debt = f", owes {whole(owed, one['decimals'])}" if owed else ""
        lent = f", {whole(int(one['supplied']), one['decimals'])} of it lent" if int(one["supplied"]) else ""
        yield f"  {one['symbol']:<8}{weight}  of {band:<12} {whole(held, one['decimals'])}{lent}{debt}"
    if status["health_factor"] is not None:
        yield f"leverage     {status['leverage']:.2f}, at most {_times(status['max_leverage_bps'])}"
        yield (
            f"health       {status['health_factor']:.3f}, orders keep {_times(status['min_health_bps'])}, anybody may "
            f"deleverage below {_times(status['deleverage_trigger_bps'])}"
        )
    for name in ("loss", "turnover"):
        level, capacity, refill = (
            status[f"{name}_{part}"] for part in ("level_bps", "capacity_bps", "refill_bps_per_day")
        )
        yield f"{name:<12} {level:.2f} of {capacity} bps used, {refill} a day come back"
    yield f"fees         {status['entry_fee_bps']} bps in, {status['exit_fee_bps']} bps out"
    for role in ("owner", "curator", "guardian"):
        yield f"{role:<12} {status[role]}"
    yield f"signers      {FAR_BACK if status['signers'] is None else ', '.join(status['signers']) or 'none'}"
    yield f"delay        {status['delay_seconds'] / 3600:g} h for what loosens"
    if status["pending"] is None:
        yield f"scheduled    {FAR_BACK}"
    for one in status["pending"] or []:
        yield f"scheduled    {one['call']}, from {moment(one['ready_at'])} on"


def _times(bps: int) -> str:
    """A factor of the mandate's; 0 is none."""
    return f"{bps / FULL_BPS:g}" if bps else "any"


def dollars(value: str, digits: int = 2) -> str:
    """USD at 18 decimals, rounded for reading."""
    return f"{int(value) / 10**USD:,.{digits}f}"
