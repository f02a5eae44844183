# SPDX-License-Identifier: Apache-2.0
"""A thief with the optimizer's key drains as hard as he can; the loss is measured at the market's prices.

Promise 2: no window of t seconds costs more than C + r * t at oracle prices, and in truth no more
than that plus what was turned over times the oracle's error. With k the market's price of an asset
over the oracle's and e = max k / min k - 1 over the assets, a settlement that loses l and turns over u
at oracle prices loses at most l * (1 + e) + u * e of the vault at market prices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from typing import Any

import pytest

from tests.support.evm import attempt, reverts
from tests.support.thief import Thief, worth
from tests.support.world import BPS, DAY, ONE, World, head_prices, usdc

LOSS_CAPACITY, LOSS_REFILL = 100, 25
TURNOVER_CAPACITY, TURNOVER_REFILL = 10_000, 2500
FEED_OF = {"WETH": "ETH/USD", "WBTC": "BTC/USD"}
DEVIATION = 0.005
"""Of the ether and bitcoin feeds: the most that they lag before they must write a round."""


@dataclass
class Ledger:
    """What each settlement cost by the oracle and in truth."""

    world: World
    rows: list[tuple[int, float, float, float, float]] = field(default_factory=list)

    def settle(self, thief: Thief, market: Mapping[str, float], *order: Any) -> bool:
        """Let the thief settle; False when the vault refused."""
        before = worth(self.world.vault.holdings(), self.world, market)
        settled = thief.settle(*order)
        if settled is None:
            return False
        after = worth(self.world.vault.holdings(), self.world, market)
        ratios = [market[symbol] / self.world.usd(symbol) for symbol in self.world.file.symbols]
        row = settled["loss"] / ONE, settled["turnover"] / ONE, (before - after) / before, max(ratios) / min(ratios) - 1
        self.rows.append((self.world.evm.timestamp, *row))
        return True

    @property
    def charged(self) -> float:
        return sum(row[1] for row in self.rows)

    @property
    def turned(self) -> float:
        return sum(row[2] for row in self.rows)

    @property
    def lost(self) -> float:
        return sum(row[3] for row in self.rows)

    @property
    def bound(self) -> float:
        """Capacity and refill over the time of the attack, and the turnover there was times the error."""
        seconds = self.rows[-1][0] - self.rows[0][0]
        budget = (LOSS_CAPACITY + LOSS_REFILL * seconds / DAY) / 10_000
        worst = max(error for *_, error in self.rows)
        return budget * (1 + worst) + sum(turnover * error for _, _, turnover, _, error in self.rows)

    def check(self, record: Any, name: str) -> None:
        for _, loss, turnover, truth, error in self.rows:
            assert truth <= loss * (1 + error) + turnover * error + 1e-12
        for (start, *_), (end, *_) in combinations_with_replacement(self.rows, 2):
            window = [row for row in self.rows if start <= row[0] <= end]
            assert sum(row[1] for row in window) <= (LOSS_CAPACITY + LOSS_REFILL * (end - start) / DAY) / 10_000 + 1e-12
            turnover = (TURNOVER_CAPACITY + TURNOVER_REFILL * (end - start) / DAY) / 10_000
            assert sum(row[2] for row in window) <= turnover + 1e-12
        assert self.lost <= self.bound
        record(f"{name}: settlements", len(self.rows))
        record(f"{name}: loss at market prices", round(self.lost, 6))
        record(f"{name}: bound", round(self.bound, 6))
        print(f"{name}: {len(self.rows)} settlements lost {self.lost:.4%} of the vault, bound {self.bound:.4%}")


@pytest.fixture
def rested(invested: World) -> World:
    """Every bucket is empty again, every feed fresh."""
    invested.evm.mine(8 * DAY)
    invested.refresh_feeds()
    return invested


def lagging(sell: float, buy: float) -> dict[str, float]:
    """Market prices at which ether is worth more and bitcoin less than the oracle says, by these fractions."""
    market = head_prices()
    return market | {
        "WETH": market["WETH"] * (1 + sell), "wstETH": market["wstETH"] * (1 + sell), "WBTC": market["WBTC"] * (1 - buy),
    }  # fmt: skip


def test_one_strike_under_a_lagging_oracle(rested: World, record_property: Any) -> None:
    """Sells understated ether for overstated bitcoin, losing all of the budget, as far as the weights go."""
    ledger, thief = Ledger(rested), Thief(rested, "WETH", "WBTC")
    market = lagging(DEVIATION, DEVIATION)
    assert ledger.settle(thief, market, "WETH", "WBTC", 0.149, 0.00999)
    assert not ledger.settle(thief, market, "WETH", "WBTC", 0.149, 0.00999)
    assert ledger.lost > 0.0099
    ledger.check(record_property, "one strike, feeds half a per cent apart from the market each")


@pytest.mark.parametrize("jump", [0.05, 0.2])
def test_a_jump_that_no_round_has_reported_yet(rested: World, record_property: Any, jump: float) -> None:
    """The error is what it is: what the weights let him turn over, times the jump, is lost and no more."""
    ledger, thief = Ledger(rested), Thief(rested, "WETH", "WBTC")
    market = lagging(jump, 0.0)
    assert ledger.settle(thief, market, "WETH", "WBTC", 0.149, 0.00999)
    ledger.check(record_property, f"one strike, ether up {jump:.0%} unreported")


def test_a_campaign_of_ten_days_with_the_lag_always_his_way(rested: World, record_property: Any) -> None:
    """Every four hours the market stands at the edge of what the feeds tolerate, in whichever direction pays him."""
    ledger, thief = Ledger(rested), Thief(rested, "WETH", "WBTC")
    sell, buy = "WETH", "WBTC"
    usd = {"WETH": 3000.0, "WBTC": 60_000.0}
    for _ in range(60):
        market = head_prices() | {sell: usd[sell] * (1 + DEVIATION), buy: usd[buy] * (1 - DEVIATION)}
        market["wstETH"] = 1.17 * 0.9995 * market["WETH"]
        left = LOSS_CAPACITY / 10_000 - rested.mandate.loss_level() / ONE - 1e-6
        for fraction in (0.25, 0.2, 0.15, 0.1, 0.08, 0.06, 0.04, 0.02):
            if ledger.settle(thief, market, sell, buy, fraction, left):
                break
        # The feeds catch up, and the market turns.
        usd = {symbol: market[symbol] for symbol in usd}
        rested.evm.mine(4 * 3600)
        rested.refresh_feeds()
        for symbol, price in usd.items():
            rested.set_feed(FEED_OF[symbol], price)
        sell, buy = buy, sell
    assert len(ledger.rows) > 30
    # He really used what there was: the refill of every day, and the error on what he turned over.
    assert ledger.charged > 0.9 * (LOSS_CAPACITY + LOSS_REFILL * 9) / 10_000
    assert ledger.lost > 0.8 * ledger.bound
    ledger.check(record_property, "ten days")


def test_many_small_losses(rested: World, record_property: Any) -> None:
    """A loss of a hundredth of a basis point in each block of a quarter of an hour, then more when that is refused."""
    ledger, thief = Ledger(rested), Thief(rested, "WETH", "WBTC")
    market, sell, buy = head_prices(), "WETH", "WBTC"
    accepted = 0
    for i in range(75):
        if ledger.settle(thief, market, sell, buy, 0.002, 0.0002 if i < 60 else 1e-6):
            accepted += 1
        sell, buy = buy, sell
        rested.evm.mine(12)
    assert 50 <= accepted < 75
    ledger.check(record_property, "many small losses")


def test_waiting_for_the_second_in_which_the_bucket_has_room(rested: World, record_property: Any) -> None:
    """Exactly C at once; then a loss each time just as much has leaked, and one second early is refused."""
    ledger, thief = Ledger(rested), Thief(rested, "WETH", "WBTC")
    market = head_prices()
    assert ledger.settle(thief, market, "WETH", "WBTC", 0.1, 0.00999)
    spent = rested.mandate.loss_level()
    for _ in range(5):
        wanted = 2 * BPS
        room = LOSS_CAPACITY * BPS - rested.mandate.loss_level()
        wait = (wanted - room) * DAY // (LOSS_REFILL * BPS) + 1
        rested.evm.mine(wait - 60)
        rested.refresh_feeds()
        assert not ledger.settle(thief, market, "WBTC", "WETH", 0.01, wanted / ONE)
        assert thief.refusal == "loss_budget: exhausted"
        rested.evm.mine(60)
        assert ledger.settle(thief, market, "WBTC", "WETH", 0.01, wanted / ONE - 2e-8)
    assert rested.mandate.loss_level() <= spent + 10 * BPS
    ledger.check(record_property, "to the second")


def test_relative_caps_bypassed_by_a_flash_deposit(rested: World, record_property: Any) -> None:
    """He deposits nine times the vault first, so that fractions are of a larger whole, strikes, and leaves in kind."""
    market = lagging(DEVIATION, DEVIATION)
    shares = rested.vault.balanceOf("alice")

    def alices(world: World) -> float:
        supply = world.vault.totalSupply()
        return worth(world.vault.holdings(), world, market) * shares / supply

    before = alices(rested)
    thief = Thief(rested, "WETH", "WBTC")
    rested.deposit("attacker", usdc(9_000_000))
    ledger = Ledger(rested)
    # The deposit made dollars too heavy, so he may buy bitcoin with them, nine times what he could before.
    thief_of_dollars = Thief(rested, "WBTC", "USDC")
    assert ledger.settle(thief_of_dollars, market, "USDC", "WBTC", 0.42, 0.0099)
    assert not ledger.settle(thief, market, "WETH", "WBTC", 0.01, 0.0002)
    rested.leave_in_kind("attacker")
    lost = (before - alices(rested)) / before
    ledger.check(record_property, "flash deposit")
    # The strike is one thing; that his dollars bought into her coins at the oracle's prices another: his
    # fees, which stay with her, are there for that.
    assert lost <= ledger.lost
    print(f"flash deposit: alice lost {lost:.4%}, the vault {ledger.lost:.4%}")


def test_a_keeper_that_sandwiches_itself(rested: World, record_property: Any) -> None:
    """In a public pool, with his own money before and after: minimum output 0, so only the budget stands in the way."""
    maker = rested.deploy_maker("attacker", {"WETH": 100_000, "USDC": 300_000_000})
    pool = next(pool for pool in rested.pools() if pool.name == "WETH/USDC v3 3000")
    ether_first = pool.symbols[0] == "WETH"
    amount = 30 * 10**18

    def wealth() -> float:
        eth, dollars = (rested.token(symbol).balanceOf(maker) for symbol in ("WETH", "USDC"))
        return eth / 1e18 * 3000 + dollars / 1e6

    def sandwich(front: int) -> tuple[float, float] | None:
        start, value = wealth(), rested.vault.value()
        maker.front_run((pool.address, int(pool.venue), ether_first, front), sender="attacker")
        settled, reason = attempt(lambda: rested.settle([rested.leg("WETH", "USDC", amount, 3000)]))
        if settled is None:
            assert reason == "loss_budget: exhausted"
            return None
        maker.back_run(sender="attacker")
        return wealth() - start, (value - rested.vault.value()) / value

    most, profit, front = 0.0, 0.0, 250
    while True:
        with rested.evm.rolled_back():
            outcome = sandwich(front * 10**18)
        if outcome is None:
            break
        profit, most = outcome
        front += 50
    assert LOSS_CAPACITY / 10_000 * 0.9 < most <= LOSS_CAPACITY / 10_000
    assert profit <= most * rested.vault.value() / ONE
    record_property("sandwich: loss", most)
    print(f"sandwich: the vault lost {most:.4%}; it left him with {profit:,.0f} dollars after the pool's own fees")


def test_a_minimum_value_per_share_shuts_the_sandwich_out(rested: World) -> None:
    """What an honest keeper signs: not the key, only the mempool is hostile."""
    maker = rested.deploy_maker("attacker", {"WETH": 10_000})
    pool = next(pool for pool in rested.pools() if pool.name == "WETH/USDC v3 3000")
    least = rested.vault.value_per_share() * 9990 // 10_000
    order = rested.order([rested.leg("WETH", "USDC", 30 * 10**18, 3000)], min_value_per_share=least)
    trade = (pool.address, int(pool.venue), pool.symbols[0] == "WETH", 1500 * 10**18)
    maker.front_run(trade, sender="attacker")
    with reverts("limits: value per share"):
        rested.settle(order)


def test_while_only_reducing_he_sells_at_most_as_badly(rested: World, record_property: Any) -> None:
    rested.mandate.guardian_trip(1, sender="guardian")
    ledger, thief = Ledger(rested), Thief(rested, "WETH", "USDC")
    market = lagging(DEVIATION, 0.0)
    assert ledger.settle(thief, market, "WETH", "USDC", 0.29, 0.00999)
    assert not ledger.settle(thief, market, "WETH", "USDC", 0.01, 0.0002)
    ledger.check(record_property, "only reducing")
