# SPDX-License-Identifier: Apache-2.0
"""Trying an order in the process beside the node's own simulation, on a local node and on one that is 50 ms away.

`ours_s` is what the order waits for; `fetch_s` is what runs while the plan is made.
"""

from __future__ import annotations

import time
from statistics import median

from bench import Row

LATENCIES = (0.0, 0.05)
RUNS = 25
DOLLARS = 10**6


def rows() -> list[Row]:
    from offchain.sandbox.standup import launch
    from offchain.settle.development import development_address
    from tests.support.vaults import deploy_vault

    with launch() as base, base.fork() as sandbox:
        vault = deploy_vault(sandbox)
        sandbox.give("USDC", development_address("alice"), 10**6 * DOLLARS)
        vault.deposit("alice", 10**6 * DOLLARS)
        return [_measure(sandbox.rpc_url, vault, latency) for latency in LATENCIES]


def _measure(url: str, vault, latency: float) -> Row:  # type: ignore[no-untyped-def]
    from eth_account import Account

    from bench.snapshot import _far_client
    from offchain.route.leg import Venue
    from offchain.settle.accounts import LocalSigner
    from offchain.settle.development import development_address, development_key
    from offchain.settle.local_simulation import LocalSimulator
    from offchain.settle.node import Node
    from offchain.settle.order import Leg, Order
    from offchain.settle.signing import Domain, sign_order
    from offchain.settle.simulation import simulate_order

    signer, sender = LocalSigner(Account.from_key(development_key("optimizer"))), development_address("keeper")
    with _far_client(url, latency) as client:
        node = Node(client)
        order = Order(
            nonce=0,
            deadline=node.head().number + 200,
            mandate_hash="0x" + vault.mandate.functions.mandate_hash().call().hex(),
            model_hash="0x" + "22" * 32,
            legs=(
                Leg(Venue.UNISWAP_V3, 0, 1, 500, 100_000 * DOLLARS, 1),
                Leg(Venue.UNISWAP_V2, 0, 1, 0, 10_000 * DOLLARS, 1),
                Leg(Venue.UNISWAP_V3, 0, 2, 3000, 50_000 * DOLLARS, 1),
                Leg(Venue.UNISWAP_V3, 0, 3, 3000, 5_000 * DOLLARS, 1),
            ),
            min_value_per_share=0,
            max_base_fee=10**11,
        )
        simulator = LocalSimulator(node, vault.address, 1)
        simulator.learn(sign_order(order, Domain(vault.file_mandate.name, 1, vault.address), signer), sender)
        here, there, fetches = [], [], []
        for _ in range(RUNS):
            began = time.perf_counter()
            simulator.fetch(node.head())
            simulator._worker.submit(lambda: None).result()
            fetches.append(time.perf_counter() - began - latency)
            began = time.perf_counter()
            ours = simulator.simulate(order, signer.address, sender=sender)
            here.append(time.perf_counter() - began)
            began = time.perf_counter()
            theirs = simulate_order(node, vault.address, order, signer.address, sender=sender)
            there.append(time.perf_counter() - began)
            if ours is None or ours.event.amounts_out != theirs.event.amounts_out:  # type: ignore[union-attr]
                raise AssertionError("the process does not come to what the node says")
        simulator.close()
    return {
        "name": "simulation",
        "size": {"legs": len(order.legs), "latency_ms": round(latency * 1e3)},
        "ours_s": round(median(here), 4),
        "peer": "eth_simulateV1",
        "peer_s": round(median(there), 4),
        "ratio": round(median(there) / median(here), 2),
        "fetch_s": round(median(fetches[1:]), 4),
    }
