# SPDX-License-Identifier: Apache-2.0
"""What a mandate wants: each kind is a concave utility of the holdings, net of what trading costs.

With w the holdings after trading in fractions of the value before, T the horizon in years, S the covariance a year
and mu the expected returns a year, every kind contains the value itself, 1'w, so that slippage counts.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from offchain.mandate.beliefs import BenchmarkImpliedReturns, Covariance, MomentumReturns, Returns
from offchain.mandate.rules import EnsembleReturns, RuleReturns
from offchain.mandate.universe import Section, refusal

RiskAversion = Annotated[float, Field(gt=0, le=1000)]


class _Objective(Section):
    """What all kinds have.

    Attributes
    ----------
    risk_aversion
        Worth of variance: an annual variance of 1 costs half of it a year.
    horizon_days
        How long a plan is expected to stand.
    """

    risk_aversion: RiskAversion
    horizon_days: Annotated[float, Field(gt=0, le=3650)]
    covariance: Covariance
    returns: Returns = BenchmarkImpliedReturns(kind="benchmark_implied")

    @model_validator(mode="after")
    def _inside(self) -> _Objective:
        window = self.covariance.window_days
        if isinstance(self.returns, MomentumReturns) and self.returns.lookback_days > window:
            allowed = f"must be at most covariance.window_days ({window:g}), which is the history there is"
            raise refusal("returns.lookback_days", self.returns.lookback_days, allowed)
        if isinstance(self.returns, RuleReturns | EnsembleReturns) and self.returns.needed_days > window:
            allowed = f"must be at least {self.returns.needed_days:g}, the days that objective.returns looks at"
            raise refusal("covariance.window_days", window, allowed)
        return self


class Periods(Section):
    """Later trades planned along with today's, and planned anew when their time comes.

    Attributes
    ----------
    count
        Equal parts of the horizon, each of which begins with trades.
    half_life_days
        After so many days half of an expected return's distance from the benchmark-implied one is left.
    cost_bps
        Of value traded later; today's trades cost what the pools say.
    """

    count: Annotated[int, Field(ge=2, le=6)]
    half_life_days: Annotated[float, Field(gt=0, le=3650)]
    cost_bps: Annotated[float, Field(ge=0, le=500)] = 15.0


class MeanVarianceObjective(_Objective):
    """Maximise expected return less risk_aversion / 2 x variance, over the horizon, less costs."""

    kind: Literal["mean_variance"]
    returns: Returns
    periods: Periods | None = None


class MinimumVarianceObjective(_Objective):
    """Minimise risk_aversion / 2 x variance plus costs; expected returns do not count."""

    kind: Literal["minimum_variance"]


class TrackingObjective(_Objective):
    """Minimise risk_aversion / 2 x variance of the difference to the benchmark, plus costs."""

    kind: Literal["tracking"]


class RiskParityObjective(_Objective):
    """Every asset but the base adds the same risk; of the base asset no more than must be.

    Maximises -risk_aversion / 2 x variance + the sum of logarithms of the weights, scaled so that
    parity at full investment is its maximum; bounds and costs give way least where that hurts least.
    """

    kind: Literal["risk_parity"]


class VolatilityTargetObjective(_Objective):
    """Mean-variance with volatility at most the target, which a low risk_aversion makes it reach."""

    kind: Literal["volatility_target"]
    target_volatility: Annotated[float, Field(gt=0, le=5)]
    """Per year; 0.4 is 40 %."""


class MaximumSharpeObjective(_Objective):
    """Maximise the expected return over the horizon, less costs, per unit of volatility.

    risk_aversion only serves models of returns that need one.
    """

    kind: Literal["maximum_sharpe"]


class CvarObjective(_Objective):
    """Maximise expected return less shortfall_aversion x the mean loss of the worst scenarios, less costs."""

    kind: Literal["cvar"]
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    shortfall_aversion: Annotated[float, Field(gt=0, le=1000)] = 0.5


Objective = Annotated[
    MeanVarianceObjective
    | MinimumVarianceObjective
    | TrackingObjective
    | RiskParityObjective
    | VolatilityTargetObjective
    | MaximumSharpeObjective
    | CvarObjective,
    Field(discriminator="kind"),
]
