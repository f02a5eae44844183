# SPDX-License-Identifier: Apache-2.0
"""The simulated vault and the real contracts, side by side, to the wei and to the revert reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from offchain.backtest.alarms import Sight
from offchain.backtest.errors import Refused
from offchain.backtest.feeds import FeedStatus, Reading
from offchain.backtest.ledger import Ledger
from offchain.market.snapshot import AssetState, Block, BreakerState, Snapshot
from tests.support.evm import attempt
from tests.support.world import World, usdc

FEEDS = ("ETH/USD", "BTC/USD", "LINK/USD", "USDC/USD")
TIERS = {("USDC", "WETH"): 500, ("USDC", "WBTC"): 3000, ("USDC", "LINK"): 3000, ("WETH", "wstETH"): 100}


@pytest.fixture(scope="module")
def _world() -> World:
    return World.deploy()


@pytest.fixture
def world(_world: World) -> Iterator[World]:
    with _world.evm.rolled_back():
        yield _world


@dataclass
class Twins:
    """A vault and its books; every action happens to both."""

    world: World
    ledger: Ledger

    @classmethod
    def of(cls, world: World) -> Twins:
        limits = world.file.vault_limits
        zeros = (0,) * len(world.file.assets)
        return cls(world, Ledger(world.vault.address, limits, "0x00", world.file.base.decimals, zeros))

    def both(self, real: Callable[[], Any], simulated: Callable[[], tuple[Ledger, Any]]) -> str | None:
        """Do something to both; they must agree on the outcome. Returns the reason of a revert."""
        result, reason = attempt(real)
        after, expected, refusal = self.ledger, None, None
        try:
            after, expected = simulated()
        except Refused as refused:
            refusal = refused.reason
        assert refusal == reason
        if reason is None:
            assert result == expected
        self.ledger = after
        self.compare()
        return reason

    @property
    def now(self) -> int:
        return self.world.evm.timestamp

    @property
    def sight(self) -> Sight:
        """What the alarms see of the real oracle."""
        statuses = tuple(FeedStatus(status) for status in self.world.oracle.statuses())
        reading = Reading(tuple(self.world.oracle.try_prices()[1]), (0,) * len(statuses), statuses)
        return Sight.of(reading, self.ledger.limits)

    def compare(self) -> None:
        vault, rules, prices = self.world.vault, self.world.mandate, self.world.prices()
        state = self.ledger.vault_state(prices, self.world.evm.timestamp)
        assert tuple(vault.holdings()) == self.ledger.holdings
        assert vault.totalSupply() == state.total_supply
        assert vault.order_nonce() == state.nonce
        assert vault.value_per_share() == state.value_per_share
        assert (rules.breaker_state(), rules.breaker_reason()) == (state.breaker, state.breaker_reason)
        assert rules.peak() == state.peak
        assert (rules.loss_level(), rules.turnover_level()) == (state.loss_level, state.turnover_level)

    def snapshot(self) -> Snapshot:
        evm, prices = self.world.evm, self.world.prices()
        assets = tuple(
            AssetState(asset.symbol, asset.address, asset.decimals, held, price, 0)
            for asset, held, price in zip(self.world.file.ordered_assets, self.ledger.holdings, prices, strict=True)
        )
        block = Block(evm.number, "0x01", "0x00", evm.timestamp, 0)
        return Snapshot(1, block, self.ledger.vault_state(prices, evm.timestamp), assets, ())

    def adopt(self) -> None:
        """Take over what only happened to the real vault."""
        vault, rules = self.world.vault, self.world.mandate
        self.ledger = replace(
            self.ledger,
            holdings=tuple(vault.holdings()),
            nonce=vault.order_nonce(),
            peak=replace(self.ledger.peak, value=rules.peak()),
            loss_level=rules.loss_level(),
            turnover_level=rules.turnover_level(),
            levels_at=self.now,
            settled_at=rules.settled_at(),
        )

    # Actions.

    def deposit(self, assets: int) -> str | None:
        self.world.give(0, "alice", assets)
        self.world.approve("alice")
        return self.both(
            lambda: self.world.vault.deposit(assets, "alice", sender="alice"),
            lambda: self.ledger.deposit(assets, self.world.prices(), self.now),
        )

    def redeem(self, shares: int) -> str | None:
        return self.both(
            lambda: self.world.vault.redeem(shares, "alice", "alice", sender="alice"),
            lambda: self.ledger.redeem(shares, self.world.prices(), self.now),
        )

    def redeem_in_kind(self, shares: int) -> str | None:
        return self.both(
            lambda: tuple(self.world.vault.redeem_in_kind(shares, "alice", "alice", 0, sender="alice")),
            lambda: self.ledger.redeem_in_kind(shares),
        )

    def trip(self) -> str | None:
        def simulated() -> tuple[Ledger, int]:
            after = self.ledger.trip(self.sight, self.world.oracle.try_prices()[1], self.now)
            return after, int(after.breaker)

        return self.both(lambda: self.world.mandate.trip(sender="bob"), simulated)

    def resume(self) -> str | None:
        state, reason = int(self.ledger.breaker), self.ledger.breaker_reason
        mandate = self.world.mandate
        resume = self.world.schedule(mandate.resume, state, reason, mandate.tripped_at())
        self.world.refresh_feeds()
        return self.both(
            resume,
            lambda: (self.ledger.resume(self.world.prices(), self.now), None),
        )

    def swap(self, token_in: str, token_out: str, amount: int) -> str | None:
        """Settle one leg; the simulated vault is told what the pool paid."""
        fee = TIERS.get((token_in, token_out)) or TIERS[token_out, token_in]
        snapshot, sold, bought = self.snapshot(), self.world.index(token_in), self.world.index(token_out)
        amount = max(1, min(amount, self.ledger.holdings[sold]))
        paid = self._quote(sold, bought, fee, amount)
        holdings = list(self.ledger.holdings)
        holdings[sold] -= amount
        holdings[bought] += paid

        def real() -> tuple[int, int]:
            event = self.world.settle([self.world.leg(token_in, token_out, amount, fee)])
            return event["loss"], event["turnover"]

        def simulated() -> tuple[Ledger, tuple[int, int]]:
            after, lost, turned = self.ledger.judged(snapshot, holdings)
            return after, (lost, turned)

        return self.both(real, simulated)

    def _quote(self, sold: int, bought: int, fee: int, amount: int) -> int:
        """What the pool pays the vault, asked of the pool through the market's own trader."""
        with self.world.evm.rolled_back():
            maker, token = self.world.maker, self.world.tokens[bought]
            pool = next(
                pool
                for pool in self.world.pools()
                if set(pool.tokens) == {self.world.tokens[sold].address, token.address}
                and pool.fee_ppm == fee
                and int(pool.venue) == 1
            )
            before = token.balanceOf(maker)
            zero_for_one = pool.tokens[0] == self.world.tokens[sold].address
            maker.make([], [(pool.address, 1, zero_for_one, amount)], sender="market")
            return int(token.balanceOf(maker) - before)


