# SPDX-License-Identifier: Apache-2.0
"""What to pay for inclusion (EIP-1559)."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median_low

from offchain.settle.node import FeeHistory

BUMP_PERCENT = 13
"""Nodes replace a transaction only for 10 % (geth) to 12.5 % (others) more on both fees."""


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei per gas."""

    max_fee: int
    priority_fee: int


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """How much to pay.

    Base fees up to `max_base_fee` are paid, with a priority fee between
    `min_priority_fee` and `max_priority_fee` on top; all wei per gas.
    """

    max_base_fee: int
    max_priority_fee: int
    min_priority_fee: int = 0
    history_blocks: int = 10
    percentile: float = 50.0

    @property
    def max_fee(self) -> int:
        """The most that is ever offered."""
        return self.max_base_fee + self.max_priority_fee

    def quote(self, history: FeeHistory) -> Fees | None:
        """Fees for a new transaction; `None` while the base fee is above the ceiling.

        The offer covers twice the next base fee, which lasts through six full blocks.
        """
        if history.next_base_fee > self.max_base_fee:
            return None
        usual = median_low(history.priority_fees) if history.priority_fees else self.min_priority_fee
        priority_fee = min(max(usual, self.min_priority_fee), self.max_priority_fee)
        return Fees(min(2 * history.next_base_fee + priority_fee, self.max_fee), priority_fee)

    def replacement(self, previous: Fees, history: FeeHistory) -> Fees | None:
        """Fees that replace a waiting transaction; `None` when they would exceed the ceiling."""
        fresh = self.quote(history) or previous
        priority_fee = max(_bumped(previous.priority_fee), fresh.priority_fee)
        max_fee = max(_bumped(previous.max_fee), fresh.max_fee, priority_fee)
        if max_fee > self.max_fee or priority_fee > self.max_priority_fee:
            return None
        return Fees(max_fee, priority_fee)


def _bumped(fee: int) -> int:
    # At least one wei: 13 % of nothing would not replace anything.
    return max(-(-fee * (100 + BUMP_PERCENT) // 100), fee + 1)
