# SPDX-License-Identifier: Apache-2.0
"""Calls of contracts by their ABI, without web3's per-call machinery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from eth_abi import abi as codec
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from offchain.errors import PlimsollError


class NoSuchFunction(PlimsollError):
    """The ABI has no such function with that many arguments."""


@dataclass(frozen=True, slots=True)
class Function:
    """Selector and types of one function."""

    name: str
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def encode(self, *arguments: Any) -> str:
        """Calldata, 0x-prefixed."""
        return "0x" + (self.selector + codec.encode(self.inputs, arguments)).hex()

    def decode(self, data: str) -> Any:
        """The single value returned, or a tuple of several; addresses come checksummed."""
        values = codec.decode(self.outputs, bytes.fromhex(data[2:]))
        cooked = tuple(_cook(kind, value) for kind, value in zip(self.outputs, values, strict=True))
        return cooked[0] if len(cooked) == 1 else cooked


@cache
def function(signature: str, outputs: str = "") -> Function:
    """Function of a plain signature.

    Examples
    --------
    >>> function("balanceOf(address)", "uint256").selector.hex()
    '70a08231'
    """
    name, _, rest = signature.partition("(")
    return Function(name, keccak(text=signature)[:4], _split(rest[:-1]), _split(outputs))


@dataclass(frozen=True, slots=True)
class Contract:
    """An address and what can be called there."""

    address: str
    abi: tuple[Mapping[str, Any], ...]

    def function(self, name: str, count: int) -> Function:
        """The function of that name which takes `count` arguments."""
        for entry in self.abi:
            if entry["type"] == "function" and entry["name"] == name and len(entry["inputs"]) == count:
                inputs = tuple(_type(item) for item in entry["inputs"])
                outputs = tuple(_type(item) for item in entry["outputs"])
                return Function(name, keccak(text=f"{name}({','.join(inputs)})")[:4], inputs, outputs)
        raise NoSuchFunction(f"{self.address} has no function {name} of {count} arguments")

    def encode(self, name: str, *arguments: Any) -> str:
        """Calldata of a call."""
        return self.function(name, len(arguments)).encode(*arguments)


def constructor_arguments(abi: Sequence[Mapping[str, Any]], arguments: Sequence[Any]) -> bytes:
    """Encoded arguments that follow the creation code."""
    for entry in abi:
        if entry["type"] == "constructor":
            return codec.encode([_type(item) for item in entry["inputs"]], arguments)
    return b""


def _type(item: Mapping[str, Any]) -> str:
    kind: str = item["type"]
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(_type(part) for part in item["components"]) + ")" + kind.removeprefix("tuple")


def _cook(kind: str, value: Any) -> Any:
    return to_checksum_address(value) if kind == "address" else value


def _split(types: str) -> tuple[str, ...]:
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(types + ","):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            if types[start:i]:
                parts.append(types[start:i])
            start = i + 1
    return tuple(parts)
