# SPDX-License-Identifier: Apache-2.0
"""Recorded public data beside the repository, which tests use where it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"


def recorded(name: str) -> Path:
    """Return a file of recorded data, or skip the test."""
    file = DATA / name
    if not file.exists():
        pytest.skip(f"recorded data is not here: {file}")
    return file
