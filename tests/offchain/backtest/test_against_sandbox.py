# SPDX-License-Identifier: Apache-2.0
"""The simulator beside the real thing: one path through both, with the real keeper, contracts, feeds and pools.

What the two do not share, and what it comes to: the chain settles a block after the decision, so that budgets have
leaked twelve seconds more, and quotes of pools that an arbitrageur left differ in the last digits of a price.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eth_account import Account

from offchain.backtest.engine import run_backtest
from offchain.backtest.feeds import FeedRule, Oracle, Round
from offchain.backtest.liquidity import FollowedLiquidity
from offchain.backtest.path import MarketPath
from offchain.backtest.records import BacktestRun, EventKind
from offchain.backtest.replay import ReplayedTick, replay
from offchain.backtest.settings import BacktestSettings
from offchain.keeper.journal import Journal
from offchain.keeper.keeper import Keeper, KeeperSettings
from offchain.keeper.records import Decision
from offchain.mandate import Mandate
from offchain.market.history import HistoryReader
from offchain.market.pools import discover_pools
from offchain.market.reader import read_snapshot
from offchain.market.round_cache import RoundCache
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import PoolState, UniswapV3State
from offchain.sandbox import addresses
from offchain.sandbox.contract import function
from offchain.sandbox.flow import NoiseFlow
from offchain.sandbox.market_driver import STAKING_YIELD, TICK_SECONDS, MarketDriver
from offchain.sandbox.paths import PricePath
from offchain.sandbox.prices import FEED_RULES
from offchain.sandbox.simulator import Crash, simulate
from offchain.sandbox.standup import Sandbox
from offchain.sandbox.uniswap import POOLS, positions_of
from offchain.settle.accounts import LocalSigner
from offchain.settle.development import development_address, development_key
from tests.support.vaults import DeployedVault, deploy_vault

TICKS = function("ticks(int24)", "uint128,int128,uint256,uint256,int56,uint160,uint32,bool")
MILLION = 10**12
DAY = 86_400


@dataclass(frozen=True)
class Tick:
    """What the real vault was worth after a tick, and what the keeper did in it."""

    timestamp: int
    base_fee: int
    value_per_share: float
    ratio: float
    decision: Decision
    settled: bool
    gas: int


@dataclass(frozen=True)
class Simulation:
    """A real run, and all that the simulator may know of its beginning."""

    mandate: Mandate
    path: PricePath
    past: dict[str, list[Round]]
    pools: tuple[PoolState, ...]
    ticks: tuple[Tick, ...]
    again: tuple[ReplayedTick, ...]
    """The keeper's journal, run through the backtest."""


@contextmanager
def _vault(sandbox_node: Sandbox) -> Iterator[tuple[Sandbox, DeployedVault]]:
    with sandbox_node.fork(options=["--slots-in-an-epoch", "1"]) as fork:
        vault = deploy_vault(fork)
        fork.give("USDC", development_address("alice"), MILLION)
        yield fork, vault


def sail(
    sandbox: Sandbox, vault: DeployedVault, days: float, seed: int, folder: Path, crash: Crash | None
) -> Simulation:
    """Run the real keeper over a simulated path."""
    mandate = vault.file_mandate
    with ExitStack() as stack:
        client = stack.enter_context(NodeClient(sandbox.rpc_url))
        driver = MarketDriver(sandbox, simulate(seed, days=days, crash=crash), seed, flow=NoiseFlow(seed, activity=0.0))
        vault.deposit("alice", MILLION)
        sandbox.rpc.call("evm_setAutomine", False)
        rounds = RoundCache(folder / "rounds")
        stack.callback(rounds.close)
        journal = stack.enter_context(Journal.open(folder / "journal.sqlite", chain_id=1, vault=vault.address))
        reader = HistoryReader(client, mandate, rounds)
        keeper = Keeper(
            client, vault.address, mandate, payer=_signer("keeper"), signer=_signer("optimizer"), journal=journal,
            settings=KeeperSettings(poll_seconds=0.0), pause=sandbox.chain.mine, history_reader=reader,
        )  # fmt: skip
        keeper.recover()
        start = read_snapshot(client, vault.address, mandate, discover_pools(client, mandate))
        pools = tuple(_complete(sandbox, state) for state in start.pools)
        ticks = [_tick(sandbox, vault, keeper, driver.path.start, start.block.base_fee)]
        past = {
            feed: [Round(one.answer, one.updated_at) for one in found.rounds] for feed, found in reader._feeds.items()
        }
        while not driver.ended:
            market = driver.step()
            keeper.settle_down()
            ticks.append(_tick(sandbox, vault, keeper, market.timestamp, market.base_fee))
        return Simulation(mandate, driver.path, past, pools, tuple(ticks), tuple(replay(journal)))


def _tick(sandbox: Sandbox, vault: DeployedVault, keeper: Keeper, timestamp: int, base_fee: int) -> Tick:
    report = keeper.tick()
    worth = vault.vault.functions.value_per_share().call() / 1e18
    gas = report.settlement.gas_used if report.settlement else 0
    ratio = sandbox.chain.call(sandbox.tokens["wstETH"], function("stEthPerToken()", "uint256")) / 1e18
    return Tick(timestamp, base_fee, worth, ratio, report.decision, report.settlement is not None, gas)


def _signer(role: str) -> LocalSigner:
    return LocalSigner(Account.from_key(development_key(role)))


