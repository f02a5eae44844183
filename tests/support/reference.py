# SPDX-License-Identifier: Apache-2.0
"""The promises in exact arithmetic, written down from their text and not from the contracts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations_with_replacement

from tests.support.world import BPS, DAY, Limits

Values = Sequence[int]
Bounds = Sequence[tuple[int, int]]


def inside_or_closer(before: Values, after: Values, bounds: Bounds, reduce_only: bool) -> bool:
    """Promise 3: every weight inside, or every violation old, no larger, and one strictly smaller.

    When only reducing, the base asset (the first) has no upper bound and the others no lower one.

    Parameters
    ----------
    before, after
        Values of the assets, in any unit; each sums to more than 0.
    bounds
        Lower and upper bound of each weight, basis points.
    """
    return none_or_closer(
        weight_violations(before, bounds, reduce_only, sum(before)),
        weight_violations(after, bounds, reduce_only, sum(after)),
    )


def none_or_closer(before: Sequence[Fraction], after: Sequence[Fraction]) -> bool:
    """Nothing is violated; or no violation is new or larger, and one is strictly smaller."""
    if all(violation == 0 for violation in after):
        return True
    for was, now in zip(before, after, strict=True):
        if now != 0 and (was * now <= 0 or abs(now) > abs(was)):
            return False
    return any(abs(now) < abs(was) for was, now in zip(before, after, strict=True))


def weight_violations(values: Values, bounds: Bounds, reduce_only: bool, total: int) -> list[Fraction]:
    """How far each weight of the total is outside: negative below, positive above, 0 inside."""
    found = []
    for i, (value, (low, high)) in enumerate(zip(values, bounds, strict=True)):
        weight = Fraction(value, total)
        lowest = Fraction(0 if reduce_only and i > 0 else low, 10_000)
        # What is closed may hold a thousandth of a basis point, which anyone can give.
        highest = Fraction(10_000 if reduce_only and i == 0 else high, 10_000) or Fraction(1, 10**7)
        found.append(min(weight - lowest, Fraction(0)) or max(weight - highest, Fraction(0)))
    return found


def lending_violations(
    leverage: Fraction, venue: Fraction, buffer: Fraction, health: int, limits: Limits, reduce_only: bool
) -> list[Fraction]:
    """The same of gross leverage, what is held at the venue and the buffer, all over net value, and of health at 1e18."""
    least = 0 if reduce_only else limits.min_buffer_bps
    return [
        max(leverage - Fraction(limits.max_leverage_bps, 10_000), Fraction(0)),
        max(venue - Fraction(limits.max_venues_bps[0], 10_000), Fraction(0)),
        min(buffer - Fraction(least, 10_000), Fraction(0)),
        min(Fraction(health - limits.min_health_bps * BPS), Fraction(0)),
    ]


@dataclass
class Windows:
    """Promise 2: what was charged to a budget, and what every window of it may hold."""

    charges: list[tuple[int, int, int]] = field(default_factory=list)
    """Unix seconds, fraction at 1e18, capacity at that moment in basis points."""
    rates: list[tuple[int, int]] = field(default_factory=list)
    """Unix seconds from which a refill rate holds, basis points a day."""

    def charge(self, at: int, amount: int, capacity_bps: int) -> None:
        """Record a charge."""
        if amount:
            self.charges.append((at, amount, capacity_bps))

    def set_rate(self, at: int, refill_bps_per_day: int) -> None:
        """Record a refill rate."""
        self.rates.append((at, refill_bps_per_day))

    def refilled(self, start: int, end: int) -> Fraction:
        """What leaks between two times."""
        total = Fraction(0)
        for i, (since, rate) in enumerate(self.rates):
            until = self.rates[i + 1][0] if i + 1 < len(self.rates) else end
            total += Fraction(rate * BPS * max(0, min(until, end) - max(since, start)), DAY)
        return total

    def check(self) -> None:
        """Every window from one charge to another holds at most the capacity at its end and what leaked in it."""
        for i, j in combinations_with_replacement(range(len(self.charges)), 2):
            total = sum(amount for _, amount, _ in self.charges[i : j + 1])
            (start, _, _), (end, _, capacity) = self.charges[i], self.charges[j]
            allowed = capacity * BPS + self.refilled(start, end)
            assert total <= allowed, f"{total} charged from {start} to {end}, allowed {float(allowed):.0f}"

    def check_last(self) -> None:
        """The windows that end with the last charge."""
        if not self.charges:
            return
        end, _, capacity = self.charges[-1]
        total = 0
        for start, amount, _ in reversed(self.charges):
            total += amount
            assert total <= capacity * BPS + self.refilled(start, end)


def drawdown_state(per_share: int, peak: int, limits: Limits) -> int:
    """Breaker state that a value per share below its peak asks for: 0 ACTIVE, 1 REDUCE_ONLY, 2 HALTED."""
    thresholds = (limits.drawdown_reduce_bps, limits.drawdown_halt_bps)
    return sum(per_share * 10_000 <= peak * (10_000 - threshold) for threshold in thresholds)


def oracle_spread(oracle: Sequence[int], market: Sequence[Fraction]) -> Fraction:
    """How far apart the oracle's errors are: max k / min k - 1 of the market's prices over the oracle's."""
    ratios = [real / Fraction(said) for said, real in zip(oracle, market, strict=True)]
    return max(ratios) / min(ratios) - 1
