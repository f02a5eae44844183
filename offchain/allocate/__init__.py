# SPDX-License-Identifier: Apache-2.0
"""Decides what to hold, inside the mandate and net of what the pools charge."""

from offchain.allocate.errors import (
    AllocationError,
    ForecastInvalidError,
    InfeasibleError,
    MismatchError,
    SolverError,
)
from offchain.allocate.plan import BindingLimit, Plan, PlanReason
from offchain.allocate.planner import make_plan

__all__ = [
    "AllocationError",
    "BindingLimit",
    "ForecastInvalidError",
    "InfeasibleError",
    "MismatchError",
    "Plan",
    "PlanReason",
    "SolverError",
    "make_plan",
]
