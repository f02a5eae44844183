# SPDX-License-Identifier: Apache-2.0
"""Makes a sandbox's feeds, pools and base fee follow a price path, with real transactions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np

from offchain.sandbox.arbitrage import MarketMaker, band
from offchain.sandbox.balancer import arbitrage, weighted_pool
from offchain.sandbox.blocks import BLOCK_SECONDS, GWEI, BlockProducer, mining, require_success, send
from offchain.sandbox.chain import Transaction
from offchain.sandbox.chainlink import LATEST_ROUND_DATA, submission
from offchain.sandbox.flow import NoiseFlow
from offchain.sandbox.paths import PricePath, PricePathError
from offchain.sandbox.prices import FEED_RULES, FeedRule, token_prices
from offchain.sandbox.standup import Sandbox
from offchain.sandbox.tokens import SET_RATIO, ST_ETH_PER_TOKEN

TICK_SECONDS = 4 * 3_600
DAY = 86_400
STAKING_YIELD = 0.03
"""Growth of stETH per wstETH, a year of 365 days."""


@dataclass(frozen=True, slots=True)
class Round:
    """A feed's new answer."""

    feed: str
    price: float
    timestamp: int


@dataclass(frozen=True, slots=True)
class Tick:
    """What the market did up to a moment.

    Attributes
    ----------
    timestamp
        Unix seconds of the block in which the pools came back to the market's price.
    prices
        True USD price of a whole token, by symbol.
    rounds
        What the feeds wrote on the way.
    base_fee
        Of that block, wei per gas.
    """

    timestamp: int
    block_number: int
    prices: Mapping[str, float]
    rounds: tuple[Round, ...]
    base_fee: int


class BaseFee:
    """A base fee that wanders around its usual level in logarithms and jumps when the market does.

    Parameters
    ----------
    usual
        Gwei in a quiet market.
    excitement
        Exponent per unit of absolute return of ETH over a tick: 10 % in four hours multiply it by about seven.
    """

    def __init__(self, seed: int, *, usual: float = 2.0, excitement: float = 20.0) -> None:
        self._rng = np.random.default_rng(seed)
        self._usual, self._excitement = usual, excitement
        self._level = 0.0

    def draw(self, absolute_return: float) -> int:
        """Wei per gas of the next tick, between 0.05 and 90 gwei."""
        shock = 0.25 * float(self._rng.standard_normal())
        self._level = 0.85 * self._level + shock + 0.15 * self._excitement * absolute_return
        gwei = self._usual * math.exp(self._level + 0.85 * self._excitement * absolute_return)
        return int(min(90.0, max(0.05, gwei)) * GWEI)


