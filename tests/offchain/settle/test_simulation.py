# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest
from eth_account import Account

from offchain.market.rpc import NodeClient, RpcError
from offchain.route.leg import Venue
from offchain.settle.accounts import LocalSigner
from offchain.settle.calls import order_values
from offchain.settle.development import development_address, development_key
from offchain.settle.node import Node
from offchain.settle.order import Leg, Order
from offchain.settle.reconcile import ReconcileError, find_settlement, settlement_of
from offchain.settle.signing import Domain, order_digest, sign_order
from offchain.settle.simulation import TRANSACTION_GAS_CAP, padded_gas, simulate_order, simulate_signed

KEEPER = development_address("keeper")
OPTIMIZER = development_address("optimizer")


@pytest.fixture
def order(vault, node):
    return Order(
        nonce=0,
        deadline=node.head().number + 25,
        mandate_hash="0x" + vault.mandate.functions.mandate_hash().call().hex(),
        model_hash="0x" + "22" * 32,
        legs=(Leg(Venue.UNISWAP_V3, 0, 1, 500, 10**11, 1), Leg(Venue.UNISWAP_V2, 0, 1, 0, 10**10, 1)),
        min_value_per_share=0,
        max_base_fee=10**11,
    )


@pytest.fixture
def signed(vault, order, optimizer):
    return sign_order(order, domain(vault), optimizer)


@pytest.fixture
def old_node(sandbox):
    client = WithoutSimulate(sandbox.rpc_url)
    yield Node(client)
    client.close()


class WithoutSimulate(NodeClient):
    """A node of a kind that does not know ``eth_simulateV1``."""

    def call(self, method, *params):
        if method == "eth_simulateV1":
            raise RpcError(self.url, method, {"code": -32601, "message": "Method not found"})
        return super().call(method, *params)


def domain(vault):
    return Domain(vault.file_mandate.name, 1, vault.address)


def settle(vault, signed):
    order = order_values(signed.order)
    call = vault.vault.functions.settle(order, signed.signer, bytes.fromhex(signed.signature[2:]))
    return "0x" + vault.send("keeper", call)["transactionHash"].hex()


def test_digest_is_the_vaults_own(vault, order):
    expected = vault.vault.functions.hash_order(order_values(order)).call()

    assert order_digest(order, domain(vault)) == expected


def test_unsigned_order_simulates_to_what_then_happens(vault, node, order, signed):
    trial = simulate_order(node, vault.address, order, OPTIMIZER, sender=KEEPER)
    receipt = node.receipt(settle(vault, signed))

    settlement = settlement_of(receipt, vault.address, signed.digest)
    assert (trial.event.digest, trial.event.nonce) == (settlement.digest, settlement.nonce)
    assert (trial.event.amounts_in, trial.event.amounts_out) == (settlement.amounts_in, settlement.amounts_out)
    assert (trial.event.value_before, trial.event.value_after) == (settlement.value_before, settlement.value_after)
    assert receipt.gas_used < trial.gas_limit < 2 * receipt.gas_used


def test_simulating_leaves_no_trace(vault, node, order):
    simulate_order(node, vault.address, order, OPTIMIZER, sender=KEEPER)

    assert vault.vault.functions.order_nonce().call() == 0
    assert not node.has_code(OPTIMIZER)


def test_signed_order_is_tried_with_its_own_signature(vault, node, signed):
    assert simulate_signed(node, signed, sender=KEEPER).succeeds
    attacker = LocalSigner(Account.from_key(development_key("attacker")))
    forged = sign_order(signed.order, domain(vault), attacker).signature

    assert simulate_signed(node, replace(signed, signature=forged), sender=KEEPER).reason == "orders: invalid signature"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"nonce": 1}, "orders: wrong nonce"),
        ({"deadline": 1}, "orders: expired"),
        ({"mandate_hash": "0x" + "99" * 32}, "orders: wrong mandate"),
        ({"legs": (Leg(Venue.UNISWAP_V3, 0, 1, 500, 10**11, 10**30),)}, "orders: amount out below minimum"),
        ({"min_value_per_share": 2 * 10**18}, "limits: value per share"),
    ],
)
def test_refusal_carries_the_contracts_own_words(vault, node, order, change, reason):
    trial = simulate_order(node, vault.address, replace(order, **change), OPTIMIZER, sender=KEEPER)

    assert (trial.succeeds, trial.reason) == (False, reason)


def test_stranger_is_refused_even_when_every_signature_passes(vault, node, order):
    trial = simulate_order(node, vault.address, order, development_address("attacker"), sender=KEEPER)

    assert trial.reason == "orders: unauthorised signer"


def test_older_node_simulates_by_estimating_gas(vault, node, old_node, order):
    expected = simulate_order(node, vault.address, order, OPTIMIZER, sender=KEEPER)
    trial = simulate_order(old_node, vault.address, order, OPTIMIZER, sender=KEEPER)
    refused = simulate_order(old_node, vault.address, replace(order, nonce=1), OPTIMIZER, sender=KEEPER)

    assert (trial.succeeds, trial.event) == (True, None)
    assert trial.gas_used >= expected.gas_used
    assert (refused.succeeds, refused.reason) == (False, "orders: wrong nonce")


def test_settlement_is_found_by_digest_whoever_relayed_it(vault, node, signed):
    assert find_settlement(node, vault.address, signed.digest, 0) is None
    transaction = settle(vault, signed)

    found = find_settlement(node, vault.address, signed.digest, 0)

    assert (found.transaction, found.digest) == (transaction, signed.digest)


def test_receipt_that_settled_something_else_is_refused(vault, node, signed):
    receipt = node.receipt(settle(vault, signed))

    with pytest.raises(ReconcileError, match="does not settle order"):
        settlement_of(receipt, vault.address, "0x" + "77" * 32)


def test_gas_never_exceeds_what_a_transaction_may_ask_for():
    assert padded_gas(15_000_000) == TRANSACTION_GAS_CAP
