# SPDX-License-Identifier: Apache-2.0
"""Snapshots by events beside full readings, on a local node and on one that is 50 ms away.

Between two snapshots there is one block in which five pools trade. `ours_s` is the mirror, `peer_s` the full reading;
both give the same snapshot, which is checked each time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from bench import Row

LATENCY_SECONDS = 0.05
POOLS = (30, 300)
PAIRS = 100
BLOCKS = 25
TRADES = 5


def rows() -> list[Row]:
    from bench._assets import list_assets, open_pools
    from bench.gas import _mandate
    from offchain.market.pools import discover_pools
    from offchain.market.rpc import NodeClient
    from offchain.sandbox.standup import launch
    from tests.support.vaults import deploy_vault

    with launch() as base, base.fork() as sandbox, TemporaryDirectory(prefix="plimsoll-bench-") as folder:
        assets = list_assets(sandbox)
        pairs = _all_pairs(len(assets))[:PAIRS]
        for first, second in pairs:
            open_pools(sandbox, assets[first], assets[second])
        file = Path(folder) / "mandate.yaml"
        file.write_text(yaml.safe_dump(_mandate(assets)))
        vault = deploy_vault(sandbox, file)
        with NodeClient(sandbox.rpc_url) as client:
            pools = discover_pools(client, vault.file_mandate)
        found = []
        for count in POOLS:
            for latency in (0.0, LATENCY_SECONDS):
                trade = _Trades(sandbox, assets, pairs)
                found.append(_measure(sandbox.rpc_url, vault, pools[:count], latency, trade))
        return found


class _Trades:
    """A block in which a few pools trade, back and forth."""

    def __init__(self, sandbox: Any, assets: Sequence[Any], pairs: Sequence[tuple[int, int]]) -> None:
        self._sandbox, self._assets, self._pairs = sandbox, assets, pairs
        self._number = 0

    def mine(self) -> None:
        from bench._assets import TIERS, swap_v3

        chain, transactions = self._sandbox.chain, []
        for place in range(TRADES):
            ends = [self._assets[one] for one in self._pairs[(self._number * TRADES + place) // 2 % len(self._pairs)]]
            sold, bought = ends if self._number % 2 else ends[::-1]
            swap = swap_v3(sold.address, bought.address, TIERS[place % 2], sold.units(5000), 0, chain.sender)
            transactions.append(chain.transaction(*swap))
        chain.send_all(transactions, chain.timestamp() + 12)
        self._number += 1


def _all_pairs(count: int) -> list[tuple[int, int]]:
    return [(first, second) for second in range(count) for first in range(second)]


def _measure(url: str, vault: Any, pools: Sequence[Any], latency: float, trades: _Trades) -> Row:
    from offchain.market.mirror import SnapshotMirror
    from offchain.market.reader import read_snapshot
    from offchain.settle.node import Node

    mandate = vault.file_mandate
    with _far_client(url, latency) as client:
        node = Node(client)
        mirror = SnapshotMirror(client, vault.address, mandate, pools)
        mirror.read(node.head())
        carried, full, trips = [], [], []
        for _ in range(BLOCKS):
            trades.mine()
            head = node.head()
            before, began = client.round_trips, time.perf_counter()
            ours = mirror.read(head)
            carried.append(time.perf_counter() - began)
            trips.append(client.round_trips - before)
            began = time.perf_counter()
            theirs = read_snapshot(client, vault.address, mandate, pools)
            full.append(time.perf_counter() - began)
            if ours != theirs:
                raise AssertionError("events do not give what a full reading gives")
    return {
        "name": "snapshot",
        "size": {"pools": len(pools), "latency_ms": round(latency * 1e3), "blocks": BLOCKS},
        "ours_s": round(median(carried), 4),
        "peer": "full reading",
        "peer_s": round(median(full), 4),
        "ratio": round(median(full) / median(carried), 2),
        "round_trips": max(trips),
    }


def _far_client(url: str, latency: float) -> Any:
    from offchain.market.rpc import NodeClient

    class Far(NodeClient):
        """Whose every round trip takes so much longer."""

        def batch_answers(self, requests: Any) -> list[Any]:
            time.sleep(latency)
            return super().batch_answers(requests)

    return Far(url)
