# SPDX-License-Identifier: Apache-2.0
"""The small codec of reads against the general one."""

from __future__ import annotations

import pytest
from eth_abi.abi import decode, encode
from hypothesis import given
from hypothesis import strategies as st

from offchain.market import abi
from offchain.market.multicall import Call, decode_aggregate, encode_aggregate

uints = st.integers(0, 2**256 - 1)
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
payloads = st.binary(max_size=100)


@given(uints, st.integers(-(2**15), 2**15 - 1), addresses)
def test_static_arguments_are_encoded_as_eth_abi_does(number: int, small: int, address: str) -> None:
    data = abi.encode_call("f(uint256,int16,address)", number, small, address)
    assert data[4:] == encode(["uint256", "int16", "address"], [number, small, address])


def test_selector_is_the_hash_of_the_signature() -> None:
    assert abi.selector("balanceOf(address)").hex() == "70a08231"


@given(uints, st.lists(uints, max_size=8))
def test_a_value_and_an_array_are_decoded(number: int, numbers: list[int]) -> None:
    data = encode(["uint256", "uint256[]"], [number, numbers])
    assert abi.word(data, 0) == number
    assert [value for (value,) in abi.array(data, 1)] == numbers


@given(st.lists(st.tuples(st.integers(-887272, 887272), st.integers(-(2**127), 2**127 - 1)), max_size=6))
def test_an_array_of_signed_tuples_is_decoded(rows: list[tuple[int, int]]) -> None:
    data = encode(["(int24,int128)[]"], [rows])
    assert [(abi.signed(tick), abi.signed(net)) for tick, net in abi.array(data, 0, width=2)] == rows


@given(st.text(max_size=50))
def test_a_string_is_decoded(value: str) -> None:
    assert abi.text(encode(["string"], [value]), 0) == value


@pytest.mark.parametrize("data", [b"", b"\0" * 31, (64).to_bytes(32, "big"), (1).to_bytes(32, "big") * 2])
def test_what_is_no_array_is_an_error(data: bytes) -> None:
    with pytest.raises(abi.DecodeError):
        abi.array(data, 0)


def test_an_array_longer_than_its_data_is_an_error() -> None:
    with pytest.raises(abi.DecodeError, match="array of 1000000 elements"):
        abi.array((32).to_bytes(32, "big") + (10**6).to_bytes(32, "big"), 0)


@given(st.lists(st.tuples(addresses, payloads), max_size=6))
def test_a_multicall_is_encoded_as_eth_abi_does(calls: list[tuple[str, bytes]]) -> None:
    data = encode_aggregate([Call(target, payload) for target, payload in calls])
    assert data[:4].hex() == "82ad56cb"
    assert data[4:] == encode(["(address,bool,bytes)[]"], [[(target, True, payload) for target, payload in calls]])


@given(st.lists(st.tuples(st.booleans(), payloads), max_size=6))
def test_a_multicalls_answers_are_decoded(answers: list[tuple[bool, bytes]]) -> None:
    data = encode(["(bool,bytes)[]"], [answers])
    assert decode_aggregate(data, len(answers)) == [payload if success else None for success, payload in answers]


@given(st.binary(max_size=200), st.integers(1, 3))
def test_arbitrary_bytes_are_an_answer_or_an_error(data: bytes, count: int) -> None:
    try:
        assert len(decode_aggregate(data, count)) == count
    except abi.DecodeError:
        return
    assert decode(["(bool,bytes)[]"], data, strict=False)