def test_first_deposit_and_redemption(world: World) -> None:
    twins = Twins.of(world)
    assert twins.deposit(usdc(1_000_000)) is None
    assert twins.redeem(twins.ledger.supply // 3) is None
    assert twins.redeem_in_kind(twins.ledger.supply // 2) is None
    assert twins.redeem_in_kind(twins.ledger.supply) is None


def test_refusals_have_the_contracts_words(world: World) -> None:
    twins = Twins.of(world)
    assert twins.deposit(0) is None
    assert twins.deposit(1) == "vault: zero shares"
    assert twins.deposit(usdc(10_000)) is None
    assert twins.trip() == "breaker: no condition"
    assert twins.redeem(0) is None
    assert twins.redeem(1) == "vault: zero assets"
    assert twins.redeem_in_kind(0) == "vault: zero shares"
    assert twins.swap("USDC", "LINK", usdc(9_000)) == "limits: weight"


def test_drawdown_latches_and_recovers(world: World) -> None:
    twins = Twins.of(world)
    twins.deposit(usdc(1_000_000))
    world.invest()
    twins.adopt()
    for name, price in (("ETH/USD", 1900.0), ("BTC/USD", 40_000.0), ("LINK/USD", 9.0)):
        world.set_feed(name, price)
    assert twins.trip() is None
    assert twins.ledger.breaker is BreakerState.REDUCE_ONLY
    assert twins.deposit(usdc(1_000)) == "breaker: not active"
    assert twins.swap("USDC", "WETH", usdc(1_000)) == "limits: risk increased"
    assert twins.swap("WETH", "USDC", 10**17) is None
    assert twins.redeem(twins.ledger.supply // 50) is None
    assert twins.resume() is None
    assert twins.ledger.peak.value == world.vault.value_per_share()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_sequence_of_actions(world: World, seed: int) -> None:
    random = Random(seed)
    twins = Twins.of(world)
    twins.deposit(usdc(random.uniform(1e4, 2e6)))
    world.invest()
    twins.adopt()
    prices = {name: world.feed(name).latestAnswer() for name in FEEDS}
    reasons = []
    for _ in range(60):
        supply = twins.ledger.supply
        action = random.choice(("deposit", "redeem", "kind", "swap", "swap", "swap", "price", "trip", "time"))
        if action == "deposit":
            reasons.append(twins.deposit(usdc(random.uniform(1, 1e5))))
        elif action == "redeem":
            reasons.append(twins.redeem(int(supply * random.uniform(0, 0.1))))
        elif action == "kind":
            reasons.append(twins.redeem_in_kind(int(supply * random.uniform(0, 0.05))))
        elif action == "trip":
            reasons.append(twins.trip())
        elif action == "swap":
            pair = list(random.choice(list(TIERS)))
            random.shuffle(pair)
            held = twins.ledger.holdings[world.index(pair[0])]
            reasons.append(twins.swap(pair[0], pair[1], int(held * random.choice((0.001, 0.01, 0.1)))))
        elif action == "price":
            name = random.choice(FEEDS[:3])
            prices[name] = round(prices[name] * random.uniform(0.9, 1.08))
            world.write_round(name, prices[name])
        else:
            world.evm.mine(random.randrange(12, 20_000))
            world.refresh_feeds()
        twins.compare()
    assert reasons.count(None) > 15
