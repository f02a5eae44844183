# SPDX-License-Identifier: Apache-2.0
"""A vault on the sandbox, and the ways in which a chain can change while it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from offchain.mandate import Mandate, load_mandate
from offchain.market.reader import read_header
from offchain.market.round_cache import RoundCache
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import Block
from offchain.sandbox.standup import Sandbox
from tests.support.vaults import BLUE_CHIP, DeployedVault, deploy_vault


class MeddledClient(NodeClient):
    """A client during whose work something else happens to the chain."""

    def __init__(self, url: str, before: dict[int, Callable[[], None]]) -> None:
        super().__init__(url)
        self.before = before
        self.batches = 0

    def batch_answers(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        self.batches += 1
        self.before.get(self.batches, lambda: None)()
        return super().batch_answers(requests)


@pytest.fixture(scope="session")
def mandate() -> Mandate:
    return load_mandate(BLUE_CHIP)


@pytest.fixture
def deployed(sandbox: Sandbox) -> DeployedVault:
    """A vault with 1,000 USDC of alice's."""
    vault = deploy_vault(sandbox)
    vault.deposit("alice", 1_000 * 10**6)
    return vault


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[NodeClient]:
    with NodeClient(sandbox.rpc_url) as connection:
        yield connection


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[RoundCache]:
    opened = RoundCache(tmp_path)
    yield opened
    opened.close()


def newest_block(client: NodeClient) -> Block:
    return read_header(client, client.call("eth_getBlockByNumber", "latest", False))
