# SPDX-License-Identifier: Apache-2.0
"""What the simulated breaker remembers: the peak, the clocks of what must persist, and the volatility seen.

Mirrors ``contracts/modules/breaker.vy`` and ``contracts/Alarms.vy`` in their integers. A simulation reads one source
of each price and sees no pool's guardian: it cannot know that sources are apart, or a reserve frozen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from offchain.backtest.feeds import FeedStatus, Reading
from offchain.market.snapshot import BreakerState, VaultLimits

ONE = 10**18
BPS = 10**14
FULL_BPS = 10_000
MINUTE, HOUR, YEAR = 60, 3_600, 365 * 86_400
SAMPLES = 24
"""Samples of the value per share stand that part of the volatility's window apart at least."""
LARGEST_SAMPLE = 2**104 - 1
LARGEST_MOVE = 2**64
PEAK_BITS, PEAK_STEP = 88, 16
"""A peak is kept exactly up to so many bits; beyond, steps of bits are dropped."""

NO_REASON, DRAWDOWN, GUARDIAN, VOLATILITY, HEALTH_FACTOR, DEAD_ORACLE, _, DEPEG, NO_HEARTBEAT = range(9)
WORDS = {
    VOLATILITY: "volatility",
    HEALTH_FACTOR: "the health factor",
    DEAD_ORACLE: "a dead oracle",
    DEPEG: "the base asset off its peg",
    NO_HEARTBEAT: "no sign of the keeper",
}
"""Conditions besides the drawdown, for a reader."""


@dataclass(frozen=True, slots=True)
class Peak:
    """Highest value per share seen in the present epoch, in the one before, and when the present one began.

    USD at 18 decimals per 10**18 share units; Unix seconds.
    """

    value: int = 0
    previous: int = 0
    began_at: int = 0

    def at(self, now: int, window_hours: int) -> int:
        """What a drawdown counts from; a window of 0 is one epoch for all time."""
        if not window_hours or self._is_over(now, window_hours):
            return self.value
        return max(self.value, self.previous)

    def observed(self, per_share: int, now: int, window_hours: int) -> Peak:
        """Moved up where the value per share is higher; in a new epoch when one is over."""
        if window_hours and self._is_over(now, window_hours):
            return Peak(_kept(per_share), self.value, now)
        return replace(self, value=_kept(per_share)) if per_share > self.value else self

    def _is_over(self, now: int, window_hours: int) -> bool:
        return now >= self.began_at + window_hours * HOUR


@dataclass(frozen=True, slots=True)
class Sight:
    """What the alarms see of the oracle.

    Attributes
    ----------
    live
        Whether every price is, as far as a condition asks for it.
    base_price
        Of the base asset; 0 when it is not known.
    priced
        Whether the value per share can be read.
    """

    live: bool
    base_price: int
    priced: bool

    @classmethod
    def of(cls, reading: Reading, limits: VaultLimits) -> Sight:
        """Without a condition that asks for it everything counts as live."""
        watched = limits.oracle_dead_minutes or limits.sources_apart_minutes
        if not (watched or limits.depeg_bps or limits.volatility_trip_bps):
            return cls(True, 0, reading.live)
        base_price = reading.prices[0] if reading.statuses[0] is FeedStatus.LIVE else 0
        return cls(reading.live, base_price, reading.live)


