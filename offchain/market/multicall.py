# SPDX-License-Identifier: Apache-2.0
"""Many view calls in one: Multicall3's aggregate3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from offchain.market import abi

MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"
_AGGREGATE3 = abi.selector("aggregate3((address,bool,bytes)[])")


@dataclass(frozen=True, slots=True)
class Call:
    """One view call."""

    target: str
    data: bytes


def aggregate_request(calls: Sequence[Call], block: str | dict[str, Any]) -> tuple[str, list[Any]]:
    """The ``eth_call`` that makes all calls at one block, each allowed to fail on its own."""
    return "eth_call", [{"to": MULTICALL3, "data": "0x" + encode_aggregate(calls).hex()}, block]


def encode_aggregate(calls: Sequence[Call]) -> bytes:
    """Calldata of ``aggregate3``."""
    offsets: list[bytes] = []
    bodies: list[bytes] = []
    position = len(calls) * abi.WORD
    for call in calls:
        padded = call.data.ljust(-(-len(call.data) // abi.WORD) * abi.WORD, b"\0")
        head = (abi.encode_word(call.target), abi.encode_word(1), abi.encode_word(96), abi.encode_word(len(call.data)))
        body = b"".join(head) + padded
        offsets.append(abi.encode_word(position))
        bodies.append(body)
        position += len(body)
    return b"".join([_AGGREGATE3, abi.encode_word(32), abi.encode_word(len(calls)), *offsets, *bodies])


def decode_aggregate(data: bytes, count: int) -> list[bytes | None]:
    """What each call returned; `None` where it reverted.

    Raises
    ------
    abi.DecodeError
        Not the answer of ``aggregate3`` to `count` calls: most often there is no Multicall3.
    """
    start = abi.word(data, 0)
    if start != abi.WORD or abi.word(data, 1) != count:
        raise abi.DecodeError(f"not the answer to {count} calls")
    base = 2 * abi.WORD
    answers: list[bytes | None] = []
    for index in range(count):
        offset = base + abi.word(data, 2 + index)
        if offset % abi.WORD:
            raise abi.DecodeError("misaligned answer")
        first = offset // abi.WORD
        success, body = abi.word(data, first), offset + abi.word(data, first + 1)
        length = abi.word(data, body // abi.WORD)
        answer = data[body + abi.WORD : body + abi.WORD + length]
        if len(answer) != length:
            raise abi.DecodeError("truncated answer")
        answers.append(answer if success else None)
    return answers
