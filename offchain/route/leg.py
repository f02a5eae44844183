# SPDX-License-Identifier: Apache-2.0
"""One swap in one pool, quoted exactly."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Venue(IntEnum):
    """Pool kinds that the vault calls directly, numbered as on-chain."""

    UNISWAP_V2 = 0
    UNISWAP_V3 = 1


@dataclass(frozen=True, slots=True)
class PlannedLeg:
    """Amounts in token base units; tokens are indices into the vault's assets."""

    venue: Venue
    pool: str
    token_in: int
    token_out: int
    fee_ppm: int
    """Fee tier of a v3 pool; 0 for v2."""
    amount_in: int
    """What is offered; the vault clamps it to what it holds when the leg's turn comes."""
    amount_out: int
    """What the pool pays, to the wei, when the legs execute in order on the snapshot."""