@dataclass(frozen=True, slots=True)
class Alarms:
    """What is remembered of one mandate.

    Attributes
    ----------
    dead, off_peg
        Since when a price is known to be dead, and the base asset off its peg; Unix seconds, 0 while not.
    beat
        When the keeper last showed that it is alive, settlements aside.
    sample, variance, sampled_at
        Value per share at the last sample, variance a year at 1e18 as it then stood, and when.
    """

    dead: int = 0
    off_peg: int = 0
    beat: int = 0
    sample: int = 0
    variance: int = 0
    sampled_at: int = 0

    def reset(self, now: int) -> Alarms:
        """Everything forgotten but the keeper's last sign of life."""
        return Alarms(beat=self.beat or now)

    def poked(self, sight: Sight, limits: VaultLimits, base_decimals: int, per_share: int, now: int) -> Alarms:
        """With what anyone may record now; the same where there is nothing new.

        Parameters
        ----------
        per_share
            Value per share; used where every price is live.
        """
        found = self
        if limits.oracle_dead_minutes and sight.live == (self.dead > 0):
            found = replace(found, dead=0 if sight.live else now)
        if limits.depeg_bps and sight.base_price:
            off = _is_off_peg(sight.base_price, base_decimals, limits.depeg_bps)
            if off != (self.off_peg > 0):
                found = replace(found, off_peg=now if off else 0)
        window = limits.volatility_window_hours * HOUR
        if limits.volatility_trip_bps and sight.live and window and now >= self.sampled_at + window // SAMPLES:
            found = found._sampled(per_share, window, now)
        return found

    def condition(
        self, sight: Sight, limits: VaultLimits, base_decimals: int, settled_at: int, health: int, now: int
    ) -> tuple[BreakerState, int]:
        """The state that the table asks for besides the drawdown, first what halts, and why.

        Parameters
        ----------
        health
            Health factor of the lending account at 1e18.
        """
        if not sight.live and _has_run(self.dead, limits.oracle_dead_minutes, now):
            return BreakerState.HALTED, DEAD_ORACLE
        off = sight.base_price and _is_off_peg(sight.base_price, base_decimals, limits.depeg_bps)
        if off and _has_run(self.off_peg, limits.depeg_minutes, now):
            return BreakerState.HALTED, DEPEG
        if self._is_volatile(limits, now):
            return BreakerState.REDUCE_ONLY, VOLATILITY
        silence = limits.heartbeat_minutes * MINUTE
        if silence and now >= max(self.beat, settled_at) + silence:
            return BreakerState.REDUCE_ONLY, NO_HEARTBEAT
        if health < limits.deleverage_trigger_bps * BPS:
            return BreakerState.REDUCE_ONLY, HEALTH_FACTOR
        return BreakerState.ACTIVE, NO_REASON

    def variance_at(self, now: int, window_hours: int) -> int:
        """Variance a year at 1e18: since the last sample as though nothing had moved."""
        if not self.sampled_at:
            return 0
        window = window_hours * HOUR
        return self.variance * window // (window + now - self.sampled_at)

    def _is_volatile(self, limits: VaultLimits, now: int) -> bool:
        trip = limits.volatility_trip_bps * BPS
        return trip > 0 and self.variance_at(now, limits.volatility_window_hours) >= trip * trip // ONE

    def _sampled(self, per_share: int, window: int, now: int) -> Alarms:
        """The first sample after a reset has nothing to compare with."""
        variance = 0
        if self.sample:
            move = abs(per_share - self.sample) * ONE // self.sample
            squared = min(move, LARGEST_MOVE) ** 2 // ONE
            variance = (self.variance * window + squared * YEAR) // (window + now - self.sampled_at)
        return replace(
            self, sample=min(per_share, LARGEST_SAMPLE), variance=min(variance, LARGEST_SAMPLE), sampled_at=now
        )


def _is_off_peg(base_price: int, base_decimals: int, depeg_bps: int) -> bool:
    """Whether a whole base asset is further from one dollar than the mandate says."""
    peg: int = 10 ** (36 - base_decimals)
    return abs(base_price - peg) * FULL_BPS > peg * depeg_bps


def _has_run(since: int, minutes: int, now: int) -> bool:
    return bool(minutes and since) and now >= since + minutes * MINUTE


def _kept(peak: int) -> int:
    dropped = max(0, -(-(peak.bit_length() - PEAK_BITS) // PEAK_STEP) * PEAK_STEP)
    return peak >> dropped << dropped
