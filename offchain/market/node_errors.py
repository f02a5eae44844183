# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a node; every message shows it without path, query and credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from offchain.errors import PlimsollError
from offchain.market.url_secrets import without_secrets

MAX_SHOWN = 200


class NodeError(PlimsollError):
    """A node that cannot be used as it is.

    Attributes
    ----------
    url
        The node, without path, query and credentials: provider keys live there.
    """

    def __init__(self, url: str, problem: str) -> None:
        self.url = public_url(url)
        super().__init__(f"{self.url}: {without_secrets(problem, url)}")


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
        self.message = without_secrets(str(error.get("message", error)), url)
        data = error.get("data")
        if isinstance(data, dict):
            data = data.get("data")
        self.data = data if isinstance(data, str) else None
        super().__init__(url, f"{method} failed: {' '.join(self.message.split())[:MAX_SHOWN]}")


def ipc_path(url: str) -> str | None:
    """The socket's path where a node is named by one: ``/path/geth.ipc`` or ``ipc:///path/geth.ipc``."""
    path = url.removeprefix("ipc://")
    return path if path.startswith("/") else None


class Overloaded(Exception):
    """The node asks to come back later."""


def public_url(url: str) -> str:
    """Scheme, host and port of a URL: what may be shown and logged."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the node URL"
    if ipc_path(url) is not None:
        return f"ipc://{ipc_path(url)}"
    if not parts.hostname:
        return "the node URL"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"


def shorten(text: str) -> str:
    """One line of what somebody else wrote, of bounded length."""
    text = " ".join(text.split())
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
