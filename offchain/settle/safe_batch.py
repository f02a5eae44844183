# SPDX-License-Identifier: Apache-2.0
"""Calls of the owner's and the curator's as batches for the Safe Transaction Builder.

A role held by a Safe acts through files that its signers import, read, sign and execute. The calls
carry their function and arguments, so that the builder shows what they do.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from offchain.errors import PlimsollError

FORMAT_VERSION: Final = "1.0"
BUILDER_VERSION: Final = "1.18.2"
"""Of the Transaction Builder whose format this is."""
WORD: Final = 32


class BatchError(PlimsollError):
    """A call that no batch can carry."""


@dataclass(frozen=True, slots=True)
class BatchCall:
    """One call of a batch.

    Attributes
    ----------
    to
        Checksummed address of the contract.
    function
        Its entry in the contract's ABI.
    arguments
        In the function's order, structs as tuples.
    """

    to: str
    function: Mapping[str, Any]
    arguments: tuple[Any, ...]

    @property
    def data(self) -> bytes:
        """Calldata."""
        from eth_abi.abi import encode
        from eth_utils.crypto import keccak

        types = [_canonical(item) for item in self.function["inputs"]]
        signature = f"{self.function['name']}({','.join(types)})"
        return keccak(text=signature)[:4] + encode(types, self.arguments)


def batch_call(to: str, abi: Sequence[Mapping[str, Any]], name: str, arguments: Sequence[Any]) -> BatchCall:
    """Find a function in an ABI and check its arguments.

    Parameters
    ----------
    to
        Address of the contract.
    arguments
        As Python values; lists and tuples for arrays and structs, hexadecimal text for addresses and bytes.

    Raises
    ------
    BatchError
        No such address or function, a function that changes nothing, or arguments that do not fit it.
    """
    from eth_utils.address import is_hex_address, to_checksum_address

    if not is_hex_address(to):
        raise BatchError(f"{to}: not an address; give 0x and 40 hexadecimal digits")
    functions = [entry for entry in abi if entry.get("type") == "function" and entry["name"] == name]
    if not functions:
        known = sorted({str(entry["name"]) for entry in abi if _changes_state(entry)})
        raise BatchError(f"{name}: no such function; there are {', '.join(known)}")
    function = functions[0]
    if not _changes_state(function):
        raise BatchError(f"{name}: only answers, so a batch of it does nothing")
    expected = function["inputs"]
    shape = ", ".join(f"{item['name']}: {item['type']}" for item in expected)
    if len(arguments) != len(expected):
        raise BatchError(f"{name}: {len(arguments)} arguments given, it takes ({shape})")
    values = tuple(_value(item, value) for item, value in zip(expected, arguments, strict=True))
    call = BatchCall(str(to_checksum_address(to)), function, values)
    try:
        call.data  # noqa: B018 - arguments that do not fit are refused here and not when the Safe signs
    except Exception as error:
        given = ", ".join(map(str, arguments))
        raise BatchError(f"{name}: {given} does not fit, it takes ({shape}): {error}") from None
    return call


def through_timelock(calls: Sequence[BatchCall], timelock: str, *, delay: int | None, salt: bytes = b"") -> BatchCall:
    """Wrap what only the owner, a timelock, may do: scheduled first, executed when the delay is over.

    Parameters
    ----------
    timelock
        Address of the mandate's owner.
    delay
        Seconds to schedule with, at least the timelock's own; None for the call that executes.
    salt
        At most 32 bytes, the same both times; another one schedules the same calls once more.

    Raises
    ------
    BatchError
        The salt is too long.
    """
    from offchain.abi import contract_abi

    if len(salt) > WORD:
        raise BatchError(f"the salt has {len(salt)} bytes; at most {WORD} are possible")
    operation = [
        [call.to for call in calls],
        [0] * len(calls),
        [call.data for call in calls],
        bytes(WORD),
        salt.rjust(WORD, b"\0"),
    ]
    abi = contract_abi("Timelock")
    if delay is None:
        return batch_call(timelock, abi, "execute_batch", operation)
    return batch_call(timelock, abi, "schedule_batch", [*operation, delay])


def batch_document(
    calls: Sequence[BatchCall], *, chain_id: int, name: str, description: str = "", safe: str = "", created_at: int = 0
) -> dict[str, Any]:
    """Return what the Transaction Builder imports, with its checksum.

    Parameters
    ----------
    safe
        Address of the Safe, if known: the builder warns when another imports it.
    created_at
        Milliseconds since 1970; now when 0.
    """
    document: dict[str, Any] = {
        "version": FORMAT_VERSION,
        "chainId": str(chain_id),
        "createdAt": created_at or int(time.time() * 1000),
        "meta": {
            "name": name,
            "description": description,
            "txBuilderVersion": BUILDER_VERSION,
            "createdFromSafeAddress": safe,
            "createdFromOwnerAddress": "",
        },
        "transactions": [_transaction(call) for call in calls],
    }
    document["meta"]["checksum"] = checksum(document)
    return document


def checksum(document: Mapping[str, Any]) -> str:
    """Return the checksum by which the builder tells whether a file was changed.

    keccak256 of the document in the builder's own serialisation, without the checksum and with the name null.
    """
    from eth_utils.crypto import keccak

    meta = {key: value for key, value in document["meta"].items() if key != "checksum"}
    plain = {**document, "meta": {**meta, "name": None}}
    return "0x" + keccak(text=_serialised(plain)).hex()


def _serialised(value: Any) -> str:
    """Objects as their sorted keys followed by their values, each with a comma."""
    if isinstance(value, Mapping):
        keys = sorted(value)
        return "{" + _json(keys) + "".join(_serialised(value[key]) + "," for key in keys) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_serialised, value)) + "]"
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _transaction(call: BatchCall) -> dict[str, Any]:
    inputs = [_input(item) for item in call.function["inputs"]]
    named = zip(call.function["inputs"], call.arguments, strict=True)
    return {
        "to": call.to,
        "value": "0",
        "data": "0x" + call.data.hex(),
        "contractMethod": {"inputs": inputs, "name": call.function["name"], "payable": False},
        "contractInputsValues": {str(item["name"]): _shown(value) for item, value in named},
    }


def _input(item: Mapping[str, Any]) -> dict[str, Any]:
    described = {"internalType": item["type"], "name": item["name"], "type": item["type"]}
    if "components" in item:
        described["components"] = [_input(part) for part in item["components"]]
    return described


def _shown(value: Any) -> str:
    """Text as the builder's fields take it: arrays and structs as JSON, numbers as text inside them."""
    return (
        value if isinstance(value, str) else _json(_nested(value)) if isinstance(value, list | tuple) else _leaf(value)
    )


def _nested(value: Any) -> Any:
    return [_nested(one) for one in value] if isinstance(value, list | tuple) else _leaf(value)


def _leaf(value: Any) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(item: Mapping[str, Any], value: Any) -> Any:
    kind = str(item["type"])
    if kind.endswith("]") and isinstance(value, list | tuple):
        element = {**item, "type": kind[: kind.rindex("[")]}
        return tuple(_value(element, one) for one in value)
    if kind == "tuple" and isinstance(value, list | tuple):
        return tuple(_value(part, one) for part, one in zip(item["components"], value, strict=False))
    if kind.startswith("bytes") and isinstance(value, str):
        try:
            return bytes.fromhex(value.removeprefix("0x"))
        except ValueError:
            raise BatchError(f"{item['name']}: {value!r} is not hexadecimal") from None
    return value


def _canonical(item: Mapping[str, Any]) -> str:
    kind = str(item["type"])
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(map(_canonical, item["components"])) + ")" + kind.removeprefix("tuple")


def _changes_state(entry: Mapping[str, Any]) -> bool:
    return entry.get("type") == "function" and entry.get("stateMutability") not in ("view", "pure")
