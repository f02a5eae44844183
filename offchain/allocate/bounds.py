# SPDX-License-Identifier: Apache-2.0
"""The limits in force as the program's constraints: floats with a margin, so that the integer checks hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.borrowing import Borrowing
from offchain.allocate.errors import InfeasibleError
from offchain.allocate.limits import FULL_BPS, GIFT, ONE, settlement_state, tighter, weight_bounds
from offchain.mandate import Constraints, Group, Mandate
from offchain.mandate.venues import FIRST_LISTED
from offchain.market.snapshot import BreakerState, Snapshot, VaultLimits

FloatArray = NDArray[np.float64]

DRIFT_MARGIN = 20e-4
"""Weight kept between a target and a bound: prices move before the order settles."""
NO_GIFT = 1 / (FULL_BPS * GIFT)
"""Weight up to which a holding of what may not be held breaks nothing."""
TURNOVER_SHARE = 0.99
LOSS_SHARE = 0.75
"""Parts of what is left of the budgets that a plan may use; fills and prices differ a little."""
CLEARED = 1e-3
"""Weight below which what a maximum of nothing allows no more is no matter of the program: any trade sells it along."""
_NEAR = 0.1  # of the margin: room for a weight to grow because the whole shrinks
_TINY = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Bounds on what a group of assets weighs together.

    Attributes
    ----------
    name
        As the mandate calls it.
    members
        Shape (n,): 1 for assets in the group, else 0.
    lower, upper, least, most, excess_lower, excess_upper
        As those of `Frame`.
    """

    name: str
    members: FloatArray
    lower: float
    upper: float
    least: float
    most: float
    excess_lower: float
    excess_upper: float


@dataclass(frozen=True)
class Frame:
    """Constraints on net changes z of holdings, in fractions of the value before.

    Attributes
    ----------
    weights
        Shape (n,): fractions of value before.
    lower, upper
        Shape (n,): bounds on weights after, with a margin inside the limits.
    least, most
        Shape (n,): the limits themselves.
    excess_lower, excess_upper
        Shape (n,): how far today's weight stands outside `lower` and `upper` where it
        breaks a limit, else 0.
    floor, ceiling
        Shape (n,): bounds on z.
    cleared
        Shape (n,): small holdings of what may not be held, which anyone can give. The program leaves them alone; a
        plan that trades sells them whole.
    turnover, loss
        Fractions that may still be spent.
    bands
        Groups of assets that are bounded together.
    whole
        Most that a weight can be: 1, or the leverage where a venue lends.
    borrowing
        Limits on debt; None where nothing can be owed.
    """

    weights: FloatArray
    lower: FloatArray
    upper: FloatArray
    least: FloatArray
    most: FloatArray
    excess_lower: FloatArray
    excess_upper: FloatArray
    floor: FloatArray
    ceiling: FloatArray
    cleared: NDArray[np.bool_]
    turnover: float
    loss: float
    bands: tuple[Band, ...] = ()
    whole: float = 1.0
    borrowing: Borrowing | None = None

    @cached_property
    def excess(self) -> float:
        """How far weights, groups, leverage, health factor and buffer stand outside their limits today, added up."""
        groups = sum(band.excess_lower + band.excess_upper for band in self.bands)
        return float(self.excess_lower.sum() + self.excess_upper.sum()) + groups + self._excess_debt

    @property
    def _excess_debt(self) -> float:
        if self.borrowing is None:
            return 0.0
        return self.borrowing.excess_health + self.borrowing.excess_leverage + self.borrowing.excess_buffer

    @property
    def violated(self) -> bool:
        """Whether anything breaks its limit today."""
        return self.excess > 0

    def standing(self, change: FloatArray) -> float:
        """Part of the worst violation that net changes leave, 1 for none removed; 0 where nothing is violated."""
        after = self.weights + change
        worth = float(after.sum())
        below, above = self.excess_lower > 0, self.excess_upper > 0
        left = np.concatenate(
            [
                [0.0],
                (self.lower * worth - after)[below] / self.excess_lower[below],
                (after - self.upper * worth)[above] / self.excess_upper[above],
                *([(b.lower * worth - b.members @ after) / b.excess_lower] for b in self.bands if b.excess_lower > 0),
                *([(b.members @ after - b.upper * worth) / b.excess_upper] for b in self.bands if b.excess_upper > 0),
            ]
        )
        return max(float(left.max()), self._standing_debt(after))

    def _standing_debt(self, after: FloatArray) -> float:
        if self.borrowing is None:
            return 0.0
        excess = self.borrowing.excess_health, self.borrowing.excess_leverage
        pairs = zip(self.borrowing.missing(after), excess, strict=True)
        return max((left / today for left, today in pairs if today > 0), default=0.0)

    def holding_still(self, asset: int) -> Frame:
        """The same limits with one asset left alone."""
        floor, ceiling = self.floor.copy(), self.ceiling.copy()
        floor[asset] = ceiling[asset] = 0.0
        return replace(self, floor=floor, ceiling=ceiling)

    def spent(self, change: FloatArray) -> float:
        """Larger of the parts of turnover and loss allowances that net changes use; above 1 is too much."""
        turned = max(float(change[change > 0].sum()), -float(change[change < 0].sum()))
        lost = max(0.0, -float(change.sum()))
        return max(_part(turned, self.turnover), _part(lost, self.loss))


