# SPDX-License-Identifier: Apache-2.0
"""Typed access to parsed JSON that knows where it is: every complaint names the path."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from offchain.route.errors import RouteError

_INTEGER = re.compile(r"-?[0-9]{1,100}")
_SHOWN = 40


class InstanceError(RouteError):
    """A problem file that makes no sense.

    Attributes
    ----------
    path
        Where in the file, for instance ``pools[3].reserves[0]``.
    why
        What is wrong there.
    """

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}")


class Node:
    """One value of a JSON document and the path to it.

    Every method raises `InstanceError` where the value is not what it is asked to be.
    """

    __slots__ = ("path", "value")

    def __init__(self, value: Any, path: str) -> None:
        self.value = value
        self.path = path

    def fail(self, why: str) -> InstanceError:
        """The complaint about this value."""
        return InstanceError(self.path, why)

    def field(self, name: str) -> Node:
        """A member that must be there."""
        node = self.optional(name)
        if node is None:
            raise InstanceError(self._below(name), "is missing")
        return node

    def optional(self, name: str) -> Node | None:
        """A member, or None where it is absent or null."""
        if not isinstance(self.value, dict):
            raise self.fail(f"must be an object, not {self._shown()}")
        value = self.value.get(name)
        return None if value is None else Node(value, self._below(name))

    def items(self, least: int = 0, most: int | None = None) -> list[Node]:
        """The elements of a list of `least` to `most`."""
        if not isinstance(self.value, list):
            raise self.fail(f"must be a list, not {self._shown()}")
        if len(self.value) < least or (most is not None and len(self.value) > most):
            wanted = f"{least}" if most == least else f"at least {least}" if most is None else f"{least} to {most}"
            raise self.fail(f"must have {wanted} elements, not {len(self.value)}")
        return list(self._elements())

    def text(self) -> str:
        """A string that is not empty."""
        if not isinstance(self.value, str) or not self.value:
            raise self.fail(f"must be a string, not {self._shown()}")
        return self.value

    def integer(self, least: int = 0, most: int = 2**256 - 1) -> int:
        """A whole number, as such or in a string."""
        value = self.value
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.fail(f"must be a whole number, as a decimal string, not {self._shown()}")
        if not least <= value <= most:
            bound = f"at least {least}" if value < least else f"at most {most}"
            raise self.fail(f"must be {bound}, not {self._shown()}")
        return value

    def number(self, positive: bool = False) -> float:
        """A finite number that is not negative, as such or in a string."""
        value = self.value
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number) or number < 0 or (positive and number == 0):
            raise self.fail(
                f"must be a finite number, {'positive' if positive else 'not negative'}, not {self._shown()}"
            )
        return number

    def _elements(self) -> Iterator[Node]:
        for index, value in enumerate(self.value):
            yield Node(value, f"{self.path}[{index}]")

    def _below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _shown(self) -> str:
        if self.value is None:
            return "null"
        if isinstance(self.value, dict | list):
            return "an object" if isinstance(self.value, dict) else "a list"
        shown = str(self.value).lower() if isinstance(self.value, bool) else str(self.value)
        return repr(shown[:_SHOWN] + "…") if len(shown) > _SHOWN else repr(shown)
