# SPDX-License-Identifier: Apache-2.0
"""The ways of `bench.rebalance` on the pools of a standing sandbox, read as the keeper reads them.

The blue-chip mandate's mean-variance utility by the keeper's own forecast, its bounds on weights, and a portfolio
inside them that holds too many dollars. Path by path the pools quote exact integers; the programs see their curves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bench import Row
from bench.rebalance import ways
from offchain.allocate.objective import DAYS_PER_YEAR
from offchain.allocate.solution import Program
from offchain.forecast.forecast import Forecast
from offchain.mandate import Mandate
from offchain.market.snapshot import Snapshot
from offchain.route.errors import LiquidityUnknownError
from offchain.route.kernels import build_table
from offchain.route.pool import Pool, pool_from_state

VALUES = (1e5, 1e6, 3e6, 1e7, 3e7, 1e8)
START = {"USDC": 0.48, "WETH": 0.20, "WBTC": 0.20, "LINK": 0.04, "wstETH": 0.08}


def rows() -> list[Row]:
    mandate, snapshot, forecast = _read()
    return [rebalance(mandate, snapshot, forecast, value) for value in VALUES]


def rebalance(mandate: Mandate, snapshot: Snapshot, forecast: Forecast, value: float) -> Row:
    """Utility gained over doing nothing, in basis points of value."""
    pools = [pool_from_state(state) for state in snapshot.pools]
    units = np.array([asset.price / 10**36 for asset in snapshot.assets]) / value
    program = _program(mandate, forecast)
    table = build_table([pool.curve() for pool in pools], [pool.tokens for pool in pools], units)
    held = ways(program, table, [_Exact(pool, tuple(units[[pool.token0, pool.token1]].tolist())) for pool in pools])
    gained = {name: 1e4 * (program.value(each) - program.value(program.start)) for name, each in held.items()}
    return {
        "name": "rebalance_sandbox", "size": {"usd": f"{value:.0e}", "pools": len(pools)},
        "utility_gained_bps": {name: round(each, 2) for name, each in gained.items()},
        "value_lost_bps": {name: round(1e4 * (1 - each.sum()), 2) for name, each in held.items()},
        "outside_limits": {
            name: round(float(max((each - program.upper).max(), (program.lower - each).max(), 0.0)), 6)
            for name, each in held.items()
        },
        "joint_is_best": gained["joint"] >= max(gained.values()) - 2e-4,
    }  # fmt: skip


def _program(mandate: Mandate, forecast: Forecast) -> Program:
    years = forecast.horizon_days / DAYS_PER_YEAR
    limits = mandate.ordered_assets
    return Program.box(
        np.array([START[symbol] for symbol in mandate.symbols]),
        1 + forecast.expected_returns * years,
        mandate.objective.risk_aversion * years * forecast.covariance,
        np.array([asset.min_weight_bps / 10_000 for asset in limits]),
        np.array([asset.max_weight_bps / 10_000 for asset in limits]),
    )


@dataclass(frozen=True, slots=True)
class _Exact:
    """A pool's exact integers, in fractions of value."""

    pool: Pool
    units: tuple[float, ...]

    @property
    def ends(self) -> tuple[int, int]:
        return self.pool.token0, self.pool.token1

    @property
    def depth(self) -> float:
        # No pair of the sandbox has more than three pools: none is left out.
        return 0.0

    def swap(self, token: int, amount: float) -> tuple[float, _Exact]:
        side = self.ends.index(token)
        try:
            swap = self.pool.swap(token, int(amount / self.units[side]))
        except LiquidityUnknownError:
            # Farther than the snapshot reads: nobody would send a trade there unquoted.
            return 0.0, self
        return swap.amount_out * self.units[1 - side], replace(self, pool=swap.after)


def _read() -> tuple[Mandate, Snapshot, Forecast]:
    from offchain.forecast import make_forecast
    from offchain.market.history import HistoryReader
    from offchain.market.pools import discover_pools
    from offchain.market.reader import read_snapshot
    from offchain.market.rpc import NodeClient
    from offchain.sandbox.standup import launch
    from tests.support.vaults import deploy_vault

    with launch() as base, base.fork() as sandbox:
        vault = deploy_vault(sandbox)
        mandate = vault.file_mandate
        with NodeClient(sandbox.rpc_url) as client:
            snapshot = read_snapshot(client, vault.address, mandate, discover_pools(client, mandate))
            forecast = make_forecast(snapshot, HistoryReader(client, mandate).read(snapshot.block), mandate)
    return mandate, snapshot, forecast
