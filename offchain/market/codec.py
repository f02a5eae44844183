# SPDX-License-Identifier: Apache-2.0
"""Snapshots as JSON, for the journal and for replay: integers as decimal strings, exact both ways."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from enum import IntEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from offchain.errors import PlimsollError
from offchain.market.snapshot import BalancerV2State, Snapshot, UniswapV2State, UniswapV3State

FORMAT = 3
_KINDS: dict[str, type] = {
    "uniswap_v2": UniswapV2State,
    "uniswap_v3": UniswapV3State,
    "balancer_v2": BalancerV2State,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class SnapshotFormatError(PlimsollError):
    """A recorded snapshot that cannot be read."""


def to_json(snapshot: Snapshot) -> str:
    """One line of JSON with the fields in the order of the classes: equal snapshots give equal text."""
    return json.dumps({"format": FORMAT, **_encode(snapshot)}, separators=(",", ":"))


def from_json(text: str) -> Snapshot:
    """Read what `to_json` wrote.

    Raises
    ------
    SnapshotFormatError
        Not JSON, another format, or a field that is missing, unknown or of the wrong kind.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise SnapshotFormatError(f"recorded snapshot: not JSON ({error})") from None
    if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
        raise SnapshotFormatError(f"recorded snapshot: not format {FORMAT}; record it again with this version")
    snapshot: Snapshot = _decode(Snapshot, data, "snapshot")
    return snapshot


def _encode(value: Any) -> Any:
    if is_dataclass(value):
        encoded = {field.name: _encode(getattr(value, field.name)) for field in fields(value)}
        kind = _NAMES.get(type(value))
        return {"kind": kind, **encoded} if kind else encoded
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    return str(int(value)) if isinstance(value, int) else value


@cache
def _types(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _decode(kind: Any, value: Any, where: str) -> Any:
    if isinstance(kind, UnionType) and NoneType in get_args(kind):
        if value is None:
            return None
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
    elif isinstance(kind, UnionType):
        kind = _KINDS.get(value.pop("kind", "")) if isinstance(value, dict) else None
        if kind is None:
            raise SnapshotFormatError(f"recorded snapshot: {where} is of no known kind")
    if is_dataclass(kind) and isinstance(kind, type):
        types = _types(kind)
        if not isinstance(value, dict) or set(value) != set(types):
            raise SnapshotFormatError(f"recorded snapshot: {where} must have exactly the fields {', '.join(types)}")
        return kind(**{name: _decode(types[name], value[name], f"{where}.{name}") for name in types})
    if get_origin(kind) is tuple:
        return _decode_tuple(get_args(kind), value, where)
    if isinstance(value, str) and kind is str:
        return value
    if isinstance(value, bool) and kind is bool:
        return value
    if isinstance(value, str) and isinstance(kind, type) and issubclass(kind, int) and kind is not bool:
        try:
            number = int(value)
            return kind(number) if issubclass(kind, IntEnum) else number
        except ValueError:
            pass
    raise SnapshotFormatError(f"recorded snapshot: {where} is {str(value)[:40]!r}, not what it should be")


def _decode_tuple(items: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise SnapshotFormatError(f"recorded snapshot: {where} must be a list")
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_decode(items[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if len(items) != len(value):
        raise SnapshotFormatError(f"recorded snapshot: {where} must have {len(items)} entries")
    return tuple(_decode(item, entry, where) for item, entry in zip(items, value, strict=True))
