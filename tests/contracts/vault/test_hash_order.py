# SPDX-License-Identifier: Apache-2.0
"""hash_order: what the vault verifies is what any EIP-712 signer, eth-account's among them, signs."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offchain.settle.development import development_key
from tests.support.world import Leg, Order, World

LEG_FIELDS = [
    ("venue", "uint8"), ("token_in", "uint8"), ("token_out", "uint8"),
    ("fee", "uint24"), ("amount_in", "uint128"), ("min_amount_out", "uint128"),
]  # fmt: skip
ORDER_FIELDS = [
    ("nonce", "uint256"), ("deadline", "uint256"), ("mandate_hash", "bytes32"), ("model_hash", "bytes32"),
    ("legs", "Leg[]"), ("min_value_per_share", "uint256"), ("max_base_fee", "uint256"),
]  # fmt: skip


def typed_data(order: Order, vault: str, chain_id: int = 1) -> dict[str, Any]:
    """The document a wallet shows and signs."""
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Leg": [{"name": name, "type": kind} for name, kind in LEG_FIELDS],
            "Order": [{"name": name, "type": kind} for name, kind in ORDER_FIELDS],
        },
        "primaryType": "Order",
        "domain": {"name": "Plimsoll Blue Chip", "version": "1", "chainId": chain_id, "verifyingContract": vault},
        "message": {**order._asdict(), "legs": [leg._asdict() for leg in order.legs]},
    }


def digest(document: dict[str, Any]) -> bytes:
    message = encode_typed_data(full_message=document)
    from eth_utils.crypto import keccak

    return bytes(keccak(b"\x19" + message.version + message.header + message.body))


def word(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**bits - 1)


legs = st.builds(Leg, word(8), word(8), word(8), word(24), word(128), word(128))
orders = st.builds(
    Order,
    word(256),
    word(256),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
    st.lists(legs, max_size=16).map(tuple),
    word(256),
    word(256),
)


@given(order=orders)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equals_eth_accounts_digest(world: World, order: Order) -> None:
    assert world.vault.hash_order(order) == digest(typed_data(order, world.vault.address))


@given(order=orders, data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_field_of_an_order_and_its_legs_counts(world: World, order: Order, data: st.DataObject) -> None:
    other = data.draw(orders)
    field = data.draw(st.sampled_from(Order._fields))
    changed = order._replace(**{field: getattr(other, field)})
    assert (world.vault.hash_order(changed) == world.vault.hash_order(order)) == (changed == order)


def test_chain_and_vault_count(world: World) -> None:
    order = world.order([])
    ours = world.vault.hash_order(order)
    assert ours != digest(typed_data(order, world.vault.address, chain_id=10))
    assert ours != digest(typed_data(order, world.mandate.address))


@pytest.mark.parametrize("count", [0, 1, 2, 16])
def test_a_wallets_signature_settles(invested: World, count: int) -> None:
    order = invested.order([invested.leg("WETH", "USDC", 10**15, 500)] * count)
    document = typed_data(order, invested.vault.address)
    signed = Account.sign_typed_data(development_key("optimizer"), full_message=document)
    invested.vault.settle(order, "optimizer", bytes(signed.signature), sender="keeper")
    assert invested.vault.event("Settled")["digest"] == bytes(signed.message_hash)
