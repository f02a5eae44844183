# SPDX-License-Identifier: Apache-2.0
"""Carrying the pools' states from one block to a later one by the events in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from eth_utils.crypto import keccak

from offchain.market import abi
from offchain.market.balancer import BalancerKey
from offchain.market.pool_events import V2_SYNC, V3_BURN, V3_MINT, V3_SWAP
from offchain.market.pool_readings import PoolReading, Readings, V3Reading
from offchain.market.pools import AnyPoolKey, PoolKey
from offchain.market.snapshot import BalancerV2State, Block, UniswapV2State
from offchain.market.state_reading import Moved

Log = Mapping[str, Any]
Request = tuple[str, list[Any]]

_V3_INITIALIZE, _B_SWAP, _B_JOIN, _B_MANAGE, _B_FEE = (
    "0x" + keccak(text=signature).hex()
    for signature in (
        "Initialize(uint160,int24)",
        "Swap(bytes32,address,address,uint256,uint256)",
        "PoolBalanceChanged(bytes32,address,address[],int256[],uint256[])",
        "PoolBalanceManaged(bytes32,address,address,int256,int256)",
        "SwapFeePercentageChanged(uint256)",
    )
)
_POOL_TOPICS = [V2_SYNC, V3_SWAP, V3_MINT, V3_BURN, _V3_INITIALIZE, _B_FEE]
_VAULT_TOPICS = [_B_SWAP, _B_JOIN, _B_MANAGE]


class PoolUpdates:
    """Which events move a set of pools, and how.

    Parameters
    ----------
    tokens
        Addresses of the mandate's ordered assets.
    """

    def __init__(self, pools: Sequence[AnyPoolKey], tokens: Sequence[str]) -> None:
        self._tokens = [token.lower() for token in tokens]
        self._pools = {pool.address.lower(): pool for pool in pools if isinstance(pool, PoolKey)}
        self._listed = [pool for pool in pools if isinstance(pool, BalancerKey)]

    def requests(self, after: Block, head: Block) -> list[Request]:
        """The ``eth_getLogs`` for the blocks after one up to another; by hash where that is the next."""
        blocks: dict[str, str] = {"fromBlock": hex(after.number + 1), "toBlock": hex(head.number)}
        if head.number == after.number + 1:
            blocks = {"blockHash": head.hash}
        listed = [pool.address for pool in self._listed]
        queries: list[dict[str, Any]] = [{"address": [*self._pools, *listed], "topics": [_POOL_TOPICS], **blocks}]
        if self._listed:
            vaults = sorted({pool.vault for pool in self._listed})
            ids = [pool.pool_id for pool in self._listed]
            queries.append({"address": vaults, "topics": [_VAULT_TOPICS, ids], **blocks})
        return [("eth_getLogs", [query]) for query in queries if query["address"]]

    def apply(
        self, readings: Readings, answers: Sequence[Any], after: Block, head: Block
    ) -> tuple[dict[AnyPoolKey, PoolReading], list[BalancerKey]]:
        """Carry readings on; the second value is what has to be read again.

        Raises
        ------
        Moved
            The logs are not of these blocks, or tell of a pool that had no price.
        """
        carried = dict(readings)
        again: list[BalancerKey] = []
        for log in (log for answer in answers for log in answer):
            _check_place(log, after, head)
            topic = str(log["topics"][0]).lower()
            if topic in _VAULT_TOPICS:
                keys = [one for one in self._listed if one.pool_id.lower() == str(log["topics"][1]).lower()]
            else:
                keys = [one for one in self._listed if one.address.lower() == str(log["address"]).lower()]
            for key in keys:
                reading = carried.get(key)
                if topic == _B_SWAP and isinstance(reading, BalancerV2State):
                    carried[key] = self._after_swap(reading, log)
                elif key not in again:
                    again.append(key)
            pool = self._pools.get(str(log["address"]).lower())
            if pool is not None:
                carried[pool] = _after(pool, carried.get(pool), topic, log)
        return carried, again

    def _after_swap(self, state: BalancerV2State, log: Log) -> BalancerV2State:
        data = bytes.fromhex(str(log["data"])[2:])
        bought_in = self._tokens.index("0x" + str(log["topics"][2]).lower()[-40:])
        change = (abi.word(data, 0), -abi.word(data, 1))
        if bought_in != state.token0:
            change = change[1], change[0]
        return replace(state, balances=(state.balances[0] + change[0], state.balances[1] + change[1]))


def _check_place(log: Log, after: Block, head: Block) -> None:
    number = int(log["blockNumber"], 16)
    misplaced = not after.number < number <= head.number or (number == head.number and log["blockHash"] != head.hash)
    if misplaced or log.get("removed"):
        raise Moved(f"a log of block {number} {str(log['blockHash'])[:10]}… is not of the chain up to {head.number}")


def _after(pool: PoolKey, reading: PoolReading | None, topic: str, log: Log) -> PoolReading:
    data = bytes.fromhex(str(log["data"])[2:])
    if topic == V2_SYNC:
        return UniswapV2State(pool.address, pool.token0, pool.token1, abi.word(data, 0), abi.word(data, 1))
    if not isinstance(reading, V3Reading):
        raise Moved(f"pool {pool.address} had no price and has one now")
    if topic == V3_SWAP:
        sqrt_price, liquidity, tick = abi.word(data, 2), abi.word(data, 3), abi.signed(abi.word(data, 4))
        return replace(reading, sqrt_price_x96=sqrt_price, liquidity=liquidity, tick=tick)
    if topic in (V3_MINT, V3_BURN):
        lower, upper = (abi.signed(int(edge, 16)) for edge in log["topics"][2:4])
        amount = abi.word(data, 1) if topic == V3_MINT else -abi.word(data, 0)
        return _with_position(reading, lower, upper, amount)
    return reading


def _with_position(reading: V3Reading, lower: int, upper: int, amount: int) -> V3Reading:
    """Liquidity added between two ticks, or taken away."""
    ticks = dict(reading.ticks)
    for tick, net in ((lower, amount), (upper, -amount)):
        if tick // reading.key.tick_spacing >> 8 not in reading.words:
            continue
        before = ticks.pop(tick, (0, 0))
        after = before[0] + net, before[1] + amount
        if after[1]:
            ticks[tick] = after
    inside = lower <= reading.tick < upper
    return replace(reading, ticks=ticks, liquidity=reading.liquidity + (amount if inside else 0))
