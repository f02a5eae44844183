# SPDX-License-Identifier: Apache-2.0
"""A private relay gets settlements first; what it does not bring into a block is shown to everybody."""

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.crypto import keccak

from offchain.keeper.journal import Journal
from offchain.keeper.records import Purpose
from offchain.keeper.states import State
from offchain.keeper.submitter import Submitter
from offchain.settle.relay import Relay
from tests.offchain.keeper.test_submitter import JOB, POLICY, SETTLE, URGENT, VAULT, states, watch
from tests.support.relay import PrivateRelay

PATIENCE = 3


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "journal.sqlite", chain_id=1, vault=VAULT) as journal:
        yield journal


@pytest.fixture(params=[("eth_sendPrivateTransaction",), ("eth_sendRawTransaction",)], ids=["builder", "protect"])
def server(request):
    server = PrivateRelay(*request.param)
    yield server
    server.stop()


@pytest.fixture
def submitter(chain, journal, role, server):
    relay = Relay(server.url, blocks=PATIENCE)
    yield Submitter(
        chain.node, journal, role("keeper"), 1, policy=POLICY, urgent_policy=URGENT, patience=PATIENCE, relay=relay
    )
    relay.close()


def test_settlement_goes_to_the_relay_and_not_to_the_mempool(chain, journal, server, submitter):
    head = chain.node.head()
    row = submitter.send(SETTLE, head)

    assert chain.waiting() == []
    assert [raw for raw, _ in server.held] == [row.raw]
    assert server.held[0][1] in (head.number + PATIENCE, None)


def test_transaction_that_a_builder_mined_is_found(chain, journal, server, submitter):
    row = submitter.send(SETTLE, chain.node.head())
    chain.node.send_raw(server.held[0][0])
    chain.mine()
    watch(chain, submitter)

    assert [row.hash for row in journal.transactions()] == [row.hash]
    assert states(journal) == [State.INCLUDED]


def test_what_the_relay_does_not_bring_into_a_block_is_replaced_in_public(chain, journal, server, submitter):
    first = submitter.send(SETTLE, chain.node.head())
    chain.mine(PATIENCE - 1)
    submitter.push(first, SETTLE, chain.node.head())
    assert chain.waiting() == []

    chain.mine()
    second = submitter.push(first, SETTLE, chain.node.head())

    assert chain.waiting() == [second.hash]
    assert second.account_nonce == first.account_nonce
    assert second.max_fee * 8 >= first.max_fee * 9
    assert second.raw not in [raw for raw, _ in server.held]


def test_refusal_of_the_relay_shows_it_to_everybody_at_once(chain, journal, server, submitter):
    server.refusing = True
    row = submitter.send(SETTLE, chain.node.head())

    assert chain.waiting() == [row.hash]


def test_relay_that_is_gone_holds_nothing_up(chain, journal, server, submitter):
    server.stop()
    row = submitter.send(SETTLE, chain.node.head())

    assert chain.waiting() == [row.hash]


def test_trip_is_for_everybody_to_see(chain, journal, server, submitter):
    row = submitter.send(JOB, chain.node.head())

    assert JOB.purpose is Purpose.TRIP
    assert chain.waiting() == [row.hash]
    assert server.held == []


def test_requests_are_signed_over_their_body(chain, server, submitter):
    submitter.send(SETTLE, chain.node.head())
    header, body = server.signatures[-1]
    address, signature = header.split(":")

    message = encode_defunct(text="0x" + keccak(body).hex())
    assert Account.recover_message(message, signature=signature) == address
    assert address != submitter.account
