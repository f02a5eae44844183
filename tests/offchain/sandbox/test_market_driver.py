# SPDX-License-Identifier: Apache-2.0
"""Feeds, pools and base fee of a real sandbox follow a price path."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from offchain.sandbox.arbitrage import Q96, fair_root_price
from offchain.sandbox.blocks import BlockProducer
from offchain.sandbox.chainlink import LATEST_ROUND, LATEST_ROUND_DATA
from offchain.sandbox.market_driver import MarketDriver, Tick
from offchain.sandbox.paths import MARKET_SYMBOLS, PricePath, PricePathError
from offchain.sandbox.prices import FEED_RULES
from offchain.sandbox.prices_file import load_path
from offchain.sandbox.simulator import START_PRICES, Crash, continued_from_the_sandbox, simulate
from offchain.sandbox.standup import Sandbox
from offchain.sandbox.tokens import ST_ETH_PER_TOKEN, TRANSFER
from offchain.settle.development import development_address

HOUR = 3_600
RECORDED = Path(__file__).parents[4] / "shared" / "data" / "prices"
CRASH = simulate(2, days=6, crash=Crash(day=1, depth=-0.42))


def still(*, hours: int = 24, step: int = 300, **moves: float) -> PricePath:
    """A path without a move, but for the symbols named: they jump by that factor two hours in."""
    times = np.arange(0, hours * HOUR + 1, step)
    prices = np.tile([START_PRICES[symbol] for symbol in MARKET_SYMBOLS], (times.size, 1))
    for symbol, factor in moves.items():
        prices[times >= 2 * HOUR, MARKET_SYMBOLS.index(symbol)] *= factor
    return PricePath(MARKET_SYMBOLS, times, prices)


def answers(sandbox: Sandbox) -> dict[str, float]:
    """Latest answer by feed."""
    return {
        name: sandbox.chain.call(feed.proxy, LATEST_ROUND_DATA)[1] / 10**feed.decimals
        for name, feed in sandbox.feeds.items()
    }


def mispricing(driver: MarketDriver) -> dict[str, float]:
    """Distance of each pool's price from the true one, in multiples of its fee."""
    pools = list(driver.sandbox.pools.values())
    roots = driver.maker.root_prices(pools)
    return {
        pool.name: abs((root / Q96 / fair_root_price(pool, driver.prices)) ** 2 - 1) / (pool.fee_ppm / 1e6)
        for pool, root in zip(pools, roots, strict=True)
    }


@pytest.fixture(scope="module")
def crashed(sandbox_node: Sandbox) -> Iterator[tuple[MarketDriver, list[Tick]]]:
    """A driver eighteen ticks into a path that lost 42 % on its second and third day."""
    with sandbox_node.fork() as fork:
        driver = MarketDriver(fork, CRASH, seed=5)
        yield driver, [driver.step() for _ in range(18)]


def test_every_pool_stands_within_its_fee_of_the_true_price(crashed: tuple[MarketDriver, list[Tick]]) -> None:
    driver, ticks = crashed
    assert ticks[-1].prices["WETH"] < 0.65 * ticks[5].prices["WETH"]
    away = mispricing(driver)
    assert len(away) >= 12
    assert max(away.values()) < 1.005 / (1 - 0.003)


def test_feeds_stand_within_their_deviation_of_the_price_they_saw(crashed: tuple[MarketDriver, list[Tick]]) -> None:
    driver, _ = crashed
    seen = driver.path.at(driver.time - 60)
    for name, true in (
        ("ETH/USD", seen["ETH"]), ("BTC/USD", seen["BTC"]), ("LINK/USD", seen["LINK"]),
        ("stETH/ETH", seen["stETH"] / seen["ETH"]), ("USDC/USD", seen["USDC"]), ("DAI/USD", seen["DAI"]),
    ):  # fmt: skip
        assert answers(driver.sandbox)[name] == pytest.approx(true, rel=FEED_RULES[name].deviation * 1.001)


def test_each_round_had_a_reason(crashed: tuple[MarketDriver, list[Tick]]) -> None:
    _, ticks = crashed
    last: dict[str, tuple[float, int]] = {}
    rounds = [one for tick in ticks for one in tick.rounds]
    assert len(rounds) > 100
    for one in rounds:
        if one.feed in last:
            price, written = last[one.feed]
            moved = abs(one.price / price - 1) >= FEED_RULES[one.feed].deviation * 0.9999
            assert moved or one.timestamp - written >= FEED_RULES[one.feed].heartbeat
        last[one.feed] = one.price, one.timestamp


