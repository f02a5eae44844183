# SPDX-License-Identifier: Apache-2.0
"""From a block's arrival to the signed order, on a local node: eight assets, thirty pools, and where the time goes.

`round_trips` are those of a snapshot, `round_trips_tick` all from the block to the transaction sent.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from bench import Row

SAMPLES = 120
STEPS = ("snapshot", "history", "plan", "record", "simulate", "sign")
PAUSE_SECONDS = 1200
"""Chain time between two samples."""
DEPOSIT = 25_000 * 10**6
"""What comes in before each, so that there is something to order."""


def rows() -> list[Row]:
    return [block_to_order()]


def block_to_order() -> Row:
    from offchain.sandbox.standup import launch

    with (
        TemporaryDirectory(prefix="plimsoll-bench-") as folder,
        launch() as base,
        base.fork(options=["--slots-in-an-epoch", "1"]) as sandbox,
    ):
        return _measure(sandbox, Path(folder))


def _measure(sandbox, folder: Path) -> Row:  # type: ignore[no-untyped-def]
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from bench.eight_assets import widen
    from offchain.keeper.journal import Journal
    from offchain.keeper.keeper import Keeper, KeeperSettings
    from offchain.market.history import HistoryReader
    from offchain.market.round_cache import RoundCache
    from offchain.market.rpc import NodeClient
    from offchain.sandbox.blocks import mining
    from offchain.sandbox.keys import PASSWORD, keyfile
    from offchain.sandbox.prices import PRICES
    from offchain.settle.accounts import open_keyfile
    from offchain.settle.development import development_address
    from offchain.settle.node import Node
    from tests.support.vaults import deploy_vault

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    vault, alice = deploy_vault(sandbox, widen(sandbox, folder)), development_address("alice")
    sandbox.give("USDC", alice, 10 * 10**12)
    vault.deposit("alice", 10**12)
    sandbox.rpc.call("evm_setAutomine", False)
    payer, signer = (open_keyfile(keyfile(role), PASSWORD) for role in ("keeper", "optimizer"))
    seconds, trips, parts = [], [], {name: [] for name in ("watch", *STEPS)}
    with (
        NodeClient(sandbox.rpc_url) as client,
        Journal.open(folder / "journal.sqlite", chain_id=1, vault=vault.address) as journal,
        closing(RoundCache(folder / "rounds")) as rounds,
    ):
        mandate = vault.file_mandate
        keeper = Keeper(
            client,
            vault.address,
            mandate,
            payer=payer,
            signer=signer,
            journal=journal,
            settings=KeeperSettings(poll_seconds=0.0),
            pause=lambda: sandbox.rpc.call("evm_mine"),
            history_reader=HistoryReader(client, mandate, rounds),
        )
        keeper.recover()
        node = Node(client)
        for number in range(SAMPLES + 3):
            with mining(sandbox.chain, automatic=True):
                sandbox.rpc.call("evm_increaseTime", PAUSE_SECONDS)
                if number % 8 == 0:
                    for feed, price in PRICES.items():
                        sandbox.push(feed, price)
                vault.deposit("alice", DEPOSIT)
            exporter.clear()
            before, began = client.round_trips, time.perf_counter()
            head = node.head()
            keeper.on_block(head)
            watched = time.perf_counter() - began
            report = keeper.decide(head)
            used = client.round_trips - before
            spans = {one.name: one for one in exporter.get_finished_spans()}
            if number >= 3 and report.order is not None and "sign" in spans:
                signed = (spans["sign"].end_time - spans["tick"].start_time) / 1e9
                seconds.append(watched + signed)
                trips.append(used)
                parts["watch"].append(watched)
                for name in STEPS:
                    parts[name].append((spans[name].end_time - spans[name].start_time) / 1e9)
            keeper.settle_down()
        head = node.head()
        before = client.round_trips
        keeper._read(head)
        snapshot_trips = client.round_trips - before
    return {
        "name": "block_to_order",
        "size": {"assets": len(mandate.assets), "pools": len(keeper._pools), "samples": len(seconds)},
        "ours_s": round(median(seconds), 4),
        "p50_s": round(median(seconds), 4),
        "p99_s": round(float(np.quantile(seconds, 0.99)), 4),
        "round_trips": snapshot_trips,
        "round_trips_tick": round(median(trips)),
        "breakdown_s": {name: round(median(values), 4) for name, values in parts.items()},
    }
