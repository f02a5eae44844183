# SPDX-License-Identifier: Apache-2.0
"""Stress: recorded crashes and shocks of one's own."""

from offchain.risk.stress.events import StressEvent, StressPath, event, events, record_event, stress_path
from offchain.risk.stress.parametric import shock, stressed_covariance, volatility_shock, worst_case
from offchain.risk.stress.portfolio import StressResult, stress_portfolio

__all__ = [
    "StressEvent",
    "StressPath",
    "StressResult",
    "event",
    "events",
    "record_event",
    "shock",
    "stress_path",
    "stress_portfolio",
    "stressed_covariance",
    "volatility_shock",
    "worst_case",
]
