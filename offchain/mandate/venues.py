# SPDX-License-Identifier: Apache-2.0
"""Where a vault trades and lends: Uniswap, which it calls itself, and the venues its owner lists."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from offchain.mandate.universe import Address, Section, as_tuple, refusal, repeated

UNISWAP_V3_FEE_TIERS = (100, 500, 3000, 10000)
FIRST_LISTED = 2
"""Number by which a leg names the first listed venue: 0 and 1 are Uniswap's versions."""
MAX_LISTED = 4
"""Venues that a vault can list besides Uniswap."""

SLIPPED = 2 / 3
"""A health factor that fell less than a third of the way from the target to the floor is let be."""

Probability = Annotated[float, Field(gt=0, lt=1)]
Symbols = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]


def _known_tier(tier: int) -> int:
    if tier not in UNISWAP_V3_FEE_TIERS:
        raise PydanticCustomError("tier", "must be one of 100, 500, 3000, 10000 (parts per million)")
    return tier


def _pool_id(value: str) -> str:
    if re.fullmatch("0x[0-9a-fA-F]{64}", value) is None:
        raise PydanticCustomError("pool_id", "must be a pool id: 0x and 64 hexadecimal digits")
    return value.lower()


class UniswapV2Venue(Section):
    """Constant-product pairs of the universe."""

    kind: Literal["uniswap_v2"]


class UniswapV3Venue(Section):
    """Concentrated-liquidity pools of the universe, at these fee tiers (parts per million)."""

    kind: Literal["uniswap_v3"]
    fee_tiers: Annotated[
        tuple[Annotated[int, AfterValidator(_known_tier)], ...],
        BeforeValidator(as_tuple),
        Field(min_length=1),
    ]

    @model_validator(mode="after")
    def _distinct(self) -> UniswapV3Venue:
        index = repeated(self.fee_tiers)
        if index is not None:
            raise refusal(f"fee_tiers[{index}]", self.fee_tiers[index], "already listed; list each tier once")
        return self


class AaveV3Venue(Section):
    """An account at an Aave v3 pool: what may be supplied and borrowed there, and how far that is taken.

    The chain enforces leverage and health factor (see ``limits``); within them the optimizer takes at most
    the leverage whose probability of liquidation over ``objective.horizon_days`` is as given.
    """

    kind: Literal["aave_v3"]
    pool: Address
    supply: Annotated[Symbols, Field(min_length=1)]
    """Symbols of what may be supplied; all of it counts as collateral."""
    borrow: Symbols = ()
    """Symbols of what may be borrowed, at the variable rate."""
    e_mode: Annotated[int, Field(ge=0, le=255)] = 0
    """Efficiency mode category that the account enters before it borrows; 0 for none."""
    liquidation_probability: Probability = 0.01
    """Most that a plan may accept, over the horizon."""
    target_health_factor: Annotated[float, Field(gt=1, le=10)] = 1.3
    """What a plan leaves at least, whatever the probability says."""

    @model_validator(mode="after")
    def _distinct(self) -> AaveV3Venue:
        for field, symbols in (("supply", self.supply), ("borrow", self.borrow)):
            index = repeated(symbols)
            if index is not None:
                raise refusal(f"{field}[{index}]", symbols[index], "already listed; list each asset once")
        return self


class BalancerV2Venue(Section):
    """Weighted pools of Balancer v2 that swaps may go through."""

    kind: Literal["balancer_v2"]
    vault: Address
    pools: Annotated[
        tuple[Annotated[str, AfterValidator(_pool_id)], ...],
        BeforeValidator(as_tuple),
        Field(min_length=1, max_length=8),
    ]
    """Pool ids."""

    @model_validator(mode="after")
    def _distinct(self) -> BalancerV2Venue:
        index = repeated(self.pools)
        if index is not None:
            raise refusal(f"pools[{index}]", self.pools[index], "already listed; list each pool once")
        return self


ListedVenue = AaveV3Venue | BalancerV2Venue
"""Venues that are contracts of their own, in the order of the file: the vault's list."""

VenueSection = Annotated[UniswapV2Venue | UniswapV3Venue | AaveV3Venue | BalancerV2Venue, Field(discriminator="kind")]
