# SPDX-License-Identifier: Apache-2.0
"""Roles and the delay: schedule, unschedule, ready_at, delay; add_signer, remove_signer, set_curator, set_guardian."""

from __future__ import annotations

import pytest

from offchain.settle.development import development_address
from tests.contracts.mandate.conftest import DELAY, deploy_mandate, loose_limits
from tests.support.evm import Evm, reverts
from tests.support.world import World

ID = b"\1" * 32
ZERO = "0x" + "00" * 20
ACTIONS = ["add_signer", "set_curator", "set_guardian"]
GETTERS = {"set_curator": "curator", "set_guardian": "guardian"}


def holds(world: World, action: str, role: str) -> bool:
    if action == "add_signer":
        return bool(world.mandate.is_signer(role))
    return bool(getattr(world.mandate, GETTERS[action])() == development_address(role))


def test_deployment_appoints_whom_it_was_told(world: World) -> None:
    mandate = world.mandate
    assert (mandate.owner(), mandate.curator(), mandate.guardian()) == tuple(
        development_address(role) for role in ("owner", "curator", "guardian")
    )
    assert mandate.is_signer("optimizer")
    assert mandate.delay() == DELAY
    assert mandate.pending_owner() == ZERO


def test_deployment_needs_an_owner(evm: Evm) -> None:
    with reverts("roles: zero owner"):
        deploy_mandate(evm, loose_limits(), owner=ZERO)


# ---------------------------------------------------------------- schedule


def test_schedule_starts_the_delay(world: World) -> None:
    world.mandate.schedule(ID, sender="owner")
    ready_at = world.evm.timestamp + DELAY
    assert world.mandate.ready_at(ID) == ready_at
    assert world.mandate.event("Scheduled") == {"id": ID, "ready_at": ready_at}


@pytest.mark.parametrize("role", ["curator", "guardian", "optimizer", "attacker"])
def test_only_the_owner_schedules(world: World, role: str) -> None:
    with reverts("ownable: caller is not the owner"):
        world.mandate.schedule(ID, sender=role)


def test_scheduling_again_neither_restarts_nor_shortens(world: World) -> None:
    world.mandate.schedule(ID, sender="owner")
    with reverts("roles: already scheduled"):
        world.mandate.schedule(ID, sender="owner")


@pytest.mark.parametrize("role", ["owner", "guardian"])
def test_owner_and_guardian_unschedule(world: World, role: str) -> None:
    world.mandate.schedule(ID, sender="owner")
    world.mandate.unschedule(ID, sender=role)
    assert world.mandate.event("Unscheduled") == {"id": ID, "caller": development_address(role)}
    assert world.mandate.ready_at(ID) == 0


@pytest.mark.parametrize("role", ["curator", "optimizer", "attacker"])
def test_nobody_else_unschedules(world: World, role: str) -> None:
    world.mandate.schedule(ID, sender="owner")
    with reverts("roles: not owner or guardian"):
        world.mandate.unschedule(ID, sender=role)


def test_nothing_to_unschedule(world: World) -> None:
    with reverts("roles: not scheduled"):
        world.mandate.unschedule(ID, sender="owner")


def test_after_unscheduling_the_delay_starts_over(world: World) -> None:
    world.schedule("add_signer", ("address",), ("bob",))
    world.mandate.unschedule(world.schedule_id("add_signer", ("address",), ("bob",)), sender="guardian")
    with reverts("roles: not scheduled"):
        world.mandate.add_signer("bob", sender="owner")
    world.schedule("add_signer", ("address",), ("bob",), wait=False)
    with reverts("roles: not ready"):
        world.mandate.add_signer("bob", sender="owner")


# ---------------------------------------------------------------- appointments


