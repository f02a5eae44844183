# SPDX-License-Identifier: Apache-2.0
"""The simulated vault's loans beside the real vault's at Aave's own bytecode, to the wei and to the refusal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from offchain.backtest.errors import Refused
from offchain.backtest.ledger import Ledger
from offchain.backtest.lending import accrued, act, auctioned_bps, deleveraged, repriced
from offchain.market.lending import LendingKey, ReserveKey, decode_lending, lending_calls
from offchain.market.snapshot import AssetState, Block, LendingState, Snapshot
from offchain.route.leg import LendingAction
from offchain.sandbox import addresses
from tests.support.evm import attempt
from tests.support.lending import AAVE, BORROWED, SUPPLIED, Lending, lending_world
from tests.support.world import BPS, ONE, usdc

ZERO = "0x" + "00" * 20
AAVES_OWN = {
    "36": "aave: collateral cannot cover new borrow",
    "35": "aave: health factor below one",
}
"""Aave's error codes, in the simulated market's words."""


@dataclass
class Twins:
    """A vault with a lending account and its books."""

    lender: Lending
    key: LendingKey
    ledger: Ledger

    @classmethod
    def of(cls, lender: Lending) -> Twins:
        reserves = []
        for index, asset in enumerate(lender.world.file.ordered_assets):
            if asset.symbol in {*SUPPLIED, *BORROWED}:
                data = lender.pool.getReserveData(asset.address)
                may = asset.symbol in SUPPLIED, asset.symbol in BORROWED
                reserves.append(ReserveKey(index, asset.address, data[8], data[10], *may))
        key = LendingKey(AAVE, addresses.AAVE_POOL, addresses.AAVE_ORACLE, 0, tuple(reserves))
        world = lender.world
        ledger = Ledger(world.vault.address, world.file.vault_limits, "0x00", 6, (0,) * len(world.tokens))
        twins = cls(lender, key, ledger)
        twins.adopt()
        return twins

    def adopt(self) -> None:
        """Take over what only happened to the real one."""
        world = self.lender.world
        vault, rules = world.vault, world.mandate
        self.ledger = replace(
            self.ledger,
            holdings=tuple(vault.holdings()),
            supply=vault.totalSupply(),
            nonce=vault.order_nonce(),
            loss_level=rules.loss_level(),
            turnover_level=rules.turnover_level(),
            levels_at=world.evm.timestamp,
            lending=self.account(),
        )

    def account(self) -> LendingState:
        """As the market room reads it."""
        vault, evm = self.lender.world.vault.address, self.lender.world.evm
        calls = lending_calls(self.key, vault)
        return decode_lending(self.key, [evm.call(ZERO, one.target, one.data, static=True) for one in calls])

    def snapshot(self) -> Snapshot:
        world, prices = self.lender.world, self.lender.world.prices()
        portfolio = self.ledger.portfolio
        assets = tuple(
            AssetState(asset.symbol, asset.address, asset.decimals, held, price, 0, supplied, owed)
            for asset, held, price, supplied, owed in zip(
                world.file.ordered_assets, portfolio.wallet, prices, portfolio.supplied, portfolio.owed, strict=True
            )
        )
        block = Block(world.evm.number, "0x01", "0x00", world.evm.timestamp, 0)
        state = self.ledger.vault_state(prices, world.evm.timestamp)
        return Snapshot(1, block, state, assets, (), self.ledger.lending)

    def compare(self) -> None:
        world, portfolio = self.lender.world, self.ledger.portfolio
        held, owed = self.lender.position()
        assert tuple(world.vault.holdings()) == portfolio.wallet
        assert (tuple(held), tuple(owed)) == (portfolio.supplied, portfolio.owed)
        assert world.vault.value_per_share() == self.ledger.value_per_share(world.prices())
        assert world.mandate.loss_level() == self.ledger.levels(world.evm.timestamp)[0]
        now, here = self.account(), self.ledger.lending
        assert here is not None
        assert now.health_factor == here.health_factor
        for real, ours in zip(now.reserves, here.reserves, strict=True):
            assert (real.scaled_supplied, real.scaled_owed) == (ours.scaled_supplied, ours.scaled_owed)

    def lend(self, action: LendingAction, asset: str, amount: int) -> str | None:
        """Settle one lending leg."""
        index = self.lender.world.index(asset)
        reason = attempt(lambda: self.lender.world.settle([self.lender.leg(action, asset, amount)]))[1]
        after, refusal = self.ledger, None
        try:
            assert self.ledger.lending is not None
            state, change = act(self.ledger.lending, action, index, amount, self.ledger.holdings[index])
            holdings = list(self.ledger.holdings)
            holdings[index] += change
            after = self.ledger.judged(self.snapshot(), holdings, state)[0]
        except Refused as refused:
            refusal = refused.reason
        assert refusal == AAVES_OWN.get(reason or "", reason)
        self.ledger = after
        self.compare()
        return reason

    def deleverage(self) -> tuple[int, int] | None:
        """The caller brings more than enough."""
        world, prices = self.lender.world, self.lender.world.prices()
        self.lender.bring("carol", "USDC", usdc(10_000_000))
        assert self.ledger.lending is not None
        state = self.ledger.lending
        discount = world.mandate.deleverage_terms(state.health_factor)[2]
        assert discount == auctioned_bps(self.ledger.limits, world.alarms.unhealthy_for(world.mandate))
        done = deleveraged(state, self.ledger.holdings, prices, self.ledger.limits, False, discount)
        debt, collateral = (0, 1) if done is None else (done.debt, done.collateral)
        paid, _ = attempt(lambda: world.vault.deleverage(0, debt, collateral, usdc(10_000_000), sender="carol"))
        assert (paid is None) == (done is None)
        if done is None or paid is None:
            return None
        holdings = list(self.ledger.holdings)
        for asset, repaid in done.from_wallet.items():
            holdings[asset] -= repaid
        self.ledger = replace(self.ledger, holdings=tuple(holdings), lending=done.state)
        assert (done.taken, done.paid) == tuple(paid)
        self.compare()
        return tuple(paid)

    def leave(self, part: float) -> None:
        shares = int(self.ledger.supply * part)
        for asset in BORROWED:
            self.lender.bring("alice", asset, 10**7 * 10 ** addresses.DECIMALS[asset])
        real = tuple(self.lender.world.vault.redeem_in_kind(shares, "alice", "alice", 0, sender="alice"))
        before = self.ledger.holdings
        self.ledger, _ = self.ledger.redeem_in_kind(shares)
        assert real == tuple(old - new for old, new in zip(before, self.ledger.holdings, strict=True))
        self.compare()


@pytest.fixture(scope="module")
def _lender() -> Lending:
    return lending_world()


@pytest.fixture
def twins(_lender: Lending) -> Iterator[Twins]:
    with _lender.world.evm.rolled_back():
        yield Twins.of(_lender)


def test_each_action_leaves_what_aave_leaves(twins: Twins) -> None:
    assert twins.lend(LendingAction.SUPPLY, "WETH", 2**127) is None
    assert twins.lend(LendingAction.BORROW, "USDC", usdc(90_000)) is None
    assert twins.lend(LendingAction.REPAY, "USDC", usdc(30_000)) is None
    assert twins.lend(LendingAction.WITHDRAW, "WETH", ONE) is None


def test_what_aave_refuses_is_refused(twins: Twins) -> None:
    assert twins.lend(LendingAction.SUPPLY, "LINK", ONE) == "aave: may not be supplied"
    assert twins.lend(LendingAction.SUPPLY, "WETH", 50 * ONE) is None
    assert twins.lend(LendingAction.BORROW, "USDC", usdc(140_000)) == "36"
    assert twins.lend(LendingAction.BORROW, "USDC", usdc(90_000)) is None
    assert twins.lend(LendingAction.WITHDRAW, "WETH", 49 * ONE) == "35"


def test_random_actions_and_exits_with_debt(twins: Twins) -> None:
    random = Random(3)
    twins.lend(LendingAction.SUPPLY, "WETH", 2**127)
    reasons = []
    for _ in range(25):
        action = random.choice([*LendingAction][:4])
        asset = random.choice(("WETH", "WBTC", "USDC"))
        dollars = random.choice((1_000, 30_000, 200_000))
        amount = dollars * ONE * ONE // twins.lender.world.prices()[twins.lender.world.index(asset)]
        reasons.append(twins.lend(action, asset, amount))
        if random.random() < 0.2:
            twins.leave(random.uniform(0.01, 0.1))
    assert reasons.count(None) > 10


def test_interest_is_what_the_pool_says_after_a_day(twins: Twins) -> None:
    """Of a reserve that was just touched to the ray; others had begun at another time."""
    twins.lend(LendingAction.SUPPLY, "WETH", 2**127)
    twins.lend(LendingAction.BORROW, "USDC", usdc(100_000))
    # The pool has moved its rates by what was borrowed.
    twins.adopt()
    assert twins.ledger.lending is not None
    later = accrued(twins.ledger.lending, 86_400)
    twins.lender.world.evm.mine(86_400)
    real = {one.asset: one for one in twins.account().reserves}
    for one in later.reserves:
        assert one.borrow_index == pytest.approx(real[one.asset].borrow_index, rel=1e-9)
        assert one.supply_index == pytest.approx(real[one.asset].supply_index, rel=1e-9)
    dollars = next(one for one in later.reserves if one.asset == 0)
    assert dollars.borrow_index == real[0].borrow_index
    assert dollars.supply_index == real[0].supply_index
    assert dollars.owed == twins.lender.position()[1][0]


@pytest.mark.parametrize("waited", [0, 900, 3_600])
def test_anyone_deleverages_by_the_same_amounts(twins: Twins, waited: int) -> None:
    """The longer it waited below the trigger, the more is paid for it."""
    twins.lend(LendingAction.SUPPLY, "WETH", 2**127)
    twins.lend(LendingAction.BORROW, "USDC", usdc(180_000))
    world = twins.lender.world
    assert twins.deleverage() is None
    # What was borrowed is spent, so that the wallet cannot repay it all.
    world.settle([world.leg("USDC", "WBTC", usdc(300_000))])
    world.set_feed("ETH/USD", world.usd("WETH") * 0.82)
    twins.adopt()
    assert twins.ledger.lending is not None
    assert repriced(twins.ledger.lending, world.prices()).health_factor == twins.ledger.lending.health_factor
    assert twins.ledger.lending.health_factor < 12_500 * BPS
    for _ in range(waited // 300 + 1):
        attempt(lambda: world.alarms.poke(world.mandate, sender="bob"))
        world.evm.mine(300)
    twins.adopt()
    found: Any = twins.deleverage()
    assert found is not None
    assert twins.ledger.lending.health_factor >= 14_999 * BPS
