# SPDX-License-Identifier: Apache-2.0
"""Snapshots of a vault that stakes on credit, on the sandbox's pools and lending terms but without a chain of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from offchain.forecast.forecast import Forecast
from offchain.forecast.model import PATHS
from offchain.mandate import Mandate, load_mandate
from offchain.market.lending import decode_lending, discover_lending, lending_calls
from offchain.market.multicall import aggregate_request, decode_aggregate
from offchain.market.pools import discover_pools
from offchain.market.reader import read_snapshot
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import LendingState, Snapshot, UniswapV3State
from offchain.route.lending import LendingAccount
from offchain.sandbox.standup import Sandbox
from tests.support.vaults import deploy_vault

STAKING = Path(__file__).parents[2] / "mandates" / "leveraged-staking.yaml"
ETHER, STAKED = 0, 1
ONE = 10**18
NOBODY = "0x" + "00" * 19 + "01"


@dataclass(frozen=True)
class Stakers:
    """A vault without debt, and what it would be with some; wstETH is the pool's token 0."""

    mandate: Mandate
    empty: Snapshot
    """Nothing in it."""

    def holding(self, ether: int = 0, collateral: int = 0, debt: int = 0, staked: int = 0) -> Snapshot:
        """Base units in the wallet, supplied and owed."""
        assert self.empty.lending is not None
        account = LendingAccount.from_state(self.empty.lending)
        if collateral:
            account = account.in_wanted_mode().supply(STAKED, collateral).borrow(ETHER, debt)
        lending = replace(
            self.empty.lending,
            e_mode=account.e_mode,
            health_factor=account.health_factor,
            reserves=tuple(account.reserves[one.asset] for one in self.empty.lending.reserves),
        )
        first, second = self.empty.assets
        assets = (
            replace(first, balance=ether, owed=account.owed(ETHER)),
            replace(second, balance=staked, supplied=account.supplied(STAKED)),
        )
        snapshot = replace(self.empty, assets=assets, lending=lending)
        return replace(snapshot, vault=replace(snapshot.vault, value_per_share=ONE, peak=ONE))

    def leveraged(self, leverage: float, equity: int = 100 * ONE) -> Snapshot:
        """Everything in wstETH at a leverage."""
        first, second = self.empty.assets
        collateral = int(equity * leverage * first.price / second.price)
        return self.holding(collateral=collateral, debt=int(equity * (leverage - 1)))

    def discounted(self, snapshot: Snapshot, words: int) -> Snapshot:
        """The same when wstETH is cheaper by 2.5 % a word of the pool's ticks, in feeds and pool alike."""
        assert snapshot.lending is not None
        ticks = 256 * words
        part = 1.0001**-ticks
        ether, staked = snapshot.assets
        reserves = tuple(
            replace(one, price=round(one.price * part)) if one.asset == STAKED else one
            for one in snapshot.lending.reserves
        )
        lending = replace(snapshot.lending, reserves=reserves)
        lending = replace(lending, health_factor=LendingAccount.from_state(lending).health_factor)
        (pool,) = snapshot.pools
        assert isinstance(pool, UniswapV3State)
        cheaper = replace(
            pool,
            sqrt_price_x96=int(pool.sqrt_price_x96 * part**0.5),
            tick=pool.tick - ticks,
            ticks=tuple((tick - ticks, net) for tick, net in pool.ticks),
            first_word=pool.first_word - words,
            last_word=pool.last_word - words,
        )
        assets = (ether, replace(staked, price=round(staked.price * part)))
        return replace(snapshot, assets=assets, lending=lending, pools=(cheaper,))

    def forecast(self, carry: float = 0.03, deviation: float = 0.01, seed: int = 1) -> Forecast:
        """Ether at 60 % a year, staked ether the same and a basis of its own; per year."""
        ether, basis = 0.6**2, deviation**2
        covariance = np.array([[ether, ether], [ether, ether + basis]])
        risk = self.mandate.objective.risk_aversion * ether
        rng = np.random.default_rng(seed)
        common = rng.standard_t(4, (PATHS, 30, 1)) * 0.6 / np.sqrt(2 * 365)
        own = rng.standard_t(4, (PATHS, 30, 1)) * deviation / np.sqrt(2 * 365)
        paths = np.maximum(np.concatenate([common, (1 + common) * (1 + own) - 1], axis=2), -0.99)
        return Forecast(
            self.mandate.symbols, 30.0, np.array([risk, risk + carry]), covariance, "0x" + "22" * 32, paths=paths
        )


def stakers_of(sandbox: Sandbox) -> Stakers:
    """Read pools, prices and lending terms from a sandbox."""
    mandate, blue_chip = load_mandate(STAKING), deploy_vault(sandbox)
    blue_chip.deposit("alice", 1_000 * 10**6)
    with NodeClient(sandbox.rpc_url) as client:
        pools = discover_pools(client, blue_chip.file_mandate)
        read = read_snapshot(client, blue_chip.address, blue_chip.file_mandate, pools)
        key = discover_lending(client, mandate)
        assert key is not None
        calls = lending_calls(key, NOBODY)
        method, params = aggregate_request(calls, "latest")
        answers = decode_aggregate(client.data(client.call(method, *params), method), len(calls))
    lending: LendingState = decode_lending(key, answers)
    places = {blue_chip.file_mandate.symbols.index(symbol): index for index, symbol in enumerate(mandate.symbols)}
    pool = next(
        one
        for one in read.pools
        if isinstance(one, UniswapV3State) and {one.token0, one.token1} == set(places) and one.fee_ppm == 100
    )
    vault = replace(
        read.vault, limits=mandate.vault_limits, loss_level=0, turnover_level=0, value_per_share=ONE, peak=ONE
    )
    return Stakers(
        mandate,
        replace(
            read,
            vault=vault,
            assets=tuple(
                replace(read.assets[place], balance=0) for place in sorted(places, key=lambda one: places[one])
            ),
            pools=(replace(pool, token0=places[pool.token0], token1=places[pool.token1]),),
            lending=lending,
        ),
    )
