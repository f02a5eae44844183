# SPDX-License-Identifier: Apache-2.0
"""docs/mandate-reference.md names every field of a mandate, and every kind that one can be of."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from offchain.mandate import Mandate
from tests.support.contracts import PROJECT

SCHEMA = Mandate.model_json_schema()
SECTIONS: dict[str, Any] = {"Mandate": SCHEMA, **SCHEMA["$defs"]}
TEXT = (PROJECT / "docs" / "mandate-reference.md").read_text()
NAMED = {part for code in re.findall(r"`([^`]+)`", TEXT) for part in re.split(r"[^a-z0-9_]+", code)}


def words(section: dict[str, Any]) -> Iterator[str]:
    """Fields, and the words that one of them may take."""
    for field, rule in section.get("properties", {}).items():
        yield field
        yield from filter(None, [rule.get("const"), *rule.get("enum", ())] if rule.get("type") == "string" else ())


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_and_kind_is_in_the_reference(section: str) -> None:
    assert sorted(set(words(SECTIONS[section])) - NAMED) == []
