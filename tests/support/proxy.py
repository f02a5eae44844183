# SPDX-License-Identifier: Apache-2.0
"""A JSON-RPC proxy that does to a node what the internet does."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

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
    """Stands before a node and passes everything on, unless `fault` says otherwise."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.fault: Fault | None = None
        self.seen: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                proxy._serve(self, body)

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass

        self._server = Quiet(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        payload = json.loads(body)
        requests = payload if isinstance(payload, list) else [payload]
        self.seen += [one["method"] for one in requests]
        fault = self.fault
        if fault is None or (fault.methods and not any(one["method"] in fault.methods for one in requests)):
            _reply(handler, 200, self._ask(body))
            return
        if fault.delay:
            time.sleep(fault.delay)
        if fault.drop == "before":
            _hang_up(handler)
            return
        if fault.lag:
            body = json.dumps(self._aged(payload, fault.lag)).encode()
        answer = self._ask(body)
        if fault.drop == "after":
            _hang_up(handler)
        elif fault.body is not None:
            _reply(handler, fault.status, fault.body)
        elif fault.truncate:
            _reply(handler, 200, answer[: len(answer) // 2])
        else:
            _reply(handler, 200, json.dumps(_changed(json.loads(answer), requests, fault)).encode())

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


def _reply(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
