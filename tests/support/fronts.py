# SPDX-License-Identifier: Apache-2.0
"""The ways in which a proxy can be reached: HTTP, WebSocket, and a socket on this machine.

Each passes what it receives to `Handle` and sends what comes back.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol

from websockets.sync.server import ServerConnection, serve

OK = 200
TRY_AGAIN_LATER = 1013
"""How a WebSocket says what HTTP says with 503."""
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Reply:
    """What goes back; `status` is HTTP's."""

    body: bytes
    status: int = OK


Handle = Callable[[bytes], Reply | None]
"""Answers a request; None to hang up instead."""


class Front(Protocol):
    """Listens until it is stopped."""

    url: str

    def stop(self) -> None: ...


class HttpFront:
    """An answer a request, over kept connections."""

    def __init__(self, handle: Handle) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                reply = handle(self.rfile.read(int(self.headers["Content-Length"])))
                if reply is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class WebSocketFront:
    """A message a request; an HTTP status other than 200 closes the connection with a code."""

    def __init__(self, handle: Handle) -> None:
        def talk(connection: ServerConnection) -> None:
            for message in connection:
                reply = handle(message.encode() if isinstance(message, str) else bytes(message))
                if reply is None:
                    connection.socket.shutdown(socket.SHUT_RDWR)
                    return
                if reply.status != OK:
                    connection.close(TRY_AGAIN_LATER)
                    return
                connection.send(reply.body.decode())

        self._server = serve(talk, "127.0.0.1", 0, max_size=None)
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()


class IpcFront:
    """Whole JSON documents on a socket; half of one is followed by silence, as from a node that hangs."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        # A socket's path may not be longer than 107 bytes.
        self._folder = Path(mkdtemp(prefix="ipc-"))
        self.url = str(self._folder / "node.ipc")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.url)
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        # Closing alone does not wake the thread that accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        shutil.rmtree(self._folder)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while (request := _document(connection)) is not None:
                reply = self._handle(request)
                if reply is None:
                    return
                connection.sendall(reply.body)


FRONTS: dict[str, Callable[[Handle], Front]] = {"http": HttpFront, "ws": WebSocketFront, "ipc": IpcFront}


def _document(connection: socket.socket) -> bytes | None:
    """The next JSON document; None when the other side has gone."""
    received = b""
    while chunk := connection.recv(_CHUNK):
        received += chunk
        with contextlib.suppress(ValueError):
            json.loads(received)
            return received
    return None
