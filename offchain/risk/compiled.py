# SPDX-License-Identifier: Apache-2.0
"""Numba as this package uses it: typed, cached on disk, IEEE arithmetic except for fused multiply-adds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile on first use and keep the machine code beside the source.

    Division by zero gives infinity as in numpy, and the interpreter's lock is released while it runs.
    """
    made: Function = numba.njit(cache=True, fastmath={"contract"}, error_model="numpy", nogil=True)(function)
    return made


def inlined(function: Function) -> Function:
    """Compile as `compiled` does, into the body of every caller, so that a caller's loop can become vector code.

    A caller in another file keeps its machine code on disk until its own file changes: touch it too.
    """
    options = {"cache": True, "fastmath": {"contract"}, "error_model": "numpy", "nogil": True, "inline": "always"}
    made: Function = numba.njit(**options)(function)
    return made
