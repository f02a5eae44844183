# SPDX-License-Identifier: Apache-2.0
"""What the mandate's forecast is made with: a covariance model and a model of expected returns."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from offchain.mandate.rules import EnsembleReturns, RuleReturns
from offchain.mandate.universe import Positive, Section, as_tuple, refusal

Finite = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, le=1)]


class EwmaCovariance(Section):
    """Exponentially weighted covariance of the returns inside the window."""

    kind: Literal["ewma"]
    half_life_days: Positive
    window_days: Positive

    @model_validator(mode="after")
    def _inside(self) -> EwmaCovariance:
        if self.half_life_days > self.window_days:
            raise refusal(
                "half_life_days",
                self.half_life_days,
                f"must be at most window_days ({self.window_days:g})",
            )
        return self


class LedoitWolfCovariance(Section):
    """Sample covariance of the window, shrunk towards a multiple of the identity."""

    kind: Literal["ledoit_wolf"]
    window_days: Positive


class OasCovariance(Section):
    """Sample covariance of the window, shrunk by oracle approximation."""

    kind: Literal["oas"]
    window_days: Positive


class DenoisedCovariance(Section):
    """Sample covariance of the window whose correlations keep only what stands above the noise."""

    kind: Literal["denoised"]
    window_days: Positive


class FactorCovariance(Section):
    """A few common factors of the window's correlations, and what is left to each asset."""

    kind: Literal["factor"]
    window_days: Positive
    factors: Annotated[int, Field(ge=1, le=16)] | None = None
    """How many; without it as many as stand above the noise."""


class DccCovariance(Section):
    """A GARCH for each asset and dynamic conditional correlations, over the horizon."""

    kind: Literal["dcc"]
    window_days: Positive


Covariance = Annotated[
    EwmaCovariance | LedoitWolfCovariance | OasCovariance | DenoisedCovariance | FactorCovariance | DccCovariance,
    Field(discriminator="kind"),
]


class BenchmarkImpliedReturns(Section):
    """Expected returns under which the benchmark weights would be optimal."""

    kind: Literal["benchmark_implied"]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Assets it names."""
        return ()


class ShrunkReturns(Section):
    """The window's mean returns, shrunk together: a few months of means are mostly noise."""

    kind: Literal["shrunk"]
    method: Literal["bayes_stein", "james_stein"]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Assets it names."""
        return ()


class View(Section):
    """One opinion on the return of an asset, or of a basket of long and short ones."""

    weights: Annotated[dict[str, Finite], Field(min_length=1)]
    """By symbol: 1 and nothing else for one asset; longs and shorts for a relative view."""
    annual_return: Finite
    """Per year, of those weights together; 0.05 is 5 %."""
    confidence: Fraction
    """0 would leave the prior as it is, 1 imposes the view."""

    @model_validator(mode="after")
    def _says_something(self) -> View:
        if not any(self.weights.values()):
            raise refusal("weights", dict(self.weights), "at least one weight must not be zero")
        return self


class BlackLittermanReturns(Section):
    """Benchmark-implied returns, moved by views as far as each is trusted."""

    kind: Literal["black_litterman"]
    tau: Fraction = 0.05
    """How uncertain the implied returns are, as a fraction of the covariance."""
    views: Annotated[tuple[View, ...], BeforeValidator(as_tuple), Field(min_length=1)]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Assets it names."""
        return tuple(symbol for view in self.views for symbol in view.weights)


class MomentumReturns(Section):
    """Benchmark-implied returns, tilted towards what rose more than its volatility explains."""

    kind: Literal["momentum"]
    lookback_days: Positive
    skip_days: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """Latest days left out: they tend to reverse."""
    strength: Annotated[float, Field(gt=0, le=2)] = 0.25
    """Expected annual return for a score of one, as a multiple of the asset's volatility."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """Assets it names."""
        return ()

    @model_validator(mode="after")
    def _looks_back(self) -> MomentumReturns:
        if self.skip_days >= self.lookback_days:
            raise refusal("skip_days", self.skip_days, f"must be less than lookback_days ({self.lookback_days:g})")
        return self


class Yields(Section):
    """What holding an asset earns besides its price, per year, in basis points."""

    staking_bps: int = 0
    lending_bps: int = 0
    funding_bps: int = 0
    """Funding a holder receives: that of a short perpetual is positive when longs pay."""

    @property
    def total(self) -> float:
        """Fraction per year."""
        return (self.staking_bps + self.lending_bps + self.funding_bps) / 10_000


class CarryReturns(Section):
    """Benchmark-implied returns, plus what each asset yields."""

    kind: Literal["carry"]
    yields: Annotated[dict[str, Yields], Field(min_length=1)]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Assets it names."""
        return tuple(self.yields)


EstimatedReturns = BenchmarkImpliedReturns | ShrunkReturns | BlackLittermanReturns | MomentumReturns | CarryReturns
Returns = Annotated[EstimatedReturns | RuleReturns | EnsembleReturns, Field(discriminator="kind")]