def limits_in_force(snapshot: Snapshot, mandate: Mandate) -> VaultLimits:
    """The tighter of file and chain.

    Raises
    ------
    InfeasibleError
        Together they leave no portfolio; names the limits.
    """
    limits = tighter(snapshot.vault.limits, mandate.vault_limits)
    lower, upper = limits.min_weights_bps, limits.max_weights_bps
    for symbol, low, high in zip(mandate.symbols, lower, upper, strict=True):
        if low > high:
            both = (f"minimum weight of {symbol} ({low} bps)", f"maximum weight of {symbol} ({high} bps)")
            raise InfeasibleError(both, "file and chain contradict each other; correct one of them")
    if sum(lower) > FULL_BPS:
        names = tuple(
            f"minimum weight of {s} ({low} bps)" for s, low in zip(mandate.symbols, lower, strict=True) if low
        )
        raise InfeasibleError(names, f"they add up to {sum(lower)} bps, more than everything; lower one of them")
    if sum(upper) < FULL_BPS:
        names = tuple(f"maximum weight of {s} ({high} bps)" for s, high in zip(mandate.symbols, upper, strict=True))
        raise InfeasibleError(names, f"they add up to {sum(upper)} bps, less than everything; raise one of them")
    for group in mandate.constraints.groups:
        _check_group(group, mandate.symbols, lower, upper)
    return limits


def _check_group(group: Group, symbols: Sequence[str], lower: Sequence[int], upper: Sequence[int]) -> None:
    """Raise where the assets' bounds, tightened by the chain, leave the group no weight that it may have."""
    inside = [symbol in group.assets for symbol in symbols]
    bounds = {True: [0, 0], False: [0, 0]}
    for member, low, high in zip(inside, lower, upper, strict=True):
        bounds[member][0] += low
        bounds[member][1] += high
    least = max(bounds[True][0], FULL_BPS - bounds[False][1])
    most = min(bounds[True][1], FULL_BPS - bounds[False][0])
    if group.max_weight_bps < least or group.min_weight_bps > most:
        band = f"weight of the group {group.name} ({group.min_weight_bps} to {group.max_weight_bps} bps)"
        names = tuple(f"{'minimum' if group.max_weight_bps < least else 'maximum'} weight of {s}" for s in group.assets)
        raise InfeasibleError((band, *names), f"its assets weigh {least} to {most} bps together; change one of them")


def compile_frame(
    snapshot: Snapshot,
    limits: VaultLimits,
    traded: Sequence[bool],
    constraints: Constraints | None = None,
    borrowing: Borrowing | None = None,
) -> Frame:
    """Compile the limits for one snapshot.

    Parameters
    ----------
    snapshot
        A vault that holds something.
    limits
        From `limits_in_force`.
    traded
        Per asset, whether any pool trades it.
    constraints
        The optimizer's own limits; by default none. While reducing only the buffer is kept.
    borrowing
        From `compile_borrowing`.
    """
    own = Constraints() if constraints is None else constraints
    vault = snapshot.vault
    whole = 1.0 if borrowing is None else max(1.0, borrowing.leverage)
    reduce_only = settlement_state(vault) is BreakerState.REDUCE_ONLY
    weights = np.array(snapshot.weights)
    low_bps, high_bps = weight_bounds(limits, reduce_only)
    low, high = np.array(low_bps) / FULL_BPS, np.array(high_bps) / FULL_BPS
    if not reduce_only and (borrowing is None or not borrowing.allowed[0]):
        # Nothing of the base asset is anywhere but in the wallet.
        low[0] = max(low[0], limits.min_buffer_bps / FULL_BPS)
    low[0] = min(low[0] + own.buffer_bps / FULL_BPS, high[0])
    lower, upper = _with_margins(low, high, whole)
    # What is owed holds nothing, which is no less than a minimum of nothing.
    kept = weights if borrowing is None else weights + borrowing.owed(weights)
    # What no pool trades cannot be brought inside; the integer checks still judge it.
    fixed = ~np.array(traded, dtype=bool)
    closed = (high == 0) & (weights < CLEARED) & ~fixed
    if borrowing is not None:
        closed &= ~borrowing.allowed
    cleared = closed & (weights > NO_GIFT / 2)
    fixed |= closed
    below, above = kept < low, weights > high
    # Weights between the limit and its margin may stay where they are.
    near = _NEAR * np.maximum(lower - low, high - upper)
    lower = np.where(below, lower, np.minimum(lower, np.maximum(low + _TINY, kept - near)))
    upper = np.where(above, upper, np.maximum(upper, np.minimum(high - _TINY, weights + near)))
    least = 0.0 if borrowing is None else np.where(borrowing.allowed, -whole, 0.0)
    lower = np.minimum(np.where(low > 0, lower, least), upper)
    upper = np.where(high < whole, upper, whole)
    lower, upper = np.where(fixed & below, 0.0, lower), np.where(fixed & above, whole, upper)
    ceiling = np.full(len(weights), np.inf)
    floor = -weights
    if borrowing is not None:
        floor = np.where(borrowing.allowed, np.minimum(floor, 0.0) - whole, floor)
    if reduce_only:
        # A debt may be bought back, whatever it is in.
        ceiling[1:] = np.maximum(-weights[1:], 0.0)
    return Frame(
        weights=weights,
        lower=lower,
        upper=upper,
        least=low,
        most=high,
        excess_lower=np.where(below & ~fixed, lower - weights, 0.0),
        excess_upper=np.where(above & ~fixed, weights - upper, 0.0),
        floor=np.where(fixed, 0.0, floor),
        ceiling=np.where(fixed, 0.0, np.minimum(ceiling, whole + np.maximum(-weights, 0.0))),
        cleared=cleared,
        turnover=min(
            _left(limits.turnover_capacity_bps, vault.turnover_level) * TURNOVER_SHARE,
            own.max_turnover_bps / FULL_BPS,
        ),
        loss=min(
            _left(limits.loss_capacity_bps, vault.loss_level),
            (limits.loss_per_settlement_bps or FULL_BPS) / FULL_BPS,
        )
        * LOSS_SHARE,
        bands=(
            *(() if reduce_only else (_group_band(group, snapshot, lower, upper, whole) for group in own.groups)),
            *_venue_band(snapshot, limits, weights, borrowing, whole),
        ),
        whole=whole,
        borrowing=borrowing,
    )


