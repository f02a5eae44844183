# SPDX-License-Identifier: Apache-2.0
"""What solved a program, by name and version: another version may answer with other last bits."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def with_versions(solver: str, *packages: str) -> str:
    """Name of a solver followed by the versions of the packages that do its arithmetic."""
    return f"{solver} ({', '.join(f'{package} {_version(package)}' for package in packages)})"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"
