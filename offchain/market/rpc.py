# SPDX-License-Identifier: Apache-2.0
"""A small JSON-RPC client: one kept-alive connection, batches, deadlines, typed errors.

Reads are retried; anything that may change the chain is sent once, because a lost
answer does not mean a lost transaction.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from offchain.errors import PlimsollError

_READS = frozenset(
    {
        "debug_traceCall",
        "debug_traceTransaction",
        "eth_blockNumber",
        "eth_call",
        "eth_chainId",
        "eth_estimateGas",
        "eth_feeHistory",
        "eth_gasPrice",
        "eth_maxPriorityFeePerGas",
        "eth_syncing",
        "net_version",
        "txpool_content",
        "txpool_status",
        "web3_clientVersion",
    }
)
_OVERLOADED_STATUS = frozenset({429, 500, 502, 503, 504})
_OVERLOADED_CODES = frozenset({429, -32005})
_FRESH_SECONDS = 1.0
_MAX_SHOWN = 200


class NodeError(PlimsollError):
    """A node that cannot be used as it is.

    Attributes
    ----------
    url
        The node, without path, query and credentials: provider keys live there.
    """

    def __init__(self, url: str, problem: str) -> None:
        self.url = public_url(url)
        super().__init__(f"{self.url}: {problem}")


class NodeUnreachable(NodeError):
    """Nobody answers, or not in time. A transaction that was being sent may have arrived."""


class NodeRefused(NodeError):
    """The node answers, but not to us: credentials or rate limit."""


class MalformedReply(NodeError):
    """What came back is not JSON-RPC, or not the shape the method promises."""


class WrongChain(NodeError):
    """The node serves another chain than the mandate names."""


class RpcError(NodeError):
    """The node answered with an error.

    Attributes
    ----------
    method
        The JSON-RPC method.
    code
        JSON-RPC error code; 3 is a revert.
    data
        Revert data as 0x-prefixed hex, where the node gave it.
    message
        The node's own words.
    """

    def __init__(self, url: str, method: str, error: Mapping[str, Any]) -> None:
        self.method = method
        self.code = error.get("code")
        self.message = str(error.get("message", error))
        data = error.get("data")
        if isinstance(data, dict):
            data = data.get("data")
        self.data = data if isinstance(data, str) else None
        super().__init__(url, f"{method} failed: {' '.join(self.message.split())[:_MAX_SHOWN]}")


def public_url(url: str) -> str:
    """Scheme, host and port of a URL: what may be shown and logged."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the node URL"
    if not parts.hostname:
        return "the node URL"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"


class NodeClient:
    """One connection to one node, kept alive. May be shared by threads, which take turns.

    Parameters
    ----------
    url
        ``http://`` or ``https://``; user and password in it are sent as basic authentication.
    timeout
        Seconds to wait for one reply.
    retries
        How often a read is repeated when the node is unreachable or overloaded.

    Attributes
    ----------
    round_trips
        Requests posted so far, a batch counting once.
    """

    def __init__(self, url: str, *, timeout: float = 20.0, retries: int = 2) -> None:
        try:
            parts = urlsplit(url)
            self._port = parts.port
        except ValueError:
            raise NodeError(url, "not a URL; give one like http://127.0.0.1:8545") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NodeError(url, "not an http(s) URL; give one like http://127.0.0.1:8545")
        self._url = url
        self.url = public_url(url)
        self.timeout = timeout
        self.retries = retries
        self.round_trips = 0
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if parts.username is not None:
            self._headers["Authorization"] = _basic(parts.username, parts.password or "")
        self._connection: http.client.HTTPConnection | None = None
        self._used_at = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> NodeClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection; the next request opens another."""
        with self._lock:
            self._drop()

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
            except _Overloaded as overload:
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
        return MalformedReply(self._url, f"{method} returned {_shorten(repr(value))}; is this an Ethereum node?")

    def _exchange(self, requests: Sequence[tuple[str, Sequence[Any]]], reads: bool) -> list[Any]:
        payload = [
            {"jsonrpc": "2.0", "id": index, "method": method, "params": list(params)}
            for index, (method, params) in enumerate(requests)
        ]
        body = json.dumps(payload[0] if len(payload) == 1 else payload, separators=(",", ":")).encode()
        with self._lock:
            raw = self._post(body, reads)
        try:
            reply = json.loads(raw)
        except (ValueError, RecursionError):
            shown = _shorten(raw[:_MAX_SHOWN].decode(errors="replace"))
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

    def _post(self, body: bytes, reads: bool) -> bytes:
        """One HTTP exchange. A node may close an idle connection at any time; a read then tries a new one."""
        # A failed send leaves open whether it arrived, so it must not fail for a stale connection.
        if not reads and time.monotonic() - self._used_at > _FRESH_SECONDS:
            self._drop()
        while True:
            reused = self._connection is not None
            try:
                if self._connection is None:
                    self._connection = self._connect()
                self.round_trips += 1
                self._connection.request("POST", self._path, body, self._headers)
                response = self._connection.getresponse()
                raw, status = response.read(), response.status
            except TimeoutError:
                self._drop()
                hint = "" if reads else "; what was being sent may have arrived"
                raise NodeUnreachable(self._url, f"no answer within {self.timeout:g} seconds{hint}") from None
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                if reads and reused:
                    continue
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                advice = "check the URL, and that the node runs" if reads or not reused else "it may have arrived"
                raise NodeUnreachable(self._url, f"does not answer ({_shorten(reason)}); {advice}") from None
            self._used_at = time.monotonic()
            if status != http.client.OK:
                self._reject(status, raw)
            return raw

    def _reject(self, status: int, raw: bytes) -> None:
        if status in (401, 403):
            raise NodeRefused(self._url, f"refuses us (HTTP {status}); check the URL's key or password")
        # Some nodes send JSON-RPC errors under an HTTP error status: let those speak for themselves.
        if raw.lstrip()[:1] in (b"{", b"[") and b"jsonrpc" in raw and status not in _OVERLOADED_STATUS:
            return
        if status in _OVERLOADED_STATUS:
            raise _Overloaded(f"HTTP {status}")
        raise MalformedReply(self._url, f"answers HTTP {status}; check that the URL is a node's JSON-RPC endpoint")

    def _connect(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        if self._secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=self.timeout, context=context)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self.timeout)
        connection.connect()
        if connection.sock is not None:
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Overloaded(Exception):
    """The node asks to come back later."""


def _is_read(method: str) -> bool:
    return method in _READS or method.startswith("eth_get")


def _error(item: Mapping[str, Any]) -> Mapping[str, Any]:
    error = item["error"]
    return error if isinstance(error, dict) else {"message": str(error)}


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
