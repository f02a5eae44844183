# SPDX-License-Identifier: Apache-2.0
"""How bytes get to a node and back: HTTP, WebSocket or a local socket (IPC).

A transport keeps one connection. It is used by one thread at a time; who uses it locks.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from offchain.market.node_errors import (
    MalformedReply,
    NodeError,
    NodeRefused,
    NodeUnreachable,
    Overloaded,
    ipc_path,
    shorten,
)

_OVERLOADED_STATUS = frozenset({429, 500, 502, 503, 504})
_FRESH_SECONDS = 1.0
_CHUNK = 1 << 16
_LARGEST_REPLY = 1 << 28


HeadersOf = Callable[[bytes], Mapping[str, str]]
"""HTTP headers that a request's body takes."""


class Transport(Protocol):
    """One kept connection to one node."""

    posted: int
    """Requests posted so far."""

    def exchange(self, body: bytes, *, reads: bool) -> bytes:
        """Send a request and return the answer to it.

        Parameters
        ----------
        reads
            Whether asking twice does no harm; what may change the chain is sent once.

        Raises
        ------
        NodeError
            The node cannot be used; see its subclasses.
        Overloaded
            It asks to come back later.
        """
        ...

    def close(self) -> None:
        """Drop the connection; the next request opens another."""
        ...


def transport_to(url: str, timeout: float, headers_of: HeadersOf | None = None) -> Transport:
    """The transport that a URL names: ``http(s)://``, ``ws(s)://``, or the path of a socket.

    Raises
    ------
    NodeError
        It is none of these.
    """
    path = ipc_path(url)
    if path is not None:
        return IpcTransport(url, path, timeout)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise NodeError(url, "not a URL; give one like http://127.0.0.1:8545") from None
    if parts.scheme in ("http", "https") and parts.hostname:
        return HttpTransport(url, timeout, headers_of)
    if parts.scheme in ("ws", "wss") and parts.hostname:
        return WebSocketTransport(url, timeout)
    raise NodeError(url, "not an http(s) or ws(s) URL, nor a socket's path; give one like http://127.0.0.1:8545")


