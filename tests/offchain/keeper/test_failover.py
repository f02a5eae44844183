# SPDX-License-Identifier: Apache-2.0
"""Several nodes behind one keeper."""

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
    client = FailoverClient([proxy.url, stage.sandbox.rpc_url], timeout=2, retries=0)
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


def test_keeper_leaves_a_node_that_lags_and_settles(stage, proxy, client):
    stage.node = Node(client)
    with stage.journal() as journal:
        keeper = stage.keeper(journal)
        keeper.recover()
        for _ in range(4):
            stage.mine()
            keeper.on_block(keeper._head())
        with proxy.failing(Fault("lagging", lag=3)):
            with pytest.raises(NodeBehind):
                keeper._head()
            report = keeper.tick()

    assert report.order.state is State.INCLUDED
    assert stage.settled() == 1


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
