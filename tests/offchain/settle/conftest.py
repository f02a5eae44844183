# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator

import pytest
from eth_account import Account

from offchain.market.rpc import NodeClient
from offchain.sandbox.standup import Sandbox
from offchain.settle.accounts import LocalSigner
from offchain.settle.development import development_address, development_key
from offchain.settle.node import Node
from tests.support.vaults import DeployedVault, deploy_vault


@pytest.fixture
def vault(sandbox: Sandbox) -> DeployedVault:
    """A vault that alice put a million dollars into."""
    deployed = deploy_vault(sandbox)
    sandbox.give("USDC", development_address("alice"), 10**12)
    deployed.deposit("alice", 10**12)
    return deployed


@pytest.fixture
def node(sandbox: Sandbox) -> Iterator[Node]:
    client = NodeClient(sandbox.rpc_url)
    yield Node(client)
    client.close()


@pytest.fixture(scope="session")
def optimizer() -> LocalSigner:
    return LocalSigner(Account.from_key(development_key("optimizer")))
