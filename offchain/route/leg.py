# SPDX-License-Identifier: Apache-2.0
"""One step of a settlement, quoted exactly: a swap in a pool, or a move at a lending venue."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Venue(IntEnum):
    """Who executes a leg, numbered as on-chain: pools that the vault calls itself, or one of its listed venues."""

    UNISWAP_V2 = 0
    UNISWAP_V3 = 1
    LISTED_0 = 2
    LISTED_1 = 3
    LISTED_2 = 4
    LISTED_3 = 5

    @property
    def is_listed(self) -> bool:
        """Whether it is a contract of the vault's list."""
        return self >= Venue.LISTED_0


class LendingAction(IntEnum):
    """What a leg does at a lending venue, numbered as on-chain; it stands where a swap's fee tier does."""

    SUPPLY = 0
    WITHDRAW = 1
    BORROW = 2
    REPAY = 3
    SET_E_MODE = 4


@dataclass(frozen=True, slots=True)
class PlannedLeg:
    """Amounts in token base units; tokens are indices into the vault's assets."""

    venue: Venue
    pool: str
    token_in: int
    token_out: int
    fee_ppm: int
    """Fee tier of a v3 pool; 0 for v2; the action at a lending venue."""
    amount_in: int
    """What is offered; the vault clamps it to what it holds when the leg's turn comes."""
    amount_out: int
    """What the pool pays, to the wei, when the legs execute in order on the snapshot; 0 for a lending action."""

    @property
    def is_swap(self) -> bool:
        """Whether one asset is exchanged for another."""
        return self.token_in != self.token_out
