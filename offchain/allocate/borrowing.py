# SPDX-License-Identifier: Apache-2.0
"""How much a plan may borrow: leverage and health factor as linear limits on net changes.

With w the net exposures after a plan and b what is then owed, both in fractions of the value
before, ``b >= 0``, ``b >= kept - w`` and what is held is ``w + b``: at least what is kept, the base
asset of the mandate's buffer. The two limits are then linear:

    sum b                       <= (leverage - 1) v             v = sum w, what is left after the debt
    health * sum(weighs_j b_j)  <= sum(counts_i (w_i + b_i))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.limits import settlement_state
from offchain.market.ray import RAY
from offchain.market.snapshot import BreakerState, LendingState, ReserveState, Snapshot, VaultLimits

if TYPE_CHECKING:
    from offchain.forecast.forecast import Forecast
    from offchain.mandate import AaveV3Venue, Mandate

FloatArray = NDArray[np.float64]

FULL_BPS = 10_000
DAYS_PER_YEAR = 365.0
BUFFER_MARGIN = 20e-4
"""Of value, above the buffer that the chain asks for: prices move before the order settles."""
MARGIN = 0.01
"""Of leverage and health factor, between what a plan aims at and what the chain refuses."""


@dataclass(frozen=True, slots=True, eq=False)
class Borrowing:
    """Limits on debt, in fractions of the value before.

    Attributes
    ----------
    allowed
        Shape (n,): what may be owed.
    counts
        Shape (n,): part of what is held that counts as collateral in the health factor.
    weighs
        Shape (n,): what a unit owed weighs in it: the pool's price over the vault's.
    interest
        Shape (n,): what a unit owed costs over the horizon.
    earned
        Shape (n,): what a unit supplied earns over the horizon.
    kept
        Shape (n,): what is held although it is owed.
    health, leverage
        Least health factor and most leverage after a plan.
    excess_health, excess_leverage
        By how much today's account breaks the two rows above; 0 where it does not.
    excess_buffer
        What the wallet's base asset lacks of the mandate's buffer today; every plan fills it.
    """

    allowed: NDArray[np.bool_]
    counts: FloatArray
    weighs: FloatArray
    interest: FloatArray
    earned: FloatArray
    kept: FloatArray
    health: float
    leverage: float
    excess_health: float
    excess_leverage: float
    excess_buffer: float = 0.0

    def owed(self, weights: FloatArray) -> FloatArray:
        """Debt of net exposures, shape (n,): nobody borrows what he holds, beyond what is kept."""
        return np.where(self.allowed, np.maximum(self.kept - weights, 0.0), 0.0)

    def missing(self, weights: FloatArray) -> tuple[float, float]:
        """By how much net exposures break the health and the leverage row; negative for room."""
        owed = self.owed(weights)
        counted = float(self.counts @ (weights + owed))
        by_health = self.health * float(self.weighs @ owed) - counted
        return by_health, float(owed.sum()) - (self.leverage - 1.0) * float(weights.sum())


def kept_fraction(snapshot: Snapshot, limits: VaultLimits) -> float:
    """Base asset that a plan leaves in the wallet, of value: the buffer with a margin; nothing while reducing."""
    if not limits.min_buffer_bps or settlement_state(snapshot.vault) is BreakerState.REDUCE_ONLY:
        return 0.0
    return limits.min_buffer_bps / FULL_BPS + BUFFER_MARGIN


def compile_borrowing(
    snapshot: Snapshot, forecast: Forecast, mandate: Mandate, limits: VaultLimits | None = None
) -> Borrowing | None:
    """Compile the limits on debt for one snapshot; `None` for a vault that cannot owe anything.

    The health factor aimed at is the largest of the venue's target, the chain's floor with a margin, what
    the loan to value leaves, and the one whose probability of liquidation over the forecast's paths is the
    mandate's.

    Parameters
    ----------
    limits
        In force; by default the mandate's.
    """
    limits = mandate.vault_limits if limits is None else limits
    lending, venue = snapshot.lending, mandate.lending
    if lending is None or venue is None or not venue.borrow:
        return None
    count = len(snapshot.assets)
    allowed = np.zeros(count, dtype=bool)
    counts, weighs, interest, earned = np.zeros(count), np.ones(count), np.zeros(count), np.zeros(count)
    years = forecast.horizon_days / DAYS_PER_YEAR
    for reserve in lending.reserves:
        index = reserve.asset
        relative = _pool_price(reserve) / snapshot.assets[index].price_usd
        allowed[index] = reserve.may_borrow or reserve.scaled_owed > 0
        weighs[index] = relative
        interest[index] = reserve.borrow_rate / RAY * years
        if reserve.is_collateral or reserve.may_supply:
            counts[index] = reserve.e_mode_liquidation_threshold / FULL_BPS * relative
            earned[index] = reserve.supply_rate / RAY * years
    scale = weighs[allowed].mean() if allowed.any() else 1.0
    counts, weighs = counts / scale, weighs / scale
    kept = np.zeros(count)
    kept[0] = kept_fraction(snapshot, limits) if allowed[0] else 0.0
    base, bound = snapshot.assets[0], limits.min_buffer_bps / FULL_BPS
    held = base.balance * base.price / 10**18 / snapshot.value if snapshot.value > 0 else bound
    short = max(0.0, bound - held) if kept[0] else 0.0
    floor = limits.min_health_bps / FULL_BPS * (1 + MARGIN)
    target = max(venue.target_health_factor, floor, *_least_by_rule(lending), _safe_health(lending, forecast, venue))
    leverage = limits.max_leverage_bps / FULL_BPS * (1 - MARGIN)
    free = Borrowing(allowed, counts, weighs, interest, earned, kept, target, leverage, 0.0, 0.0, short)
    return _from_today(free, np.array(snapshot.weights), max(floor, mandate.repair_health(target)))


def _from_today(free: Borrowing, weights: FloatArray, level: float) -> Borrowing:
    """Let be what is near enough to the target; note by how much the rest stands outside."""
    owed = free.owed(weights)
    debt = float(free.weighs @ owed)
    if debt > 0.0:
        now = float(free.counts @ (weights + owed)) / debt
        if level <= now < free.health:
            free = replace(free, health=now)
    gross = float((weights + owed).sum() / weights.sum()) if weights.sum() > 0 else 1.0
    if free.leverage < gross <= free.leverage * (1 + MARGIN / 2):
        free = replace(free, leverage=gross)
    by_health, by_leverage = free.missing(weights)
    tiny = 1e-9
    return replace(
        free,
        excess_health=by_health if by_health > tiny else 0.0,
        excess_leverage=by_leverage if by_leverage > tiny else 0.0,
    )


def _pool_price(reserve: ReserveState) -> float:
    """USD of a whole token by the pool's own oracle, whose base currency has eight decimals."""
    return reserve.price / 1e8