def _group_band(group: Group, snapshot: Snapshot, lower: FloatArray, upper: FloatArray, whole: float) -> Band:
    """A group's bounds, as far as the margins of its members' own leave room for them."""
    members = np.array([float(asset.symbol in group.assets) for asset in snapshot.assets])
    weight = float(members @ np.array(snapshot.weights))
    low = min(group.min_weight_bps / FULL_BPS, float(members @ upper), 1 - float((1 - members) @ lower))
    high = max(group.max_weight_bps / FULL_BPS, float(members @ lower), 1 - float((1 - members) @ upper))
    return _band(group.name, members, weight, low, high, whole)


def _venue_band(
    snapshot: Snapshot, limits: VaultLimits, weights: FloatArray, borrowing: Borrowing | None, whole: float
) -> Iterator[Band]:
    """What may be held at the lending venue: all that can be supplied is."""
    lending = snapshot.lending
    if lending is None or lending.venue - FIRST_LISTED >= len(limits.max_venues_bps):
        return
    supplied = np.zeros(len(weights))
    for reserve in lending.reserves:
        # The base asset stays in the wallet.
        supplied[reserve.asset] = float(reserve.asset > 0 and (reserve.may_supply or reserve.scaled_supplied > 0))
    cap = limits.max_venues_bps[lending.venue - FIRST_LISTED] / FULL_BPS
    held = weights if borrowing is None else weights + borrowing.owed(weights)
    yield _band("held at the lending venue", supplied, float(supplied @ held), 0.0, cap, whole)


def _band(name: str, members: FloatArray, weight: float, low: float, high: float, whole: float) -> Band:
    """Bounds with a margin inside the limits; a weight between the two may stay where it is."""
    margin = min(DRIFT_MARGIN, (high - low) / 4)
    near = _NEAR * margin
    lower = low + margin if low > 0 else low
    upper = high - margin if high < whole else high
    return Band(
        name=name,
        members=members,
        lower=lower if weight < low else min(lower, max(low, weight - near)),
        upper=upper if weight > high else max(upper, min(high, weight + near)),
        least=low,
        most=high,
        excess_lower=lower - weight if weight < low else 0.0,
        excess_upper=weight - upper if weight > high else 0.0,
    )


def _with_margins(low: FloatArray, high: FloatArray, whole: float) -> tuple[FloatArray, FloatArray]:
    """Bounds moved inwards, by less where the band or the whole leaves no room for it."""
    margin = np.minimum(DRIFT_MARGIN, (high - low) / 4)
    inner_low = np.where(low > 0, margin, 0.0)
    inner_high = np.where(high < whole, margin, 0.0)
    low_room, high_room = 1 - low.sum(), high.sum() - 1
    if inner_low.sum() > low_room / 2:
        inner_low *= low_room / 2 / inner_low.sum()
    if inner_high.sum() > high_room / 2:
        inner_high *= high_room / 2 / inner_high.sum()
    return low + inner_low, high - inner_high


def _left(capacity_bps: int, level: int) -> float:
    return max(0.0, capacity_bps / FULL_BPS - level / ONE)


def _part(used: float, allowed: float) -> float:
    if used <= 0:
        return 0.0
    return used / allowed if allowed > 0 else np.inf
