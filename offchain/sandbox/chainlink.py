# SPDX-License-Identifier: Apache-2.0
"""Price feeds: Chainlink's FluxAggregator behind its EACAggregatorProxy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from offchain.sandbox import addresses
from offchain.sandbox.artifacts import npm_artifact
from offchain.sandbox.chain import Chain, Transaction
from offchain.sandbox.contract import function
from offchain.sandbox.prices import FEED_RULES, HEAD_TIMESTAMP, HISTORY_DAYS, HOUR, history
from offchain.settle.development import development_address

AGGREGATOR = function("aggregator()", "address")
LATEST_ROUND = function("latestRound()", "uint256")
LATEST_ROUND_DATA = function("latestRoundData()", "uint80,int256,uint256,uint256,uint80")
GET_ROUND_DATA = function("getRoundData(uint80)", "uint80,int256,uint256,uint256,uint80")
SUBMIT = function("submit(uint256,int256)")

TRUFFLE = "@chainlink/contracts/truffle/v0.6"


@dataclass(frozen=True, slots=True)
class Feed:
    """One price feed of the sandbox."""

    name: str
    """Pair, such as ``"ETH/USD"``."""
    proxy: str
    aggregator: str
    decimals: int

    def answer(self, price: float) -> int:
        """The integer that the feed answers for a price."""
        return round(price * float(10**self.decimals))


def deploy_feeds(chain: Chain) -> dict[str, Feed]:
    """Deploy every aggregator and, at the mainnet address, its proxy.

    Three oracles may submit and one submission makes a round: rounds of several
    submissions would cost as many transactions and tell the readers nothing more.
    They are not paid, so no LINK needs to be kept at the aggregators.
    """
    aggregator, proxy = (npm_artifact(f"{TRUFFLE}/{name}.js") for name in ("FluxAggregator", "EACAggregatorProxy"))
    oracles = [development_address(f"oracle{i}") for i in range(3)]
    nobody = "0x" + "00" * 20
    feeds = {}
    for name, address in addresses.FEEDS.items():
        decimals = FEED_RULES[name].decimals
        description = name.replace("/", " / ")
        flux = chain.deploy(aggregator, addresses.LINK, 0, 0, nobody, 1, 10**30, decimals, description)
        chain.send(flux, "changeOracles", [], oracles, oracles, 1, 1, 0)
        chain.deploy_at(address, proxy, flux.address, nobody)
        feeds[name] = Feed(name, address, flux.address, decimals)
    return feeds


def load_feeds(chain: Chain) -> dict[str, Feed]:
    """The feeds of a running sandbox."""
    return {
        name: Feed(name, proxy, chain.call(proxy, AGGREGATOR), FEED_RULES[name].decimals)
        for name, proxy in addresses.FEEDS.items()
    }


def submission(chain: Chain, feed: Feed, answer: int, round_id: int | None = None, oracle: int = 0) -> Transaction:
    """An oracle's transaction that opens and closes a round with this answer.

    Parameters
    ----------
    round_id
        The aggregator's next round; asked for when not given.
    oracle
        Which of the three oracles sends it.
    """
    if round_id is None:
        round_id = chain.call(feed.aggregator, LATEST_ROUND) + 1
    sender = development_address(f"oracle{oracle}")
    return Transaction(sender, feed.aggregator, SUBMIT.encode(round_id, answer), gas=500_000)


def seed_history(
    chain: Chain, feeds: Mapping[str, Feed], progress: Callable[[float], None] = lambda done: None
) -> dict[str, int]:
    """Write the rounds of the days before the head, as the feeds' rules would have.

    Real submissions, one block an hour in which anything was due: thousands of transactions,
    after which storage is exactly as the aggregators leave it.

    Returns
    -------
    dict
        Number of the last round, by feed.
    """
    paths = history()
    rounds = dict.fromkeys(feeds, 0)
    last: dict[str, tuple[int, float]] = {}
    hours = HISTORY_DAYS * 24
    for hour in range(hours):
        now = HEAD_TIMESTAMP - (hours - hour) * HOUR
        due = []
        for name, feed in feeds.items():
            rule, price = FEED_RULES[name], float(paths[name][hour])
            if name in last:
                written, old = last[name]
                if now - written < rule.heartbeat and abs(price / old - 1) < rule.deviation:
                    continue
            last[name] = now, price
            rounds[name] += 1
            due.append(submission(chain, feed, feed.answer(price), rounds[name]))
        if due:
            chain.send_all(due, timestamp=now)
        if hour % 48 == 0:
            progress(hour / hours)
    return rounds
