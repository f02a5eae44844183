# SPDX-License-Identifier: Apache-2.0
import pytest
from eth_abi.abi import encode
from eth_utils.abi import event_abi_to_log_topic, function_abi_to_4byte_selector
from hypothesis import given, settings
from hypothesis import strategies as st

from offchain.abi import contract_abi
from offchain.route.leg import Venue
from offchain.settle import calls
from offchain.settle.calls import (
    CalldataError,
    decode_settle,
    decode_settled,
    encode_settle,
    encode_trip,
    selector,
    topic,
)
from offchain.settle.order import Leg, Order

SIGNER = "0x00000000000000000000000000000000000000AA"
ORDER = Order(
    nonce=7,
    deadline=100,
    mandate_hash="0x" + "11" * 32,
    model_hash="0x" + "22" * 32,
    legs=(Leg(Venue.UNISWAP_V3, 0, 1, 500, 10**9, 3 * 10**17), Leg(Venue.UNISWAP_V2, 1, 2, 0, 2**128 - 1, 0)),
    min_value_per_share=2**200,
    max_base_fee=10**11,
)


def abi_entry(contract, kind, name):
    return next(entry for entry in contract_abi(contract) if entry["type"] == kind and entry.get("name") == name)


@pytest.mark.parametrize(
    ("contract", "signature"),
    [
        ("Vault", calls.SETTLE),
        ("Vault", calls.ORDER_NONCE),
        ("Vault", calls.EIP712_DOMAIN),
        ("Vault", calls.MANDATE),
        ("Mandate", calls.MANDATE_HASH),
        ("Mandate", calls.LIMITS),
        ("Mandate", calls.TRIP),
        ("Mandate", calls.IS_SIGNER),
    ],
)
def test_selector_is_the_contracts_own(contract, signature):
    entry = abi_entry(contract, "function", signature.partition("(")[0])

    assert selector(signature) == function_abi_to_4byte_selector(entry)


@pytest.mark.parametrize(
    ("contract", "signature"),
    [("Vault", calls.SETTLED), ("Vault", calls.CANCELLED), ("Mandate", calls.TRIPPED)],
)
def test_topic_is_the_contracts_own(contract, signature):
    entry = abi_entry(contract, "event", signature.partition("(")[0])

    assert topic(signature) == "0x" + event_abi_to_log_topic(entry).hex()


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=200))
def test_settle_comes_back_from_its_calldata(signature):
    assert decode_settle(encode_settle(ORDER, SIGNER, signature)) == (ORDER, SIGNER, signature)


def test_calldata_of_another_function_is_refused():
    with pytest.raises(CalldataError, match="is not settle's"):
        decode_settle(encode_trip())


def test_calldata_cut_short_is_refused():
    with pytest.raises(CalldataError, match="do not decode"):
        decode_settle(encode_settle(ORDER, SIGNER, b"x")[:-64])


def test_settled_is_decoded_field_by_field():
    charges = 10**16 << 192 | 2 * 10**16 << 128 | 3 << 64 | 4
    values = [b"\x22" * 32, 1000 << 128 | 990, 5, charges, [6 << 128 | 8, 7 << 128 | 9]]
    log = {
        "topics": [topic(calls.SETTLED), "0x" + "aa" * 32, f"0x{7:064x}", "0x" + "00" * 12 + SIGNER[2:]],
        "data": "0x" + encode(["bytes32", *["uint256"] * 3, "uint256[]"], values).hex(),
    }

    event = decode_settled(log)

    assert (event.digest, event.nonce, event.signer) == ("0x" + "aa" * 32, 7, SIGNER)
    assert (event.value_before, event.value_after, event.loss, event.turnover) == (1000, 990, 10**16, 2 * 10**16)
    assert (event.loss_level, event.turnover_level, event.value_per_share) == (3, 4, 5)
    assert (event.amounts_in, event.amounts_out) == ((6, 7), (8, 9))


def test_another_event_is_not_taken_for_settled():
    with pytest.raises(CalldataError, match="is not Settled"):
        decode_settled({"topics": [topic(calls.CANCELLED)], "data": "0x"})
