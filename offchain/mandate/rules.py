# SPDX-License-Identifier: Apache-2.0
"""Portfolios by rule, and mixtures of them: models of expected returns that say where to, not how much.

The expected returns are those under which the rule's portfolio would be optimal, so that the program goes there as
far as it pays. `objective.risk_aversion` says how tightly: it prices the distance that is left.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from offchain.mandate.universe import Positive, Section, as_tuple, refusal, repeated

Rule = Literal[
    "equal_weight",
    "benchmark",
    "minimum_variance",
    "risk_parity",
    "volatility_target",
    "momentum",
    "mean_variance",
    "minimum_cvar",
]
MIN_MOMENTS_DAYS = 20
MIN_LEARNING_DAYS = 60
"""Days between the moments' window and the whole one in which an ensemble sees its experts work."""


class RuleReturns(Section):
    """Returns under which a rule's portfolio would be optimal.

    Rules look at daily returns of `moments_days` and stay inside the mandate's weights.

    equal_weight
        The same in everything, the base asset included.
    benchmark
        The benchmark weights.
    minimum_variance
        The least variance the bounds allow.
    risk_parity
        Every asset but the base adds the same risk; of the base asset no more than must be.
    volatility_target
        The benchmark's risky part, scaled so that its volatility is `target_volatility`; the rest in base asset.
    momentum
        What rose, by how clearly, over its volatility; scaled to the target like the rule before.
    mean_variance
        The window's means, halved, against `risk_aversion`.
    minimum_cvar
        The least mean of the worst 5 % of the window's days.
    """

    kind: Literal["rule"]
    rule: Rule
    moments_days: Annotated[float, Field(ge=MIN_MOMENTS_DAYS, le=3650)] = 60.0
    target_volatility: Annotated[float, Field(gt=0, le=5)] = 0.4
    """Per year; 0.4 is 40 %."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """Assets it names."""
        return ()

    @property
    def needed_days(self) -> float:
        """History without which it cannot be told."""
        return self.moments_days


class EnsembleReturns(Section):
    """Returns under which a mixture of rules would be optimal, each weighted by what it would have earned.

    Every day of the window each expert's portfolio is decided from the days before, held over the next and charged
    for its trades; shares grow with the utility (return less risk_aversion / 2 x squared return) that it realised,
    counted by the regime the day was in, older days less. The mixture is that of the regime there is now.
    """

    kind: Literal["ensemble"]
    experts: Annotated[tuple[Rule, ...], BeforeValidator(as_tuple), Field(min_length=2, max_length=8)]
    moments_days: Annotated[float, Field(ge=MIN_MOMENTS_DAYS, le=3650)] = 60.0
    target_volatility: Annotated[float, Field(gt=0, le=5)] = 0.4
    learning_rate: Annotated[float, Field(gt=0, le=1000)] = 5.0
    """Logarithm of how much more a share grows for one unit of utility; a year's good expert gains tenths of it."""
    half_life_days: Positive = 180.0
    """After so many days what an expert earned counts half."""
    cost_bps: Annotated[float, Field(ge=0, le=500)] = 15.0
    """Of value traded, that experts are charged."""
    regimes: Literal[1, 2] = 2

    @model_validator(mode="after")
    def _experts(self) -> EnsembleReturns:
        index = repeated(self.experts)
        if index is not None:
            raise refusal(f"experts[{index}]", self.experts[index], "already listed; list each expert once")
        if "minimum_cvar" in self.experts:
            raise refusal("experts", "minimum_cvar", "is too slow to be tried every day of the window; leave it out")
        return self

    @property
    def symbols(self) -> tuple[str, ...]:
        """Assets it names."""
        return ()

    @property
    def needed_days(self) -> float:
        """History without which it cannot be told."""
        return self.moments_days + MIN_LEARNING_DAYS
