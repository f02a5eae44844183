# SPDX-License-Identifier: Apache-2.0
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from offchain.keeper.breaker_watch import BreakerWatch
from offchain.keeper.dispatch import Dispatch
from offchain.keeper.journal import Journal
from offchain.keeper.keeper import Keeper, KeeperSettings
from offchain.keeper.records import Decision
from offchain.keeper.submitter import Submitter
from offchain.mandate import Mandate
from offchain.market.rpc import NodeClient
from offchain.route.leg import Venue
from offchain.sandbox.anvil import Anvil
from offchain.sandbox.standup import Sandbox
from offchain.settle.accounts import LocalSigner
from offchain.settle.development import development_address, development_key
from offchain.settle.fees import FeePolicy
from offchain.settle.local_simulation import LocalSimulator
from offchain.settle.node import Node
from offchain.settle.order import Leg, Order
from offchain.settle.signing import Domain
from tests.support.vaults import DeployedVault, deploy_vault

ETHER = 10**18
GWEI = 10**9
MILLION = 10**12
POLICY = FeePolicy(max_base_fee=50 * GWEI, max_priority_fee=5 * GWEI, min_priority_fee=GWEI)
URGENT = FeePolicy(max_base_fee=100 * GWEI, max_priority_fee=50 * GWEI, min_priority_fee=2 * GWEI)


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
    """An empty chain; two blocks to finality, so that tests need not mine dozens."""
    with Anvil(options=["--no-mining", "--slots-in-an-epoch", "1"]) as anvil:
        node = Node(NodeClient(anvil.rpc_url))
        chain = HandMined(anvil, node)
        chain.call("anvil_setBalance", role("keeper").address, hex(100 * ETHER))
        chain.mine()
        yield chain
        node.client.close()


@dataclass
class Stage:
    """A vault of a million dollars on a sandbox that mines when it is told to, and its keeper's parts."""

    sandbox: Sandbox
    vault: DeployedVault
    node: Node
    path: Path
    role: Callable[[str], LocalSigner]

    @property
    def domain(self) -> Domain:
        return Domain(self.vault.file_mandate.name, 1, self.vault.address)

    @property
    def nonce(self) -> int:
        return self.vault.vault.functions.order_nonce().call()

    def journal(self, kind: type[Journal] = Journal) -> Journal:
        """Open the stage's journal, as a new process would."""
        return kind.open(self.path, chain_id=1, vault=self.vault.address)

    def dispatch(self, journal: Journal, simulator: LocalSimulator | None = None) -> Dispatch:
        """Start a dispatch on the journal, as a new process would."""
        submitter = Submitter(
            self.node, journal, self.role("keeper"), 1, policy=POLICY, urgent_policy=URGENT, patience=3
        )
        breaker = BreakerWatch(self.node, submitter, self.vault.mandate.address)
        signer = self.role("optimizer")
        return Dispatch(self.node, journal, submitter, breaker, signer, self.domain, simulator=simulator)

    def keeper(self, journal: Journal, *, mandate: Mandate | None = None, **names: str) -> Keeper:
        """Start a whole keeper; roles may be named otherwise than usual."""
        return Keeper(
            self.node.client,
            self.vault.address,
            mandate or self.vault.file_mandate,
            payer=self.role(names.get("payer", "keeper")),
            signer=self.role(names.get("signer", "optimizer")),
            journal=journal,
            settings=KeeperSettings(poll_seconds=0.01),
            pause=self.mine,
        )

    def automine(self, on: bool = True) -> None:
        self.sandbox.rpc.call("evm_setAutomine", on)

    def mine(self, blocks: int = 1) -> None:
        self.sandbox.rpc.call("anvil_mine", hex(blocks))

    def step(self, dispatch: Dispatch, blocks: int = 1) -> None:
        """Mine, and let the keeper see the new head."""
        self.mine(blocks)
        dispatch.on_block(self.node.head())

    def buy_weth(self, *, dollars: int = 100_000, deadline: int = 25, min_amount_out: int = 1) -> Order:
        """An order for the vault's next nonce that brings it closer to its weights."""
        return Order(
            nonce=self.nonce,
            deadline=self.node.head().number + deadline,
            mandate_hash="0x" + self.vault.mandate.functions.mandate_hash().call().hex(),
            model_hash="0x" + "22" * 32,
            legs=(Leg(Venue.UNISWAP_V3, 0, 1, 500, dollars * 10**6, min_amount_out),),
            min_value_per_share=0,
            max_base_fee=100 * GWEI,
        )

    def record_tick(self, journal: Journal) -> int:
        head = self.node.head()
        return journal.record_tick(
            block_number=head.number,
            block_hash=head.hash,
            block_timestamp=head.timestamp,
            mandate="{}",
            snapshot="{}",
            history=(),
            plan=None,
            decision=Decision.SETTLE,
            reason="a test",
        )

    def place(self, dispatch: Dispatch, journal: Journal, order: Order | None = None):
        """What a keeper does with a plan that trades."""
        return dispatch.place(self.record_tick(journal), order or self.buy_weth(), self.node.head())

    def settled(self) -> int:
        """Number of settlements on the chain."""
        return len(self.vault.vault.events.Settled().get_logs(from_block=0))


@pytest.fixture(scope="session")
def keeper_sandbox(sandbox_node: Sandbox) -> Iterator[tuple[Sandbox, DeployedVault]]:
    """A fork of the sandbox where blocks are final after two, with a vault that alice put a million into."""
    with sandbox_node.fork(options=["--slots-in-an-epoch", "1"]) as fork:
        vault = deploy_vault(fork)
        fork.give("USDC", development_address("alice"), MILLION)
        vault.deposit("alice", MILLION)
        yield fork, vault


@pytest.fixture
def stage(
    keeper_sandbox: tuple[Sandbox, DeployedVault], role: Callable[[str], LocalSigner], tmp_path: Path
) -> Iterator[Stage]:
    """The keeper's sandbox and vault, put back as they were after the test."""
    sandbox, vault = keeper_sandbox
    mark = sandbox.rpc.call("evm_snapshot")
    node = Node(NodeClient(sandbox.rpc_url))
    sandbox.rpc.call("evm_setAutomine", False)
    # The node forgets its blocks, but not the fee that the last test led to.
    sandbox.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    sandbox.rpc.call("evm_mine")
    yield Stage(sandbox, vault, node, tmp_path / "journal.sqlite", role)
    sandbox.rpc.call("anvil_dropAllTransactions")
    sandbox.rpc.call("evm_setAutomine", True)
    sandbox.rpc.call("evm_revert", mark)
    node.client.close()


@pytest.fixture
def mailbox() -> Iterator[tuple[str, list[Any]]]:
    """A web server that takes webhooks; yields its URL and what it got."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", got
    server.shutdown()
    server.server_close()
