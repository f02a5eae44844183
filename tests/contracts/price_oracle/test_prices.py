# SPDX-License-Identifier: Apache-2.0
"""prices and try_prices: right to the wei while every feed is live; otherwise a reason, or a flag."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.price_oracle.conftest import HEARTBEAT, USD, chainlink, deploy_oracle, prices_of, staked
from tests.support.evm import Contract, Evm, reverts
from tests.support.hostile import actor
from tests.support.world import World

in_pytest = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def refused(oracle: Contract, reason: str) -> None:
    """`prices` reverts with the reason, `try_prices` says not live and prices the asset at 0."""
    with reverts(reason):
        oracle.prices()
    live, prices = oracle.try_prices()
    assert not live
    assert prices[0] == 0


@pytest.mark.parametrize("feed_decimals", [0, 6, 8, 18])
@pytest.mark.parametrize("token_decimals", [0, 6, 8, 18])
def test_scales_to_usd_at_18_decimals_per_10_18_base_units(evm: Evm, feed_decimals: int, token_decimals: int) -> None:
    feed = actor(evm, "HostileFeed", feed_decimals, 123 * 10**feed_decimals)
    oracle = deploy_oracle(evm, chainlink(feed, token_decimals))
    assert prices_of(oracle) == (123 * USD * 10 ** (18 - token_decimals),)


@given(answer=st.integers(1, 2**100), feed_decimals=st.integers(0, 18), token_decimals=st.integers(0, 18))
@in_pytest
def test_agrees_with_exact_arithmetic(evm: Evm, answer: int, feed_decimals: int, token_decimals: int) -> None:
    feed = actor(evm, "HostileFeed", feed_decimals, answer)
    oracle = deploy_oracle(evm, chainlink(feed, token_decimals, min_price=1, max_price=2**128 - 2))
    exact = Fraction(answer, 10**feed_decimals)
    live, (price,) = oracle.try_prices()
    assert live is (1 <= int(exact * USD) <= 2**128 - 2)
    # Rounded to a wei of a dollar per whole token, then scaled.
    assert price == (int(exact * USD) * 10 ** (18 - token_decimals) if live else 0)


@given(
    feed_decimals=st.integers(0, 20),
    least=st.integers(1, 10**22),
    width=st.integers(1, 10**22) | st.integers(1, 3),
    offset=st.integers(-3, 3),
    at_least=st.booleans(),
    age=st.sampled_from([-(2**200), -61, -60, 0, HEARTBEAT, HEARTBEAT + 1, 10**9]),
    heartbeat=st.sampled_from([HEARTBEAT, 2**30, 2**31, 2**64]),
)
@in_pytest
def test_live_exactly_within_bounds_and_heartbeat(
    evm: Evm, feed_decimals: int, least: int, width: int, offset: int, at_least: bool, age: int, heartbeat: int
) -> None:
    """At the edges, whether a row is read at once or, being out of the ordinary, step by step."""
    edge = least if at_least else least + width
    answer = max(1, edge * 10**feed_decimals // USD + offset)
    feed = actor(evm, "HostileFeed", feed_decimals, answer)
    feed.set(answer, evm.timestamp - age, sender="market")
    row = chainlink(feed, min_price=least, max_price=least + width, heartbeat=heartbeat)
    usd = answer * USD // 10**feed_decimals
    fresh = -60 <= age <= heartbeat
    live = fresh and least <= usd <= least + width
    # A date past 2**64 is no date.
    status = 0 if live else 3 if age < -(2**64) else 2 if fresh else 1
    assert deploy_oracle(evm, row).statuses() == (status,)


@given(ratio=st.integers(10**17, 10**19), staked_price=st.integers(10**17, 10**19), ether=st.integers(10**8, 10**14))
@in_pytest
def test_staked_token_is_ratio_times_market_times_base(evm: Evm, ratio: int, staked_price: int, ether: int) -> None:
    market = actor(evm, "HostileFeed", 18, staked_price)
    base = actor(evm, "HostileFeed", 8, ether)
    market.set_ratio(ratio, sender="market")
    oracle = deploy_oracle(evm, staked(market, base, market, min_price=1, max_price=10**30))
    exact = Fraction(ratio, USD) * Fraction(staked_price, USD) * Fraction(ether, 10**8) * USD
    # Two divisions round down, the first before a factor of at most a million dollars.
    assert exact - Fraction(ether, 10**8) - 1 <= oracle.prices()[0] <= exact


def test_the_sandbox_prices_are_what_its_feeds_say(world: World) -> None:
    assert world.prices() == [
        10**30, 3000 * 10**18, 60_000 * 10**28, 15 * 10**18, int(Fraction("1.17") * Fraction("0.9995") * 3000 * 10**18),
    ]  # fmt: skip


def test_a_round_is_live_until_its_heartbeat_ends(evm: Evm, feed: Contract) -> None:
    oracle = deploy_oracle(evm, chainlink(feed))
    evm.timestamp = feed.updated_at() + HEARTBEAT
    assert prices_of(oracle) == (100 * USD,)
    evm.timestamp += 1
    refused(oracle, "oracle: stale")


def test_a_clock_a_minute_ahead_is_tolerated(evm: Evm, feed: Contract) -> None:
    oracle = deploy_oracle(evm, chainlink(feed))
    feed.set(10**8 * 100, evm.timestamp + 60, sender="market")
    assert prices_of(oracle) == (100 * USD,)


@pytest.mark.parametrize("ahead", [61, 10**6, 2**63])
def test_a_timestamp_in_the_future_is_stale(evm: Evm, feed: Contract, ahead: int) -> None:
    """A round dated ahead would stay fresh for as long as it lies."""
    oracle = deploy_oracle(evm, chainlink(feed))
    feed.set(10**8 * 100, evm.timestamp + ahead, sender="market")
    refused(oracle, "oracle: stale")


@pytest.mark.parametrize("answer", [0, -1, -(2**255)])
def test_zero_and_negative_answers_are_none(evm: Evm, feed: Contract, answer: int) -> None:
    oracle = deploy_oracle(evm, chainlink(feed))
    feed.set(answer, evm.timestamp, sender="market")
    refused(oracle, "oracle: no answer")


@pytest.mark.parametrize(("usd", "inside"), [(9, False), (10, True), (20, True), (21, False)])
def test_bounds_include_their_ends(evm: Evm, feed: Contract, usd: int, inside: bool) -> None:
    oracle = deploy_oracle(evm, chainlink(feed, min_price=10 * USD, max_price=20 * USD))
    feed.set(usd * 10**8, evm.timestamp, sender="market")
    if inside:
        assert prices_of(oracle) == (usd * USD,)
    else:
        refused(oracle, "oracle: out of bounds")


def test_a_wei_outside_is_outside(evm: Evm) -> None:
    feed = actor(evm, "HostileFeed", 18, 20 * USD + 1)
    refused(deploy_oracle(evm, chainlink(feed, min_price=USD, max_price=20 * USD)), "oracle: out of bounds")


@pytest.mark.parametrize("mode", [1, 2, 3], ids=["reverts", "one word", "nothing"])
def test_a_broken_feed_has_no_answer(evm: Evm, feed: Contract, mode: int) -> None:
    oracle = deploy_oracle(evm, chainlink(feed))
    feed.set_mode(mode, sender="market")
    refused(oracle, "oracle: no answer")


def test_a_feed_without_code_has_no_answer(evm: Evm, feed: Contract) -> None:
    oracle = deploy_oracle(evm, chainlink(feed))
    evm.set_code(feed.address, b"")
    refused(oracle, "oracle: no answer")


@pytest.mark.parametrize("part", ["market", "base", "ratio"])
def test_each_part_of_a_staked_price_must_answer(
    evm: Evm, market: Contract, base: Contract, feed: Contract, part: str
) -> None:
    feed.set_ratio(USD, sender="market")
    oracle = deploy_oracle(evm, staked(market, base, feed))
    assert prices_of(oracle) == (3000 * USD,)
    {"market": market, "base": base, "ratio": feed}[part].set_mode(1, sender="market")
    refused(oracle, "oracle: no answer")


@pytest.mark.parametrize("part", ["market", "base"])
def test_each_feed_of_a_staked_price_must_be_fresh(evm: Evm, market: Contract, base: Contract, part: str) -> None:
    oracle = deploy_oracle(evm, staked(market, base, market))
    old, feed = {"market": (10**18, market), "base": (3000 * 10**8, base)}[part]
    feed.set(old, evm.timestamp - HEARTBEAT - 1, sender="market")
    refused(oracle, "oracle: stale")


def test_a_discount_on_the_market_shows_whatever_the_ratio_says(evm: Evm, market: Contract, base: Contract) -> None:
    """The ratio alone would go on paying par for a token that trades below it."""
    oracle = deploy_oracle(evm, staked(market, base, market))
    market.set(94 * 10**16, evm.timestamp, sender="market")
    assert prices_of(oracle) == (2820 * USD,)


@given(
    answers=st.tuples(*[st.integers(-(2**255), 2**255 - 1) | st.integers(2**90, 2**128)] * 2),
    ratio=st.integers(0, 2**256 - 1) | st.integers(2**60, 2**96),
    dates=st.tuples(*[st.integers(0, 2**256 - 1)] * 2),
    places=st.tuples(*[st.integers(0, 18)] * 3),
)
@in_pytest
def test_try_prices_never_reverts(
    evm: Evm, answers: tuple[int, int], ratio: int, dates: tuple[int, int], places: tuple[int, int, int]
) -> None:
    """Whatever a feed answers: a vault's views must go on answering from the last mark."""
    market, base = (actor(evm, "HostileFeed", places[i], 1) for i in range(2))
    oracle = deploy_oracle(
        evm, staked(market, base, market, token_decimals=places[2]), chainlink(market), chainlink(base)
    )
    market.set_ratio(ratio, sender="market")
    for feed, answer, date in zip((market, base), answers, dates, strict=True):
        feed.set(answer, date, sender="market")
    oracle.try_prices()
    oracle.updated_at()


def test_absurd_answers_of_a_staked_price_are_out_of_bounds(evm: Evm, market: Contract, base: Contract) -> None:
    """Each below what counts as an answer, their product beyond a word."""
    oracle = deploy_oracle(evm, staked(market, base, market))
    market.set_ratio(2**96 - 1, sender="market")
    for feed in (market, base):
        feed.set(2**128 - 1, evm.timestamp, sender="market")
    refused(oracle, "oracle: out of bounds")


def test_one_dead_feed_leaves_the_others_readable(evm: Evm, feed: Contract, base: Contract) -> None:
    oracle = deploy_oracle(evm, chainlink(feed), chainlink(base))
    feed.set_mode(1, sender="market")
    assert oracle.try_prices() == (False, (0, 3000 * USD))


def test_no_feeds_no_prices(evm: Evm) -> None:
    oracle = deploy_oracle(evm)
    assert prices_of(oracle) == ()
    assert oracle.try_prices() == (True, ())
