# SPDX-License-Identifier: Apache-2.0
"""mint: an exact number of shares, for whatever they cost."""

from __future__ import annotations

import pytest

from offchain.settle.development import development_address
from tests.support.evm import reverts
from tests.support.world import ONE, World, usdc


@pytest.fixture
def buyer(world: World) -> World:
    world.give(0, "alice", usdc(10_000))
    world.approve("alice")
    return world


def test_takes_the_price_and_the_fee(buyer: World) -> None:
    assert buyer.vault.mint(995 * ONE, "alice", sender="alice") == usdc(1000)
    assert buyer.vault.balanceOf("alice") == 995 * ONE
    assert buyer.tokens[0].balanceOf(buyer.vault) == usdc(1000)


def test_a_share_of_dust_costs_a_unit_and_its_fee(buyer: World) -> None:
    """One unit would be all fee."""
    assert buyer.vault.mint(1, "alice", sender="alice") == 2


def test_emits(buyer: World) -> None:
    assets = buyer.vault.mint(ONE, "bob", sender="alice")
    assert buyer.vault.event("Deposit") == {
        "sender": development_address("alice"),
        "owner": development_address("bob"),
        "assets": assets,
        "shares": ONE,
    }


def test_nothing_for_nothing(buyer: World) -> None:
    assert buyer.vault.mint(0, "alice", sender="alice") == 0


def test_refused_when_the_breaker_stands(buyer: World) -> None:
    buyer.mandate.guardian_trip(1, sender="guardian")
    with reverts("breaker: not active"):
        buyer.vault.mint(ONE, "alice", sender="alice")


def test_refused_when_a_price_is_dead(buyer: World) -> None:
    buyer.evm.mine(30 * 86_400)
    with reverts("oracle: stale"):
        buyer.vault.mint(ONE, "alice", sender="alice")


def test_more_than_anybody_can_pay(buyer: World) -> None:
    with reverts("stand_in: transfer amount exceeds balance"):
        buyer.vault.mint(10**30, "alice", sender="alice")