def test_base_fee_rises_in_the_crash(crashed: tuple[MarketDriver, list[Tick]]) -> None:
    _, ticks = crashed
    fees = [tick.base_fee for tick in ticks]
    assert len(set(fees)) == len(fees)
    assert np.median(fees[6:]) > 1.5 * np.median(fees[:6])
    assert max(fees) <= 90 * 10**9


def test_clock_is_the_paths(sandbox_fork: Sandbox) -> None:
    driver = MarketDriver(sandbox_fork, still(), seed=1)
    begin = driver.time
    assert [driver.step().timestamp - begin for _ in range(2)] == [4 * HOUR, 8 * HOUR]
    sandbox_fork.chain.mine()
    assert sandbox_fork.chain.timestamp() - begin == 8 * HOUR + 12
    assert [tick.timestamp - begin for tick in driver.advance(begin + 13 * HOUR)] == [12 * HOUR, 13 * HOUR]


def test_quiet_feeds_write_only_at_their_heartbeat(sandbox_fork: Sandbox) -> None:
    driver = MarketDriver(sandbox_fork, still(), seed=1)
    start = driver.time
    written = {
        name: sandbox_fork.chain.call(feed.proxy, LATEST_ROUND_DATA)[3] for name, feed in sandbox_fork.feeds.items()
    }
    ticks = driver.advance(start + 9 * HOUR)
    by_feed = {name: [one for tick in ticks for one in tick.rounds if one.feed == name] for name in sandbox_fork.feeds}
    assert [len(by_feed[name]) for name in ("ETH/USD", "BTC/USD", "LINK/USD")] == [2, 2, 2]
    assert not by_feed["USDC/USD"]
    assert not by_feed["stETH/ETH"]
    first = by_feed["ETH/USD"][0]
    assert 4 * HOUR <= first.timestamp - written["ETH/USD"] <= 4 * HOUR + 300


def test_move_over_the_threshold_is_written_when_it_is_seen_and_one_below_is_not(sandbox_fork: Sandbox) -> None:
    driver = MarketDriver(
        sandbox_fork, still(hours=3, ETH=1.006, BTC=1.004, stETH=1.006), seed=1, tick_seconds=3 * HOUR
    )
    (tick,) = driver.advance(driver.time + 3 * HOUR)
    assert {one.feed for one in tick.rounds} == {"ETH/USD"}
    assert tick.rounds[0].price == pytest.approx(3_000 * 1.006)
    # The row where it happens is reported a minute later, hence by the next row's block.
    assert tick.timestamp - tick.rounds[0].timestamp == HOUR - 300


def test_silent_feed_lags_and_comes_back(sandbox_fork: Sandbox) -> None:
    driver = MarketDriver(sandbox_fork, still(ETH=0.9, stETH=0.9), seed=1)
    driver.silent = {"ETH/USD"}
    driver.step()
    assert answers(sandbox_fork)["ETH/USD"] == pytest.approx(3_000)
    assert driver.prices["WETH"] == pytest.approx(2_700)
    driver.silent.clear()
    driver.step()
    assert answers(sandbox_fork)["ETH/USD"] == pytest.approx(2_700)


def test_rounds_written_by_others_are_taken_into_account(sandbox_fork: Sandbox) -> None:
    driver = MarketDriver(sandbox_fork, still(), seed=1)
    sandbox_fork.push("ETH/USD", 2_900.0)
    feed = sandbox_fork.feeds["ETH/USD"]
    before = sandbox_fork.chain.call(feed.aggregator, LATEST_ROUND)
    tick = driver.step()
    assert sandbox_fork.chain.call(feed.aggregator, LATEST_ROUND) > before
    assert next(one for one in tick.rounds if one.feed == "ETH/USD").price == pytest.approx(3_000)


