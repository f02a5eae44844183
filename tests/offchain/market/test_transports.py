# SPDX-License-Identifier: Apache-2.0
"""A node reached over HTTP, WebSocket and its own socket is the same node."""

import socket
import threading
import time

import pytest

from offchain.market.heads import HeadWatch
from offchain.market.rpc import MalformedReply, NodeClient, NodeError, NodeUnreachable, RpcError
from offchain.sandbox.anvil import Anvil
from tests.support.proxy import FAULTS, FaultProxy


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    # A socket's path may not be longer than 107 bytes.
    path = tmp_path_factory.mktemp("ipc") / "anvil.ipc"
    with Anvil(options=["--ipc", str(path)]) as anvil:
        yield {
            "http": anvil.rpc_url,
            "ws": anvil.rpc_url.replace("http://", "ws://"),
            "path": str(path),
            "ipc": f"ipc://{path}",
        }


@pytest.fixture(params=["http", "ws", "path", "ipc"])
def client(request, node):
    with NodeClient(node[request.param], timeout=5) as client:
        yield client


def test_requests_and_batches_are_answered_in_order(client):
    batch = [("eth_chainId", ()), ("eth_getBlockByNumber", ("0x0", False)), ("eth_blockNumber", ())]

    assert client.call("eth_chainId") == "0x1"
    answers = client.batch(batch)
    assert answers[0] == "0x1"
    assert answers[1]["number"] == "0x0"
    assert client.round_trips == 2


def test_refusal_comes_with_its_message(client):
    with pytest.raises(RpcError, match="eth_nonsense failed"):
        client.call("eth_nonsense")
    assert client.call("eth_chainId") == "0x1"


def test_answer_of_many_pieces_is_put_together(client):
    code = "0x" + "5b" * 24_000
    client.call("anvil_setCode", "0x" + "11" * 20, code)

    assert client.batch([("eth_getCode", ("0x" + "11" * 20, "latest"))] * 20) == [code] * 20


def test_connection_that_was_lost_is_opened_again_for_a_read(client):
    client.call("eth_chainId")
    client.close()

    assert client.call("eth_chainId") == "0x1"


@pytest.mark.parametrize("url", ["ws://127.0.0.1:9", "/nowhere/geth.ipc", "ipc:///nowhere/geth.ipc"])
def test_node_that_is_not_there_is_named(url):
    with NodeClient(url, retries=0, timeout=1) as client, pytest.raises(NodeUnreachable, match="does not answer"):
        client.call("eth_chainId")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "geth.ipc", "ws://"])
def test_what_is_no_endpoint_is_refused(url):
    with pytest.raises(NodeError, match="nor a socket's path"):
        NodeClient(url)


@pytest.fixture
def silent_socket(tmp_path):
    """A node's socket where somebody listens and says what the test wants."""
    path = tmp_path / "n.ipc"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    said = {"answer": b""}

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(said["answer"])
                time.sleep(0.5)

    threading.Thread(target=serve, daemon=True).start()
    yield str(path), said
    listener.close()


def test_socket_that_does_not_answer_in_time_is_named(silent_socket):
    path, _ = silent_socket
    with NodeClient(path, retries=0, timeout=0.1) as client, pytest.raises(NodeUnreachable, match="no answer within"):
        client.call("eth_chainId")


def test_half_an_answer_on_a_socket_is_no_answer(silent_socket):
    path, said = silent_socket
    said["answer"] = b'{"jsonrpc": "2.0", "id": 0, "result": {"a": 1}'
    with NodeClient(path, retries=0, timeout=0.2) as client, pytest.raises(NodeUnreachable):
        client.call("eth_getBlockByNumber", "latest", False)


def test_nonsense_on_a_socket_is_malformed(silent_socket):
    path, said = silent_socket
    said["answer"] = b'{"hello": "world"}'
    with NodeClient(path, retries=0, timeout=1) as client, pytest.raises(MalformedReply):
        client.call("eth_chainId")


def test_pause_ends_when_a_block_is_announced(node):
    watch = HeadWatch(node["ws"], threading.Event())
    watch.wait(5)
    with NodeClient(node["http"]) as client:
        threading.Timer(0.2, lambda: client.call("evm_mine")).start()
        began = time.monotonic()
        watch.wait(10)
    waited = time.monotonic() - began
    watch.close()

    assert 0.05 < waited < 5


def test_pause_is_only_a_pause_where_nothing_is_announced():
    watch = HeadWatch("ws://127.0.0.1:9", threading.Event())
    began = time.monotonic()
    watch.wait(0.2)

    assert time.monotonic() - began >= 0.2


@pytest.fixture(params=["ws", "ipc"])
def proxy(request, node):
    proxy = FaultProxy(node["http"], request.param)
    yield proxy
    proxy.stop()


@pytest.mark.parametrize("fault", [one for one in FAULTS if not one.methods], ids=lambda one: one.name)
def test_fault_of_any_kind_is_a_typed_error_and_over_when_it_ends(proxy, fault):
    changes_only = fault.lag or fault.chain_id or fault.results is not None
    with NodeClient(proxy.url, retries=0, timeout=0.1) as client:
        assert client.call("eth_chainId") == "0x1"
        with proxy.failing(fault):
            if changes_only:
                client.call("eth_chainId")
            else:
                with pytest.raises(NodeError):
                    client.call("eth_chainId")
        assert client.call("eth_chainId") == "0x1"
