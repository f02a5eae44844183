# SPDX-License-Identifier: Apache-2.0
"""Made-up markets for the blue-chip mandate, small enough to run many of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offchain.backtest.engine import fit_to_prices, run_backtest
from offchain.backtest.liquidity import ModelledLiquidity
from offchain.backtest.model_pools import Flow
from offchain.backtest.path import MarketPath
from offchain.backtest.records import BacktestRun, Track
from offchain.backtest.settings import BacktestSettings
from offchain.backtest.venues import default_pools
from offchain.mandate import Mandate, load_mandate

MANDATE = Path(__file__).parents[3] / "mandates" / "blue-chip.yaml"
DAY = 86_400
START = 1_700_006_400
"""A midnight."""


@dataclass(frozen=True)
class Market:
    """Correlated random walks of ETH, BTC and LINK under a mandate of USDC, WETH, WBTC, LINK, wstETH."""

    mandate: Mandate
    days: int = 90
    step: int = DAY
    seed: int = 5
    volatility: float = 0.6

    def path(self, **changes: Any) -> MarketPath:
        rng = np.random.default_rng(self.seed)
        rows = self.days * DAY // self.step + 1
        common, own = rng.standard_normal((rows, 1)), rng.standard_normal((rows, 3))
        scale = self.volatility * np.sqrt(self.step / (365 * DAY))
        returns = scale * (0.8 * common + 0.6 * own)
        returns[0] = 0.0
        risky = np.array([3000.0, 60_000.0, 15.0]) * np.exp(np.cumsum(returns, axis=0))
        times = START + self.step * np.arange(rows, dtype=np.int64)
        ratio = 1.17 * (1 + 0.03 * (times - START) / (365 * DAY))
        prices = np.column_stack([np.ones(rows), risky, risky[:, 0] * ratio])
        ratios = np.ones((rows, 5))
        ratios[:, 4] = ratio
        fees = np.full(rows, 10 * 10**9, dtype=np.int64)
        return replace(MarketPath(self.mandate.symbols, times, prices, ratios, risky[:, 0], fees), **changes)

    def run(
        self, path: MarketPath | None = None, settings: BacktestSettings | None = None, flow: Flow = Flow.CENTRED,
        **options: Any,
    ) -> BacktestRun:  # fmt: skip
        path = path or self.path()
        mandate, _ = fit_to_prices(self.mandate, path)
        liquidity = ModelledLiquidity(mandate, default_pools(mandate), flow)
        return run_backtest(mandate, path, liquidity, settings, **options)


def unexplained(track: Track) -> float:
    """Largest change of value in a step that its parts do not add up to, as a fraction of value."""
    costs = track.fees + track.impact + track.sandwich + track.basis + track.borrow + track.penalty
    parts = track.market + track.staking + track.carry - costs + track.deposits - track.withdrawals
    change = np.diff(track.value, prepend=0.0)
    return float(np.max(np.abs(change - parts) / track.value))


COINS = np.array([3000.0, 60_000.0, 15.0])
"""First prices of ether, bitcoin and LINK."""


def walk(past: int, days: int, seed: int, volatility: float = 0.6) -> np.ndarray:
    """Independent random walks of three coins, shape (past + days, 3)."""
    moves = np.random.default_rng(seed).standard_normal((past + days, 3)) * volatility / np.sqrt(365)
    moves[0] = 0.0
    return COINS * np.exp(np.cumsum(moves, axis=0))


def coin_path(coins: np.ndarray) -> MarketPath:
    """Daily prices of the assets of `mandates/`' strategies from those of their coins, shape (T, 3)."""
    times = START + DAY * np.arange(len(coins), dtype=np.int64)
    prices = np.column_stack([np.ones(len(coins)), coins])
    fees = np.full(len(coins), 10**9, dtype=np.int64)
    return MarketPath(("USDC", "WETH", "WBTC", "LINK"), times, prices, np.ones_like(prices), coins[:, 0].copy(), fees)


def run_strategy(stem: str, path: MarketPath, depth: float = 1.0, **objective: Any) -> BacktestRun:
    """Run one of `mandates/` over a path, with other fields of its objective."""
    mandate = load_mandate(MANDATE.with_name(f"{stem}.yaml"))
    mandate = mandate.model_copy(update={"objective": mandate.objective.model_copy(update=objective)})
    return run_backtest(mandate, path, ModelledLiquidity(mandate, default_pools(mandate, depth)))


def strategy_run(stem: str, coins: np.ndarray, depth: float = 1.0, **objective: Any) -> BacktestRun:
    """Run one of `mandates/` over prices of ether, bitcoin and LINK."""
    return run_strategy(stem, coin_path(coins), depth, **objective)


@pytest.fixture(scope="session")
def mandate() -> Mandate:
    return load_mandate(MANDATE)


@pytest.fixture(scope="session")
def market(mandate: Mandate) -> Market:
    """Ninety days in daily steps."""
    return Market(mandate)


@pytest.fixture(scope="session")
def base_run(market: Market) -> BacktestRun:
    """One ordinary run, to look at."""
    return market.run()
