# SPDX-License-Identifier: Apache-2.0
"""Several nodes as one: another is asked when the one in use fails, lags or serves another chain."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

from offchain.market.node_errors import NodeError, RpcError, WrongChain
from offchain.market.rpc import NodeClient

LAG_BLOCKS = 2
"""A node may be so many blocks behind the best of the others before it is left."""
WITNESS_SECONDS = 2.0
"""The others are given no longer to say where they stand."""

_LOOK_SECONDS = 4.0
_SEND = "eth_sendRawTransaction"


class FailoverClient(NodeClient):
    """A client of several nodes, of which one is in use until it fails, lags or is found unfit.

    A raw transaction goes to every node at once and the first that takes it answers: it is the
    same one wherever it arrives.

    Parameters
    ----------
    urls
        In order of preference; at least one.
    timeout, retries
        Of each, see `NodeClient`.
    look_seconds
        How often the others are asked where they stand.
    """

    def __init__(
        self, urls: Sequence[str], *, timeout: float = 20.0, retries: int = 1, look_seconds: float = _LOOK_SECONDS
    ) -> None:
        self._nodes = [NodeClient(url, timeout=timeout, retries=retries) for url in urls]
        # Of their own, so that a witness that hangs keeps nobody waiting for its connection.
        self._witnesses = [NodeClient(url, timeout=min(timeout, WITNESS_SECONDS), retries=0) for url in urls]
        self._current = 0
        self._look_seconds = look_seconds
        self._looked_at = -look_seconds
        super().__init__(urls[0], timeout=timeout, retries=retries)

    @property
    def round_trips(self) -> int:
        """Requests posted so far to the nodes in use; what witnesses are asked does not count."""
        return sum(node.round_trips for node in self._nodes)

    def close(self) -> None:
        """Drop every connection."""
        for node in (*self._nodes, *self._witnesses):
            node.close()

    def give_up(self) -> None:
        """Turn to the next node, because the one in use was found unfit."""
        self._use((self._current + 1) % len(self._nodes))

    def leave_if_behind(self, head_number: int, chain_id: int) -> bool:
        """Turn to the node with the newest block when the one in use is more than `LAG_BLOCKS` behind it."""
        if time.monotonic() - self._looked_at < self._look_seconds:
            return False
        self._looked_at = time.monotonic()
        best, best_number = self._current, head_number + LAG_BLOCKS
        for index, answers in self._ask_others([("eth_chainId", ()), ("eth_blockNumber", ())]):
            try:
                served, number = (int(answer, 16) for answer in answers)
            except (TypeError, ValueError):
                continue
            if served == chain_id and number > best_number:
                best, best_number = index, number
        if best == self._current:
            return False
        self._use(best)
        return True

    def dissenters(self, number: int, block_hash: str) -> list[str]:
        """Nodes that have another block at a height; those that do not answer, or not yet have it, do not count."""
        found = []
        for index, (block,) in self._ask_others([("eth_getBlockByNumber", (hex(number), False))]):
            other = block.get("hash") if isinstance(block, dict) else None
            if isinstance(other, str) and other != block_hash:
                found.append(self._nodes[index].url)
        return found

    def batch_answers(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Ask the node in use, and the others in turn where it fails; the last failure raises."""
        if [method for method, _ in requests] == [_SEND]:
            return self._send(requests)
        for attempt in range(len(self._nodes)):
            node = self._nodes[self._current]
            try:
                return node.batch_answers(requests)
            except NodeError:
                self.give_up()
                if attempt + 1 == len(self._nodes):
                    raise
        raise AssertionError("unreachable")

    def check_chain(self, served: int, chain_id: int) -> None:
        """Raise `WrongChain` unless `served` is `chain_id`; the next request goes to another node then."""
        try:
            super().check_chain(served, chain_id)
        except WrongChain:
            self.give_up()
            raise

    def _use(self, index: int) -> None:
        self._current = index
        self.url = self._nodes[index].url

    def _ask_others(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[tuple[int, list[Any]]]:
        """Answers of the nodes that are not in use, by index; those that fail are left out."""
        answers: queue.Queue[tuple[int, list[Any] | None]] = queue.Queue()

        def ask(index: int) -> None:
            try:
                answers.put((index, self._witnesses[index].batch(requests)))
            except NodeError:
                answers.put((index, None))

        others = [index for index in range(len(self._nodes)) if index != self._current]
        for index in others:
            threading.Thread(target=ask, args=(index,), daemon=True).start()
        found = [answers.get() for _ in others]
        return [(index, answer) for index, answer in found if answer is not None]

    def _send(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Give a raw transaction to every node; a refusal counts only where nobody takes it."""
        outcomes: queue.Queue[list[Any] | NodeError] = queue.Queue()

        def send(node: NodeClient) -> None:
            try:
                outcomes.put(node.batch_answers(requests))
            except NodeError as error:
                outcomes.put(error)

        for node in self._nodes:
            threading.Thread(target=send, args=(node,), daemon=True).start()
        refused: list[Any] | None = None
        failure: NodeError | None = None
        for _ in self._nodes:
            outcome = outcomes.get()
            if isinstance(outcome, NodeError):
                failure = outcome
            elif isinstance(outcome[0], RpcError):
                refused = refused or outcome
            else:
                return outcome
        if refused is not None:
            return refused
        assert failure is not None
        raise failure
