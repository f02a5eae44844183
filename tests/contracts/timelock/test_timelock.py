# SPDX-License-Identifier: Apache-2.0
"""The owner of a mandate: who schedules, cancels and executes; that its delay and its roles wait, too."""

from __future__ import annotations

from typing import Any

import pytest

from offchain.settle.development import development_address
from tests.contracts.mandate.conftest import DELAY
from tests.support.evm import reverts
from tests.support.world import ZERO_HASH, World


def operation(world: World) -> tuple[Any, ...]:
    """Make bob the curator."""
    payload = world.mandate.set_curator.encode("bob")
    return world.mandate.address, 0, payload, ZERO_HASH, ZERO_HASH


def test_the_delay_is_the_mandates_and_fixed(world: World) -> None:
    assert world.timelock.get_minimum_delay() == world.mandate.delay() == DELAY
    assert "update_delay" not in {entry.get("name") for entry in world.timelock.abi}


@pytest.mark.parametrize("role", ["curator", "guardian", "optimizer", "attacker"])
def test_only_the_owner_schedules(world: World, role: str) -> None:
    with reverts("access_control: account is missing role"):
        world.timelock.schedule(*operation(world), DELAY, sender=role)


def test_nothing_is_scheduled_for_sooner(world: World) -> None:
    with reverts("timelock_controller: insufficient delay"):
        world.timelock.schedule(*operation(world), DELAY - 1, sender="owner")


@pytest.mark.parametrize("role", ["owner", "guardian"])
def test_owner_and_guardian_cancel(world: World, role: str) -> None:
    world.timelock.schedule(*operation(world), DELAY, sender="owner")
    world.timelock.cancel(world.timelock.hash_operation(*operation(world)), sender=role)
    world.evm.mine(DELAY)
    with reverts("timelock_controller: operation is not ready"):
        world.timelock.execute(*operation(world), sender="owner")


@pytest.mark.parametrize("role", ["curator", "optimizer", "attacker"])
def test_nobody_else_cancels(world: World, role: str) -> None:
    world.timelock.schedule(*operation(world), DELAY, sender="owner")
    with reverts("access_control: account is missing role"):
        world.timelock.cancel(world.timelock.hash_operation(*operation(world)), sender=role)


@pytest.mark.parametrize("role", ["guardian", "curator", "attacker"])
def test_only_the_owner_executes(world: World, role: str) -> None:
    world.timelock.schedule(*operation(world), DELAY, sender="owner")
    world.evm.mine(DELAY)
    with reverts("access_control: account is missing role"):
        world.timelock.execute(*operation(world), sender=role)


def test_what_was_scheduled_is_done_once(world: World) -> None:
    world.timelock.schedule(*operation(world), DELAY, sender="owner")
    world.evm.mine(DELAY)
    world.timelock.execute(*operation(world), sender="owner")
    assert world.mandate.curator() == development_address("bob")
    with reverts("timelock_controller: operation is not ready"):
        world.timelock.execute(*operation(world), sender="owner")


@pytest.mark.parametrize("role", ["owner", "guardian", "attacker"])
def test_its_own_roles_change_by_what_waited(world: World, role: str) -> None:
    """Nobody is its administrator: a stolen proposer's key cannot lock the guardian out at once."""
    timelock = world.timelock
    with reverts("access_control: account is missing role"):
        timelock.revokeRole(timelock.CANCELLER_ROLE(), "guardian", sender=role)
    world.owner_does(timelock.grantRole, timelock.PROPOSER_ROLE(), development_address("bob"))
    assert timelock.hasRole(timelock.PROPOSER_ROLE(), "bob")


def test_a_guardian_is_dismissed_in_two_places_at_once(world: World) -> None:
    """In the mandate alone it would go on to cancel; and whoever has its key can cancel its dismissal, too."""
    timelock, mandate = world.timelock, world.mandate
    canceller, bob = timelock.CANCELLER_ROLE(), development_address("bob")
    world.owner_does(mandate.set_guardian, bob)
    assert timelock.hasRole(canceller, "guardian")
    calls = [
        (mandate.address, mandate.set_guardian.encode(bob)),
        (timelock.address, timelock.grantRole.encode(canceller, bob)),
        (timelock.address, timelock.revokeRole.encode(canceller, development_address("guardian"))),
    ]
    batch = ([to for to, _ in calls], [0] * 3, [data for _, data in calls], ZERO_HASH, ZERO_HASH)
    timelock.schedule_batch(*batch, DELAY, sender="owner")
    with world.evm.rolled_back():
        timelock.cancel(timelock.hash_operation_batch(*batch), sender="guardian")
    world.evm.mine(DELAY)
    timelock.execute_batch(*batch, sender="owner")
    assert not timelock.hasRole(canceller, "guardian")
    assert timelock.hasRole(canceller, "bob")
