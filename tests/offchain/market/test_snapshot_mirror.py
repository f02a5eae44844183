# SPDX-License-Identifier: Apache-2.0
"""Snapshots carried on by events are those that a full reading gives, to the byte."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml

from offchain.market.balancer import BalancerKey
from offchain.market.mirror import SnapshotMirror
from offchain.market.pools import AnyPoolKey, discover_pools
from offchain.market.reader import read_snapshot
from offchain.market.rpc import NodeClient, RpcError
from offchain.market.snapshot import Snapshot
from offchain.sandbox import addresses
from offchain.sandbox.balancer import weighted_pool
from offchain.sandbox.standup import Sandbox
from tests.offchain.market.conftest import newest_block
from tests.support.crowd import Crowd
from tests.support.vaults import BLUE_CHIP, DeployedVault, deploy_vault


@pytest.fixture
def deployed(sandbox: Sandbox, tmp_path: Path) -> DeployedVault:
    """A vault that trades in every kind of pool, with 1,000 USDC of alice's."""
    document = yaml.safe_load(BLUE_CHIP.read_text())
    pools = [weighted_pool(sandbox.chain).pool_id]
    document["venues"].append({"kind": "balancer_v2", "vault": addresses.BALANCER_VAULT, "pools": pools})
    file = tmp_path / "mandate.yaml"
    file.write_text(yaml.safe_dump(document))
    vault = deploy_vault(sandbox, file)
    vault.deposit("alice", 1_000 * 10**6)
    return vault


@pytest.fixture
def pools(client: NodeClient, deployed: DeployedVault) -> tuple[AnyPoolKey, ...]:
    return discover_pools(client, deployed.file_mandate)


@pytest.fixture
def mirror(client: NodeClient, deployed: DeployedVault, pools: tuple[AnyPoolKey, ...]) -> SnapshotMirror:
    """One that has read once."""
    mirror = SnapshotMirror(client, deployed.address, deployed.file_mandate, pools)
    mirror.read(newest_block(client))
    return mirror


@pytest.fixture
def log() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


def full(client: NodeClient, vault: DeployedVault, pools: tuple[AnyPoolKey, ...]) -> Snapshot:
    return read_snapshot(client, vault.address, vault.file_mandate, pools)


@pytest.mark.parametrize(
    ("seed", "blocks"), [(1, 12), *(pytest.param(seed, 150, marks=pytest.mark.slow) for seed in range(2, 12))]
)
def test_carried_on_by_events_is_read_in_full(
    sandbox: Sandbox,
    client: NodeClient,
    deployed: DeployedVault,
    pools: tuple[AnyPoolKey, ...],
    mirror: SnapshotMirror,
    seed: int,
    blocks: int,
) -> None:
    crowd, chance = Crowd(sandbox, seed), random.Random(seed)
    mirror.read(newest_block(client))
    marks: list[Any] = []
    for _ in range(blocks):
        draw = chance.random()
        if draw < 0.1 and marks:
            # Blocks are lost, and others take their heights.
            sandbox.rpc.call("evm_revert", marks.pop(chance.randrange(len(marks))))
            marks.clear()
            sandbox.chain.mine(sandbox.chain.timestamp() + chance.randint(1, 40))
        elif draw < 0.2:
            marks.append(sandbox.rpc.call("evm_snapshot"))
        for _ in range(chance.choice((1, 1, 2, 5))):
            crowd.act()
        head = newest_block(client)
        if chance.random() < 0.3:
            mirror.follow(head)
        before = client.round_trips
        carried = mirror.read(head)
        assert client.round_trips - before <= 2, crowd.done
        assert carried == full(client, deployed, pools), crowd.done


def test_next_block_is_one_round_trip(client: NodeClient, sandbox: Sandbox, mirror: SnapshotMirror) -> None:
    sandbox.push("ETH/USD", 3010.0)
    head, before = newest_block(client), client.round_trips
    mirror.read(head)

    assert client.round_trips - before == 1


