# SPDX-License-Identifier: Apache-2.0
"""The part of a mandate that the chain holds, in the chain's own units and order."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class VaultLimits:
    """The mandate as the chain holds it, in basis points unless a name says otherwise.

    Of the fields with a default, 0 and an empty tuple mean that there is no such rule.
    """

    min_weights_bps: tuple[int, ...]
    max_weights_bps: tuple[int, ...]
    loss_capacity_bps: int
    loss_refill_bps_per_day: int
    turnover_capacity_bps: int
    turnover_refill_bps_per_day: int
    drawdown_reduce_bps: int
    drawdown_halt_bps: int
    entry_fee_bps: int
    exit_fee_bps: int
    loss_per_settlement_bps: int = 0
    max_leverage_bps: int = 0
    """Everything held over net value."""
    min_health_bps: int = 0
    """Lowest health factor."""
    min_buffer_bps: int = 0
    """Least base asset in the wallet."""
    cool_down_s: int = 0
    """Seconds between two settlements."""
    peak_window_hours: int = 0
    """The drawdown counts from the peak of at least this long; 0 for all time."""
    max_venues_bps: tuple[int, ...] = ()
    """Held at each listed venue, in the vault's order; none where the tuple ends."""
    deleverage_trigger_bps: int = 0
    deleverage_target_bps: int = 0
    deleverage_discount_bps: int = 0
    volatility_trip_bps: int = 0
    volatility_window_hours: int = 0
    oracle_dead_minutes: int = 0
    sources_apart_minutes: int = 0
    depeg_bps: int = 0
    depeg_minutes: int = 0
    heartbeat_minutes: int = 0
    frozen_trips: int = 0
    """1: a paused or frozen reserve trips."""

    def as_struct(self) -> tuple[int | list[int], ...]:
        """Return the fields as the contract's ``Limits`` struct takes them."""
        values = (getattr(self, field.name) for field in fields(self))
        return tuple(list(value) if isinstance(value, tuple) else value for value in values)


TABLE_LIMITS = (
    "peak_window_hours",
    "deleverage_trigger_bps",
    "deleverage_target_bps",
    "deleverage_discount_bps",
    "volatility_trip_bps",
    "volatility_window_hours",
    "oracle_dead_minutes",
    "sources_apart_minutes",
    "depeg_bps",
    "depeg_minutes",
    "heartbeat_minutes",
    "frozen_trips",
)
"""The breaker's table besides the drawdown: neither direction of a change is tighter."""


@dataclass(frozen=True, slots=True)
class SecondPrice:
    """What the chain holds an asset's price against: the price oracle's ``SecondSource`` struct."""

    pool: str
    """Uniswap v3 pool; the zero address for nothing, with all else 0."""
    quote: int
    """Index of the pool's other asset."""
    window: int
    """Seconds averaged over."""
    min_liquidity: int
    """Least harmonic mean of the pool's liquidity in range over the window."""
    min_cardinality: int
    max_deviation_bps: int

    def as_struct(self) -> tuple[str, int, int, int, int, int]:
        """Return the fields as the contract's ``SecondSource`` struct takes them."""
        return (
            self.pool,
            self.quote,
            self.window,
            self.min_liquidity,
            self.min_cardinality,
            self.max_deviation_bps,
        )


@dataclass(frozen=True, slots=True)
class Sequencer:
    """A rollup's uptime feed and the grace after a restart; the zero address on other chains."""

    feed: str
    grace: int
    """Seconds."""


@dataclass(frozen=True, slots=True)
class OracleFeed:
    """How the chain prices one asset: the price oracle's ``Feed`` struct."""

    kind: int
    """0 = a Chainlink USD feed, 1 = staking ratio x market feed x base feed."""
    feed: str
    heartbeat: int
    """Seconds after which a round counts as stale."""
    min_price: int
    """USD at 18 decimals per whole token."""
    max_price: int
    token_decimals: int
    ratio_source: str
    """Zero address unless `kind` is 1, as are the two fields below."""
    base_feed: str
    base_heartbeat: int

    def as_struct(self) -> tuple[int, str, int, int, int, int, str, str, int]:
        """Return the fields as the contract's ``Feed`` struct takes them."""
        return (
            self.kind,
            self.feed,
            self.heartbeat,
            self.min_price,
            self.max_price,
            self.token_decimals,
            self.ratio_source,
            self.base_feed,
            self.base_heartbeat,
        )
