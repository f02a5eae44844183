# SPDX-License-Identifier: Apache-2.0
"""Mainnet in a box: build it once, then load it or fork it in a blink."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from offchain.sandbox import addresses
from offchain.sandbox.aave import deploy_aave
from offchain.sandbox.anvil import Anvil
from offchain.sandbox.chain import Chain
from offchain.sandbox.chainlink import Feed, deploy_feeds, load_feeds, seed_history, submission
from offchain.sandbox.prices import HEAD_TIMESTAMP, HISTORY_DAYS, HOUR, PRICES
from offchain.sandbox.rpc import Rpc
from offchain.sandbox.tokens import deploy_tokens, fund_accounts, gift
from offchain.sandbox.uniswap import POOLS, Pool, deploy_uniswap
from offchain.settle.development import development_address, genesis_hash, sandbox_deployer

BASE_FEE = 10**9
"""Wei per gas at the head."""

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
    """Stand everything up on an empty anvil that runs with ``--auto-impersonate --no-mining``.

    Every block's time is set, so two builds give the same addresses and the same storage.
    """
    chain.rpc.call("anvil_setBlockTimestampInterval", 1)
    code = chain.code(addresses.CREATE2_DEPLOYER)
    chain.rpc.call("anvil_setCode", sandbox_deployer(), code)
    progress("tokens", 0.0)
    chain.set_balance(chain.sender, 10**9 * 10**18)
    deploy_tokens(chain)
    fund_accounts(chain)
    feeds = deploy_feeds(chain)
    rounds = seed_history(chain, feeds, lambda done: progress("price history", done))
    progress("Uniswap", 0.0)
    deploy_uniswap(chain)
    progress("Aave", 0.0)
    deploy_aave(chain)
    chain.rpc.call("anvil_removeBlockTimestampInterval")
    chain.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(BASE_FEE))
    chain.send_all(
        [submission(chain, feed, feed.answer(PRICES[name]), rounds[name] + 1) for name, feed in feeds.items()],
        timestamp=HEAD_TIMESTAMP,
    )
    progress("done", 1.0)


GENESIS_TIMESTAMP = HEAD_TIMESTAMP - HISTORY_DAYS * 24 * HOUR - HOUR
