# SPDX-License-Identifier: Apache-2.0
"""Snapshots of a blue-chip vault among pools like the sandbox's, made by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from offchain.allocate import Plan, limits
from offchain.forecast.forecast import Forecast
from offchain.mandate import Mandate
from offchain.market.snapshot import (
    AssetState,
    Block,
    BreakerState,
    PoolState,
    Snapshot,
    UniswapV2State,
    UniswapV3State,
    VaultState,
)
from offchain.route.pool import pools_from_states
from offchain.route.split import execute
from offchain.route.tick_math import MAX_TICK, MIN_TICK, tick_at_sqrt_ratio
from offchain.route.uniswap_v2 import UniswapV2Pool
from offchain.route.uniswap_v3 import UniswapV3Pool

MANDATE = Path(__file__).parents[2] / "mandates" / "blue-chip.yaml"
SPACINGS = {100: 1, 500: 10, 3000: 60, 10000: 200}
VOLATILITY = (0.005, 0.65, 0.55, 0.95, 0.66)
# Tokens in the order of their addresses are 2, 3, 4, 0, 1: a pool's token0 comes first in it.
POOLS: tuple[tuple[int, int, int, float], ...] = (
    (0, 1, 500, 10e6),
    (0, 1, 3000, 3e6),
    (0, 1, 0, 6e6),
    (2, 1, 3000, 5e6),
    (2, 1, 500, 3e6),
    (2, 1, 0, 1e6),
    (2, 0, 3000, 2e6),
    (4, 1, 100, 10e6),
    (3, 1, 3000, 1e6),
    (3, 1, 0, 0.4e6),
    (3, 0, 3000, 0.5e6),
)


@dataclass
class Vaults:
    """Builds snapshots; whatever is not said is as on an ordinary day."""

    mandate: Mandate
    usd: tuple[float, ...] = (1.0, 3000.0, 60000.0, 15.0, 3500.0)
    pools: tuple[tuple[int, int, int, float], ...] = POOLS
    decimals: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.decimals = tuple(asset.decimals for asset in self.mandate.ordered_assets)

    def snapshot(
        self,
        weights: tuple[float, ...] = (0.2, 0.3, 0.27, 0.08, 0.15),
        value: float = 1e6,
        base_fee_gwei: float = 5.0,
        seed: int | None = None,
        mispricing: float = 3e-4,
        **vault: Any,
    ) -> Snapshot:
        """A vault with these weights; `seed` moves the pools off the reference prices, `vault` changes its state."""
        random = Random(seed)
        prices = tuple(int(usd * 10 ** (36 - d)) for usd, d in zip(self.usd, self.decimals, strict=True))
        total = sum(weights)
        assets = tuple(
            AssetState(
                asset.symbol, asset.address, asset.decimals, int(w / total * value / usd * 10**asset.decimals), price, 0
            )
            for asset, w, usd, price in zip(self.mandate.ordered_assets, weights, self.usd, prices, strict=True)
        )
        states = tuple(
            self._pool(index, *pool, 0.0 if seed is None else random.gauss(0, mispricing))
            for index, pool in enumerate(self.pools)
        )
        state = VaultState(
            address="0xVault",
            oracle="0xOracle",
            mandate="0xMandate",
            nonce=0,
            breaker=BreakerState.ACTIVE,
            breaker_reason=0,
            total_supply=int(value) * 10**18,
            value_per_share=10**18,
            peak=10**18,
            loss_level=0,
            turnover_level=0,
            mandate_hash="0x00",
            limits=self.mandate.vault_limits,
        )
        block = Block(1, "0xB10C", "0xB10B", 1_700_000_000, int(base_fee_gwei * 10**9))
        return Snapshot(1, block, replace(state, **vault), assets, states)

    def forecast(self, correlation: float = 0.7, returns: np.ndarray | None = None) -> Forecast:
        """Moments under which the benchmark is optimal, unless `returns` says otherwise."""
        matrix = np.full((5, 5), correlation)
        matrix[0, 1:] = matrix[1:, 0] = 0.0
        matrix[1, 4] = matrix[4, 1] = 0.98
        np.fill_diagonal(matrix, 1.0)
        covariance = np.outer(VOLATILITY, VOLATILITY) * matrix
        if returns is None:
            benchmark = np.array(self.mandate.benchmark_weights)
            returns = self.mandate.objective.risk_aversion * covariance @ benchmark
        return Forecast(self.mandate.symbols, self.mandate.objective.horizon_days, returns, covariance, "0xF0")

    def random_snapshot(self, seed: int, **vault: Any) -> Snapshot:
        """Any vault: inside or outside its mandate, small or large, with pools somewhat off."""
        random = Random(seed)
        weights = np.array([random.random() ** 2 for _ in range(5)])
        if random.random() < 0.3:
            weights = np.array([1.0, 0, 0, 0, 0])
        elif random.random() < 0.5:
            weights = np.array(self.mandate.benchmark_weights) * np.exp([random.gauss(0, 0.25) for _ in range(5)])
        value = 10 ** random.uniform(4.5, 7)
        return self.snapshot(
            tuple(weights), value, random.choice((1.0, 20.0)), seed, random.choice((1e-4, 1e-3, 5e-3)), **vault
        )

    def _pool(self, index: int, token0: int, token1: int, fee: int, depth: float, shift: float) -> PoolState:
        address = f"0x{index + 1:040x}"
        units = [usd / 10**d for usd, d in zip(self.usd, self.decimals, strict=True)]
        ratio = units[token0] / units[token1] * math.exp(shift)
        if fee == 0:
            reserve0 = int(depth * 100 / units[token0])
            return UniswapV2State(address, token0, token1, reserve0, int(reserve0 * ratio))
        spacing = SPACINGS[fee]
        sqrt_price = int(math.sqrt(ratio) * 2**96)
        tick = tick_at_sqrt_ratio(sqrt_price)
        liquidity = int(depth * 100 / units[token1] / math.sqrt(ratio))
        nets: dict[int, int] = {}
        for width, share in ((1500, liquidity // 2), (30000, liquidity - liquidity // 2)):
            low, high = (tick - width) // spacing * spacing, (tick + width) // spacing * spacing
            nets[low] = nets.get(low, 0) + share
            nets[high] = nets.get(high, 0) - share
        words = MIN_TICK // spacing >> 8, MAX_TICK // spacing >> 8
        ticks = tuple(sorted(nets.items()))
        return UniswapV3State(address, token0, token1, fee, spacing, sqrt_price, tick, liquidity, ticks, *words)


def settle(snapshot: Snapshot, plan: Plan) -> Snapshot:
    """The snapshot after the plan's legs, run one after the other on the exact pools."""
    pools = pools_from_states(snapshot.pools)
    legs, holdings, after = execute(pools, [asset.balance for asset in snapshot.assets], plan.legs)
    assert [leg.amount_out for leg in legs] == [leg.amount_out for leg in plan.legs]
    states: list[PoolState] = []
    for state, pool in zip(snapshot.pools, after, strict=True):
        if isinstance(state, UniswapV2State):
            assert isinstance(pool, UniswapV2Pool)
            states.append(replace(state, reserve0=pool.reserve0, reserve1=pool.reserve1))
        else:
            assert isinstance(pool, UniswapV3Pool)
            states.append(replace(state, sqrt_price_x96=pool.sqrt_price_x96, tick=pool.tick, liquidity=pool.liquidity))
    assets = tuple(replace(asset, balance=held) for asset, held in zip(snapshot.assets, holdings, strict=True))
    before = limits.values([asset.balance for asset in snapshot.assets], [asset.price for asset in assets])
    now = limits.values(holdings, [asset.price for asset in assets])
    vault = replace(
        snapshot.vault,
        nonce=snapshot.vault.nonce + bool(plan.legs),
        loss_level=snapshot.vault.loss_level + limits.loss(sum(before), sum(now)),
        turnover_level=snapshot.vault.turnover_level + limits.turnover(before, now),
    )
    return replace(snapshot, vault=vault, assets=assets, pools=tuple(states))
