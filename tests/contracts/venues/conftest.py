# SPDX-License-Identifier: Apache-2.0
"""Vaults with Aave and Balancer as venues; whatever a test does to one is undone after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.lending import Lending, lending_and_balancer, lending_world


@pytest.fixture(scope="session")
def _lending() -> Lending:
    return lending_and_balancer()[0]


@pytest.fixture
def lending(_lending: Lending) -> Iterator[Lending]:
    """Benchmark weights in the wallet, nothing at the venues."""
    with _lending.world.evm.rolled_back():
        yield _lending


@pytest.fixture
def leveraged(lending: Lending) -> Lending:
    """WETH and WBTC supplied, 100,000 dollars owed, and bob a shareholder beside alice."""
    lending.open()
    lending.world.deposit("bob", 200_000 * 10**6)
    return lending


@pytest.fixture(scope="session")
def _bounded() -> Lending:
    return lending_world(
        max_leverage_bps=13_500, max_venues_bps=(7_000,), min_buffer_bps=500, max_weight_bps=7_000, frozen_trips=1
    )


@pytest.fixture
def bounded(_bounded: Lending) -> Iterator[Lending]:
    """A vault whose mandate bounds leverage, venue and buffer, and whose breaker knows reserves."""
    with _bounded.world.evm.rolled_back():
        yield _bounded
