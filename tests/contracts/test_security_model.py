# SPDX-License-Identifier: Apache-2.0
"""The security model names functions, modules and tests: each of them exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "docs" / "security-model.md").read_text()
NAMES = re.findall(r"`([^`\n]+)`", TEXT)
PATHS = sorted({name for name in NAMES if re.match(r"(tests|offchain|docs)/", name)})
MODULES = sorted({name for name in NAMES if name.startswith("modules/")})
FUNCTIONS = sorted({name for name in NAMES if re.fullmatch(r"[A-Z]\w+\.[a-z]\w+", name)})
PROMISES = re.split(r"^### ", TEXT.partition("## Promises")[2].partition("\n## ")[0], flags=re.MULTILINE)[1:]


@cache
def external_functions(contract: str) -> frozenset[str]:
    """What a contract defines or exports from a module."""
    source = (PROJECT / "contracts" / f"{contract}.vy").read_text()
    exported = re.search(r"^exports: \((.*?)^\)", source, re.MULTILINE | re.DOTALL)
    names = re.findall(r"^@external\n(?:@\w+.*\n)*def (\w+)", source, re.MULTILINE)
    return frozenset(names + re.findall(r"\w+\.(\w+)", exported[1] if exported else ""))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_exist(name: str) -> None:
    contract, function = name.split(".")
    assert function in external_functions(contract)


@pytest.mark.parametrize("name", MODULES)
def test_modules_exist(name: str) -> None:
    assert (PROJECT / "contracts" / name).is_file()


@pytest.mark.parametrize("name", PATHS)
def test_paths_exist(name: str) -> None:
    path, _, test = name.partition("::")
    assert (PROJECT / path).exists()
    if test:
        tree = ast.parse((PROJECT / path).read_text())
        assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.splitlines()[0])
def test_every_promise_has_its_function_its_attack_and_its_limit(promise: str) -> None:
    parts = dict(re.findall(r"\* \*\*([\w ]+)\*\*:? (.*?)(?=\n\* \*\*|\Z)", promise, re.DOTALL))
    assert set(parts) == {"Enforced by", "Attacked in", "Not promised"}
    assert "`" in parts["Enforced by"]
    assert "`tests/" in parts["Attacked in"]
