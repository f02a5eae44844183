# SPDX-License-Identifier: Apache-2.0
"""The vault's verdict on a settlement, in its own integers: what passes here settles there.

The twin of ``Mandate.judge``, rule by rule and in its order. The planner asks it before there is an order, the
simulated vault when one settles. What needs a signature or a transaction is not here: signer, mandate hash, and
a deposit in the transaction of the settlement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntFlag

from offchain.allocate.limits import (
    FULL_BPS,
    NO_CAP,
    ONE,
    ceiling,
    loss,
    owed_values,
    settlement_state,
    turnover,
    values,
    weight_bounds,
)
from offchain.mandate.venues import FIRST_LISTED
from offchain.market.snapshot import NO_DEBT, BreakerState, Snapshot, VaultLimits, VaultState

BPS = 10**14
UNBOUNDED = 2**64
"""A maximum that nothing reaches."""
ROUNDING = 16
"""Base units that a lending protocol's own rounding may raise a balance by."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule that a settlement breaks."""

    rule: str
    """The contract's revert reason."""
    asset: int | None = None
    """Index of the asset it is about, where there is one."""


@dataclass(frozen=True, slots=True)
class Portfolio:
    """What a vault holds and owes, in base units an asset each.

    Attributes
    ----------
    wallet
        In the vault itself.
    supplied, owed
        At its lending venue; empty without an account there.
    health
        Health factor of the account at 1e18.
    """

    wallet: tuple[int, ...]
    supplied: tuple[int, ...] = ()
    owed: tuple[int, ...] = ()
    health: int = NO_DEBT

    @classmethod
    def of(cls, snapshot: Snapshot) -> Portfolio:
        """What a snapshot shows."""
        wallet = tuple(asset.balance for asset in snapshot.assets)
        if snapshot.lending is None:
            return cls(wallet)
        supplied, owed = zip(*((asset.supplied, asset.owed) for asset in snapshot.assets), strict=True)
        return cls(wallet, supplied, owed, snapshot.lending.health_factor)

    @property
    def held(self) -> tuple[int, ...]:
        """In the vault and at its venue."""
        if not self.supplied:
            return self.wallet
        return tuple(here + there for here, there in zip(self.wallet, self.supplied, strict=True))

    def book(self, prices: Sequence[int], venue: int | None = None) -> Book:
        """The same in USD, as the vault reports it.

        Parameters
        ----------
        venue
            How a leg names the lending venue; None for a vault without.
        """
        here = values(self.wallet, prices)
        if venue is None:
            return Book(here, (0,) * len(here), (), here[0], NO_DEBT)
        there = values(self.supplied, prices)
        held = tuple(one + other for one, other in zip(here, there, strict=True))
        owed = owed_values(self.owed, prices)
        venues = (*(0,) * (venue - FIRST_LISTED), sum(there))
        return Book(held, owed, venues, here[0], self.health if any(self.owed) else NO_DEBT)


