# SPDX-License-Identifier: Apache-2.0
"""The JSON-RPC client against real sockets: nodes that answer badly, late, or not at all."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from offchain.market.rpc import (
    MalformedReply,
    NodeClient,
    NodeError,
    NodeRefused,
    NodeUnreachable,
    RpcError,
    WrongChain,
    public_url,
)
from offchain.sandbox.standup import Sandbox

Reply = tuple[int, bytes]
Answer = Callable[[Any], Reply]


class Server:
    """An HTTP server on the loopback whose replies the test decides."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[Any] = []
        self.authorizations: list[str | None] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append(payload)
                server.authorizations.append(self.headers.get("Authorization"))
                status, body = answer(payload)
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """A client that hangs up early is what some of the tests are about."""

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Server]]:
    servers: list[Server] = []

    def start(answer: Answer) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def result(payload: Any, value: object) -> Reply:
    return 200, json.dumps({"jsonrpc": "2.0", "id": payload["id"], "result": value}).encode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_call_returns_the_nodes_result(sandbox: Sandbox) -> None:
    with NodeClient(sandbox.rpc_url) as client:
        assert client.call("eth_chainId") == "0x1"


def test_a_batch_is_one_round_trip_in_order(sandbox: Sandbox) -> None:
    with NodeClient(sandbox.rpc_url) as client:
        assert client.batch([("eth_chainId", []), ("net_version", []), ("eth_chainId", [])]) == ["0x1", "1", "0x1"]
        assert client.round_trips == 1


def test_a_batch_may_be_answered_in_any_order(serve: Callable[[Answer], Server]) -> None:
    def backwards(payload: Any) -> Reply:
        answers = [{"jsonrpc": "2.0", "id": item["id"], "result": item["method"]} for item in reversed(payload)]
        return 200, json.dumps(answers).encode()

    client = NodeClient(serve(backwards).url)
    assert client.batch([("eth_chainId", []), ("net_version", [])]) == ["eth_chainId", "net_version"]


def test_a_refused_request_is_a_typed_error(sandbox: Sandbox) -> None:
    with NodeClient(sandbox.rpc_url) as client, pytest.raises(RpcError, match="eth_nonsense failed") as caught:
        client.call("eth_nonsense")
    assert caught.value.code == -32601


def test_revert_data_is_kept(sandbox: Sandbox) -> None:
    usdc = sandbox.tokens["USDC"]
    transfer = "0xa9059cbb" + "11" * 32 + f"{1:064x}"
    with NodeClient(sandbox.rpc_url) as client, pytest.raises(RpcError) as caught:
        client.call("eth_call", {"to": usdc, "data": transfer, "from": "0x" + "99" * 20}, "latest")
    assert caught.value.data is not None


def test_nobody_at_the_url(serve: Callable[[Answer], Server]) -> None:
    url = f"http://user:secret@127.0.0.1:{free_port()}/v3/key"
    with pytest.raises(NodeUnreachable, match="does not answer") as caught:
        NodeClient(url, retries=0).call("eth_chainId")
    assert "secret" not in str(caught.value)
    assert "key" not in caught.value.url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@node.example:8545/v3/key?token=t", "https://node.example:8545"),
        ("https://[::1]:8545/key", "https://[::1]:8545"),
        ("not a url", "the node URL"),
        ("http://host:port", "the node URL"),
    ],
)
def test_credentials_are_never_shown(url: str, shown: str) -> None:
    assert public_url(url) == shown


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:8545", "", "http://"])
def test_what_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(NodeError, match="give one like"):
        NodeClient(url)


def test_a_password_is_sent_as_basic_authentication(serve: Callable[[Answer], Server]) -> None:
    server = serve(lambda payload: result(payload, "0x1"))
    NodeClient(server.url.replace("//", "//user:pa%20ss@")).call("eth_chainId")
    assert server.authorizations == ["Basic dXNlcjpwYSBzcw=="]


def test_a_slow_node_is_a_deadline(serve: Callable[[Answer], Server]) -> None:
    release = threading.Event()

    def wait(payload: Any) -> Reply:
        release.wait(5)
        return result(payload, "0x1")

    client = NodeClient(serve(wait).url, timeout=0.2, retries=0)
    with pytest.raises(NodeUnreachable, match=r"no answer within 0\.2 seconds"):
        client.call("eth_chainId")
    release.set()


def test_a_read_is_repeated_on_a_new_connection(serve: Callable[[Answer], Server]) -> None:
    calls = iter([1, 0, 1])
    server = serve(lambda payload: result(payload, "0x1") if next(calls) else (0, b""))
    client = NodeClient(server.url)
    assert [client.call("eth_chainId"), client.call("eth_chainId")] == ["0x1", "0x1"]
    assert len(server.requests) == 3


def test_a_transaction_is_sent_once(serve: Callable[[Answer], Server]) -> None:
    server = serve(lambda payload: (0, b""))
    with pytest.raises(NodeUnreachable):
        NodeClient(server.url).call("eth_sendRawTransaction", "0x00")
    assert len(server.requests) == 1


def test_an_overloaded_node_is_asked_again(serve: Callable[[Answer], Server]) -> None:
    calls = iter([0, 1])
    server = serve(lambda payload: result(payload, "0x1") if next(calls) else (429, b"slow down"))
    assert NodeClient(server.url).call("eth_chainId") == "0x1"


def test_a_node_that_stays_overloaded_is_refused(serve: Callable[[Answer], Server]) -> None:
    with pytest.raises(NodeRefused, match="overloaded or rate-limited"):
        NodeClient(serve(lambda payload: (503, b"")).url, retries=1).call("eth_chainId")


def test_a_wrong_key_is_said_so(serve: Callable[[Answer], Server]) -> None:
    with pytest.raises(NodeRefused, match="check the URL's key"):
        NodeClient(serve(lambda payload: (401, b"")).url).call("eth_chainId")


@pytest.mark.parametrize(
    "body",
    [
        b"<html>hello</html>",
        b"",
        b"[]",
        b"null",
        b'{"jsonrpc":"2.0","id":0}',
        b'[{"id":0,"result":1},{"id":0,"result":1}]',
        b"\xff\xfe",
    ],
)
def test_what_is_no_json_rpc_is_refused(serve: Callable[[Answer], Server], body: bytes) -> None:
    client = NodeClient(serve(lambda payload: (200, body)).url)
    with pytest.raises(MalformedReply, match="is this an Ethereum node"):
        client.batch([("eth_chainId", []), ("eth_chainId", [])])


def test_a_page_that_is_not_there_is_refused(serve: Callable[[Answer], Server]) -> None:
    with pytest.raises(MalformedReply, match="answers HTTP 404"):
        NodeClient(serve(lambda payload: (404, b"not found")).url).call("eth_chainId")


def test_a_refused_batch_says_what_the_node_said(serve: Callable[[Answer], Server]) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "batch too large"}}).encode()
    with pytest.raises(RpcError, match="batch too large"):
        NodeClient(serve(lambda payload: (200, body)).url).batch([("eth_chainId", [])] * 2)


def test_another_chain_is_refused(sandbox: Sandbox) -> None:
    with NodeClient(sandbox.rpc_url) as client, pytest.raises(WrongChain, match=r"serves chain 1, .* for chain 10"):
        client.require_chain(10)


@pytest.mark.parametrize("value", ["1", 1, None, "0xzz", []])
def test_a_quantity_that_is_none_is_refused(serve: Callable[[Answer], Server], value: object) -> None:
    client = NodeClient(serve(lambda payload: result(payload, value)).url)
    with pytest.raises(MalformedReply, match="eth_chainId returned"):
        client.require_chain(1)
