# SPDX-License-Identifier: Apache-2.0
"""How often a plan no longer settles one block later: pools have moved, now and then a feed too."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from bench import Row
from offchain.allocate import make_plan
from offchain.allocate.judge import Portfolio, refusals
from offchain.mandate import load_mandate
from offchain.market.snapshot import Snapshot, UniswapV2State
from offchain.route.pool import pools_from_states
from offchain.route.split import execute
from tests.support.made_vaults import MANDATE, Vaults

PLANS = 400
BLOCK_VOLATILITY = 4e-4
"""Of a pool's price from one block to the next: 65 % a year."""
FEED_MOVES = 0.02
"""Chance that a feed reports within the block; it then moves by its threshold."""


def rows() -> list[Row]:
    mandate = load_mandate(MANDATE)
    vaults = Vaults(mandate)
    outcomes: Counter[str] = Counter()
    for seed in range(PLANS):
        snapshot = vaults.random_snapshot(seed)
        plan = make_plan(snapshot, vaults.forecast(), mandate)
        if not plan.trades:
            continue
        outcomes["plans"] += 1
        outcomes[_fate(snapshot, plan, mandate, Random(seed), 0.0, 0.0) or "settles at once"] += 1
        outcomes[_fate(snapshot, plan, mandate, Random(seed)) or "settles a block later"] += 1
    settled = outcomes["settles a block later"]
    return [
        {
            "name": "drift", "size": {"plans": outcomes["plans"]}, "revert_rate": 1 - settled / outcomes["plans"],
            "revert_rate_same_state": 1 - outcomes["settles at once"] / outcomes["plans"], "outcomes": dict(outcomes),
        }
    ]  # fmt: skip


def _fate(snapshot, plan, mandate, random, volatility=BLOCK_VOLATILITY, moves=FEED_MOVES):  # type: ignore[no-untyped-def]
    """Why the vault refuses the plan's legs on the moved state; None where it takes them."""
    moved = _drifted(snapshot, random, volatility, moves)
    pools, held = pools_from_states(moved.pools), [asset.balance for asset in moved.assets]
    legs, holdings, _ = execute(pools, held, plan.legs)
    for planned, filled in zip(plan.legs, legs, strict=True):
        if filled.amount_out * 10_000 < planned.amount_out * (10_000 - mandate.execution.slippage_bps):
            return "a leg below its minimum"
    refused = refusals(moved, Portfolio(tuple(holdings)), moved.vault.limits)
    return refused[0].rule if refused else None


def _drifted(snapshot: Snapshot, random: Random, volatility: float, moves: float) -> Snapshot:
    states = []
    for state in snapshot.pools:
        shift = 1 + random.gauss(0, volatility)
        if isinstance(state, UniswapV2State):
            states.append(replace(state, reserve1=int(state.reserve1 * shift)))
            continue
        # Someone trades: the pool moves along its own liquidity.
        pool = pools_from_states((state,))[0]
        token = state.token0 if shift < 1 else state.token1
        root = state.sqrt_price_x96 / 2**96
        size = state.liquidity * abs(shift - 1) / 2 * (root if token == state.token1 else 1 / root)
        after = pool.swap(token, max(1, int(size))).after
        states.append(
            replace(state, sqrt_price_x96=after.sqrt_price_x96, tick=after.tick, liquidity=after.liquidity)  # type: ignore[union-attr]
        )
    assets = tuple(
        replace(asset, price=int(asset.price * (1 + random.choice((-1, 1)) * 5e-3)))
        if index and random.random() < moves
        else asset
        for index, asset in enumerate(snapshot.assets)
    )
    return replace(snapshot, pools=tuple(states), assets=assets)
