# SPDX-License-Identifier: Apache-2.0
"""Mainnet in a box: build it once, then load it or fork it in a blink."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from offchain.sandbox import addresses
from offchain.sandbox.aave import borrow_from_aave, deploy_aave
from offchain.sandbox.anvil import Anvil
from offchain.sandbox.balancer import deploy_balancer
from offchain.sandbox.chain import Chain
from offchain.sandbox.chainlink import Feed, deploy_feeds, load_feeds, seed_history, submission
from offchain.sandbox.prices import HEAD_TIMESTAMP, HISTORY_DAYS, HOUR, PRICES
from offchain.sandbox.rpc import Rpc
from offchain.sandbox.tokens import deploy_tokens, fund_accounts, gift
from offchain.sandbox.uniswap import POOLS, Pool, deploy_uniswap
from offchain.settle.development import development_address, genesis_hash, sandbox_deployer

BASE_FEE = 10**9
"""Wei per gas at the head."""

GENESIS_TIMESTAMP = HEAD_TIMESTAMP - HISTORY_DAYS * 24 * HOUR - HOUR

BUILD_OPTIONS = ("--auto-impersonate", "--no-mining")

Progress = Callable[[str, float], None]


@dataclass(slots=True)
class Sandbox:
    """A running sandbox: the node, and where everything in it is."""

    anvil: Anvil
    chain: Chain
    """Sends as the market unless told otherwise; the market and the oracles are unlocked."""
    tokens: Mapping[str, str] = field(default_factory=lambda: addresses.TOKENS)
    """Address by symbol."""
    feeds: Mapping[str, Feed] = field(default_factory=dict)
    """By pair, such as ``"ETH/USD"``."""
    pools: Mapping[str, Pool] = field(default_factory=lambda: {pool.name: pool for pool in POOLS})
    """By name, such as ``"WETH/USDC v3 500"`` or ``"WETH/USDC v2"``."""

    @property
    def rpc_url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return self.anvil.rpc_url

    @property
    def rpc(self) -> Rpc:
        """Client of the node."""
        return self.chain.rpc

    @property
    def genesis_hash(self) -> str:
        """Hash of block 0: the same after every load and in every fork of one state."""
        return genesis_hash(self.rpc)

    def give(self, symbol: str, receiver: str, amount: int) -> None:
        """Hand out tokens, base units."""
        self.chain.send_all(gift(self.chain, symbol, receiver, amount))

    def push(self, feed: str, price: float) -> None:
        """Write a round of a feed now."""
        target = self.feeds[feed]
        self.chain.send_all([submission(self.chain, target, target.answer(price))])

    def fork(self, **options: object) -> Sandbox:
        """A second sandbox on top of this one's head; this one does not notice.

        Blocks of a fork take a fraction of the time, because anvil hashes only what changed
        there: run what mines thousands of them on a fork.

        Parameters
        ----------
        options
            Further arguments of `Anvil`, such as ``port`` or ``hardfork``.
        """
        return attach(Anvil(fork_url=self.rpc_url, chain_id=None, **options).start())  # type: ignore[arg-type]

    def stop(self) -> None:
        """End the node."""
        self.anvil.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def attach(anvil: Anvil) -> Sandbox:
    """Handle of a running sandbox node."""
    chain = Chain(anvil.rpc, development_address("market"))
    chain.impersonate(chain.sender, *(development_address(f"oracle{i}") for i in range(3)))
    return Sandbox(anvil, chain, feeds=load_feeds(chain))


def launch(
    port: int | None = None,
    *,
    hardfork: str | None = None,
    block_time: float | None = None,
    progress: Progress | None = None,
    log: Path | None = None,
) -> Sandbox:
    """Start a sandbox from the saved state, which is built first where there is none.

    Parameters
    ----------
    port
        None for a free one.
    hardfork
        Rules such as ``"cancun"``; anvil's newest otherwise.
    block_time
        Seconds between blocks; a block for each transaction otherwise.
    progress
        Told what is being built and the fraction of it that is done.
    log
        File for anvil's output.
    """
    return attach(prepare(port, hardfork=hardfork, block_time=block_time, progress=progress, log=log).start())


def prepare(
    port: int | None = None,
    *,
    hardfork: str | None = None,
    block_time: float | None = None,
    progress: Progress | None = None,
    log: Path | None = None,
) -> Anvil:
    """The node that `launch` starts, not started yet."""
    from offchain.sandbox.state import saved_state

    return Anvil(
        port=port,
        load_state=saved_state(progress),
        # Without it the clock would jump to the machine's and every feed would be stale.
        timestamp=HEAD_TIMESTAMP + 1,
        hardfork=hardfork,
        block_time=block_time,
        log=log,
    )


def build(chain: Chain, progress: Progress = lambda stage, done: None) -> None:
    """Stand everything up on an empty anvil that runs with `BUILD_OPTIONS`.

    Every block's time is set, so two builds give the same addresses and the same storage.
    """
    chain.rpc.call("anvil_setBlockTimestampInterval", 1)
    chain.rpc.call("anvil_setCode", sandbox_deployer(), chain.code(addresses.CREATE2_DEPLOYER))
    progress("tokens", 0.0)
    chain.set_balance(chain.sender, 10**9 * 10**18)
    deploy_tokens(chain)
    fund_accounts(chain)
    feeds = deploy_feeds(chain)
    progress("Uniswap", 0.1)
    deploy_uniswap(chain)
    progress("Balancer", 0.15)
    deploy_balancer(chain)
    progress("Aave", 0.2)
    deploy_aave(chain)
    rounds = _past(chain, feeds, lambda done: progress("price history", 0.3 + 0.7 * done))
    borrow_from_aave(chain)
    chain.rpc.call("anvil_removeBlockTimestampInterval")
    chain.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(BASE_FEE))
    chain.send_all(
        [submission(chain, feed, feed.answer(PRICES[name]), rounds[name] + 1) for name, feed in feeds.items()],
        timestamp=HEAD_TIMESTAMP,
    )
    progress("done", 1.0)


def _past(chain: Chain, feeds: Mapping[str, Feed], progress: Callable[[float], None]) -> Mapping[str, int]:
    """Let the oracles write their history on a fork, and bring the aggregators' storage back.

    Anvil hashes the whole state at each block but only what changed on a fork: there a
    thousand blocks take seconds, here they would take a minute.
    """
    with Anvil(fork_url=chain.rpc.url, chain_id=None, keep_states=1, options=BUILD_OPTIONS) as fork:
        rounds = seed_history(Chain(fork.rpc, chain.sender, manual=True), feeds, progress)
        accounts = dumped_state(fork.rpc)["accounts"]
    slots = [
        (feed.aggregator, slot, value)
        for feed in feeds.values()
        for slot, value in accounts[feed.aggregator.lower()]["storage"].items()
    ]
    chain.rpc.batch([("anvil_setStorageAt", slot) for slot in slots if int(slot[2], 16) != 0])
    return rounds


def dumped_state(rpc: Rpc) -> dict[str, Any]:
    """The whole state of an anvil, as ``--load-state`` takes it."""
    state: dict[str, Any] = json.loads(gzip.decompress(bytes.fromhex(rpc.call("anvil_dumpState")[2:])))
    return state
