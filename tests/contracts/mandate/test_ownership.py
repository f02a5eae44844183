# SPDX-License-Identifier: Apache-2.0
"""transfer_ownership, accept_ownership: two steps, the second by who will own, which must be a timelock."""

from __future__ import annotations

import pytest

from tests.contracts.mandate.conftest import DELAY
from tests.support.evm import Contract, reverts
from tests.support.world import World, deploy_timelock, scheduled


@pytest.fixture
def heir(world: World) -> Contract:
    """Another timelock of the same delay, for bob."""
    return deploy_timelock(world.evm, DELAY, "bob")


def test_two_steps(world: World, heir: Contract) -> None:
    world.owner_does(world.mandate.transfer_ownership, heir.address)
    assert world.mandate.owner() == world.timelock.address
    assert world.mandate.pending_owner() == heir.address
    scheduled(heir, world.mandate.accept_ownership, proposer="bob")()
    assert world.mandate.owner() == heir.address


@pytest.mark.parametrize("role", ["owner", "curator", "guardian", "attacker"])
def test_only_the_owner_offers(world: World, role: str) -> None:
    with reverts("ownable: caller is not the owner"):
        world.mandate.transfer_ownership(role, sender=role)


def test_only_who_was_offered_accepts(world: World, heir: Contract) -> None:
    accept = scheduled(heir, world.mandate.accept_ownership, proposer="bob")
    with reverts("ownable_2step: caller is not the new owner"):
        accept()


def test_an_account_cannot_own(world: World) -> None:
    """It would act at once, and the delay would be nobody's."""
    world.owner_does(world.mandate.transfer_ownership, "bob")
    with reverts("roles: owner is not a timelock"):
        world.mandate.accept_ownership(sender="bob")


def test_a_quicker_timelock_cannot_own(world: World) -> None:
    quick = deploy_timelock(world.evm, DELAY - 1, "bob")
    world.owner_does(world.mandate.transfer_ownership, quick.address)
    accept = scheduled(quick, world.mandate.accept_ownership, proposer="bob")
    with reverts("roles: owner acts too soon"):
        accept()


def test_an_offer_can_be_replaced(world: World, heir: Contract) -> None:
    world.owner_does(world.mandate.transfer_ownership, heir.address)
    world.owner_does(world.mandate.transfer_ownership, "carol")
    accept = scheduled(heir, world.mandate.accept_ownership, proposer="bob")
    with reverts("ownable_2step: caller is not the new owner"):
        accept()


def test_the_old_owner_keeps_nothing(world: World, heir: Contract) -> None:
    world.owner_does(world.mandate.transfer_ownership, heir.address)
    scheduled(heir, world.mandate.accept_ownership, proposer="bob")()
    for action, arguments in (
        (world.mandate.add_signer, ("attacker",)),
        (world.mandate.guardian_trip, (1,)),
        (world.mandate.approve_limits, (b"\1" * 32,)),
        (world.vault.cancel, (0,)),
    ):
        act = world.schedule(action, *arguments)
        with reverts():
            act()


@pytest.mark.parametrize("name", ["renounce_ownership", "_transfer_ownership"])
def test_ownership_cannot_be_thrown_away(world: World, name: str) -> None:
    assert name not in {entry.get("name") for entry in world.mandate.abi}