class HttpTransport:
    """JSON-RPC over HTTP; user and password in the URL are sent as basic authentication."""

    def __init__(self, url: str, timeout: float, headers_of: HeadersOf | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.posted = 0
        self._url = url
        self._timeout = timeout
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if parts.username is not None:
            self._headers["Authorization"] = _basic(parts.username, parts.password or "")
        self._headers_of = headers_of or (lambda body: {})
        self._connection: http.client.HTTPConnection | None = None
        self._used_at = 0.0

    def exchange(self, body: bytes, *, reads: bool) -> bytes:
        """One HTTP exchange. A node may close an idle connection at any time; a read then tries a new one."""
        # A failed send leaves open whether it arrived, so it must not fail for a stale connection.
        if not reads and time.monotonic() - self._used_at > _FRESH_SECONDS:
            self.close()
        while True:
            reused = self._connection is not None
            try:
                if self._connection is None:
                    self._connection = self._connect()
                self.posted += 1
                self._connection.request("POST", self._path, body, {**self._headers, **self._headers_of(body)})
                response = self._connection.getresponse()
                raw, status = response.read(), response.status
            except TimeoutError:
                self.close()
                raise _late(self._url, self._timeout, reads) from None
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if reads and reused:
                    continue
                raise _lost(self._url, error, arrived=not reads and reused) from None
            self._used_at = time.monotonic()
            if status != http.client.OK:
                self._reject(status, raw)
            return raw

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _reject(self, status: int, raw: bytes) -> None:
        if status in (401, 403):
            raise NodeRefused(self._url, f"refuses us (HTTP {status}); check the URL's key or password")
        # Some nodes send JSON-RPC errors under an HTTP error status: let those speak for themselves.
        if raw.lstrip()[:1] in (b"{", b"[") and b"jsonrpc" in raw and status not in _OVERLOADED_STATUS:
            return
        if status in _OVERLOADED_STATUS:
            raise Overloaded(f"HTTP {status}")
        raise MalformedReply(self._url, f"answers HTTP {status}; check that the URL is a node's JSON-RPC endpoint")

    def _connect(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        if self._secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        connection.connect()
        if connection.sock is not None:
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


class WebSocketTransport:
    """JSON-RPC over a WebSocket, a message a request."""

    def __init__(self, url: str, timeout: float) -> None:
        self.posted = 0
        self._url = url
        self._timeout = timeout
        self._connection: Any = None

    def exchange(self, body: bytes, *, reads: bool) -> bytes:
        """Send a message and wait for the next one; nothing is subscribed to, so it is the answer."""
        from websockets.exceptions import InvalidStatus, WebSocketException

        while True:
            reused = self._connection is not None
            try:
                if self._connection is None:
                    self._connection = open_websocket(self._url, self._timeout)
                self.posted += 1
                self._connection.send(body.decode())
                answer = self._connection.recv(timeout=self._timeout)
            except TimeoutError:
                self.close()
                raise _late(self._url, self._timeout, reads) from None
            except InvalidStatus as refusal:
                self._reject(refusal.response.status_code)
            except (OSError, EOFError, WebSocketException) as error:
                self.close()
                if reads and reused:
                    continue
                raise _lost(self._url, error, arrived=not reads and reused) from None
            else:
                return answer.encode() if isinstance(answer, str) else bytes(answer)

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close_socket()

    def _reject(self, status: int) -> None:
        if status in (401, 403):
            raise NodeRefused(self._url, f"refuses us (HTTP {status}); check the URL's key or password") from None
        if status in _OVERLOADED_STATUS:
            raise Overloaded(f"HTTP {status}") from None
        raise MalformedReply(self._url, f"answers HTTP {status}; is this a node's WebSocket endpoint?") from None


class IpcTransport:
    """JSON-RPC over a node's socket on this machine: whole JSON documents, one after the other."""

    def __init__(self, url: str, path: str, timeout: float) -> None:
        self.posted = 0
        self._url = url
        self._path = path
        self._timeout = timeout
        self._socket: socket.socket | None = None

    def exchange(self, body: bytes, *, reads: bool) -> bytes:
        """Write a document and read the next one."""
        while True:
            reused = self._socket is not None
            try:
                if self._socket is None:
                    self._socket = self._connect()
                self.posted += 1
                self._socket.sendall(body + b"\n")
                return self._read(self._socket)
            except TimeoutError:
                self.close()
                raise _late(self._url, self._timeout, reads) from None
            except OSError as error:
                self.close()
                if reads and reused:
                    continue
                raise _lost(self._url, error, arrived=not reads and reused) from None

    def close(self) -> None:
        """Drop the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._timeout)
        try:
            connection.connect(self._path)
        except OSError:
            connection.close()
            raise
        return connection

    def _read(self, connection: socket.socket) -> bytes:
        deadline = time.monotonic() + self._timeout
        received = bytearray()
        while True:
            chunk = connection.recv(_CHUNK)
            if not chunk:
                raise ConnectionResetError("the node closed the socket")
            received += chunk
            # A document may come in pieces, and some nodes end it with a line feed and some do not.
            if received.rstrip().endswith((b"}", b"]")) and _is_json(received):
                return bytes(received)
            if time.monotonic() > deadline:
                raise TimeoutError
            if len(received) > _LARGEST_REPLY:
                raise ConnectionResetError("an answer without an end")


def open_websocket(url: str, timeout: float) -> Any:
    """Open a WebSocket to a node, for requests or for what it announces."""
    from websockets.sync.client import connect

    return connect(url, open_timeout=timeout, close_timeout=1.0, max_size=_LARGEST_REPLY)


def _is_json(text: bytearray) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _late(url: str, timeout: float, reads: bool) -> NodeUnreachable:
    hint = "" if reads else "; what was being sent may have arrived"
    return NodeUnreachable(url, f"no answer within {timeout:g} seconds{hint}")


def _lost(url: str, error: Exception, *, arrived: bool) -> NodeUnreachable:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    advice = "it may have arrived" if arrived else "check the URL, and that the node runs"
    return NodeUnreachable(url, f"does not answer ({shorten(reason)}); {advice}")


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
