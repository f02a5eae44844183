# SPDX-License-Identifier: Apache-2.0
"""Others around a block: a builder who is handed settlements in private, and a stranger who relays ours before us."""

from __future__ import annotations

import random
from collections.abc import Sequence

from offchain.sandbox.blocks import GWEI, PendingTransaction, send
from offchain.sandbox.chain import Chain, Transaction
from offchain.sandbox.rpc import RpcError
from offchain.settle.calls import SETTLE, selector
from offchain.settle.development import development_address
from tests.support.relay import PrivateRelay

ETHER = 10**18


class Builder:
    """Owns a private relay; of what it is handed it brings most into a block, some late and some never."""

    def __init__(self, chain: Chain, rng: random.Random) -> None:
        self.relay = PrivateRelay()
        self.brought = 0
        self.forgotten = 0
        self._chain, self._rng = chain, rng

    @property
    def handed(self) -> int:
        """Number of transactions it got."""
        return self.brought + self.forgotten + len(self.relay.held)

    def before_block(self, pending: Sequence[PendingTransaction]) -> None:
        """Decide about each transaction that it holds."""
        held, self.relay.held = self.relay.held, []
        for one in held:
            draw = self._rng.random()
            if draw < 0.2:
                self.forgotten += 1
            elif draw < 0.5:
                self.relay.held.append(one)
            else:
                self.brought += 1
                self._bring(one[0])

    def _bring(self, raw: str) -> None:
        try:
            self._chain.rpc.call("eth_sendRawTransaction", raw)
        except RpcError:
            return  # it was replaced in public meanwhile, and its nonce is used

    def close(self) -> None:
        """End the relay."""
        self.relay.stop()


class FrontRunner:
    """Sends every settlement that it sees in the mempool itself, for a higher fee, while it is `awake`."""

    def __init__(self, chain: Chain, vault: str, role: str = "attacker") -> None:
        self.awake = False
        self.count = 0
        self._chain, self._vault = chain, vault.lower()
        self._account = development_address(role)
        self._seen: set[str] = set()
        chain.impersonate(self._account)
        chain.set_balance(self._account, 1_000 * ETHER)

    def before_block(self, pending: Sequence[PendingTransaction]) -> None:
        """Get ahead of what is new."""
        for one in pending:
            ours = one.sender.lower() != self._account.lower() and one.data[:4] == selector(SETTLE)
            if not (self.awake and ours and (one.to or "").lower() == self._vault) or one.hash in self._seen:
                continue
            self._seen.add(one.hash)
            copy = Transaction(self._account, self._vault, "0x" + one.data.hex())
            send(self._chain, copy, max_fee=one.max_fee + GWEI, tip=one.tip + GWEI)
            self.count += 1
