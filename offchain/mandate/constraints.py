# SPDX-License-Identifier: Apache-2.0
"""Limits that only the optimizer keeps: the chain does not know them, and its own stay in force beside them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from offchain.mandate.universe import FULL_BPS, MAX_WEIGHT_BPS, Bps, Section, as_tuple, refusal, repeated


class Group(Section):
    """Bounds on what several assets weigh together."""

    name: Annotated[str, Field(pattern=r"^[ -~]{1,32}$")]
    assets: Annotated[tuple[str, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    min_weight_bps: Bps = 0
    max_weight_bps: Bps = FULL_BPS

    @model_validator(mode="after")
    def _sensible(self) -> Group:
        index = repeated(self.assets)
        if index is not None:
            raise refusal(f"assets[{index}]", self.assets[index], "already listed; list each asset once")
        if self.min_weight_bps > self.max_weight_bps:
            raise refusal("min_weight_bps", self.min_weight_bps, f"must be at most {self.max_weight_bps}, the maximum")
        return self


class Constraints(Section):
    """What a plan keeps to besides the limits on the chain; by default nothing.

    Attributes
    ----------
    groups
        Of assets; those that stand outside are brought inside like weights outside their bounds.
    max_turnover_bps
        Most that one plan buys or sells, of value.
    buffer_bps
        Base asset held for redemptions, on top of its minimum weight.
    venue_caps_bps
        By kind of venue: most that one plan sells through it, of value. Its smallest trades move elsewhere first.
    """

    groups: Annotated[tuple[Group, ...], BeforeValidator(as_tuple), Field(max_length=16)] = ()
    max_turnover_bps: Annotated[int, Field(gt=0, le=MAX_WEIGHT_BPS)] = MAX_WEIGHT_BPS
    buffer_bps: Bps = 0
    venue_caps_bps: dict[str, Annotated[int, Field(gt=0, le=FULL_BPS)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _distinct(self) -> Constraints:
        index = repeated([group.name for group in self.groups])
        if index is not None:
            raise refusal(f"groups[{index}].name", self.groups[index].name, "already there; name each group once")
        return self
