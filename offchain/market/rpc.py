# SPDX-License-Identifier: Apache-2.0
"""A small JSON-RPC client: one kept connection, batches, deadlines, typed errors.

Reads are retried; anything that may change the chain is sent once, because a lost
answer does not mean a lost transaction.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from offchain.market.node_errors import (
    MAX_SHOWN,
    MalformedReply,
    NodeError,
    NodeRefused,
    NodeUnreachable,
    Overloaded,
    RpcError,
    WrongChain,
    public_url,
    shorten,
)
from offchain.market.transports import HeadersOf, transport_to

__all__ = [
    "MalformedReply",
    "NodeClient",
    "NodeError",
    "NodeRefused",
    "NodeUnreachable",
    "RpcError",
    "WrongChain",
    "public_url",
]

_READS = frozenset(
    {
        "debug_traceCall",
        "debug_traceTransaction",
        "eth_blockNumber",
        "eth_call",
        "eth_chainId",
        "eth_createAccessList",
        "eth_estimateGas",
        "eth_feeHistory",
        "eth_gasPrice",
        "eth_maxPriorityFeePerGas",
        "eth_simulateV1",
        "eth_syncing",
        "net_version",
        "txpool_content",
        "txpool_status",
        "web3_clientVersion",
    }
)
_OVERLOADED_CODES = frozenset({429, -32005})


class NodeClient:
    """One connection to one node, kept alive. May be shared by threads, which take turns.

    Parameters
    ----------
    url
        ``http(s)://``, ``ws(s)://`` or the path of a node's socket; user and password in it are sent
        as basic authentication.
    timeout
        Seconds to wait for one reply.
    retries
        How often a read is repeated when the node is unreachable or overloaded.
    headers_of
        Further HTTP headers that depend on the body, such as a signature of it.
    """

    def __init__(
        self, url: str, *, timeout: float = 20.0, retries: int = 2, headers_of: HeadersOf | None = None
    ) -> None:
        self._transport = transport_to(url, timeout, headers_of)
        self._url = url
        self.url = public_url(url)
        self.timeout = timeout
        self.retries = retries
        self._lock = threading.Lock()

    @property
    def round_trips(self) -> int:
        """Requests posted so far, a batch counting once."""
        return self._transport.posted

    def __enter__(self) -> NodeClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection; the next request opens another."""
        with self._lock:
            self._transport.close()

    def call(self, method: str, *params: Any) -> Any:
        """Result of one request.

        Raises
        ------
        RpcError
            The node refuses the request.
        NodeError
            The node cannot be used; see its subclasses.
        """
        return self.batch([(method, params)])[0]

    def batch(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Results of several requests in one round trip, in order; see `call` for the errors.

        The first failing request raises, whichever others succeeded.
        """
        answers = self.batch_answers(requests)
        for answer in answers:
            if isinstance(answer, RpcError):
                raise answer
        return answers

    def batch_answers(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Like `batch`, with an `RpcError` in the place of each result the node refused."""
        if not requests:
            return []
        reads = all(_is_read(method) for method, _ in requests)
        for attempt in range(self.retries + 1 if reads else 1):
            last = attempt == self.retries or not reads
            try:
                answers = self._exchange(requests, reads)
            except NodeUnreachable:
                if last:
                    raise
            except Overloaded as overload:
                if last:
                    raise NodeRefused(self._url, f"overloaded or rate-limited ({overload}); try later") from None
            else:
                overloaded = any(isinstance(a, RpcError) and a.code in _OVERLOADED_CODES for a in answers)
                if last or not overloaded:
                    return answers
            time.sleep(0.1 * 4**attempt)
        raise AssertionError("unreachable")

    def give_up(self) -> None:
        """Turn to another node where there is one (see `FailoverClient`); this client has only its own."""

    def leave_if_behind(self, head_number: int, chain_id: int) -> bool:
        """Turn to a node that is ahead of this one; there is none here, so it is False."""
        return False

    def dissenters(self, number: int, block_hash: str) -> list[str]:
        """Other nodes that have another block at a height; there are none here."""
        return []

    def require_chain(self, chain_id: int) -> None:
        """Raise `WrongChain` unless the node serves `chain_id`."""
        self.check_chain(self.quantity(self.call("eth_chainId"), "eth_chainId"), chain_id)

    def check_chain(self, served: int, chain_id: int) -> None:
        """Raise `WrongChain` unless `served`, as the node said, is `chain_id`."""
        if served != chain_id:
            raise WrongChain(self._url, f"serves chain {served}, but the mandate is for chain {chain_id}")

    def quantity(self, value: object, method: str) -> int:
        """Decode a JSON-RPC quantity; `MalformedReply` when it is not one."""
        if isinstance(value, str) and value.startswith("0x"):
            try:
                return int(value, 16)
            except ValueError:
                pass
        raise self.malformed(method, value)

    def data(self, value: object, method: str) -> bytes:
        """Decode JSON-RPC data; `MalformedReply` when it is not hex."""
        if isinstance(value, str) and value.startswith("0x"):
            try:
                return bytes.fromhex(value[2:])
            except ValueError:
                pass
        raise self.malformed(method, value)

    def malformed(self, method: str, value: object) -> MalformedReply:
        """Build the error for a result that `method` does not promise."""
        return MalformedReply(self._url, f"{method} returned {shorten(repr(value))}; is this an Ethereum node?")

    def _exchange(self, requests: Sequence[tuple[str, Sequence[Any]]], reads: bool) -> list[Any]:
        payload = [
            {"jsonrpc": "2.0", "id": index, "method": method, "params": list(params)}
            for index, (method, params) in enumerate(requests)
        ]
        body = json.dumps(payload[0] if len(payload) == 1 else payload, separators=(",", ":")).encode()
        with self._lock:
            raw = self._transport.exchange(body, reads=reads)
        try:
            reply = json.loads(raw)
        except (ValueError, RecursionError):
            shown = shorten(raw[:MAX_SHOWN].decode(errors="replace"))
            raise MalformedReply(self._url, f"sent {shown!r}, not JSON; is this an Ethereum node?") from None
        if isinstance(reply, dict):
            if len(requests) > 1 and "error" in reply:  # the whole batch was refused
                raise RpcError(self._url, "the batch", _error(reply))
            reply = [reply]
        if not isinstance(reply, list) or len(reply) != len(requests):
            raise self.malformed("JSON-RPC", reply)
        return self._in_order(requests, reply)

    def _in_order(self, requests: Sequence[tuple[str, Sequence[Any]]], reply: list[Any]) -> list[Any]:
        """Results by request; a node may answer a batch in any order."""
        answers: dict[int, Any] = {}
        for item in reply:
            if not isinstance(item, dict) or ("result" not in item and "error" not in item):
                raise self.malformed("JSON-RPC", item)
            index = item.get("id") if len(requests) > 1 else 0
            if not isinstance(index, int) or not 0 <= index < len(requests):
                raise self.malformed("JSON-RPC", item)
            failed = item.get("error") is not None
            answers[index] = RpcError(self._url, requests[index][0], _error(item)) if failed else item.get("result")
        if len(answers) != len(requests):
            raise self.malformed("JSON-RPC", reply)
        return [answers[index] for index in range(len(requests))]


def _is_read(method: str) -> bool:
    return method in _READS or method.startswith("eth_get")


def _error(item: Mapping[str, Any]) -> Mapping[str, Any]:
    error = item["error"]
    return error if isinstance(error, dict) else {"message": str(error)}
