# SPDX-License-Identifier: Apache-2.0
"""Several nodes as one: the next is asked when one fails, lags or serves another chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from offchain.market.rpc import NodeClient, NodeError, RpcError, WrongChain

_SEND = "eth_sendRawTransaction"


class FailoverClient(NodeClient):
    """A client of several nodes, of which one is in use until it fails.

    A raw transaction goes to every node: it is the same one wherever it arrives.

    Parameters
    ----------
    urls
        In order of preference; at least one.
    timeout, retries
        Of each, see `NodeClient`.
    """

    def __init__(self, urls: Sequence[str], *, timeout: float = 20.0, retries: int = 1) -> None:
        self._nodes = [NodeClient(url, timeout=timeout, retries=retries) for url in urls]
        self._current = 0
        super().__init__(urls[0], timeout=timeout, retries=retries)

    def close(self) -> None:
        """Drop every connection."""
        for node in self._nodes:
            node.close()

    def give_up(self) -> None:
        """Turn to the next node, because the one in use was found unfit."""
        self._current = (self._current + 1) % len(self._nodes)
        self.url = self._nodes[self._current].url

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

    def _send(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        accepted: list[Any] | None = None
        refused: list[Any] | None = None
        failure: NodeError | None = None
        for node in self._nodes:
            try:
                answers = node.batch_answers(requests)
            except NodeError as error:
                failure = error
            else:
                if isinstance(answers[0], RpcError):
                    refused = refused or answers
                else:
                    accepted = answers
        answer = accepted or refused
        if answer is not None:
            return answer
        assert failure is not None
        raise failure