def _least_by_rule(lending: LendingState) -> tuple[float, ...]:
    """Health factors below which an asset lends nothing more."""
    return tuple(
        reserve.e_mode_liquidation_threshold / reserve.e_mode_loan_to_value
        for reserve in lending.reserves
        if reserve.may_supply and reserve.e_mode_loan_to_value
    )


def _safe_health(lending: LendingState, forecast: Forecast, venue: AaveV3Venue) -> float:
    """Health factor to start with, by `offchain.risk.leverage.safe_leverage` on the forecast's paths."""
    from offchain.risk.leverage import LendingAccount, Reserve, safe_leverage

    if forecast.paths is None:
        return 1.0
    symbols = forecast.symbols
    reserves = {
        symbols[one.asset]: Reserve(
            symbols[one.asset],
            one.e_mode_loan_to_value / FULL_BPS,
            one.e_mode_liquidation_threshold / FULL_BPS,
            0.0,
        )
        for one in lending.reserves
    }
    collateral = _shares(lending, {one.asset: one.supplied for one in lending.reserves}, venue.supply, forecast)
    debt = _shares(lending, {one.asset: one.owed for one in lending.reserves}, venue.borrow, forecast)
    safe = safe_leverage(
        collateral,
        debt,
        LendingAccount({}, {}, reserves),
        symbols,
        forecast.paths,
        venue.liquidation_probability,
        periods_per_year=DAYS_PER_YEAR,
        borrow_rates={symbols[one.asset]: one.borrow_rate / RAY for one in lending.reserves},
        supply_rates={symbols[one.asset]: one.supply_rate / RAY for one in lending.reserves},
    )
    return min(safe.health_factor, 1e3)


def _shares(
    lending: LendingState, amounts: Mapping[int, int], listed: tuple[str, ...], forecast: Forecast
) -> dict[str, float]:
    """Parts of one side of the account by value; equal parts of what the mandate lists while it is empty."""
    worth = {
        forecast.symbols[one.asset]: amounts[one.asset] * _pool_price(one) / 10.0**one.decimals
        for one in lending.reserves
    }
    total = sum(worth.values())
    if total <= 0.0:
        return dict.fromkeys(listed, 1.0 / len(listed))
    shares = {symbol: value / total for symbol, value in worth.items() if value > 0.0}
    last = next(reversed(shares))
    return shares | {last: 1.0 - sum(value for symbol, value in shares.items() if symbol != last)}