def _complete(sandbox: Sandbox, state: PoolState) -> PoolState:
    """A pool with all its ticks, not only those that the keeper reads."""
    if not isinstance(state, UniswapV3State):
        return state
    pool = next(pool for pool in POOLS if pool.address.lower() == state.address.lower())
    places = sorted({tick for lower, upper, _ in positions_of(pool) for tick in (lower, upper)})
    nets = [sandbox.chain.call(state.address, TICKS, place)[1] for place in places]
    words = places[0] // state.tick_spacing >> 8, places[-1] // state.tick_spacing >> 8
    ticks = tuple((place, net) for place, net in zip(places, nets, strict=True) if net)
    return replace(state, ticks=ticks, first_word=words[0], last_word=words[1])


def replayed(simulation: Simulation) -> BacktestRun:
    """The same path, simulated from the same beginning."""
    rows = [int(time) for time in simulation.path.timestamps]
    first, decided = rows[0], {tick.timestamp: tick for tick in simulation.ticks}
    table: dict[str, list[float]] = {name: [] for name in ("USDC", "WETH", "WBTC", "LINK", "wstETH", "ratio", "fee")}
    ratio, fee, day = simulation.ticks[0].ratio, simulation.ticks[0].base_fee, first // DAY
    for row in rows:
        at = simulation.path.at(row)
        if (row - first) % TICK_SECONDS == 0 and row // DAY > day:
            ratio, day = ratio * (1 + STAKING_YIELD * (row // DAY - day) / 365), row // DAY
        fee = decided[row].base_fee if row in decided else fee
        prices = (at["USDC"], at["ETH"], at["BTC"], at["LINK"], ratio * at["stETH"] / at["ETH"] * at["ETH"])
        for name, value in zip(table, (*prices, ratio, fee), strict=True):
            table[name].append(value)
    ratios = np.ones((len(rows), 5))
    ratios[:, 4] = table["ratio"]
    path = MarketPath(
        simulation.mandate.symbols,
        np.array(rows, dtype=np.int64),
        np.column_stack([table[name] for name in simulation.mandate.symbols]),
        ratios,
        np.array(table["WETH"]),
        np.array(table["fee"], dtype=np.int64),
    )
    rules = {
        addresses.FEEDS[name]: FeedRule(rule.heartbeat, rule.deviation, rule.decimals)
        for name, rule in FEED_RULES.items()
    }
    oracle = Oracle(simulation.mandate, path, rules, delay=60, past=simulation.past)
    liquidity = _EveryTick(simulation.mandate, simulation.pools, first)
    return run_backtest(simulation.mandate, path, liquidity, BacktestSettings(recovery_days=None), oracle=oracle)


class _EveryTick(FollowedLiquidity):
    """The driver's arbitrageur comes once a tick, not at every row of the path."""

    def __init__(self, mandate: Mandate, states: Sequence[PoolState], first: int) -> None:
        super().__init__(mandate, states)
        self._first = first

    def advance(self, row: int, timestamp: int, prices: Sequence[float]) -> None:
        if row and (timestamp - self._first) % TICK_SECONDS == 0:
            super().advance(row, timestamp, prices)


def compare(simulation: Simulation, run: BacktestRun) -> dict[str, Any]:
    """How far the two are apart."""
    by_time = dict(zip(run.track.timestamps.tolist(), run.track.oracle_value_per_share.tolist(), strict=True))
    # The first row is the deposit alone: what was decided in it shows a row later.
    gaps = [1e4 * abs(by_time[t.timestamp] / t.value_per_share - 1) for t in simulation.ticks[1:]]
    settled = {one.timestamp for one in run.settlements}
    same = sum((t.timestamp in settled) == t.settled for t in simulation.ticks)
    gas = sum(250_000 + 63_000 * one.legs for one in run.settlements) / sum(t.gas for t in simulation.ticks)
    counts = {"same": same, "ticks": len(simulation.ticks), "settled": len(settled)}
    return {"end": gaps[-1], "worst": max(gaps), "gas": gas, **counts}


def check_replay(simulation: Simulation) -> None:
    """Every plan is the keeper's; every settlement is the chain's, to the rounding of a feed's move in between."""
    assert len(simulation.again) == len(simulation.ticks)
    assert not [one for one in simulation.again if not one.identical]
    settled = [one for one in simulation.again if one.decision is Decision.SETTLE]
    assert settled
    assert not [one.simulated_refusal for one in settled if one.simulated_refusal]
    assert max(abs(one.settlement_bps or 0.0) for one in settled) < 1e-9


@pytest.fixture(scope="module")
def three_days(sandbox_node: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    with _vault(sandbox_node) as (fork, vault):
        return sail(fork, vault, days=3, seed=11, folder=tmp_path_factory.mktemp("three"), crash=None)


def test_three_days_end_with_the_same_value_per_share(three_days: Simulation) -> None:
    found = compare(three_days, replayed(three_days))
    assert found["end"] < 0.05
    assert found["same"] == found["ticks"]


def test_the_journal_of_three_days_replays_to_identical_plans(three_days: Simulation) -> None:
    check_replay(three_days)


@pytest.mark.slow
def test_thirty_days_with_a_crash_end_within_two_basis_points(sandbox_node: Sandbox, tmp_path: Path) -> None:
    with _vault(sandbox_node) as (fork, vault):
        simulation = sail(fork, vault, days=30, seed=7, folder=tmp_path, crash=Crash(day=15, depth=-0.35))
    check_replay(simulation)
    run = replayed(simulation)
    found = compare(simulation, run)
    assert found["end"] < 2.0
    assert found["same"] >= 0.98 * found["ticks"]
    assert found["gas"] == pytest.approx(1.0, abs=0.1)
    assert any(event.kind is EventKind.TRIPPED for event in run.events)
