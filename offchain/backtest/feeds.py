# SPDX-License-Identifier: Apache-2.0
"""Oracles that lag: rounds written by heartbeat and deviation, and prices composed as the chain composes them.

Everything of a row is computed from that row and earlier ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from offchain.backtest.path import FloatArray, IntArray, MarketPath
from offchain.mandate import Mandate, StakedRatioOracle
from offchain.market.history import PriceHistory, resample, time_grid

ONE = 10**18
FULL_BPS = 10_000
FEED_DELAY = 60
"""Seconds between the price that a round reports and its block."""
USD_DECIMALS = 8
MARKET_DECIMALS = 18
_HEARTBEATS = (3_600, 14_400, 86_400)


class FeedStatus(IntEnum):
    """What ``PriceOracle`` finds of an asset; the first that is not LIVE makes it revert."""

    LIVE = 0
    STALE = 1
    OUT_OF_BOUNDS = 2
    NO_ANSWER = 3

    @property
    def words(self) -> str:
        """For a reader."""
        return self.name.lower().replace("_", " ")


REVERTS = {
    FeedStatus.STALE: "oracle: stale",
    FeedStatus.OUT_OF_BOUNDS: "oracle: out of bounds",
    FeedStatus.NO_ANSWER: "oracle: no answer",
}


@dataclass(frozen=True, slots=True)
class FeedRule:
    """When an aggregator writes a round."""

    heartbeat: int
    """Seconds after which it writes whatever the price did."""
    deviation: float
    """Relative move at which it writes at once."""
    decimals: int = USD_DECIMALS


@dataclass(frozen=True, slots=True)
class Reading:
    """What the price oracle answers at a row.

    Attributes
    ----------
    prices
        USD at 18 decimals per 10**18 base units, an asset each; the last live one where it is not live now.
    updated_at
        Unix seconds of the oldest round behind each.
    statuses
        An asset each.
    """

    prices: tuple[int, ...]
    updated_at: tuple[int, ...]
    statuses: tuple[FeedStatus, ...]

    @property
    def live(self) -> bool:
        """Whether ``prices()`` would answer."""
        return not any(self.statuses)

    @property
    def revert(self) -> str:
        """Reason with which ``prices()`` would revert; empty when it answers."""
        worst = next((status for status in self.statuses if status), None)
        return "" if worst is None else REVERTS[worst]


@dataclass(frozen=True, slots=True)
class Round:
    """What a feed wrote."""

    answer: int
    updated_at: int
    """Unix seconds."""


def rounds(
    timestamps: Sequence[int],
    values: Sequence[float],
    rule: FeedRule,
    delay: int = FEED_DELAY,
    newest: Round | None = None,
) -> list[Round | None]:
    """Newest round at each row; None before the first.

    At each row the feed sees the price `delay` seconds before, between rows along a straight line in
    logarithms, and writes when it moved by the deviation or the heartbeat is due. While the price is NaN it
    writes nothing.

    Parameters
    ----------
    timestamps, values
        Length T; prices in the feed's quote currency.
    newest
        What it wrote last before the first row.
    """
    unit = float(10**rule.decimals)
    found: list[Round | None] = []
    before, before_time = math.nan, 0
    for now, value in zip(timestamps, values, strict=True):
        seen = value
        if delay and before == before and value == value and before != value:
            share = max(0.0, (now - delay - before_time) / (now - before_time))
            seen = math.exp((1 - share) * math.log(before) + share * math.log(value))
        if seen == seen:
            answer = round(seen * unit)
            if newest is None or now - newest.updated_at >= rule.heartbeat:
                due = True
            else:
                due = abs(answer - newest.answer) >= rule.deviation * newest.answer
            if due and answer > 0:
                newest = Round(answer, now)
        found.append(newest)
        before, before_time = value, now
    return found


def default_rules(mandate: Mandate) -> dict[str, FeedRule]:
    """Rules of a mandate's feeds, by address: its deviations, and the heartbeat its grace belongs to."""
    rules: dict[str, FeedRule] = {}
    for asset in mandate.ordered_assets:
        oracle = asset.oracle
        staked = isinstance(oracle, StakedRatioOracle)
        decimals = MARKET_DECIMALS if staked else USD_DECIMALS
        rules.setdefault(oracle.feed, FeedRule(_beat(oracle.heartbeat_s), oracle.deviation_bps / FULL_BPS, decimals))
        if isinstance(oracle, StakedRatioOracle):
            beat = _beat(oracle.base_heartbeat_s)
            rules.setdefault(oracle.base_feed, FeedRule(beat, oracle.base_deviation_bps / FULL_BPS))
    return rules


