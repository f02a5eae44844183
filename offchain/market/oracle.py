# SPDX-License-Identifier: Apache-2.0
"""Finding out which feed keeps the oracle from answering."""

from __future__ import annotations

from collections.abc import Sequence

from offchain.mandate import Asset, Mandate, StakedRatioOracle
from offchain.market import abi
from offchain.market.errors import OracleError, StaleOracleError
from offchain.market.multicall import Call, aggregate_request
from offchain.market.pools import decode_multicall
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import Block

LATEST_ROUND_DATA = abi.encode_call("latestRoundData()")
_STATUSES = abi.encode_call("statuses()")
_NOT_THE_FEED = {
    4: "the rollup's sequencer is down, or came back within the grace; wait for it",
    5: "its second source has too little liquidity or history to be relied on; wait, or replace the oracle",
    6: "its two sources are further apart than the mandate allows; find out which one is wrong before anything else",
}
"""Statuses of the oracle that are not about a feed."""
_RATIO = abi.encode_call("stEthPerToken()")
_ROUND_WORDS = 5
# As on-chain: a round may carry the timestamp of a node whose clock runs ahead.
_CLOCK_TOLERANCE = 60


def explain_dead_oracle(
    client: NodeClient, mandate: Mandate, block: Block, oracle: str, prices: Sequence[int]
) -> OracleError:
    """Read the feeds one by one at the block and build the error that names the first dead one.

    Parameters
    ----------
    oracle
        The price oracle, which says what is wrong besides the feeds.
    prices
        What it answered; 0 for a dead price.
    """
    dead = [asset for asset, price in zip(mandate.ordered_assets, prices, strict=True) if price == 0]
    calls = [Call(oracle, _STATUSES), *(call for asset in dead for call in _sources(asset))]
    method, params = aggregate_request(calls, {"blockHash": block.hash})
    answers = dict(zip(calls, decode_multicall(client, client.call(method, *params), len(calls)), strict=True))
    statuses = answers[Call(oracle, _STATUSES)]
    for asset, status in zip(mandate.ordered_assets, abi.array(statuses, 0) if statuses else (), strict=False):
        if status[0] in _NOT_THE_FEED:
            return OracleError(asset.symbol, _NOT_THE_FEED[status[0]])
    for asset in dead:
        for feed, heartbeat in _feeds(asset):
            answer = answers[Call(feed, LATEST_ROUND_DATA)]
            if not answer or len(answer) != _ROUND_WORDS * abi.WORD or abi.signed(abi.word(answer, 1)) <= 0:
                return OracleError(asset.symbol, f"feed {feed} has no answer; check its address, or wait for it")
            age = block.timestamp - abi.word(answer, 3)
            if age > heartbeat or age < -_CLOCK_TOLERANCE:
                return StaleOracleError(asset.symbol, feed, age, heartbeat)
        if isinstance(asset.oracle, StakedRatioOracle):
            ratio = answers[Call(asset.oracle.ratio_source, _RATIO)]
            if not ratio or abi.word(ratio, 0) == 0:
                return OracleError(asset.symbol, f"{asset.oracle.ratio_source} has no staking ratio; check its address")
    if not dead:
        return OracleError(mandate.base_asset, "not live although every price is there; is it the mandate's oracle?")
    low, high = dead[0].oracle.min_price_usd, dead[0].oracle.max_price_usd
    return OracleError(dead[0].symbol, f"the price is not between {low} and {high} USD, its bounds in the mandate")


def _feeds(asset: Asset) -> list[tuple[str, int]]:
    """Feed and heartbeat of each round behind an asset's price."""
    feeds = [(asset.oracle.feed, asset.oracle.heartbeat_s)]
    if isinstance(asset.oracle, StakedRatioOracle):
        feeds.append((asset.oracle.base_feed, asset.oracle.base_heartbeat_s))
    return feeds


def _sources(asset: Asset) -> list[Call]:
    calls = [Call(feed, LATEST_ROUND_DATA) for feed, _ in _feeds(asset)]
    if isinstance(asset.oracle, StakedRatioOracle):
        calls.append(Call(asset.oracle.ratio_source, _RATIO))
    return calls
