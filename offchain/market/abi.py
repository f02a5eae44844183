# SPDX-License-Identifier: Apache-2.0
"""Encoding of the calls a snapshot needs and decoding of their answers.

A general ABI codec spends more time on one multicall than the node does; the few
shapes read here are words and arrays of words, and a test compares both codecs.
"""

from __future__ import annotations

from functools import cache

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

WORD = 32
_SIGN = 1 << 255
_FULL = 1 << 256


class DecodeError(Exception):
    """Bytes that are not what the called function returns; the caller says which call it was."""


def expect(answer: bytes | None, view: str) -> bytes:
    """The bytes of an answer; `DecodeError` when the call reverted or nothing is there."""
    if answer is None:
        raise DecodeError(f"{view} reverts")
    if not answer:
        raise DecodeError("nothing there")
    return answer


@cache
def selector(signature: str) -> bytes:
    """First four bytes of the hash of a function signature such as ``"balanceOf(address)"``."""
    return keccak(text=signature)[:4]


def encode_call(signature: str, *arguments: int | str) -> bytes:
    """Calldata of a function whose arguments are all static: integers (also negative) or addresses."""
    return selector(signature) + b"".join(encode_word(argument) for argument in arguments)


def encode_word(value: int | str) -> bytes:
    """One integer, or one address given as hex, as 32 bytes."""
    if isinstance(value, str):
        return bytes.fromhex(value[2:]).rjust(WORD, b"\0")
    return (value % _FULL).to_bytes(WORD, "big")


def word(data: bytes, index: int) -> int:
    """Unsigned integer at word `index`."""
    start = index * WORD
    if start + WORD > len(data):
        raise DecodeError(f"{len(data)} bytes, too few for word {index}")
    return int.from_bytes(data[start : start + WORD], "big")


def signed(value: int) -> int:
    """Two's complement of a word."""
    return value - _FULL if value & _SIGN else value


def address(data: bytes, index: int) -> str:
    """Checksummed address at word `index`."""
    value = word(data, index)
    if value >> 160:
        raise DecodeError(f"word {index} is not an address")
    return to_checksum_address(value.to_bytes(20, "big"))


def array(data: bytes, index: int, width: int = 1) -> list[tuple[int, ...]]:
    """Dynamic array of static tuples whose offset stands at word `index` of a top-level answer.

    Parameters
    ----------
    width
        Words in one element.
    """
    return array_at(data, word(data, index), width)


def array_at(data: bytes, offset: int, width: int = 1) -> list[tuple[int, ...]]:
    """Dynamic array of static tuples that begins at byte `offset` with its length."""
    if offset % WORD:
        raise DecodeError(f"array at odd offset {offset}")
    start = offset // WORD
    length = word(data, start)
    if length * width * WORD > len(data) - offset - WORD:
        raise DecodeError(f"array of {length} elements in {len(data)} bytes")
    words = [word(data, start + 1 + i) for i in range(length * width)]
    return [tuple(words[i : i + width]) for i in range(0, len(words), width)]


def text(data: bytes, index: int) -> str:
    """UTF-8 string whose offset stands at word `index` of a top-level answer."""
    offset = word(data, index)
    if offset % WORD:
        raise DecodeError(f"string at odd offset {offset}")
    length = word(data, offset // WORD)
    raw = data[offset + WORD : offset + WORD + length]
    if len(raw) != length:
        raise DecodeError(f"string of {length} bytes in {len(data)} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise DecodeError("a string that is not UTF-8") from None
