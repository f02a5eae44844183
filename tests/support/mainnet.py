# SPDX-License-Identifier: Apache-2.0
"""Real mainnet state in anvil: tokens and pools as they stood, feeds of our own beside them.

The state holds what one block touched. What it lacks and somebody needs to ask is copied
from a sandbox: Multicall3, the tick lens and the CREATE2 deployer.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from offchain.sandbox import addresses
from offchain.sandbox.anvil import Anvil
from offchain.sandbox.chain import Chain
from offchain.sandbox.chainlink import deploy_feeds, submission
from offchain.sandbox.standup import Sandbox
from offchain.settle.development import development_address, sandbox_deployer
from tests.support.recorded import recorded

STATE = "mainnet/block-24628607.state.json.gz"
BLOCK_TIMESTAMP = 1_773_164_303
PRICES = {"ETH/USD": 2065.0, "USDC/USD": 1.0, "USDT/USD": 1.0}
"""What the pools of the block agree on."""

RICH = {
    "USDC": "0x9642b23Ed1E01Df1092B92641051881a322F5D4E",
    "USDT": "0x9642b23Ed1E01Df1092B92641051881a322F5D4E",
}
"""An account without code that held millions."""


@contextmanager
def mainnet_state(sandbox: Sandbox, folder: Path) -> Iterator[Sandbox]:
    """Run the state; skips the test when it is not there.

    Yields
    ------
    Sandbox
        With development accounts that have ether, and fresh feeds.
    """
    state = folder / "state.json"
    state.write_bytes(gzip.decompress(recorded(STATE).read_bytes()))
    copied = (addresses.MULTICALL3, addresses.UNISWAP_V3_TICK_LENS, addresses.CREATE2_DEPLOYER)
    code = {address: sandbox.chain.code(address) for address in copied}
    # Marks the chain as one where development keys may sign.
    code[sandbox_deployer()] = code[addresses.CREATE2_DEPLOYER]
    with Anvil(load_state=state, timestamp=BLOCK_TIMESTAMP + 12) as anvil:
        chain = Chain(anvil.rpc, development_address("market"))
        roles = ("oracle0", "oracle1", "oracle2", "owner", "keeper", "alice", "bob", "carol")
        for actor in (chain.sender, *map(development_address, roles), *RICH.values()):
            chain.impersonate(actor)
            chain.set_balance(actor, 10**20)
        for address, runtime in code.items():
            anvil.rpc.call("anvil_setCode", address, runtime)
        feeds = deploy_feeds(chain)
        for pair, price in PRICES.items():
            chain.send_all([submission(chain, feeds[pair], feeds[pair].answer(price))])
        yield Sandbox(anvil, chain, feeds=feeds)