class MarketDriver:
    """Replays a price path on a sandbox.

    A tick goes through the path's own rows. At each of them every feed compares the price it sees with its last
    answer and writes a round when it moved by the deviation or the heartbeat is due; a block is mined at that
    time. At the end of the tick an arbitrageur trades every pool back to where its fee leaves nothing to gain,
    random flow trades in both directions, and the arbitrageur comes again.

    Parameters
    ----------
    sandbox
        A fork of one is much faster than the sandbox itself: anvil computes no state root there.
    path
        Is moved in time so that it begins at the chain's clock.
    seed
        Of the flow and the base fee; the same seed, path and sandbox give the same chain.
    tick_seconds
        What `step` covers.
    feed_delay
        Seconds between the price that a round reports and its block.
    rules
        When feeds write.
    flow
        Noise trades; None for the default, which the seed decides.
    producer
        Whoever else mines on this chain; it is held during a step.

    Attributes
    ----------
    maker
        The market's trading contract, with its inventory.
    silent
        Names of feeds that write nothing for now, to study a lagging oracle.
    time
        Unix seconds up to which the path has been played.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        path: PricePath,
        seed: int,
        *,
        tick_seconds: int = TICK_SECONDS,
        feed_delay: int = 60,
        rules: Mapping[str, FeedRule] = FEED_RULES,
        flow: NoiseFlow | None = None,
        producer: BlockProducer | None = None,
    ) -> None:
        self.sandbox, self.chain, self.rules = sandbox, sandbox.chain, rules
        self.producer = producer
        self.silent: set[str] = set()
        self._tick_seconds, self._feed_delay = tick_seconds, feed_delay
        self._pools = list(sandbox.pools.values())
        self._weighted = weighted_pool(sandbox.chain)
        self._flow = flow if flow is not None else NoiseFlow(seed)
        self._base_fee = BaseFee(seed + 1)
        # Blocks between two steps, a keeper's for example, come at mainnet's pace.
        self.chain.rpc.call("anvil_setBlockTimestampInterval", BLOCK_SECONDS)
        with self._undisturbed(automatic=True):
            self.maker = MarketMaker.of_the_market(self.chain)
        self.path = path.starting_at(self.chain.timestamp())
        self.time = self.path.start
        self._ratio = self.chain.call(sandbox.tokens["wstETH"], ST_ETH_PER_TOKEN) / 1e18
        self._ratio_day = self.time // DAY

    @property
    def ended(self) -> bool:
        """Whether the path leaves no room for another tick."""
        return self.time + self._tick_seconds > self.path.end

    @property
    def prices(self) -> dict[str, float]:
        """True USD price of a whole token now, by symbol."""
        return self._token_prices(self.time)

    def step(self, seconds: int | None = None) -> Tick:
        """Play one tick and return what happened.

        Parameters
        ----------
        seconds
            Length; the driver's tick when not given.

        Raises
        ------
        PricePathError
            When the path ends before the tick does.
        Reverted
            When a trade or a round of the market was refused, which a sandbox in order never does.
        """
        end = self.time + (seconds or self._tick_seconds)
        if end > self.path.end:
            raise PricePathError(
                f"the price path ends {self.path.end - self.time} s from now; the tick needs {end - self.time} s"
            )
        with self._undisturbed():
            clock = self.chain.timestamp()
            moments = [time for time in self.path.times_between(self.time, end) if clock < time < end] + [end]
            hashes, rounds = self._play(moments)
            require_success(self.chain, hashes)
        head = self.chain.rpc.call("eth_getBlockByNumber", "latest", False)
        self.time = end
        return Tick(
            int(head["timestamp"], 16), int(head["number"], 16), self.prices, tuple(rounds),
            int(head["baseFeePerGas"], 16),
        )  # fmt: skip

    def advance(self, to_timestamp: int) -> list[Tick]:
        """Step until the market's time is `to_timestamp` (Unix seconds); the last tick may be shorter."""
        ticks = []
        while self.time < to_timestamp:
            ticks.append(self.step(min(self._tick_seconds, to_timestamp - self.time)))
        return ticks

    def _play(self, moments: Sequence[int]) -> tuple[list[str], list[Round]]:
        hashes: list[str] = []
        rounds: list[Round] = []
        answers = self._read_feeds()
        for moment in moments:
            due = self._due(moment, answers)
            for transaction, new in due:
                hashes.append(send(self.chain, transaction))
                rounds.append(new)
            if moment == moments[-1]:
                hashes += self._trade(moment)
            if due or moment == moments[-1]:
                self.chain.mine(moment)
        return hashes, rounds

    def _trade(self, moment: int) -> list[str]:
        before, now = self.path.at(self.time)["ETH"], self.path.at(moment)["ETH"]
        self.chain.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(self._base_fee.draw(abs(math.log(now / before)))))
        hashes = []
        if moment // DAY > self._ratio_day:
            self._ratio *= 1 + STAKING_YIELD * (moment // DAY - self._ratio_day) / 365
            self._ratio_day = moment // DAY
            token = self.sandbox.tokens["wstETH"]
            hashes.append(send(self.chain, self.chain.transaction(token, SET_RATIO, round(self._ratio * 1e18))))
        prices = self._token_prices(moment)
        bands = [band(pool, prices) for pool in self._pools]
        hashes.append(send(self.chain, self.maker.make(bands, self._flow.swaps(self._pools, prices))))
        hashes += [send(self.chain, one) for one in arbitrage(self.chain, self._weighted, prices)]
        return hashes

    def _due(self, moment: int, answers: dict[str, tuple[int, int, int]]) -> list[tuple[Transaction, Round]]:
        """Return the rounds to write at a moment and note them in `answers`."""
        seen = _feed_prices(self.path.at(max(self.path.start, moment - self._feed_delay)))
        due = []
        for name, price in seen.items():
            if name in self.silent:
                continue
            feed, rule = self.sandbox.feeds[name], self.rules[name]
            round_id, answer, written = answers[name]
            new = feed.answer(price)
            if moment - written < rule.heartbeat and abs(new - answer) < rule.deviation * answer:
                continue
            answers[name] = round_id + 1, new, moment
            transaction = submission(self.chain, feed, new, round_id + 1, oracle=round_id % 3)
            due.append((transaction, Round(name, new / 10.0**feed.decimals, moment)))
        return due

    def _read_feeds(self) -> dict[str, tuple[int, int, int]]:
        """Return by feed: the aggregator's round, its answer, when it was written."""
        names = list(self.sandbox.feeds)
        data = LATEST_ROUND_DATA.encode()
        results = self.chain.rpc.batch(
            [("eth_call", [{"to": self.sandbox.feeds[name].aggregator, "data": data}, "latest"]) for name in names]
        )
        answers = {}
        for name, result in zip(names, results, strict=True):
            round_id, answer, _, written, _ = LATEST_ROUND_DATA.decode(result)
            answers[name] = int(round_id), int(answer), int(written)
        return answers

    def _token_prices(self, moment: int) -> dict[str, float]:
        return token_prices(_feed_prices(self.path.at(moment)), self._ratio)

    @contextmanager
    def _undisturbed(self, *, automatic: bool = False) -> Iterator[None]:
        held = self.producer.held() if self.producer is not None else nullcontext()
        with held, mining(self.chain, automatic=automatic):
            yield


def _feed_prices(prices: Mapping[str, float]) -> dict[str, float]:
    """Turn a row of the path into what the feeds would answer."""
    return {
        "ETH/USD": prices["ETH"],
        "BTC/USD": prices["BTC"],
        "LINK/USD": prices["LINK"],
        "stETH/ETH": prices["stETH"] / prices["ETH"],
        "USDC/USD": prices["USDC"],
        "USDT/USD": prices["USDT"],
        "DAI/USD": prices["DAI"],
    }
