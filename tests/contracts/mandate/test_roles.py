# SPDX-License-Identifier: Apache-2.0
"""Roles: owner, delay, add_signer, remove_signer, set_curator, set_guardian, may_cancel."""

from __future__ import annotations

import pytest

from offchain.settle.development import development_address
from tests.contracts.mandate.conftest import DELAY, deploy_mandate, loose_limits
from tests.support.evm import Evm, reverts
from tests.support.world import World, deploy_timelock

ZERO = "0x" + "00" * 20
ACTIONS = ["add_signer", "set_curator", "set_guardian"]
GETTERS = {"set_curator": "curator", "set_guardian": "guardian"}


def holds(world: World, action: str, role: str) -> bool:
    if action == "add_signer":
        return bool(world.mandate.is_signer(role))
    return bool(getattr(world.mandate, GETTERS[action])() == development_address(role))


def test_deployment_appoints_whom_it_was_told(world: World) -> None:
    mandate = world.mandate
    assert mandate.owner() == world.timelock.address
    assert (mandate.curator(), mandate.guardian()) == tuple(map(development_address, ("curator", "guardian")))
    assert mandate.is_signer("optimizer")
    assert mandate.delay() == DELAY
    assert mandate.pending_owner() == ZERO


@pytest.mark.parametrize("owner", [development_address("owner"), ZERO])
def test_the_owner_must_be_a_contract_that_waits(evm: Evm, owner: str) -> None:
    with reverts("roles: owner is not a timelock"):
        deploy_mandate(evm, loose_limits(), owner=owner)


def test_the_owner_must_wait_as_long_as_the_mandate_promises(evm: Evm) -> None:
    with reverts("roles: owner acts too soon"):
        deploy_mandate(evm, loose_limits(), owner=deploy_timelock(evm, DELAY - 1).address)
    assert deploy_mandate(evm, loose_limits(), owner=deploy_timelock(evm, DELAY + 1).address).delay() == DELAY


# ---------------------------------------------------------------- appointments


@pytest.mark.parametrize("action", ACTIONS)
def test_appointments_wait(world: World, action: str) -> None:
    appoint = world.schedule(getattr(world.mandate, action), "bob", wait=False)
    world.evm.mine(DELAY - 1)
    with reverts("timelock_controller: operation is not ready"):
        appoint()
    world.evm.mine(1)
    appoint()
    assert holds(world, action, "bob")


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("role", ["owner", "curator", "guardian", "attacker"])
def test_only_the_timelock_appoints(world: World, action: str, role: str) -> None:
    with reverts("ownable: caller is not the owner"):
        getattr(world.mandate, action)(role, sender=role)


def test_events_of_appointments(world: World) -> None:
    bob = development_address("bob")
    for action, event, expected in (
        ("add_signer", "SignerAdded", {"signer": bob}),
        ("set_curator", "CuratorSet", {"curator": bob}),
        ("set_guardian", "GuardianSet", {"guardian": bob}),
    ):
        world.owner_does(getattr(world.mandate, action), "bob")
        assert world.mandate.event(event) == expected


def test_nobody_is_no_signer(world: World) -> None:
    add = world.schedule(world.mandate.add_signer, ZERO)
    with reverts("roles: zero signer"):
        add()


@pytest.mark.parametrize("action", ["set_curator", "set_guardian"])
def test_an_office_may_be_left_empty(world: World, action: str) -> None:
    world.owner_does(getattr(world.mandate, action), ZERO)
    assert getattr(world.mandate, GETTERS[action])() == ZERO


# ---------------------------------------------------------------- remove_signer


@pytest.mark.parametrize("role", ["curator", "guardian"])
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


@pytest.mark.parametrize("role", ["owner", "optimizer", "keeper", "attacker"])
def test_nobody_else_removes_a_signer(world: World, role: str) -> None:
    with reverts("roles: not owner, curator or guardian"):
        world.mandate.remove_signer("optimizer", sender=role)


def test_only_a_signer_can_be_removed(world: World) -> None:
    with reverts("roles: not a signer"):
        world.mandate.remove_signer("bob", sender="guardian")


def test_a_removed_signer_returns_only_after_the_delay(world: World) -> None:
    world.mandate.remove_signer("optimizer", sender="guardian")
    add = world.schedule(world.mandate.add_signer, "optimizer", wait=False)
    with reverts("timelock_controller: operation is not ready"):
        add()


# ---------------------------------------------------------------- may_cancel


@pytest.mark.parametrize(
    ("role", "may"),
    [("optimizer", True), ("owner", False), ("curator", True), ("guardian", True), ("keeper", False), ("alice", False)],
)
def test_who_may_cancel(world: World, role: str, may: bool) -> None:
    assert world.mandate.may_cancel(role) is may


def test_the_timelock_may_cancel(world: World) -> None:
    assert world.mandate.may_cancel(world.timelock) is True
