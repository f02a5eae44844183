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
