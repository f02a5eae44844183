# SPDX-License-Identifier: Apache-2.0
"""A target in fractions of value as legs in base units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from offchain.allocate.judge import Portfolio
from offchain.allocate.lending import schedule
from offchain.allocate.limits import FULL_BPS
from offchain.allocate.target import Target
from offchain.mandate import Mandate
from offchain.market.snapshot import Snapshot
from offchain.route.gas import GasPrice
from offchain.route.leg import PlannedLeg
from offchain.route.pool import Pool
from offchain.route.split import STIFFNESS, Trade, best_route, execute

_ALL = 1e-9  # of value: a holding that is to fall below it is sold to the last unit
_OVERFLOW_BPS = 100


@dataclass(frozen=True, slots=True)
class Realised:
    """Legs and what they leave on the snapshot, to the wei."""

    legs: tuple[PlannedLeg, ...]
    after: Portfolio
    gas_cost_usd: float


def realise(
    snapshot: Snapshot,
    pools: Sequence[Pool],
    target: Target,
    gas: GasPrice,
    mandate: Mandate,
    reducing: bool,
    kept: int = 0,
) -> Realised:
    """Route a target.

    Parameters
    ----------
    target
        With net changes.
    reducing
        Whether no balance but the base asset's may rise, whatever the fills.
    kept
        Base units of the base asset that stay in the wallet of a vault that borrows.

    Raises
    ------
    RouteError
        The pools cannot fill it.
    """
    assert target.change is not None
    count = len(snapshot.assets)
    sellable = tuple(_sellable(snapshot, index, mandate) for index in range(count))
    changes = [0] * count
    stiffness = np.full(count, STIFFNESS)
    stiffness[0] = 0.0
    for index, asset in enumerate(snapshot.assets):
        wanted = float(target.change[index])
        unit = asset.price / 10**18 / snapshot.value
        if index == 0 or wanted == 0:
            # What only passes through must not stick.
            stiffness[index] = 0.0 if index == 0 else np.inf
        elif wanted < 0 and sellable[index] * unit + wanted < _ALL:
            changes[index], stiffness[index] = -sellable[index], np.inf
        else:
            changes[index] = max(round(wanted / unit), -sellable[index])
    trade = Trade(
        holdings=sellable,
        prices=tuple(asset.price for asset in snapshot.assets),
        changes=tuple(changes),
        marginal=target.prices,
        stiffness=stiffness,
    )
    route = best_route(pools, trade, gas, mandate.execution.max_legs)
    if snapshot.lending is not None:
        done = schedule(snapshot, pools, route.legs, mandate.limits.min_health_bps / FULL_BPS, kept)
        usd = gas.of_settlement(done.legs)
        return Realised(done.legs, done.after, usd)
    if not reducing:
        return Realised(route.legs, Portfolio(route.holdings), route.gas_cost_usd)
    legs, holdings, _ = execute(pools, trade.holdings, _overflowing(route.legs))
    return Realised(legs, Portfolio(holdings), route.gas_cost_usd)


def _sellable(snapshot: Snapshot, index: int, mandate: Mandate) -> int:
    """Base units that may be sold: what is held, and as much again as the leverage limit lets the vault borrow."""
    asset = snapshot.assets[index]
    if asset.symbol not in mandate.borrowable:
        return asset.held
    most = snapshot.value * mandate.limits.max_leverage_bps // FULL_BPS
    return asset.held + max(0, most * 10**18 // asset.price - asset.owed)


def _overflowing(legs: tuple[PlannedLeg, ...]) -> tuple[PlannedLeg, ...]:
    """Let the last sale of a token take more than it was planned to, where the token also comes in.

    A fill better than planned would otherwise leave some of it behind, and the vault refuses
    a settlement that raises a risky balance. Amounts clamp to what is there.
    """
    padded = list(legs)
    for token in {leg.token_out for leg in legs} - {0}:
        inflow = sum(leg.amount_out for leg in legs if leg.token_out == token)
        sales = [index for index, leg in enumerate(legs) if leg.token_in == token]
        if not sales:
            continue
        spare = sum(legs[index].amount_in for index in sales) - inflow
        pad = inflow * _OVERFLOW_BPS // 10_000 - spare
        if pad > 0:
            last = padded[sales[-1]]
            padded[sales[-1]] = replace(last, amount_in=last.amount_in + pad)
    return tuple(padded)
