# SPDX-License-Identifier: Apache-2.0
"""Fixtures that every suite may ask for: mainnet in a box."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from offchain.sandbox.standup import Sandbox, launch

# Histories that tests read must not reach the user's cache.
os.environ.setdefault("PLIMSOLL_CACHE_DIR", str(Path(__file__).parents[1] / ".cache" / "test-history"))


@pytest.fixture(scope="session")
def sandbox_node() -> Iterator[Sandbox]:
    """One sandbox for the whole session; leave it as it was (see `sandbox`)."""
    with launch() as running:
        yield running


@pytest.fixture
def sandbox(sandbox_node: Sandbox) -> Iterator[Sandbox]:
    """The session's sandbox, put back as it was after the test."""
    mark = sandbox_node.rpc.call("evm_snapshot")
    yield sandbox_node
    sandbox_node.rpc.call("evm_revert", mark)


@pytest.fixture
def sandbox_fork(sandbox_node: Sandbox) -> Iterator[Sandbox]:
    """A node of the test's own on top of the session's sandbox."""
    with sandbox_node.fork() as fork:
        yield fork