@pytest.mark.parametrize("action", ACTIONS)
def test_appointments_wait(world: World, action: str) -> None:
    appoint = getattr(world.mandate, action)
    with reverts("roles: not scheduled"):
        appoint("bob", sender="owner")
    world.schedule(action, ("address",), ("bob",), wait=False)
    world.evm.mine(DELAY - 1)
    with reverts("roles: not ready"):
        appoint("bob", sender="owner")
    world.evm.mine(1)
    appoint("bob", sender="owner")
    assert holds(world, action, "bob")


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("role", ["curator", "guardian", "attacker"])
def test_only_the_owner_appoints(world: World, action: str, role: str) -> None:
    world.schedule(action, ("address",), (role,))
    with reverts("ownable: caller is not the owner"):
        getattr(world.mandate, action)(role, sender=role)


@pytest.mark.parametrize("action", ACTIONS)
def test_an_appointment_is_of_who_was_scheduled(world: World, action: str) -> None:
    world.schedule(action, ("address",), ("bob",))
    with reverts("roles: not scheduled"):
        getattr(world.mandate, action)("carol", sender="owner")


def test_a_schedule_of_one_action_is_not_another(world: World) -> None:
    world.schedule("set_curator", ("address",), ("bob",))
    with reverts("roles: not scheduled"):
        world.mandate.set_guardian("bob", sender="owner")


@pytest.mark.parametrize("action", ACTIONS)
def test_an_appointment_cannot_be_replayed(world: World, action: str) -> None:
    world.schedule(action, ("address",), ("bob",))
    getattr(world.mandate, action)("bob", sender="owner")
    with reverts("roles: not scheduled"):
        getattr(world.mandate, action)("bob", sender="owner")


def test_events_of_appointments(world: World) -> None:
    bob = development_address("bob")
    for action, event, expected in (
        ("add_signer", "SignerAdded", {"signer": bob}),
        ("set_curator", "CuratorSet", {"curator": bob}),
        ("set_guardian", "GuardianSet", {"guardian": bob}),
    ):
        world.schedule(action, ("address",), ("bob",))
        getattr(world.mandate, action)("bob", sender="owner")
        assert world.mandate.event(event) == expected


def test_nobody_is_no_signer(world: World) -> None:
    world.schedule("add_signer", ("address",), (ZERO,))
    with reverts("roles: zero signer"):
        world.mandate.add_signer(ZERO, sender="owner")


@pytest.mark.parametrize("action", ["set_curator", "set_guardian"])
def test_an_office_may_be_left_empty(world: World, action: str) -> None:
    world.schedule(action, ("address",), (ZERO,))
    getattr(world.mandate, action)(ZERO, sender="owner")
    assert getattr(world.mandate, GETTERS[action])() == ZERO


# ---------------------------------------------------------------- remove_signer


@pytest.mark.parametrize("role", ["owner", "curator", "guardian"])
def test_removing_a_signer_acts_at_once(invested: World, role: str) -> None:
    order = invested.order([invested.leg("WETH", "USDC", 10**18, 500)])
    signature = invested.sign(order)
    invested.mandate.remove_signer("optimizer", sender=role)
    assert invested.mandate.event("SignerRemoved") == {
        "signer": development_address("optimizer"),
        "caller": development_address(role),
    }
    with reverts("orders: unauthorised signer"):
        invested.vault.settle(order, "optimizer", signature, sender="keeper")


@pytest.mark.parametrize("role", ["optimizer", "keeper", "attacker"])
def test_nobody_else_removes_a_signer(world: World, role: str) -> None:
    with reverts("roles: not owner, curator or guardian"):
        world.mandate.remove_signer("optimizer", sender=role)


def test_only_a_signer_can_be_removed(world: World) -> None:
    with reverts("roles: not a signer"):
        world.mandate.remove_signer("bob", sender="guardian")


def test_a_removed_signer_returns_only_after_the_delay(world: World) -> None:
    world.mandate.remove_signer("optimizer", sender="guardian")
    with reverts("roles: not scheduled"):
        world.mandate.add_signer("optimizer", sender="owner")


# ---------------------------------------------------------------- may_cancel


@pytest.mark.parametrize(
    ("role", "may"),
    [("optimizer", True), ("owner", True), ("curator", True), ("guardian", True), ("keeper", False), ("alice", False)],
)
def test_who_may_cancel(world: World, role: str, may: bool) -> None:
    assert world.mandate.may_cancel(role) is may
