# SPDX-License-Identifier: Apache-2.0
"""The keeper's own line over history: what a mandate would have done, and what it would have cost."""

from offchain.backtest.engine import fit_to_prices, run_backtest
from offchain.backtest.errors import AccountingError, BacktestError, MarketPathError
from offchain.backtest.liquidity import Flow, ModelledLiquidity, PoolSpec, RecordedLiquidity
from offchain.backtest.path import MarketPath, path_from_prices
from offchain.backtest.records import BacktestRun, Event, EventKind, SettlementRecord, Track
from offchain.backtest.settings import BacktestSettings, CapitalFlow, Carry, FlowKind, Interest
from offchain.backtest.venues import default_pools

__all__ = [
    "AccountingError",
    "BacktestError",
    "BacktestRun",
    "BacktestSettings",
    "CapitalFlow",
    "Carry",
    "Event",
    "EventKind",
    "Flow",
    "FlowKind",
    "Interest",
    "MarketPath",
    "MarketPathError",
    "ModelledLiquidity",
    "PoolSpec",
    "RecordedLiquidity",
    "SettlementRecord",
    "Track",
    "default_pools",
    "fit_to_prices",
    "path_from_prices",
    "run_backtest",
]
