# SPDX-License-Identifier: Apache-2.0
"""Measures of a record of returns: ratios, drawdowns, tails, and how sure one can be of them."""

from offchain.risk.measures.bootstrap import (
    BlockLength,
    Interval,
    Measure,
    block_indices,
    block_length,
    bootstrap,
    bootstrap_all,
)
from offchain.risk.measures.drawdown import (
    Drawdown,
    conditional_drawdown,
    drawdowns,
    longest_drawdown,
    max_drawdown,
    time_under_water,
    ulcer_index,
    wealth,
)
from offchain.risk.measures.ratios import (
    annual_return,
    annual_volatility,
    beta,
    calmar_ratio,
    downside_deviation,
    information_ratio,
    omega_ratio,
    sharpe_ratio,
    sortino_ratio,
    tracking_error,
)
from offchain.risk.measures.sharpe_tests import (
    DeflatedSharpe,
    deflated_sharpe,
    expected_best_sharpe,
    minimum_record,
    probabilistic_sharpe,
)
from offchain.risk.measures.tail import entropic_value_at_risk, expected_shortfall, value_at_risk

__all__ = [
    "BlockLength",
    "DeflatedSharpe",
    "Drawdown",
    "Interval",
    "Measure",
    "annual_return",
    "annual_volatility",
    "beta",
    "block_indices",
    "block_length",
    "bootstrap",
    "bootstrap_all",
    "calmar_ratio",
    "conditional_drawdown",
    "deflated_sharpe",
    "downside_deviation",
    "drawdowns",
    "entropic_value_at_risk",
    "expected_best_sharpe",
    "expected_shortfall",
    "information_ratio",
    "longest_drawdown",
    "max_drawdown",
    "minimum_record",
    "omega_ratio",
    "probabilistic_sharpe",
    "sharpe_ratio",
    "sortino_ratio",
    "time_under_water",
    "tracking_error",
    "ulcer_index",
    "value_at_risk",
    "wealth",
]
