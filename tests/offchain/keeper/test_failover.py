# SPDX-License-Identifier: Apache-2.0
"""Several nodes behind one keeper."""

import time

import pytest

from offchain.keeper.reorganisation import NodeBehind
from offchain.keeper.states import State
from offchain.market.failover import FailoverClient
from offchain.market.rpc import NodeUnreachable, RpcError, WrongChain
from offchain.settle.node import Node
from tests.support.proxy import Fault, FaultProxy

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def proxy(stage):
    proxy = FaultProxy(stage.sandbox.rpc_url)
    yield proxy
    proxy.stop()


@pytest.fixture
def client(stage, proxy):
    client = FailoverClient([proxy.url, stage.sandbox.rpc_url], timeout=2, retries=0, look_seconds=0)
    yield client
    client.close()


def test_second_node_answers_when_the_first_does_not(stage, proxy, client):
    with proxy.failing(Fault("gone", drop="before")):
        assert Node(client).chain_id() == 1

    assert client.url == stage.sandbox.rpc_url


def test_all_nodes_down_is_an_error():
    with FailoverClient([NOWHERE, NOWHERE], retries=0) as client, pytest.raises(NodeUnreachable):
        client.call("eth_chainId")


def test_node_of_another_chain_is_left(stage, proxy, client):
    with proxy.failing(Fault("another", chain_id=5)):
        with pytest.raises(WrongChain):
            Node(client).head_of(1)
        assert Node(client).head_of(1).number == stage.node.head().number


def test_refusal_of_a_node_is_not_a_failure(client, proxy):
    with pytest.raises(RpcError):
        client.call("eth_nonsense")

    assert client.url == proxy.url


def test_node_that_lags_behind_another_is_left_before_it_was_ever_ahead(stage, proxy, client):
    stage.node = Node(client)
    with stage.journal() as journal:
        keeper = stage.keeper(journal)
        keeper.recover()
        stage.mine(5)
        with proxy.failing(Fault("lagging", lag=4)):
            head = keeper._head()
            assert client.url == stage.sandbox.rpc_url
            report = keeper.tick()

    assert head.number == stage.node.head().number - 1
    assert report.order.state is State.INCLUDED
    assert stage.settled() == 1


def test_node_a_block_or_two_behind_is_kept(stage, proxy, client):
    stage.mine(3)
    with proxy.failing(Fault("lagging", lag=2)):
        assert not client.leave_if_behind(Node(client).head().number, 1)

    assert client.url == proxy.url


def test_block_ahead_on_another_chain_tempts_nobody(stage, proxy):
    client = FailoverClient([stage.sandbox.rpc_url, proxy.url], look_seconds=0)
    with proxy.failing(Fault("another", chain_id=5)):
        assert not client.leave_if_behind(Node(client).head().number - 50, 1)
    client.close()


def test_head_that_goes_back_on_every_node_is_refused(stage, proxy):
    stage.node = Node(FailoverClient([proxy.url, proxy.url], look_seconds=0))
    with stage.journal() as journal:
        keeper = stage.keeper(journal)
        keeper.recover()
        for _ in range(4):
            stage.mine()
            keeper.on_block(keeper._head())
        with proxy.failing(Fault("lagging", lag=3)), pytest.raises(NodeBehind):
            keeper._head()


def test_nodes_that_have_another_block_are_named(stage, proxy, client):
    head = stage.node.head()

    assert client.dissenters(head.number, head.hash) == []
    assert client.dissenters(head.number, "0x" + "ab" * 32) == [stage.sandbox.rpc_url]
    assert client.dissenters(head.number + 10, head.hash) == []


def test_transaction_is_taken_while_another_node_hangs(stage, proxy, client):
    stage.node = Node(client)
    with stage.journal() as journal:
        dispatch = stage.dispatch(journal)
        with proxy.failing(Fault("hangs", delay=1.5, methods=("eth_sendRawTransaction",))):
            began = time.monotonic()
            row = stage.place(dispatch, journal)
            took = time.monotonic() - began
        stage.step(dispatch)

    assert row.state is State.BROADCAST
    assert took < 1.5


def test_transaction_goes_to_every_node_and_one_is_enough(stage, proxy, client):
    stage.node = Node(client)
    with stage.journal() as journal:
        dispatch = stage.dispatch(journal)
        with proxy.failing(
            Fault("refused", error={"code": -32000, "message": "full"}, methods=("eth_sendRawTransaction",))
        ):
            stage.place(dispatch, journal)
        stage.step(dispatch)
        assert journal.orders()[0].state is State.INCLUDED

    assert "eth_sendRawTransaction" in proxy.seen
