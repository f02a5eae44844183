# SPDX-License-Identifier: Apache-2.0
"""Vaults made by hand, see `tests.support.made_vaults`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from offchain.allocate import Plan
from offchain.mandate import Mandate, load_mandate
from offchain.market.snapshot import Snapshot
from tests.support.made_vaults import MANDATE, Vaults, settle


@pytest.fixture(scope="session")
def mandate() -> Mandate:
    """The demo's mandate."""
    return load_mandate(MANDATE)


@pytest.fixture(scope="session")
def vaults(mandate: Mandate) -> Vaults:
    """Builds snapshots of a vault under the demo's mandate."""
    return Vaults(mandate)


@pytest.fixture(scope="session")
def make_vaults() -> type[Vaults]:
    """Builds snapshots under any mandate of five assets."""
    return Vaults


@pytest.fixture(scope="session")
def settled() -> Callable[[Snapshot, Plan], Snapshot]:
    """Applies a plan to a snapshot."""
    return settle
