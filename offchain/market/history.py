# SPDX-License-Identifier: Apache-2.0
"""Past prices of a mandate's assets on a fixed time grid, from the rounds of their feeds.

A feed writes a round when its price moves, or at its heartbeat. Estimators that take
rounds as they come see too many large moves and unequal intervals, so the last
answer known at each grid time is taken instead. Nothing that the chain did not hold
at the block asked for enters, whatever the cache knows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.mandate import Mandate, StakedRatioOracle
from offchain.market import abi
from offchain.market.errors import HistoryError
from offchain.market.multicall import Call, aggregate_request
from offchain.market.pools import decode_multicall
from offchain.market.round_cache import Anchor, FeedRounds, RoundCache
from offchain.market.rounds import (
    LATEST_ROUND_DATA,
    End,
    Round,
    decode_round,
    run_walks,
    unknown_block,
    walk_back,
)
from offchain.market.rpc import NodeClient, RpcError
from offchain.market.snapshot import Block

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_DAY = 86_400
_RATIO = abi.encode_call("stEthPerToken()")
_DECIMALS = abi.encode_call("decimals()")


@dataclass(frozen=True, slots=True, eq=False)
class PriceHistory:
    """Prices at equal intervals, up to a block.

    Attributes
    ----------
    symbols
        Assets in the vault's order.
    timestamps
        Shape (T,): Unix seconds, ascending multiples of the grid.
    prices
        Shape (T, n): USD per whole token, the last known at each time.
    """

    symbols: tuple[str, ...]
    timestamps: IntArray
    prices: FloatArray

    def __post_init__(self) -> None:
        if self.prices.shape != (len(self.timestamps), len(self.symbols)):
            raise HistoryError(
                f"history of {len(self.timestamps)} times and {len(self.symbols)} assets has prices {self.prices.shape}"
            )
        self.timestamps.setflags(write=False)
        self.prices.setflags(write=False)


def resample(updated_at: IntArray, values: FloatArray, grid: IntArray) -> FloatArray:
    """Last value known at each grid time; NaN before the first.

    Parameters
    ----------
    updated_at
        Shape (R,), ascending.
    values
        Shape (R,).
    grid
        Shape (T,).

    Returns
    -------
    FloatArray
        Shape (T,). A value written exactly at a grid time counts at that time.
    """
    index = np.searchsorted(updated_at, grid, side="right") - 1
    padded = np.concatenate([[np.nan], values])
    sampled: FloatArray = padded[index + 1]
    return sampled


def time_grid(end: int, window_days: float, grid_minutes: int) -> IntArray:
    """Multiples of the grid from `window_days` before the last one not after `end`, both included."""
    step = grid_minutes * 60
    last = end // step
    count = max(1, round(window_days * _DAY / step))
    return np.arange(last - count, last + 1, dtype=np.int64) * step


class HistoryReader:
    """Keeps the rounds behind a mandate's prices and turns them into histories.

    Parameters
    ----------
    cache
        Shared by readers of one process; by default the user's cache directory.
    """

    def __init__(self, client: NodeClient, mandate: Mandate, cache: RoundCache | None = None) -> None:
        self._client = client
        self._mandate = mandate
        self._cache = cache or RoundCache()
        oracles = [asset.oracle for asset in mandate.ordered_assets]
        bases = [oracle.base_feed for oracle in oracles if isinstance(oracle, StakedRatioOracle)]
        self._proxies = tuple(dict.fromkeys([*(oracle.feed for oracle in oracles), *bases]))
        self._sources = tuple(oracle.ratio_source for oracle in oracles if isinstance(oracle, StakedRatioOracle))
        self._window_days = mandate.objective.covariance.window_days
        self._grid_minutes = mandate.execution.grid_minutes
        self._feeds: dict[str, FeedRounds] = {}
        self._units: dict[str, float] = {}

    def read(self, block: Block) -> PriceHistory:
        """Prices over the covariance's window, as the chain knew them at a block.

        One round trip, and a second when more than one round is new. A staking token's past
        is priced at the block's staking ratio: the ratio's own slow growth is left out.

        Raises
        ------
        HistoryError
            A feed does not answer, or the assets have no common past on the grid.
        ReorgError
            The node does not know the block any more.
        NodeError
            The node cannot be used.
        """
        if not self._feeds:
            self._start()
        newest, ratios, headers = self._first_trip(block)
        for proxy in self._proxies:
            self._drop_orphans(self._feeds[proxy], headers)
        grid = time_grid(block.timestamp, self._window_days, self._grid_minutes)
        self._extend(block, newest, int(grid[0]))
        columns = {proxy: self._column(proxy, newest[proxy].id, block, grid) for proxy in self._proxies}
        self._forget_before(int(grid[0]))
        return self._compose(columns, ratios, grid)

    def _start(self) -> None:
        """Learn once what does not change: the feeds' decimals and which chain this is."""
        calls = [Call(proxy, _DECIMALS) for proxy in self._proxies]
        # A sandbox has the chain id of the network it stands in for; its first block is its own.
        chain_id, genesis, raw = self._client.batch(
            [("eth_chainId", []), ("eth_getBlockByNumber", ["0x0", False]), aggregate_request(calls, "latest")]
        )
        self._client.check_chain(self._client.quantity(chain_id, "eth_chainId"), self._mandate.chain_id)
        first = genesis.get("hash") if isinstance(genesis, dict) else None
        feeds = {}
        for proxy, answer in zip(self._proxies, decode_multicall(self._client, raw, len(calls)), strict=True):
            if not answer or len(answer) != abi.WORD or abi.word(answer, 0) > 36:
                raise HistoryError(f"feed {proxy}: decimals() does not answer; check its address in the mandate")
            self._units[proxy] = float(10 ** abi.word(answer, 0))
            feeds[proxy] = self._cache.load(f"{self._mandate.chain_id}:{first}", proxy)
        self._feeds = feeds

    def _first_trip(self, block: Block) -> tuple[dict[str, Round], dict[str, float], dict[int, str]]:
        """Newest rounds and ratios at the block, and the hashes of the blocks that vouch for what is cached."""
        calls = [Call(proxy, LATEST_ROUND_DATA) for proxy in self._proxies]
        calls += [Call(source, _RATIO) for source in self._sources]
        blocks = sorted({feed.anchors[-1].block for feed in self._feeds.values() if feed.anchors})
        try:
            raw, *headers = self._client.batch(
                [
                    aggregate_request(calls, {"blockHash": block.hash}),
                    *(("eth_getBlockByNumber", [hex(number), False]) for number in blocks),
                ]
            )
        except RpcError as error:
            raise unknown_block(self._client, block, error) from None
        answers = decode_multicall(self._client, raw, len(calls))
        newest = {}
        for proxy, answer in zip(self._proxies, answers, strict=False):
            latest = decode_round(answer)
            if latest is None:
                raise HistoryError(f"feed {proxy}: no answer; check its address in the mandate")
            newest[proxy] = latest
        ratios = {}
        for source, answer in zip(self._sources, answers[len(self._proxies) :], strict=True):
            if not answer or len(answer) != abi.WORD or not abi.word(answer, 0):
                raise HistoryError(f"{source}: no staking ratio; check ratio_source in the mandate")
            ratios[source] = abi.word(answer, 0) / 1e18
        return newest, ratios, _hashes(blocks, headers)

    def _drop_orphans(self, feed: FeedRounds, headers: Mapping[int, str]) -> None:
        """Forget what was read on blocks that are not on this chain (any more)."""
        if not feed.anchors or headers.get(feed.anchors[-1].block) == feed.anchors[-1].hash:
            return
        blocks = [anchor.block for anchor in feed.anchors]
        found = _hashes(blocks, self._client.batch([("eth_getBlockByNumber", [hex(one), False]) for one in blocks]))
        valid = [anchor for anchor in feed.anchors if found.get(anchor.block) == anchor.hash]
        feed.truncate(valid[-1].round_id if valid else 0)
        feed.anchors = valid
        self._cache.save(feed)

    def _extend(self, block: Block, newest: Mapping[str, Round], start: int) -> None:
        """Fetch the rounds between what is known and the newest, and older ones as far as the window needs."""
        newer: list[tuple[FeedRounds, Round, int]] = []
        older: list[tuple[FeedRounds, Round, int]] = []
        for proxy, latest in newest.items():
            feed = self._feeds[proxy]
            if feed.rounds and latest.id < feed.rounds[0].id:
                feed.truncate(0)  # the block lies before all that is known
            if not feed.rounds or latest.id > feed.rounds[-1].id:
                newer.append((feed, latest, feed.rounds[-1].id if feed.rounds else 0))
            if feed.rounds and feed.rounds[0].updated_at > start and not feed.exhausted:
                older.append((feed, feed.rounds[0], 0))
        walks = newer + older
        generators = [walk_back(feed.proxy, first, known, start) for feed, first, known in walks]
        results = run_walks(self._client, block, generators)
        for (feed, first, known), walked in zip(newer, results[: len(newer)], strict=True):
            if not known or walked.end is not End.KNOWN:
                # The window began before the walk reached what was known: that has become useless.
                feed.truncate(0)
            feed.append([*walked.rounds, first])
            feed.exhausted = feed.exhausted or walked.end is End.FIRST
        for (feed, first, _), walked in zip(older, results[len(newer) :], strict=True):
            if feed.rounds[0].id == first.id:
                feed.prepend(walked.rounds)
                feed.exhausted = walked.end is End.FIRST
        for feed in {feed.proxy: feed for feed, _, _ in walks}.values():
            if not feed.anchors or feed.anchors[-1].block < block.number:
                feed.add_anchor(Anchor(block.number, block.hash, feed.rounds[-1].id))
            self._cache.save(feed)

    def _forget_before(self, start: int) -> None:
        """Once a day, drop from memory what no later window reaches: a process may run for years.

        A day more stays, because around a change of phase rounds are not quite in the order of their times.
        """
        for feed in self._feeds.values():
            if feed.rounds[0].updated_at < start - 2 * _DAY:
                feed.forget_before(start - _DAY)

    def _column(self, proxy: str, newest: int, block: Block, grid: IntArray) -> FloatArray:
        """One feed's answers on the grid, in its quote currency: shape (T,)."""
        rounds = self._feeds[proxy].rounds
        known = rounds[: bisect_right(rounds, newest, key=lambda one: one.id)]
        times = np.fromiter((one.updated_at for one in known), np.int64, len(known))
        answers = np.fromiter((one.answer for one in known), np.float64, len(known))
        # Around a change of phase both aggregators may have answered for a while.
        order = np.argsort(times, kind="stable")
        order = order[times[order] <= block.timestamp]
        return resample(times[order], answers[order] / self._units[proxy], grid)

    def _compose(self, columns: Mapping[str, FloatArray], ratios: Mapping[str, float], grid: IntArray) -> PriceHistory:
        prices = np.empty((len(grid), len(self._mandate.assets)))
        for index, asset in enumerate(self._mandate.ordered_assets):
            prices[:, index] = columns[asset.oracle.feed]
            if isinstance(asset.oracle, StakedRatioOracle):
                prices[:, index] *= columns[asset.oracle.base_feed] * ratios[asset.oracle.ratio_source]
        complete = np.isfinite(prices).all(axis=1)
        if not complete.any():
            names = ", ".join(self._mandate.symbols)
            raise HistoryError(f"the feeds of {names} have no common past; wait for a grid time, or shorten the grid")
        first = int(np.argmax(complete))
        return PriceHistory(self._mandate.symbols, grid[first:].copy(), prices[first:].copy())


def _hashes(blocks: Sequence[int], headers: Sequence[object]) -> dict[int, str]:
    """Hash by block number; blocks that the chain does not have are left out."""
    pairs = zip(blocks, headers, strict=True)
    return {number: str(header.get("hash")) for number, header in pairs if isinstance(header, dict)}
