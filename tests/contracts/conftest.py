# SPDX-License-Identifier: Apache-2.0
"""Vaults to play with; whatever a test does to one is undone after it.

``world`` has no shareholder yet, ``funded`` has alice's million dollars in base asset,
``invested`` holds its benchmark weights, and its pools stand
at the oracle's prices. ``hostile`` is a funded vault over tokens that
misbehave on demand.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.hostile import Hostile, hostile_world
from tests.support.world import World, usdc

# The same cases on every run; a failure is then everybody's.
settings.register_profile("contracts", derandomize=True)
settings.load_profile("contracts")


@pytest.fixture(scope="session")
def _world() -> World:
    return World.deploy()


@pytest.fixture(scope="session")
def _funded() -> World:
    world = World.deploy()
    world.deposit("alice", usdc(1_000_000))
    return world


@pytest.fixture(scope="session")
def _invested() -> World:
    world = World.deploy()
    world.deposit("alice", usdc(1_000_000))
    world.invest()
    world.trade_market_to(exact=True)
    world.evm.mine()
    return world


@pytest.fixture(scope="session")
def _hostile() -> Hostile:
    hostile = hostile_world()
    hostile.world.deposit("alice", usdc(1_000_000))
    return hostile


@pytest.fixture
def world(_world: World) -> Iterator[World]:
    with _world.evm.rolled_back():
        yield _world


@pytest.fixture
def funded(_funded: World) -> Iterator[World]:
    with _funded.evm.rolled_back():
        yield _funded


@pytest.fixture
def invested(_invested: World) -> Iterator[World]:
    with _invested.evm.rolled_back():
        yield _invested


@pytest.fixture
def hostile(_hostile: Hostile) -> Iterator[Hostile]:
    with _hostile.world.evm.rolled_back():
        yield _hostile
