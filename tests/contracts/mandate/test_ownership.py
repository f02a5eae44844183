# SPDX-License-Identifier: Apache-2.0
"""transfer_ownership, accept_ownership: two steps, the second by who will own."""

from __future__ import annotations

import pytest

from offchain.settle.development import development_address
from tests.support.evm import reverts
from tests.support.world import World


def test_two_steps(world: World) -> None:
    world.mandate.transfer_ownership("bob", sender="owner")
    assert world.mandate.owner() == development_address("owner")
    assert world.mandate.pending_owner() == development_address("bob")
    world.mandate.accept_ownership(sender="bob")
    assert world.mandate.owner() == development_address("bob")


@pytest.mark.parametrize("role", ["curator", "guardian", "attacker"])
def test_only_the_owner_offers(world: World, role: str) -> None:
    with reverts("ownable: caller is not the owner"):
        world.mandate.transfer_ownership(role, sender=role)


@pytest.mark.parametrize("role", ["owner", "attacker"])
def test_only_who_was_offered_accepts(world: World, role: str) -> None:
    world.mandate.transfer_ownership("bob", sender="owner")
    with reverts("ownable_2step: caller is not the new owner"):
        world.mandate.accept_ownership(sender=role)


def test_an_offer_can_be_replaced(world: World) -> None:
    world.mandate.transfer_ownership("bob", sender="owner")
    world.mandate.transfer_ownership("carol", sender="owner")
    with reverts("ownable_2step: caller is not the new owner"):
        world.mandate.accept_ownership(sender="bob")


def test_the_old_owner_keeps_nothing(world: World) -> None:
    world.mandate.transfer_ownership("bob", sender="owner")
    world.mandate.accept_ownership(sender="bob")
    for call in (
        lambda: world.mandate.schedule(b"\1" * 32, sender="owner"),
        lambda: world.mandate.guardian_trip(1, sender="owner"),
        lambda: world.vault.cancel(0, sender="owner"),
        lambda: world.mandate.set_limits(world.limits(), sender="owner"),
    ):
        with reverts():
            call()


@pytest.mark.parametrize("name", ["renounce_ownership", "_transfer_ownership"])
def test_ownership_cannot_be_thrown_away(world: World, name: str) -> None:
    assert name not in {entry.get("name") for entry in world.mandate.abi}