def test_a_gap_is_one_round_trip_too(
    client: NodeClient, sandbox: Sandbox, deployed: DeployedVault, pools: tuple[AnyPoolKey, ...], mirror: SnapshotMirror
) -> None:
    crowd = Crowd(sandbox, 3)
    for _ in range(5):
        crowd._swap_v2()
    head, before = newest_block(client), client.round_trips
    snapshot = mirror.read(head)

    assert client.round_trips - before == 1
    assert snapshot == full(client, deployed, pools)


def test_a_longer_gap_is_read_in_full(
    client: NodeClient, sandbox: Sandbox, mirror: SnapshotMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offchain.market.mirror.LONGEST_GAP", 2)
    sandbox.rpc.call("anvil_mine", hex(3))
    head, before = newest_block(client), client.round_trips

    assert mirror.read(head).block == head
    assert client.round_trips - before == 2


@pytest.mark.parametrize("blocks", [1, 3])
def test_lost_blocks_take_no_more_than_two_round_trips(
    client: NodeClient,
    sandbox: Sandbox,
    deployed: DeployedVault,
    pools: tuple[AnyPoolKey, ...],
    mirror: SnapshotMirror,
    blocks: int,
) -> None:
    # Both come before: the same transaction once more, after a revert, is one that anvil may drop.
    crowd, others = Crowd(sandbox, 4), Crowd(sandbox, 5)
    mark = sandbox.rpc.call("evm_snapshot")
    crowd._swap_v2()
    mirror.read(newest_block(client))
    sandbox.rpc.call("evm_revert", mark)
    for _ in range(blocks):
        others._swap_v2()
    head, before = newest_block(client), client.round_trips
    snapshot = mirror.read(head)

    assert client.round_trips - before <= 2
    assert snapshot == full(client, deployed, pools)


def test_audit_tells_of_a_pool_that_differs_and_puts_it_right(
    client: NodeClient,
    sandbox: Sandbox,
    deployed: DeployedVault,
    pools: tuple[AnyPoolKey, ...],
    log: list[Any],
) -> None:
    mirror = SnapshotMirror(client, deployed.address, deployed.file_mandate, pools, audit_blocks=2)
    mirror.read(newest_block(client))
    pool = next(pool for pool in pools if not isinstance(pool, BalancerKey) and not pool.is_v3)
    # Reserves that no event tells of: what an upgraded or broken pool would do.
    sandbox.rpc.call("anvil_setStorageAt", pool.address, hex(8), "0x" + f"{(1 << 224) + (5 << 112) + 7:064x}")
    for _ in range(2):
        sandbox.chain.mine()
        mirror.follow(newest_block(client))

    assert [
        (entry["log_level"], entry["why"]) for entry in log if entry["event"] == "pools differ from their events"
    ] == [("error", pool.address)]
    assert mirror.read(newest_block(client)) == full(client, deployed, pools)


def test_audit_finds_nothing_where_events_tell_all(
    client: NodeClient, sandbox: Sandbox, deployed: DeployedVault, pools: tuple[AnyPoolKey, ...], log: list[Any]
) -> None:
    mirror = SnapshotMirror(client, deployed.address, deployed.file_mandate, pools, audit_blocks=1)
    mirror.read(newest_block(client))
    crowd = Crowd(sandbox, 6)
    for _ in range(4):
        crowd.act()
        mirror.follow(newest_block(client))

    assert [entry for entry in log if entry["log_level"] != "info"] == []


def test_node_without_logs_is_read_in_full_and_not_asked_again_soon(
    sandbox: Sandbox, deployed: DeployedVault, pools: tuple[AnyPoolKey, ...]
) -> None:
    with WithoutLogs(sandbox.rpc_url) as client:
        mirror = SnapshotMirror(client, deployed.address, deployed.file_mandate, pools)
        for _ in range(3):
            sandbox.chain.mine()
            assert mirror.read(newest_block(client)) == full(client, deployed, pools)

        assert client.refused == 1


class WithoutLogs(NodeClient):
    """A node that gives no logs."""

    refused = 0

    def batch_answers(self, requests: Any) -> list[Any]:
        answers = super().batch_answers(requests)
        self.refused += any(method == "eth_getLogs" for method, _ in requests)
        for place, (method, _) in enumerate(requests):
            if method == "eth_getLogs":
                answers[place] = RpcError(self.url, method, {"code": -32603, "message": "internal error"})
        return answers
