# SPDX-License-Identifier: Apache-2.0
"""A JSON-RPC proxy that does to a node what the internet does, over HTTP, a WebSocket or a socket (IPC)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request, urlopen

from tests.support.fronts import FRONTS, Reply

Message = dict[str, Any]
UNAVAILABLE = 503


@dataclass(frozen=True)
class Fault:
    """One way to fail; those not set do nothing."""

    name: str
    delay: float = 0.0
    """Seconds before the answer."""
    drop: str = ""
    """"before" or "after" the node got the request: the connection closes without an answer."""
    error: Message | None = None
    """JSON-RPC error in the place of every result."""
    status: int = 200
    truncate: bool = False
    body: bytes | None = None
    """What is sent instead of an answer."""
    lag: int = 0
    """Blocks by which the node's "latest" is behind."""
    chain_id: int | None = None
    block_hash: str = ""
    """Hash of every block."""
    results: Any = field(default=None)
    """Result of every request, where set."""
    methods: tuple[str, ...] = ()
    """Which methods it applies to; all where empty."""


FAULTS = (
    Fault("slow", delay=1.0),
    Fault("unreachable", drop="before"),
    Fault("answer lost", drop="after"),
    Fault("internal error", error={"code": -32603, "message": "internal error"}),
    Fault("rate limit", error={"code": -32005, "message": "limit exceeded"}),
    Fault("HTTP 503", status=UNAVAILABLE, body=b"upstream is gone"),
    Fault("truncated", truncate=True),
    Fault("a web page", body=b"<html>maintenance</html>"),
    Fault("JSON of another kind", body=b'{"hello": [1, 2]}'),
    Fault("null results", results=[]),
    Fault("lagging", lag=8),
    Fault("another chain", chain_id=5),
    Fault(
        "broadcast refused", error={"code": -32000, "message": "txpool is full"}, methods=("eth_sendRawTransaction",)
    ),
    Fault("broadcast lost", drop="after", methods=("eth_sendRawTransaction",)),
    Fault("simulation fails", error={"code": -32603, "message": "internal error"}, methods=("eth_simulateV1",)),
    Fault("no logs", error={"code": -32603, "message": "internal error"}, methods=("eth_getLogs",)),
)


class FaultProxy:
    """Stands before a node and passes everything on, unless `fault` says otherwise.

    Parameters
    ----------
    target
        The node's ``http://`` URL.
    transport
        How the proxy is reached, see `FRONTS`.
    """

    def __init__(self, target: str, transport: str = "http") -> None:
        self.target = target
        self.fault: Fault | None = None
        self.seen: list[str] = []
        self._front = FRONTS[transport](self._serve)

    @property
    def url(self) -> str:
        return self._front.url

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None

    def stop(self) -> None:
        self._front.stop()

    def _serve(self, body: bytes) -> Reply | None:
        payload = json.loads(body)
        requests = payload if isinstance(payload, list) else [payload]
        self.seen += [one["method"] for one in requests]
        fault = self.fault
        if fault is None or (fault.methods and not any(one["method"] in fault.methods for one in requests)):
            return Reply(self._ask(body))
        if fault.delay:
            time.sleep(fault.delay)
        if fault.drop == "before":
            return None
        if fault.lag:
            body = json.dumps(self._aged(payload, fault.lag)).encode()
        answer = self._ask(body)
        if fault.drop == "after":
            return None
        if fault.body is not None:
            return Reply(fault.body, fault.status)
        if fault.truncate:
            return Reply(answer[: len(answer) // 2])
        return Reply(json.dumps(_changed(json.loads(answer), requests, fault)).encode())

    def _ask(self, body: bytes) -> bytes:
        request = Request(self.target, body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as response:
            return bytes(response.read())

    def _aged(self, payload: Any, lag: int) -> Any:
        """The request as a node sees it that is so many blocks behind."""
        ask = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
        head = int(json.loads(self._ask(json.dumps(ask).encode()))["result"], 16)
        text = json.dumps(payload).replace('"latest"', f'"{hex(max(0, head - lag))}"')
        return json.loads(text)


def _changed(answer: Any, requests: list[Message], fault: Fault) -> Any:
    methods = {one["id"]: one["method"] for one in requests}
    items = answer if isinstance(answer, list) else [answer]
    for item in items:
        if fault.error is not None:
            item.pop("result", None)
            item["error"] = fault.error
        elif fault.results is not None:
            item["result"] = None
        elif fault.chain_id is not None and methods.get(item["id"]) == "eth_chainId":
            item["result"] = hex(fault.chain_id)
        elif fault.block_hash and methods.get(item["id"]) == "eth_getBlockByNumber":
            item["result"]["hash"] = fault.block_hash
    return answer
