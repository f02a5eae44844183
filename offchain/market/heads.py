# SPDX-License-Identifier: Apache-2.0
"""Hearing of a new block from the node itself, where it can tell: `eth_subscribe` over a WebSocket.

Only the time at which to look is learned here. What the newest block is the node is asked
as ever, so that a node that announces nonsense, or nothing, costs a pause and no more.
"""

from __future__ import annotations

import json
import threading
from typing import Any

import structlog

from offchain.market.node_errors import public_url
from offchain.market.transports import open_websocket

_SUBSCRIBE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]})
_CONNECT_SECONDS = 5.0

log = structlog.get_logger(__name__)


class HeadWatch:
    """A pause that ends when the node announces a block.

    Parameters
    ----------
    url
        ``ws://`` or ``wss://``; a connection of its own is kept to it.
    stopping
        Ends every pause.
    """

    def __init__(self, url: str, stopping: threading.Event) -> None:
        self._url = url
        self._stopping = stopping
        self._connection: Any = None
        self._told = False

    def wait(self, seconds: float) -> None:
        """Return at the next block, after so many seconds, or when it is time to stop.

        The first call subscribes and returns at once: a block may have come before it.
        """
        from websockets.exceptions import WebSocketException

        if self._stopping.is_set():
            return
        try:
            if self._connection is None:
                self._connection = open_websocket(self._url, _CONNECT_SECONDS)
                self._connection.send(_SUBSCRIBE)
                self._connection.recv(timeout=_CONNECT_SECONDS)
                self._told = False
                return
            self._connection.recv(timeout=seconds)
            self._drain()
        except TimeoutError:
            return
        except (OSError, EOFError, WebSocketException) as error:
            self.close()
            if not self._told:
                log.info("blocks are not announced", node=public_url(self._url), error=type(error).__name__)
            self._told = True
            self._stopping.wait(seconds)

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close_socket()

    def _drain(self) -> None:
        """Forget the announcements of blocks that are older than the newest."""
        while True:
            try:
                self._connection.recv(timeout=0)
            except TimeoutError:
                return
