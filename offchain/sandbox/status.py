# SPDX-License-Identifier: Apache-2.0
"""What a running sandbox says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from offchain.route.leg import Venue
from offchain.sandbox import addresses
from offchain.sandbox.chain import Chain
from offchain.sandbox.chainlink import LATEST_ROUND_DATA, load_feeds
from offchain.sandbox.rpc import Rpc
from offchain.sandbox.uniswap import GET_RESERVES, POOLS, SLOT0, Pool
from offchain.settle.development import deployment_name, genesis_hash


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """Newest round of a feed."""

    name: str
    proxy: str
    price: float
    updated_at: int
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """Price in a pool."""

    name: str
    address: str
    price: float
    """Quote tokens per base token, in the order of the name."""


@dataclass(frozen=True, slots=True)
class Status:
    """Head, feeds and pools of a sandbox."""

    rpc_url: str
    chain_id: int
    genesis_hash: str
    deployments: str
    """Name, without extension, of the file that deployments on it are written to."""
    block: int
    timestamp: int
    base_fee: int
    """Wei per gas."""
    feeds: tuple[FeedStatus, ...]
    pools: tuple[PoolStatus, ...]


def status(rpc: Rpc) -> Status:
    """Ask a sandbox for its head, its feeds and its pools."""
    chain = Chain(rpc, sender=addresses.MULTICALL3)
    head = rpc.call("eth_getBlockByNumber", "latest", False)
    feeds = []
    for feed in load_feeds(chain).values():
        _, answer, _, updated_at, _ = chain.call(feed.proxy, LATEST_ROUND_DATA)
        feeds.append(FeedStatus(feed.name, feed.proxy, answer / 10**feed.decimals, updated_at))
    return Status(
        rpc_url=rpc.url,
        chain_id=int(rpc.call("eth_chainId"), 16),
        genesis_hash=genesis_hash(rpc),
        deployments=deployment_name(rpc),
        block=int(head["number"], 16),
        timestamp=int(head["timestamp"], 16),
        base_fee=int(head["baseFeePerGas"], 16),
        feeds=tuple(feeds),
        pools=tuple(PoolStatus(pool.name, pool.address, pool_price(chain, pool)) for pool in POOLS),
    )


def pool_price(chain: Chain, pool: Pool) -> float:
    """Quote tokens per base token now, fees left aside."""
    if pool.venue is Venue.UNISWAP_V2:
        reserve0, reserve1, _ = chain.call(pool.address, GET_RESERVES)
        raw = reserve1 / reserve0
    else:
        raw = (chain.call(pool.address, SLOT0)[0] / 2**96) ** 2
    first, second = pool.symbols
    price = float(raw * 10.0 ** (addresses.DECIMALS[first] - addresses.DECIMALS[second]))
    return price if pool.base == first else 1 / price
