# SPDX-License-Identifier: Apache-2.0
"""An order tried in this process comes out as the node says, and as it then happens."""

from dataclasses import replace

import pytest

from offchain.route.leg import Venue
from offchain.sandbox import addresses
from offchain.settle.calls import order_values
from offchain.settle.development import development_address
from offchain.settle.local_simulation import BLOCK_SECONDS, LocalSimulator, _touched
from offchain.settle.order import Leg, Order
from offchain.settle.reconcile import settlement_of
from offchain.settle.signing import Domain, sign_order
from offchain.settle.simulation import simulate_order
from tests.support.crowd import SWAP_V3, Crowd

KEEPER = development_address("keeper")
OPTIMIZER = development_address("optimizer")
BUYS = (Leg(Venue.UNISWAP_V3, 0, 1, 500, 10**11, 1), Leg(Venue.UNISWAP_V2, 0, 1, 0, 10**10, 1))


@pytest.fixture
def order(vault, node):
    return Order(
        nonce=0,
        deadline=node.head().number + 250,
        mandate_hash="0x" + vault.mandate.functions.mandate_hash().call().hex(),
        model_hash="0x" + "22" * 32,
        legs=BUYS,
        min_value_per_share=0,
        max_base_fee=10**11,
    )


@pytest.fixture
def simulator(vault, node, order, optimizer):
    """One that has seen a settlement of the same legs."""
    simulator = LocalSimulator(node, vault.address, 1)
    simulator.learn(sign_order(order, Domain(vault.file_mandate.name, 1, vault.address), optimizer), KEEPER)
    yield simulator
    simulator.close()


def tried(simulator, node, order):
    simulator.fetch(node.head())
    return simulator.simulate(order, OPTIMIZER, sender=KEEPER)


@pytest.fixture
def ready(simulator):
    """The same, when what it learned is there."""
    simulator._worker.submit(lambda: None).result()
    return simulator


def settle(vault, node, order, optimizer):
    """In the next block, twelve seconds after the head."""
    signed = sign_order(order, Domain(vault.file_mandate.name, 1, vault.address), optimizer)
    node.client.call("evm_setNextBlockTimestamp", hex(node.head().timestamp + BLOCK_SECONDS))
    call = vault.vault.functions.settle(order_values(order), signed.signer, bytes.fromhex(signed.signature[2:]))
    receipt = node.receipt("0x" + vault.send("keeper", call)["transactionHash"].hex())
    return settlement_of(receipt, vault.address, signed.digest), receipt


def test_event_is_that_of_the_settlement_and_of_the_nodes_simulation(vault, node, order, optimizer, ready):
    here, there = tried(ready, node, order), simulate_order(node, vault.address, order, OPTIMIZER, sender=KEEPER)
    settlement, receipt = settle(vault, node, order, optimizer)

    assert here.succeeds
    for name in ("digest", "nonce", "amounts_in", "amounts_out", "value_before", "value_after"):
        assert getattr(here.event, name) == getattr(there.event, name) == getattr(settlement, name), name
    for name in ("loss_level", "turnover_level", "value_per_share"):
        assert getattr(here.event, name) == getattr(settlement, name), name
    assert receipt.gas_used < here.gas_limit


def test_state_is_that_of_the_block_asked_for(sandbox, vault, node, order, ready):
    before = tried(ready, node, order)
    Crowd(sandbox, 1)
    swap = (addresses.TOKENS["WETH"], addresses.TOKENS["USDC"], 500, sandbox.chain.sender, 2**40, 10**20, 0, 0)
    sandbox.chain.send(addresses.UNISWAP_V3_ROUTER, SWAP_V3, swap)

    after = tried(ready, node, order)

    assert after.event.amounts_out[0] > before.event.amounts_out[0]
    there = simulate_order(node, vault.address, order, OPTIMIZER, sender=KEEPER)
    assert after.event.amounts_out == there.event.amounts_out


def test_what_would_fail_or_touches_something_new_is_left_to_the_node(node, order, ready):
    changes = {
        "refused": {"nonce": 1},
        "too little out": {"legs": (Leg(Venue.UNISWAP_V3, 0, 1, 500, 10**11, 10**30),)},
        "unknown token": {"legs": (Leg(Venue.UNISWAP_V3, 0, 2, 3000, 10**10, 1),)},
        "unknown pool": {"legs": (Leg(Venue.UNISWAP_V3, 0, 1, 3000, 10**10, 1),)},
    }
    judged = {name: tried(ready, node, replace(order, **change)) for name, change in changes.items()}

    assert judged == dict.fromkeys(changes)


def test_nothing_is_judged_before_a_settlement_was_seen(vault, node, order):
    simulator = LocalSimulator(node, vault.address, 1)

    assert tried(simulator, node, order) is None
    simulator.close()


def test_journal_of_another_form_is_no_knowledge():
    assert _touched("JournaledState 2.0") == ({""}, set())