@dataclass(frozen=True, slots=True)
class Book:
    """What a vault reports to its mandate, ``IMandate.Book``: USD at 18 decimals.

    Attributes
    ----------
    held, owed
        An asset each, wallet and positions together.
    venues
        Held at each listed venue, in the vault's order; what is missing at the end holds nothing.
    wallet
        Base asset in the vault itself.
    health
        Lowest health factor at 1e18.
    """

    held: tuple[int, ...]
    owed: tuple[int, ...]
    venues: tuple[int, ...]
    wallet: int
    health: int

    @property
    def gross(self) -> int:
        """Everything held."""
        return sum(self.held)

    @property
    def net(self) -> int:
        """What is left of it after the debt; negative when that is more."""
        return sum(self.held) - sum(self.owed)

    @property
    def exposures(self) -> tuple[int, ...]:
        """Held less owed, an asset each."""
        return tuple(held - owed for held, owed in zip(self.held, self.owed, strict=True))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a settlement breaks, and what it costs.

    Attributes
    ----------
    refusals
        Empty when it passes; the first is what the contract reverts with.
    loss, turnover
        What the budgets are charged, fractions at 1e18.
    """

    refusals: tuple[Refusal, ...]
    loss: int = 0
    turnover: int = 0


class Kept(IntFlag):
    """How a bound was kept: outside it, and whether it moved."""

    INSIDE = 0
    OUTSIDE = 1
    CLOSER = 2
    FURTHER = 4


def refusals(snapshot: Snapshot, after: Portfolio, limits: VaultLimits) -> tuple[Refusal, ...]:
    """Rules that a settlement which leaves a portfolio breaks, on a snapshot's state; empty when it passes.

    Parameters
    ----------
    snapshot
        Portfolio before, prices, breaker and levels.
    limits
        To check against: the chain's, or tighter ones.
    """
    venue = None if snapshot.lending is None else snapshot.lending.venue
    prices = [asset.price for asset in snapshot.assets]
    before = Portfolio.of(snapshot).book(prices, venue)
    return judge(snapshot.vault, snapshot.block.timestamp, before, after.book(prices, venue), prices, limits).refusals


def judge(
    vault: VaultState, now: int, before: Book, after: Book, prices: Sequence[int], limits: VaultLimits
) -> Verdict:
    """Judge a settlement: each bound is kept, or what stood outside came closer and nothing moved away.

    Parameters
    ----------
    vault
        Breaker, levels and last settlement at the time of the settlement; its own limits say when it trips.
    now
        Unix seconds.
    before, after
        At the same prices.
    prices
        USD at 18 decimals per 10**18 base units.
    limits
        To check against.
    """
    state = settlement_state(vault)
    reducing = state is BreakerState.REDUCE_ONLY
    found: list[Refusal] = []
    if now < cooled_at(vault, limits):
        found.append(Refusal("limits: cooling down"))
    if state is BreakerState.HALTED:
        found.append(Refusal("breaker: halted"))
    if reducing:
        found += [Refusal("limits: risk increased", index) for index in _risen(before, after, prices) if index]
    if before.net <= 0:
        return Verdict((*found, Refusal("mandate: empty vault")))
    if after.net <= 0:
        return Verdict((*found, Refusal("mandate: insolvent")))
    found += _bounds(before, after, limits, reducing)
    lost, turned = loss(before.net, after.net), turnover(before.exposures, after.exposures)
    if limits.loss_per_settlement_bps and lost > limits.loss_per_settlement_bps * BPS:
        found.append(Refusal("limits: loss of a settlement"))
    if lost and vault.loss_level + lost > limits.loss_capacity_bps * BPS:
        found.append(Refusal("loss_budget: exhausted"))
    if turned and vault.turnover_level + turned > limits.turnover_capacity_bps * BPS:
        found.append(Refusal("turnover: exhausted"))
    return Verdict(tuple(found), lost, turned)


def cooled_at(vault: VaultState, limits: VaultLimits) -> int:
    """When the vault may settle again, Unix seconds."""
    return vault.settled_at + limits.cool_down_s


def compare(before: int, net_before: int, after: int, net_after: int, minimum: int, maximum: int) -> Kept:
    """Hold value over net value against bounds in basis points, by cross-multiplication, exactly.

    Returns
    -------
    INSIDE when inside before and after; CLOSER when it came inside; OUTSIDE when it is outside, with CLOSER or
    FURTHER when it moved, and with FURTHER when it is so only now.
    """
    was_below = before * FULL_BPS < minimum * net_before
    was_above = before * FULL_BPS > ceiling(maximum, net_before)
    rise = after * net_before - before * net_after
    if after * FULL_BPS < minimum * net_after:
        return _outside(was_below, rise)
    if after * FULL_BPS > ceiling(maximum, net_after):
        return _outside(was_above, -rise)
    return Kept.CLOSER if was_below or was_above else Kept.INSIDE


def _outside(was: bool, approach: int) -> Kept:
    """Outside now; `approach` is positive when it came closer to the bound."""
    if not was or approach < 0:
        return Kept.OUTSIDE | Kept.FURTHER
    return Kept.OUTSIDE | Kept.CLOSER if approach > 0 else Kept.OUTSIDE


def _bounds(before: Book, after: Book, limits: VaultLimits, reducing: bool) -> Iterator[Refusal]:
    """Weights, leverage, venues, buffer and health factor."""
    nets = before.net, after.net
    kept = Kept.INSIDE
    first_outside: int | None = None
    lower, upper = weight_bounds(limits, reducing)
    for index, (old, new) in enumerate(zip(before.held, after.held, strict=True)):
        most = UNBOUNDED if reducing and index == 0 else upper[index]
        one = compare(old, nets[0], new, nets[1], lower[index], most)
        if one & Kept.FURTHER:
            yield Refusal("limits: weight", index)
        if one & Kept.OUTSIDE and first_outside is None:
            first_outside = index
        kept |= one
    if reducing and after.gross * nets[0] > before.gross * nets[1]:
        yield Refusal("limits: leverage increased")
    for rule, one in _positions(before, after, limits, reducing):
        if one & Kept.FURTHER:
            yield Refusal(rule)
        kept |= one
    if kept & (Kept.OUTSIDE | Kept.CLOSER | Kept.FURTHER) == Kept.OUTSIDE:
        yield Refusal("limits: weight", first_outside)


def _positions(before: Book, after: Book, limits: VaultLimits, reducing: bool) -> Iterator[tuple[str, Kept]]:
    """What only a vault with debt, venues or a buffer is held to, and how each was kept."""
    nets = before.net, after.net
    cap = limits.max_leverage_bps or UNBOUNDED
    yield "limits: leverage", compare(before.gross, nets[0], after.gross, nets[1], 0, cap)
    for index, (old, new) in enumerate(zip(before.venues, after.venues, strict=True)):
        cap = limits.max_venues_bps[index] if index < len(limits.max_venues_bps) else NO_CAP
        yield "limits: venue", compare(old, nets[0], new, nets[1], 0, cap)
    # The way out of debt may use the buffer.
    if not reducing and limits.min_buffer_bps:
        least = limits.min_buffer_bps
        yield "limits: buffer", compare(before.wallet, nets[0], after.wallet, nets[1], least, UNBOUNDED)
    yield "limits: health factor", _health(before.health, after.health, limits.min_health_bps * BPS)


def _health(before: int, after: int, least: int) -> Kept:
    if after >= least:
        return Kept.CLOSER if before < least else Kept.INSIDE
    if after < before:
        return Kept.OUTSIDE | Kept.FURTHER
    return Kept.OUTSIDE | Kept.CLOSER if after > before else Kept.OUTSIDE


def _risen(before: Book, after: Book, prices: Sequence[int]) -> Iterator[int]:
    """Assets of which more is held, beyond what a venue's own rounding explains."""
    for index, (old, new, price) in enumerate(zip(before.held, after.held, prices, strict=True)):
        allowed = ROUNDING * price // ONE if after.venues else 0
        if new - old > allowed:
            yield index
