# SPDX-License-Identifier: Apache-2.0
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from offchain.route.leg import Venue
from offchain.settle.accounts import LocalSigner
from offchain.settle.order import Leg, Order
from offchain.settle.signing import Domain, order_digest, sign_order

VAULT = "0x00000000000000000000000000000000000000AA"
DOMAIN = Domain(name="Blue Chip", chain_id=1, vault=VAULT)

hashes = st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex())
uint256 = st.integers(0, 2**256 - 1)
uint128 = st.integers(0, 2**128 - 1)
uint8 = st.integers(0, 255)
legs = st.builds(
    Leg,
    venue=st.sampled_from(Venue),
    token_in=uint8,
    token_out=uint8,
    fee=st.integers(0, 2**24 - 1),
    amount_in=uint128,
    min_amount_out=uint128,
)
orders = st.builds(
    Order,
    nonce=uint256,
    deadline=uint256,
    mandate_hash=hashes,
    model_hash=hashes,
    legs=st.lists(legs, max_size=16).map(tuple),
    min_value_per_share=uint256,
    max_base_fee=uint256,
)


def typed_data(order: Order, domain: Domain) -> dict[str, object]:
    fields = ["nonce", "deadline", "min_value_per_share", "max_base_fee", "mandate_hash", "model_hash"]
    leg_fields = ["venue", "token_in", "token_out", "fee", "amount_in", "min_amount_out"]
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Order": [
                {"name": "nonce", "type": "uint256"},
                {"name": "deadline", "type": "uint256"},
                {"name": "mandate_hash", "type": "bytes32"},
                {"name": "model_hash", "type": "bytes32"},
                {"name": "legs", "type": "Leg[]"},
                {"name": "min_value_per_share", "type": "uint256"},
                {"name": "max_base_fee", "type": "uint256"},
            ],
            "Leg": [
                {"name": "venue", "type": "uint8"},
                {"name": "token_in", "type": "uint8"},
                {"name": "token_out", "type": "uint8"},
                {"name": "fee", "type": "uint24"},
                {"name": "amount_in", "type": "uint128"},
                {"name": "min_amount_out", "type": "uint128"},
            ],
        },
        "primaryType": "Order",
        "domain": {"name": domain.name, "version": "1", "chainId": domain.chain_id, "verifyingContract": domain.vault},
        "message": {field: getattr(order, field) for field in fields}
        | {"legs": [{field: int(getattr(leg, field)) for field in leg_fields} for leg in order.legs]},
    }


@settings(max_examples=40, deadline=None)
@given(orders)
def test_digest_equals_eth_accounts_encoder(order: Order) -> None:
    expected = _hash_eip191_message(encode_typed_data(full_message=typed_data(order, DOMAIN)))

    assert order_digest(order, DOMAIN) == expected


def test_signature_recovers_to_the_signer() -> None:
    optimizer = LocalSigner(Account.from_key(b"\x01" * 32))
    order = Order(
        7, 100, "0x" + "11" * 32, "0x" + "22" * 32, (Leg(Venue.UNISWAP_V3, 0, 1, 500, 10**9, 1),), 10**18, 10**11
    )

    signed = sign_order(order, DOMAIN, optimizer)

    recovered = Account._recover_hash(bytes.fromhex(signed.digest[2:]), signature=signed.signature)
    assert recovered == signed.signer == optimizer.address


def test_digest_differs_on_another_vault_and_another_chain() -> None:
    order = Order(0, 1, "0x" + "11" * 32, "0x" + "22" * 32, (), 0, 0)

    digests = {
        order_digest(order, DOMAIN),
        order_digest(order, Domain(DOMAIN.name, 10, VAULT)),
        order_digest(order, Domain(DOMAIN.name, 1, "0x00000000000000000000000000000000000000bB")),
    }

    assert len(digests) == 3


def test_repr_of_a_signer_shows_no_key() -> None:
    assert "01" * 8 not in repr(LocalSigner(Account.from_key(b"\x01" * 32)))
