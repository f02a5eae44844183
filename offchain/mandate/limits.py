# SPDX-License-Identifier: Apache-2.0
"""The part of a mandate that the chain holds, in the chain's own units and order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VaultLimits:
    """The mandate as the chain holds it, in basis points."""

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

    def as_struct(
        self,
    ) -> tuple[list[int], list[int], int, int, int, int, int, int, int, int]:
        """Return the fields as the contract's ``Mandate`` struct takes them."""
        return (
            list(self.min_weights_bps),
            list(self.max_weights_bps),
            self.loss_capacity_bps,
            self.loss_refill_bps_per_day,
            self.turnover_capacity_bps,
            self.turnover_refill_bps_per_day,
            self.drawdown_reduce_bps,
            self.drawdown_halt_bps,
            self.entry_fee_bps,
            self.exit_fee_bps,
        )


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
