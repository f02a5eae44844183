# SPDX-License-Identifier: Apache-2.0
"""Published contracts: their ABI and creation code as npm packages carry them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from offchain.errors import PlimsollError
from offchain.sandbox.anvil import PROJECT


class ArtifactMissing(PlimsollError):
    """A package is not installed, or does not carry what is expected of it."""


class LinkError(PlimsollError):
    """A library that the code needs has no address."""


Links = Mapping[str, Sequence[int]]
"""Byte offsets of a library's address in the creation code, by library name."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A contract before deployment."""

    name: str
    abi: tuple[Mapping[str, Any], ...]
    creation: str
    """Creation code, hex without 0x; links are still to be filled in."""
    links: Links = field(default_factory=dict)

    def linked(self, libraries: Mapping[str, str]) -> bytes:
        """Creation code with the libraries' addresses in place.

        Raises
        ------
        LinkError
            A library is missing.
        """
        code = self.creation
        for library, offsets in self.links.items():
            if library not in libraries:
                raise LinkError(f"{self.name} needs the library {library}; deploy it first")
            address = libraries[library].removeprefix("0x").lower()
            for offset in offsets:
                code = code[: 2 * offset] + address + code[2 * offset + 40 :]
        return bytes.fromhex(code)


@cache
def npm_artifact(path: str) -> Artifact:
    """Load an artifact of hardhat, truffle, waffle or Chainlink's ``.js`` wrappers.

    Parameters
    ----------
    path
        Relative to node_modules/.

    Raises
    ------
    ArtifactMissing
        No such file, or no creation code in it.
    """
    text = _read(path)
    if path.endswith(".js"):
        start = text.index("{", text.index("contract("))
        document = json.JSONDecoder().raw_decode(text, start)[0]
    else:
        document = json.loads(text)
    code = document.get("bytecode")
    links = document.get("linkReferences", {})
    if code is None:
        inner = document.get("evm", {}).get("bytecode", {})
        code, links = inner.get("object"), inner.get("linkReferences", {})
    if not code:
        raise ArtifactMissing(f"node_modules/{path} has no creation code; is another version of the package installed?")
    offsets = {
        library: tuple(int(place["start"]) for place in places)
        for libraries in links.values()
        for library, places in libraries.items()
    }
    return Artifact(Path(path).stem, tuple(document["abi"]), code.removeprefix("0x"), offsets)


@cache
def npm_parts(folder: str, name: str) -> Artifact:
    """Load a contract whose code and ABI stand in files of their own, ``bytecode/`` and ``abi/`` of a folder.

    Raises
    ------
    ArtifactMissing
        One of them is not there.
    """
    code = json.loads(_read(f"{folder}/bytecode/{name}.json"))["creationCode"]
    return Artifact(name, tuple(json.loads(_read(f"{folder}/abi/{name}.json"))), code.removeprefix("0x"))


def npm_constant(path: str, name: str) -> bytes:
    """Hex constant of a TypeScript file, relative to node_modules/."""
    match = re.search(rf"{re.escape(name)}\s*=\s*['\"]0x([0-9a-f]+)", _read(path))
    if match is None:
        raise ArtifactMissing(
            f"node_modules/{path} has no constant {name}; is another version of the package installed?"
        )
    return bytes.fromhex(match[1])


def _read(path: str) -> str:
    try:
        return (PROJECT / "node_modules" / path).read_text()
    except FileNotFoundError as error:
        raise ArtifactMissing(f"node_modules/{path} is missing; run `make setup`") from error
