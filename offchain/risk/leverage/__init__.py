# SPDX-License-Identifier: Apache-2.0
"""Borrowing: accounts, interest, liquidation, its probability, and cascades."""

from offchain.risk.leverage.account import LendingAccount
from offchain.risk.leverage.cascade import Cascade, Round, cascade, fall_that_breaks
from offchain.risk.leverage.liquidation import LiquidationCall, LiquidationResult, liquidate, liquidation_call
from offchain.risk.leverage.paths import path_scenarios
from offchain.risk.leverage.probability import LiquidationRisk, SafeLeverage, liquidation_risk, safe_leverage
from offchain.risk.leverage.reserve import LeverageError, RateCurve, Reserve, debt_growth

__all__ = [
    "Cascade",
    "LendingAccount",
    "LeverageError",
    "LiquidationCall",
    "LiquidationResult",
    "LiquidationRisk",
    "RateCurve",
    "Reserve",
    "Round",
    "SafeLeverage",
    "cascade",
    "debt_growth",
    "fall_that_breaks",
    "liquidate",
    "liquidation_call",
    "liquidation_risk",
    "path_scenarios",
    "safe_leverage",
]
