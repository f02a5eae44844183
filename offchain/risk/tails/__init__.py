# SPDX-License-Identifier: Apache-2.0
"""Fat tails: fitted, simulated, forecast in time, and held against what came."""

from offchain.risk.tails.copula import JointScenarios, StudentCopula, fit_copula, fit_joint
from offchain.risk.tails.coverage import Coverage, LikelihoodRatio, coverage, exceedances
from offchain.risk.tails.filtered import (
    Scenarios,
    VolatilityRecursion,
    filtered_scenarios,
    smoothed_volatility,
    smoothing,
    standardised,
)
from offchain.risk.tails.models import (
    FilteredTail,
    HistoricalTail,
    NormalTail,
    ParetoTails,
    StudentTail,
    TailModel,
    tail_model,
    tail_of,
)
from offchain.risk.tails.pareto import ParetoTail, fit_pareto, hill
from offchain.risk.tails.shortfall_tests import ShortfallTest, ShortfallTests, location_scale_draw, shortfall_tests
from offchain.risk.tails.student import StudentT, fit_student
from offchain.risk.tails.walk_forward import WalkForward, walk_forward, walk_forward_levels

__all__ = [
    "Coverage",
    "FilteredTail",
    "HistoricalTail",
    "JointScenarios",
    "LikelihoodRatio",
    "NormalTail",
    "ParetoTail",
    "ParetoTails",
    "Scenarios",
    "ShortfallTest",
    "ShortfallTests",
    "StudentCopula",
    "StudentT",
    "StudentTail",
    "TailModel",
    "VolatilityRecursion",
    "WalkForward",
    "coverage",
    "exceedances",
    "filtered_scenarios",
    "fit_copula",
    "fit_joint",
    "fit_pareto",
    "fit_student",
    "hill",
    "location_scale_draw",
    "shortfall_tests",
    "smoothed_volatility",
    "smoothing",
    "standardised",
    "tail_model",
    "tail_of",
    "walk_forward",
    "walk_forward_levels",
]
