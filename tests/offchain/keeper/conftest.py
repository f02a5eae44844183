# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from eth_account import Account

from offchain.market.rpc import NodeClient
from offchain.sandbox.anvil import Anvil
from offchain.settle.accounts import LocalSigner
from offchain.settle.development import development_key
from offchain.settle.node import Node

ETHER = 10**18


@dataclass
class HandMined:
    """A node that mines only when it is told to."""

    anvil: Anvil
    node: Node

    def call(self, method: str, *params: object) -> object:
        return self.node.client.call(method, *params)

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.call("evm_mine")

    def waiting(self) -> list[str]:
        """Hashes in the mempool."""
        return list(self.call("eth_getBlockByNumber", "pending", False)["transactions"])


@pytest.fixture(scope="session")
def role() -> Callable[[str], LocalSigner]:
    """The development account of a role, by name."""
    return lambda name: LocalSigner(Account.from_key(development_key(name)))


@pytest.fixture
def chain(role: Callable[[str], LocalSigner]) -> Iterator[HandMined]:
    # Two blocks to finality, so that tests need not mine dozens.
    with Anvil(options=["--no-mining", "--slots-in-an-epoch", "1"]) as anvil:
        node = Node(NodeClient(anvil.rpc_url))
        chain = HandMined(anvil, node)
        chain.call("anvil_setBalance", role("keeper").address, hex(100 * ETHER))
        chain.mine()
        yield chain
        node.client.close()
