# SPDX-License-Identifier: Apache-2.0
"""Price feeds in the sandbox: real aggregators with a past."""

from __future__ import annotations

from itertools import pairwise

import pytest

from offchain.sandbox import addresses
from offchain.sandbox.chainlink import GET_ROUND_DATA, LATEST_ROUND_DATA
from offchain.sandbox.contract import function
from offchain.sandbox.prices import FEED_RULES, HEAD_TIMESTAMP, PRICES, history
from offchain.sandbox.standup import Sandbox

DAY = 86400

each_feed = pytest.mark.parametrize("name", addresses.FEEDS)


def rounds(sandbox: Sandbox, name: str) -> list[tuple[int, int]]:
    """``(answer, updated at)`` of every round, oldest first."""
    proxy = addresses.FEEDS[name]
    newest = sandbox.chain.call(proxy, LATEST_ROUND_DATA)[0]
    phase = newest >> 64 << 64
    data = sandbox.rpc.batch(
        [
            ("eth_call", [{"to": proxy, "data": GET_ROUND_DATA.encode(number)}, "latest"])
            for number in range(phase + 1, newest + 1)
        ]
    )
    return [(answer, updated) for _, answer, _, updated, _ in map(GET_ROUND_DATA.decode, data)]


@each_feed
def test_newest_round_is_the_heads(sandbox: Sandbox, name: str) -> None:
    _, answer, _, updated_at, _ = sandbox.chain.call(addresses.FEEDS[name], LATEST_ROUND_DATA)
    assert (answer, updated_at) == (round(PRICES[name] * float(10 ** FEED_RULES[name].decimals)), HEAD_TIMESTAMP)


@each_feed
def test_proxy_answers_decimals_and_description(sandbox: Sandbox, name: str) -> None:
    chain, proxy = sandbox.chain, addresses.FEEDS[name]
    assert chain.call(proxy, function("decimals()", "uint8")) == FEED_RULES[name].decimals
    assert chain.call(proxy, function("description()", "string")) == name.replace("/", " / ")


@each_feed
def test_history_reaches_back_ninety_days_within_the_heartbeat(sandbox: Sandbox, name: str) -> None:
    times = [updated for _, updated in rounds(sandbox, name)]
    assert times[0] <= HEAD_TIMESTAMP - 90 * DAY
    assert max(b - a for a, b in pairwise(times)) <= FEED_RULES[name].heartbeat


def test_volatile_feeds_wrote_more_rounds_than_their_heartbeat_asks(sandbox: Sandbox) -> None:
    written = rounds(sandbox, "LINK/USD")
    span = written[-1][1] - written[0][1]
    assert len(written) > 1.1 * span / FEED_RULES["LINK/USD"].heartbeat


def test_history_is_the_same_every_time() -> None:
    first, second = history(), history()
    assert all((first[name] == second[name]).all() for name in first)


def test_a_pushed_price_is_a_new_round(sandbox: Sandbox) -> None:
    before = sandbox.chain.call(addresses.FEEDS["ETH/USD"], LATEST_ROUND_DATA)
    sandbox.push("ETH/USD", 2500.5)
    after = sandbox.chain.call(addresses.FEEDS["ETH/USD"], LATEST_ROUND_DATA)
    assert (after[0] - before[0], after[1]) == (1, 2500_50000000)