class Oracle:
    """The mandate's price oracle over a market path.

    Parameters
    ----------
    rules
        By feed address; `default_rules` for what is missing.
    delay
        See `rounds`.
    past
        Rounds that feeds wrote before the path begins, by address and oldest first.
    """

    def __init__(
        self,
        mandate: Mandate,
        path: MarketPath,
        rules: Mapping[str, FeedRule] | None = None,
        delay: int = FEED_DELAY,
        past: Mapping[str, Sequence[Round]] | None = None,
    ) -> None:
        self._path = path
        self._symbols = mandate.symbols
        self._times = [int(time) for time in path.timestamps]
        self._assets = mandate.ordered_assets
        self._rules = default_rules(mandate) | dict(rules or {})
        self._past = {feed: list(written) for feed, written in (past or {}).items()}
        self._ratios = [[round(ratio * ONE) for ratio in row] for row in path.ratios.tolist()]
        self._rounds = {feed: self._write(feed, values, delay) for feed, values in self._truth()}
        self._readings = self._compose()
        self._staked = np.array([isinstance(asset.oracle, StakedRatioOracle) for asset in self._assets])
        self._grids: dict[int, tuple[IntArray, FloatArray, int]] = {}

    def reading(self, row: int) -> Reading:
        """What it answers in the block at a row's time."""
        return self._readings[row]

    def history(self, row: int, grid_minutes: int, window_days: float) -> PriceHistory:
        """Past prices on the grid as the chain knew them at a row, as `offchain.market.history` reads them.

        Parameters
        ----------
        window_days
            How far back it goes, where the feeds have so much.
        """
        grid, prices, first = self._grid(grid_minutes * 60)
        wanted = time_grid(self._times[row], window_days, grid_minutes)
        low, high = np.searchsorted(grid, [max(int(wanted[0]), first), int(wanted[-1]) + 1])
        window = prices[low:high]
        if self._staked.any():
            # The chain tells only today's ratio: the past is priced at it.
            window = window.copy()
            window[:, self._staked] *= self._path.ratios[row, self._staked]
        return PriceHistory(self._symbols, grid[low:high], window)

    def _grid(self, step: int) -> tuple[IntArray, FloatArray, int]:
        """All grid times, the last prices known at each, and the first time at which every asset has one."""
        if step not in self._grids:
            begin = min([self._times[0]] + [written[0].updated_at for written in self._past.values() if written])
            grid: IntArray = np.arange(-(-begin // step), self._times[-1] // step + 1, dtype=np.int64) * step
            columns = []
            for asset in self._assets:
                column = self._sampled(asset.oracle.feed, grid)
                if isinstance(asset.oracle, StakedRatioOracle):
                    column = column * self._sampled(asset.oracle.base_feed, grid)
                columns.append(column)
            prices = np.column_stack(columns)
            complete = np.isfinite(prices).all(axis=1)
            first = int(grid[np.argmax(complete)]) if complete.any() else self._times[-1] + 1
            self._grids[step] = grid, prices, first
        return self._grids[step]

    def _sampled(self, feed: str, grid: IntArray) -> FloatArray:
        """A feed's answers on a grid, in its quote currency; NaN before its first."""
        written = [*self._past.get(feed, ())]
        written += [one for one in self._rounds[feed] if one is not None and (not written or one != written[-1])]
        distinct = [one for index, one in enumerate(written) if not index or one != written[index - 1]]
        times = np.array([one.updated_at for one in distinct], dtype=np.int64)
        answers = np.array([float(one.answer) for one in distinct])
        return resample(times, answers / float(10 ** self._rules[feed].decimals), grid)

    def _write(self, feed: str, values: Sequence[float], delay: int) -> list[Round | None]:
        written = self._past.get(feed)
        return rounds(self._times, values, self._rules[feed], delay, written[-1] if written else None)

    def _truth(self) -> list[tuple[str, list[float]]]:
        """What each feed should report if it were never late."""
        path = self._path
        truth: dict[str, FloatArray] = {}
        for index, asset in enumerate(self._assets):
            if not isinstance(asset.oracle, StakedRatioOracle):
                truth[asset.oracle.feed] = path.prices[:, index]
        for index, asset in enumerate(self._assets):
            if isinstance(asset.oracle, StakedRatioOracle):
                base = truth.setdefault(asset.oracle.base_feed, path.ether)
                truth.setdefault(asset.oracle.feed, path.prices[:, index] / (path.ratios[:, index] * base))
        return [(feed, values.tolist()) for feed, values in truth.items()]

    def _compose(self) -> list[Reading]:
        columns = [self._column(index) for index in range(len(self._assets))]
        readings = []
        for row in range(len(self._times)):
            parts = [column[row] for column in columns]
            readings.append(Reading(*(tuple(part[k] for part in parts) for k in range(3))))  # type: ignore[arg-type]
        return readings

    def _column(self, index: int) -> list[tuple[int, int, FeedStatus]]:
        """Price, time of the oldest round and status of an asset, row by row; ``PriceOracle._price``."""
        asset = self._assets[index]
        feed, oracle = asset.oracle_feed, asset.oracle
        unit, scale = 10 ** self._rules[oracle.feed].decimals, 10 ** (18 - asset.decimals)
        market = self._rounds[oracle.feed]
        bases = self._rounds[oracle.base_feed] if isinstance(oracle, StakedRatioOracle) else market
        staked = isinstance(oracle, StakedRatioOracle)
        base_unit = 10 ** self._rules[oracle.base_feed].decimals if isinstance(oracle, StakedRatioOracle) else 1
        column: list[tuple[int, int, FeedStatus]] = []
        last = 0
        for row, now in enumerate(self._times):
            one, base = market[row], bases[row]
            if one is None or base is None:
                column.append((last, 0, FeedStatus.NO_ANSWER))
                continue
            usd = one.answer * ONE // unit
            oldest, stale = one.updated_at, one.updated_at + feed.heartbeat < now
            if staked:
                usd = usd * self._ratios[row][index] // ONE * base.answer // base_unit
                oldest = min(oldest, base.updated_at)
                stale = stale or base.updated_at + feed.base_heartbeat < now
            if stale:
                status = FeedStatus.STALE
            else:
                status = FeedStatus.LIVE if feed.min_price <= usd <= feed.max_price else FeedStatus.OUT_OF_BOUNDS
            if status is FeedStatus.LIVE:
                last = usd * scale
            column.append((last, oldest, status))
        return column


def _beat(grace: int) -> int:
    """The usual heartbeat inside a mandate's grace."""
    return max((beat for beat in _HEARTBEATS if beat <= grace), default=grace)