def test_staking_ratio_grows_by_three_per_cent_a_year(sandbox_fork: Sandbox) -> None:
    driver = MarketDriver(sandbox_fork, still(hours=24 * 5, step=HOUR), seed=1, tick_seconds=24 * HOUR)
    token = sandbox_fork.tokens["wstETH"]
    before = sandbox_fork.chain.call(token, ST_ETH_PER_TOKEN)
    driver.advance(driver.path.start + 4 * 24 * HOUR)
    grown = sandbox_fork.chain.call(token, ST_ETH_PER_TOKEN) / before - 1
    assert grown == pytest.approx(0.03 * 4 / 365, rel=0.01)
    assert driver.prices["wstETH"] == pytest.approx(before / 1e18 * (1 + grown) * START_PRICES["stETH"])


def test_same_seed_and_path_give_the_same_chain(sandbox_node: Sandbox) -> None:
    def run(seed: int) -> tuple[list[int], list[Tick]]:
        with sandbox_node.fork() as fork:
            driver = MarketDriver(fork, CRASH, seed=seed)
            ticks = [driver.step() for _ in range(4)]
            return driver.maker.root_prices(list(fork.pools.values())), ticks

    assert run(7) == run(7)
    assert run(7)[0] != run(8)[0]


def test_steps_while_a_producer_mines_for_others(sandbox_fork: Sandbox) -> None:
    chain, token = sandbox_fork.chain, sandbox_fork.tokens["USDC"]
    bob, carol = development_address("bob"), development_address("carol")
    chain.impersonate(bob)
    producer = BlockProducer(sandbox_fork.rpc_url)
    driver = MarketDriver(sandbox_fork, CRASH, seed=5, producer=producer)
    begin = driver.time
    with producer:
        for step in (1, 2, 3):
            tick = driver.step()
            receipt = chain.send(token, TRANSFER, carol, 1, sender=bob)
            assert tick.timestamp == begin + step * 4 * HOUR
            assert int(receipt["blockNumber"], 16) == tick.block_number + 1
            assert chain.timestamp() == tick.timestamp + 12
    assert max(mispricing(driver).values()) < 1.01


def test_recorded_prices_drive_the_market(sandbox_fork: Sandbox, tmp_path: Path) -> None:
    lines = ["time,symbol,price"]
    for symbol, price in (("ETH", 1_500.0), ("BTC", 20_000.0), ("LINK", 8.0)):
        lines += [f"2022-11-08T{hour:02d}:00Z,{symbol},{price * (1 - 0.02 * hour)}" for hour in range(10)]
    (tmp_path / "prices.csv").write_text("\n".join(lines))
    driver = MarketDriver(sandbox_fork, load_path(tmp_path / "prices.csv"), seed=1)
    ticks = [driver.step(), driver.step()]
    assert driver.ended
    assert ticks[-1].prices["WETH"] == pytest.approx(1_500 * 0.84)
    assert answers(sandbox_fork)["BTC/USD"] == pytest.approx(20_000 * 0.84, rel=0.01)
    assert max(mispricing(driver).values()) < 1.01
    with pytest.raises(PricePathError, match="ends 3600 s from now"):
        driver.step()


@pytest.mark.skipif(not RECORDED.is_dir(), reason="recorded prices are not part of the repository")
@pytest.mark.parametrize(
    ("start", "end", "fall", "files"),
    [
        ((2020, 3, 12), (2020, 3, 14), -0.45, ("1h_2019-10_2020-05_btc_eth", "1d_2018_2024")),
        ((2021, 5, 19), (2021, 5, 20), -0.25, ("1h_2020_2022",)),
        ((2022, 11, 8), (2022, 11, 11), -0.15, ("1h_2020_2022",)),
    ],
)
def test_days_of_the_past_can_be_lived_through_again(
    sandbox_fork: Sandbox,
    start: tuple[int, int, int],
    end: tuple[int, int, int],
    fall: float,
    files: tuple[str, ...],
) -> None:
    names = [RECORDED / f"binance_spot_{name}.csv.gz" for name in files]
    path = continued_from_the_sandbox(load_path(names, start=datetime(*start), end=datetime(*end)))
    assert path.series("ETH").min() / path.series("ETH")[0] - 1 < fall
    driver = MarketDriver(sandbox_fork, path, seed=1, tick_seconds=HOUR)
    assert driver.prices["WETH"] == pytest.approx(3_000)
    while not driver.ended:
        tick = driver.step()
        assert answers(sandbox_fork)["ETH/USD"] == pytest.approx(tick.prices["WETH"], rel=0.02)
    assert max(mispricing(driver).values()) < 1.01
