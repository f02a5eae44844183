# SPDX-License-Identifier: Apache-2.0
"""A small private relay: it keeps transactions from everybody until a builder, the test, takes them."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

UNKNOWN = {"code": -32601, "message": "the method does not exist/is not available"}


class PrivateRelay:
    """Takes `methods`, refuses everything else; `held` has what it got: raw transaction and last block."""

    def __init__(self, *methods: str) -> None:
        self.methods = methods or ("eth_sendPrivateTransaction",)
        self.held: list[tuple[str, int | None]] = []
        self.signatures: list[tuple[str, bytes]] = []
        self.refusing = False
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                relay.signatures.append((self.headers.get("X-Flashbots-Signature", ""), body))
                request = json.loads(body)
                answer = {"jsonrpc": "2.0", "id": request["id"], **relay._answer(request)}
                raw = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        method, (parameter, *_) = request["method"], request["params"]
        if self.refusing:
            return {"error": {"code": -32000, "message": "overbid"}}
        if method not in self.methods:
            return {"error": UNKNOWN}
        if method == "eth_sendPrivateTransaction":
            self.held.append((parameter["tx"], int(parameter["maxBlockNumber"], 16)))
        else:
            self.held.append((parameter, None))
        return {"result": "0x" + "00" * 32}
