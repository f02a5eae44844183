# SPDX-License-Identifier: Apache-2.0
"""A JSON-RPC client made for thousands of small calls to a node on the loopback."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from offchain.errors import PlimsollError


class NodeUnreachable(PlimsollError):
    """Nobody answers at the URL."""


class RpcError(PlimsollError):
    """The node answered with an error."""

    def __init__(self, method: str, error: Mapping[str, Any]) -> None:
        super().__init__(f"{method}: {error.get('message', error)}")
        self.method = method
        self.code = error.get("code")
        self.data = error.get("data")


class Rpc:
    """One keep-alive connection to a node; may be shared by threads.

    Parameters
    ----------
    url
        ``http://host:port``.
    timeout
        Seconds to wait for one answer.
    """

    def __init__(self, url: str, timeout: float = 120.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise NodeUnreachable(f"{url}: the sandbox speaks plain http; give a URL like http://127.0.0.1:8545")
        self.url = url
        self._path = parts.path or "/"
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout)
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def call(self, method: str, *params: Any) -> Any:
        """Result of one request; `RpcError` when the node refuses it."""
        answer = self.make_request(method, list(params))
        if "error" in answer:
            raise RpcError(method, answer["error"])
        return answer["result"]

    def batch(self, requests: Sequence[tuple[str, Sequence[Any]]], size: int = 500) -> list[Any]:
        """Results of many requests, in order; the first error is raised."""
        results: list[Any] = []
        for start in range(0, len(requests), size):
            part = requests[start : start + size]
            payload = [
                {"jsonrpc": "2.0", "id": i, "method": method, "params": list(params)}
                for i, (method, params) in enumerate(part)
            ]
            answers = sorted(self._post(payload), key=lambda answer: int(answer["id"]))
            for (method, _), answer in zip(part, answers, strict=True):
                if "error" in answer:
                    raise RpcError(method, answer["error"])
                results.append(answer["result"])
        return results

    def make_request(self, method: str, params: list[Any], /) -> Mapping[str, Any]:
        """Send one request and return the whole answer, as web3's providers do."""
        answer: Mapping[str, Any] = self._post(
            {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        )
        return answer

    def close(self) -> None:
        """Drop the connection; the next request opens another."""
        with self._lock:
            self._connection.close()

    def _post(self, payload: Any) -> Any:
        body = json.dumps(payload).encode()
        with self._lock:
            # One retry: a node may close an idle keep-alive connection at any time.
            for attempt in (0, 1):
                reused = self._connection.sock is not None
                try:
                    self._connection.request("POST", self._path, body, {"Content-Type": "application/json"})
                    return json.loads(self._connection.getresponse().read())
                except TimeoutError as error:
                    self._connection.close()
                    raise NodeUnreachable(f"{self.url} did not answer in time; is the machine overloaded?") from error
                except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
                    self._connection.close()
                    if attempt or not reused:
                        raise NodeUnreachable(
                            f"{self.url} does not answer ({error}); start it with `plimsoll sandbox up`"
                        ) from error
        raise AssertionError("unreachable")
