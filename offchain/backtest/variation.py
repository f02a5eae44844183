# SPDX-License-Identifier: Apache-2.0
"""Variations of a mandate: dotted names of its fields and the values to try."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from offchain.backtest.errors import BacktestError
from offchain.mandate import Mandate


@dataclass(frozen=True, slots=True)
class Variation:
    """One field and the values it takes in turn.

    Attributes
    ----------
    field
        Dotted name as in the file, such as ``objective.risk_aversion`` or ``assets.WETH.max_weight_bps``.
    values
        As JSON would have them.
    """

    field: str
    values: tuple[Any, ...]

    @classmethod
    def parse(cls, text: str) -> Variation:
        """Read ``field=value,value,…``; a value is a JSON word, or text.

        Raises
        ------
        BacktestError
            It is not of that form.
        """
        field, equals, values = text.partition("=")
        if not field.strip() or not equals or not values.strip():
            raise BacktestError(f"--vary {text}: write it as objective.risk_aversion=2,6,20")
        return cls(field.strip(), tuple(_word(value.strip()) for value in values.split(",")))


def vary(mandate: Mandate, variations: Sequence[Variation]) -> Iterator[tuple[str, Mandate]]:
    """Every combination, with a name that says what was set; the mandate itself without variations.

    Raises
    ------
    BacktestError
        A field does not exist, or a combination is no valid mandate; names both.
    """
    for combination in itertools.product(*(variation.values for variation in variations)):
        document = json.loads(mandate.model_dump_json())
        said = []
        for variation, value in zip(variations, combination, strict=True):
            _put(document, variation.field, value)
            said.append(f"{variation.field}={value}")
        name = ", ".join(said)
        try:
            yield name, Mandate.model_validate_json(json.dumps(document)) if said else mandate
        except ValidationError as error:
            first = error.errors()[0]
            context = first.get("ctx", {})
            why = context.get("allowed") or first["msg"]
            raise BacktestError(f"--vary {name}: {'.'.join(map(str, first['loc']))} {why}") from None


def _put(document: dict[str, Any], field: str, value: Any) -> None:
    node: Any = document
    *parents, last = field.split(".")
    for part in parents:
        node = _child(node, part, field)
    if not isinstance(node, dict) or last not in node:
        known = ", ".join(node) if isinstance(node, Mapping) else "nothing"
        raise BacktestError(f"--vary {field}: the mandate has no {last!r} there; it has {known}")
    node[last] = value


def _child(node: Any, part: str, field: str) -> Any:
    if isinstance(node, list):
        for item in node:
            if isinstance(item, dict) and part in (item.get("symbol"), item.get("kind")):
                return item
    elif isinstance(node, dict) and part in node:
        return node[part]
    raise BacktestError(f"--vary {field}: the mandate has no {part!r}")


def _word(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
