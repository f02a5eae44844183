# SPDX-License-Identifier: Apache-2.0
"""Who mines: blocks with a chosen time, and a producer that lets others look into the mempool first."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from offchain.sandbox.chain import Chain, Reverted, Transaction
from offchain.sandbox.rpc import Rpc

BLOCK_SECONDS = 12
GWEI = 10**9
MAX_FEE = 100_000 * GWEI
"""The market pays whatever the base fee is."""
TIP = GWEI


@dataclass(frozen=True, slots=True)
class PendingTransaction:
    """A transaction in the mempool that could be in the next block."""

    hash: str
    sender: str
    to: str | None
    data: bytes
    max_fee: int
    """Wei per gas at most, tip included; anvil orders a block by it, and by arrival among equals."""
    tip: int
    """Wei per gas offered to the block producer."""


class Participant(Protocol):
    """Somebody who reads the mempool before each block."""

    def before_block(self, pending: Sequence[PendingTransaction]) -> None:
        """See what is pending; what is sent from here still makes the block."""

    def after_block(self) -> None:
        """See what became of it."""


def send(chain: Chain, transaction: Transaction, *, max_fee: int = MAX_FEE, tip: int = TIP) -> str:
    """Put a transaction of an unlocked account into the mempool; return its hash.

    Parameters
    ----------
    max_fee, tip
        Wei per gas; the first decides about the place in the block.
    """
    fees = {"maxFeePerGas": hex(max_fee), "maxPriorityFeePerGas": hex(min(tip, max_fee))}
    return str(chain.rpc.call("eth_sendTransaction", transaction.fields() | fees))


@contextmanager
def mining(chain: Chain, *, automatic: bool) -> Iterator[None]:
    """Mine a block for each transaction, or none but those asked for; what held before holds again afterwards."""
    before = bool(chain.rpc.call("anvil_getAutomine"))
    if before is not automatic:
        chain.rpc.call("evm_setAutomine", automatic)
    try:
        yield
    finally:
        if before is not automatic:
            chain.rpc.call("evm_setAutomine", before)


def require_success(chain: Chain, hashes: Iterable[str]) -> list[Mapping[str, Any]]:
    """Return the receipts; raise `Reverted` for the first transaction that failed or was not mined."""
    wanted = list(hashes)
    receipts = chain.rpc.batch([("eth_getTransactionReceipt", [one]) for one in wanted])
    for one, receipt in zip(wanted, receipts, strict=True):
        if receipt is None or int(receipt["status"], 16) != 1:
            state = "was not mined" if receipt is None else "reverted"
            raise Reverted(
                f"sandbox: market transaction {one} {state}; does the chain still hold what the market needs?"
            )
    return receipts


def pending_transactions(rpc: Rpc) -> list[PendingTransaction]:
    """Return what could be in the next block, the best paying first."""
    found = []
    for sender, by_nonce in rpc.call("txpool_content")["pending"].items():
        for fields in by_nonce.values():
            price = fields.get("gasPrice") or "0x0"
            max_fee, tip = (int(fields.get(name) or price, 16) for name in ("maxFeePerGas", "maxPriorityFeePerGas"))
            data = bytes.fromhex(fields["input"][2:])
            found.append(PendingTransaction(fields["hash"], sender, fields.get("to"), data, max_fee, tip))
    return sorted(found, key=lambda one: -one.max_fee)


class BlockProducer:
    """Mines pending transactions the way public block space works: the best paying first, after everybody could look.

    As a context manager it turns automatic mining off and mines in a thread of its own whenever something is
    pending, so that a keeper that waits for its receipt gets it.

    Parameters
    ----------
    url
        The sandbox's JSON-RPC address; the producer has a connection of its own.
    participants
        Who looks into the mempool, in order.
    block_seconds
        Time between the blocks it mines.
    pause
        Seconds to sleep when nothing is pending.
    """

    def __init__(
        self,
        url: str,
        participants: Sequence[Participant] = (),
        *,
        block_seconds: int = BLOCK_SECONDS,
        pause: float = 0.005,
    ) -> None:
        self.participants = list(participants)
        self._rpc = Rpc(url)
        self._block_seconds = block_seconds
        self._pause = pause
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None

    def produce(self) -> int | None:
        """Mine one block of what is pending and return its number; None when nothing is.

        Participants may send while they look.
        """
        with self._lock:
            pending = pending_transactions(self._rpc)
            if not pending:
                return None
            for participant in self.participants:
                participant.before_block(pending)
            head = self._rpc.call("eth_getBlockByNumber", "latest", False)
            self._rpc.call("evm_mine", int(head["timestamp"], 16) + self._block_seconds)
            for participant in self.participants:
                participant.after_block()
            return int(head["number"], 16) + 1

    @contextmanager
    def held(self) -> Iterator[None]:
        """Mine nothing while the context lasts: whoever holds it mines for themselves."""
        with self._lock:
            yield
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        self._rpc.call("evm_setAutomine", False)
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="block-producer", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._rpc.call("evm_setAutomine", True)
        self._rpc.close()
        if self._failure is not None and error is None:
            raise self._failure

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                if int(self._rpc.call("txpool_status")["pending"], 16) == 0 or self.produce() is None:
                    self._ended.wait(self._pause)
            except Exception as failure:  # Whoever holds or leaves the producer learns of it.
                self._failure = failure
                return
