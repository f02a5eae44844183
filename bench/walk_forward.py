# SPDX-License-Identifier: Apache-2.0
"""Backtests: rolling mean-variance against cvxportfolio, skfolio and a plain loop; a year of hourly ticks.

The peers are optional: a row says so where one is not installed.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import Row, median_seconds
from offchain.backtest.rolling import rolling_mean_variance

DAYS, ASSETS, WINDOW = 2_000, 20, 250
RISK_AVERSION, COST_BPS = 5.0, 10.0

Floats = NDArray[np.float64]


def rows() -> list[Row]:
    returns = market(DAYS, ASSETS)
    ours = rolling_mean_variance(returns, window=WINDOW, risk_aversion=RISK_AVERSION, cost_bps=COST_BPS)
    ours_s = median_seconds(
        lambda: rolling_mean_variance(returns, window=WINDOW, risk_aversion=RISK_AVERSION, cost_bps=COST_BPS), 15
    )
    size = {"days": DAYS, "assets": ASSETS, "window": WINDOW}
    peers: tuple[tuple[str, str, Callable[[Floats], Floats]], ...] = (
        ("clarabel", "clarabel loop", clarabel_loop),
        ("cvxportfolio", "cvxportfolio", cvxportfolio_weights),
        ("skfolio", "skfolio", skfolio_weights),
    )
    found = []
    for module, name, run in peers:
        row: Row = {"name": "walk_forward", "size": size, "ours_s": ours_s, "peer": name, "residual": ours.residual}
        if find_spec(module) is None:
            found.append(row | {"note": f"{module} is not installed"})
            continue
        start = time.perf_counter()
        weights = run(returns)
        peer_s = time.perf_counter() - start
        difference = float(np.max(np.abs(weights - ours.weights[: len(weights)])))
        found.append(row | {"peer_s": peer_s, "ratio": peer_s / ours_s, "largest_weight_difference": difference})
    return [*found, hourly_year()]


def market(days: int, assets: int) -> Floats:
    """Daily returns with one factor and fat tails."""
    rng = np.random.default_rng(0)
    factor = 0.03 * rng.standard_t(5, (days, 1))
    return factor * rng.uniform(0.5, 1.5, assets) + 0.03 * rng.standard_t(5, (days, assets)) + 5e-4


def clarabel_loop(returns: Floats) -> Floats:
    """The plain loop: moments by numpy, one cone program a day, solved from scratch."""
    import clarabel
    from scipy import sparse

    rows, n = returns.shape
    eye, empty = sparse.eye(n), sparse.csc_matrix((n, n))
    matrix = sparse.vstack(
        [
            sparse.hstack([sparse.csc_matrix(np.ones((1, n))), sparse.csc_matrix((1, n))]),
            sparse.hstack([eye, -eye]),
            sparse.hstack([-eye, -eye]),
            sparse.hstack([-eye, empty]),
        ]
    ).tocsc()
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-10
    cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(3 * n)]
    previous, found = np.full(n, 1 / n), []
    for k in range(rows - WINDOW):
        past, new = returns[k : k + WINDOW], returns[WINDOW + k]
        hessian = sparse.block_diag([sparse.csc_matrix(np.triu(RISK_AVERSION * np.cov(past.T))), empty]).tocsc()
        linear = np.concatenate([-past.mean(axis=0), np.full(n, COST_BPS / 1e4)])
        right = np.concatenate([[1.0], previous, -previous, np.zeros(n)])
        weights = np.array(clarabel.DefaultSolver(hessian, linear, matrix, right, cones, settings).solve().x)[:n]
        found.append(weights)
        previous = weights * (1 + new) / (1 + weights @ new)
    return np.array(found)


def cvxportfolio_weights(returns: Floats) -> Floats:
    """Its own simulator and single-period policy; its covariance divides by the count, ours by one less: rescaled."""
    import cvxportfolio as cvx
    import pandas as pd
    from cvxportfolio import forecast

    names = [f"A{i}" for i in range(returns.shape[1])]
    index = pd.date_range("2018-01-01", periods=len(returns), freq="D", tz="UTC")
    table = pd.DataFrame(returns, index=index, columns=names)
    table["cash"] = 0.0
    span = pd.Timedelta(days=WINDOW)
    cost = COST_BPS / 1e4
    scaled = RISK_AVERSION * WINDOW / (WINDOW - 1)
    objective = (
        cvx.ReturnsForecast(r_hat=forecast.HistoricalMeanReturn(rolling=span))
        - scaled / 2 * cvx.FullCovariance(forecast.HistoricalFactorizedCovariance(kelly=False, rolling=span))
        - cvx.TransactionCost(a=cost, b=None)
    )
    policy = cvx.SinglePeriodOptimization(objective, [cvx.LongOnly(), cvx.NoCash()], solver="CLARABEL")
    with TemporaryDirectory() as folder:
        from pathlib import Path

        simulator = cvx.MarketSimulator(
            returns=table, costs=[cvx.TransactionCost(a=cost, b=None)], cash_key="cash", round_trades=False,
            min_history=pd.Timedelta(days=0), base_location=Path(folder),
        )  # fmt: skip
        first = pd.Series(1e6 / len(names), index=[*names, "cash"])
        first["cash"] = 0.0
        result = simulator.backtest(policy, start_time=index[WINDOW], end_time=index[-1], h=first)
    # Its weights are those before each step's trades.
    held = np.asarray((result.h + result.u)[names].dropna(), dtype=np.float64)
    return held / held.sum(axis=1, keepdims=True)


def skfolio_weights(returns: Floats) -> Floats:
    """Its estimator fitted every day on the window, told the weights that the day before left."""
    from skfolio import RiskMeasure
    from skfolio.optimization import MeanRisk, ObjectiveFunction

    rows, n = returns.shape
    previous, found = np.full(n, 1 / n), []
    for k in range(rows - WINDOW):
        model = MeanRisk(
            objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
            risk_measure=RiskMeasure.VARIANCE,
            risk_aversion=RISK_AVERSION / 2,
            transaction_costs=COST_BPS / 1e4,
            previous_weights=previous,
        )
        weights = np.asarray(model.fit(returns[k : k + WINDOW]).weights_, dtype=np.float64)
        found.append(weights)
        new = returns[WINDOW + k]
        previous = weights * (1 + new) / (1 + weights @ new)
    return np.array(found)


# The whole line.

HOURS, COINS = 8_760, 9
LIMIT_SECONDS, LIMIT_BYTES = 20.0, 2**30


def hourly_year() -> Row:
    """A year of hourly decisions over ten assets: feeds, pools, forecast, plan, limits, books, every tick."""
    from offchain.backtest.engine import run_backtest
    from offchain.backtest.liquidity import ModelledLiquidity
    from offchain.backtest.venues import default_pools

    mandate = hourly_mandate()
    path = hourly_path(mandate)
    # A short run first: compiled code comes from disk or is made once, whatever is measured.
    run_backtest(mandate, path.rows(0, 800), ModelledLiquidity(mandate, default_pools(mandate)))
    start = time.perf_counter()
    run = run_backtest(mandate, path, ModelledLiquidity(mandate, default_pools(mandate)))
    seconds = time.perf_counter() - start
    pools = len(default_pools(mandate))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "name": "hourly_year", "size": {"ticks": len(run.track) - 1, "assets": COINS + 1, "pools": pools},
        "ours_s": seconds, "memory_bytes": memory, "settlements": len(run.settlements),
        "limit_s": LIMIT_SECONDS, "limit_bytes": LIMIT_BYTES, "decisions": run.decisions,
    }  # fmt: skip


def hourly_mandate() -> Any:
    """Ten assets with made-up tokens, decided every hour on two weeks of hourly prices."""
    from eth_utils.address import to_checksum_address
    from eth_utils.crypto import keccak

    from offchain.mandate import Mandate

    def address(name: str) -> str:
        return str(to_checksum_address(keccak(name.encode())[-20:]))

    def asset(symbol: str, decimals: int, low: int, high: int, benchmark: int) -> dict[str, Any]:
        oracle = {"kind": "chainlink", "feed": address(f"feed {symbol}"), "heartbeat_s": 4500, "deviation_bps": 50,
                  "min_price_usd": "0.000001", "max_price_usd": "10000000"}  # fmt: skip
        return {"symbol": symbol, "address": address(symbol), "decimals": decimals, "min_weight_bps": low,
                "max_weight_bps": high, "benchmark_weight_bps": benchmark, "oracle": oracle}  # fmt: skip

    coins = ["WETH", "WBTC", *(f"COIN{i}" for i in range(COINS - 2))]
    assets = [asset("USDC", 6, 200, 6000, 1000), *(asset(symbol, 18, 0, 4000, 1000) for symbol in coins)]
    return Mandate.model_validate_json(
        json.dumps(
            {
                "name": "Hourly", "symbol": "HOUR", "chain_id": 1, "base_asset": "USDC", "assets": assets,
                "venues": [{"kind": "uniswap_v2"}, {"kind": "uniswap_v3", "fee_tiers": [500, 3000]}],
                "objective": {
                    "kind": "mean_variance", "risk_aversion": 6, "horizon_days": 30,
                    "covariance": {"kind": "ewma", "half_life_days": 7, "window_days": 21},
                    "returns": {"kind": "benchmark_implied"},
                },
                "limits": {
                    "loss_capacity_bps": 100, "loss_refill_bps_per_day": 25, "turnover_capacity_bps": 10000,
                    "turnover_refill_bps_per_day": 5000, "drawdown_reduce_bps": 5000, "drawdown_halt_bps": 8000,
                },
                "fees": {"entry_bps": 51, "exit_bps": 51, "oracle_error_bps": 102},
                "execution": {
                    "interval_minutes": 60, "deadline_blocks": 25, "slippage_bps": 30, "max_base_fee_gwei": 100,
                    "max_priority_fee_gwei": 2, "max_legs": 12, "min_improvement_bps": 0.2, "grid_minutes": 60,
                },
            }
        )
    )  # fmt: skip


def hourly_path(mandate: Any) -> Any:
    """Three weeks of past and a year of correlated fat-tailed hours."""
    from offchain.backtest.path import MarketPath

    rng = np.random.default_rng(1)
    rows = HOURS + 21 * 24 + 1
    common = rng.standard_t(4, (rows, 1)) / np.sqrt(2)
    own = rng.standard_t(4, (rows, COINS)) / np.sqrt(2)
    moves = 0.007 * (0.8 * common + 0.6 * own)
    coins = np.array([3000.0, 60_000.0, *(10.0 * (i + 1) for i in range(COINS - 2))]) * np.exp(np.cumsum(moves, axis=0))
    times = 1_700_006_400 + 3_600 * np.arange(rows, dtype=np.int64)
    prices = np.column_stack([np.ones(rows), coins])
    fees = (20e9 * np.exp(0.3 * rng.standard_normal(rows))).astype(np.int64)
    return MarketPath(mandate.symbols, times, prices, np.ones_like(prices), coins[:, 0].copy(), fees)
