# SPDX-License-Identifier: Apache-2.0
"""Orders that somebody signed once, used again, elsewhere, later, or changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from offchain.settle.development import development_address
from tests.support.evm import Evm, reverts
from tests.support.world import Order, World, usdc


def order_of(world: World) -> Order:
    return world.order([world.leg("WETH", "USDC", 10**18, 500), world.leg("USDC", "WBTC", usdc(1000), 3000, 10**5)])


def test_replay_of_a_settled_order(invested: World) -> None:
    order = order_of(invested)
    invested.settle(order)
    with reverts("orders: wrong nonce"):
        invested.vault.settle(order, "optimizer", invested.sign(order), sender="attacker")


def test_replay_after_cancel(invested: World) -> None:
    order = order_of(invested)
    signature = invested.sign(order)
    invested.vault.cancel(order.nonce, sender="guardian")
    with reverts("orders: wrong nonce"):
        invested.vault.settle(order, "optimizer", signature, sender="attacker")


def test_replay_of_a_signed_order_on_another_vault(invested: World) -> None:
    """The same mandate file, the same signer, the same nonce: another salt."""
    other = World.deploy(evm=invested.evm, salt=b"other")
    other.deposit("alice", usdc(1_000_000))
    other.invest()
    order = order_of(other)
    with reverts("orders: invalid signature"):
        other.vault.settle(order, "optimizer", invested.sign(order), sender="attacker")


def test_replay_of_a_signed_order_on_another_chain() -> None:
    """The same vault at the same address: a fork with another chain id."""
    here, there = World.deploy(), World.deploy(evm=Evm.sandbox(chain_id=10))
    assert here.vault.address == there.vault.address
    for world in (here, there):
        world.deposit("alice", usdc(1_000_000))
    order = here.order([here.leg("USDC", "WETH", usdc(1000), 500)])
    assert order == there.order([there.leg("USDC", "WETH", usdc(1000), 500)])
    assert here.vault.hash_order(order) != there.vault.hash_order(order)
    with reverts("orders: invalid signature"):
        there.vault.settle(order, "optimizer", here.sign(order), sender="attacker")


@pytest.mark.parametrize("ahead", [1, 2, 1000])
def test_an_order_for_a_later_nonce_does_not_settle_before_its_turn(invested: World, ahead: int) -> None:
    order = order_of(invested)._replace(nonce=invested.vault.order_nonce() + ahead)
    with reverts("orders: wrong nonce"):
        invested.vault.settle(order, "optimizer", invested.sign(order), sender="attacker")


def test_expired(invested: World) -> None:
    order = order_of(invested)
    signature = invested.sign(order)
    invested.evm.mine(12, blocks=26)
    with reverts("orders: expired"):
        invested.vault.settle(order, "optimizer", signature, sender="attacker")


CHANGES: dict[str, Callable[[Order], Order]] = {
    "a minimum removed": lambda o: o._replace(legs=(o.legs[0], o.legs[1]._replace(min_amount_out=0))),
    "more sold": lambda o: o._replace(legs=(o.legs[0]._replace(amount_in=2 * 10**18), o.legs[1])),
    "another pool": lambda o: o._replace(legs=(o.legs[0]._replace(fee=3000), o.legs[1])),
    "another venue": lambda o: o._replace(legs=(o.legs[0]._replace(venue=0, fee=0), o.legs[1])),
    "another asset": lambda o: o._replace(legs=(o.legs[0]._replace(token_out=2), o.legs[1])),
    "legs swapped": lambda o: o._replace(legs=o.legs[::-1]),
    "a leg dropped": lambda o: o._replace(legs=o.legs[:1]),
    "a leg repeated": lambda o: o._replace(legs=(*o.legs, o.legs[1])),
    "no legs": lambda o: o._replace(legs=()),
    "a later deadline": lambda o: o._replace(deadline=o.deadline + 1),
    "a higher ceiling": lambda o: o._replace(max_base_fee=2**255),
    "another model": lambda o: o._replace(model_hash=b"\1" * 32),
    "a lower value per share": lambda o: o._replace(min_value_per_share=1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed(invested: World, change: str) -> None:
    order = order_of(invested)._replace(min_value_per_share=10**17)
    signature = invested.sign(order)
    with reverts("orders: invalid signature"):
        invested.vault.settle(CHANGES[change](order), "optimizer", signature, sender="attacker")


def test_a_removed_signer(invested: World) -> None:
    order = order_of(invested)
    signature = invested.sign(order)
    invested.mandate.remove_signer("optimizer", sender="guardian")
    with reverts("orders: unauthorised signer"):
        invested.vault.settle(order, "optimizer", signature, sender="attacker")


def test_a_wrong_signer_who_names_himself(invested: World) -> None:
    order = order_of(invested)
    with reverts("orders: unauthorised signer"):
        invested.vault.settle(order, "attacker", invested.sign(order, "attacker"), sender="attacker")


def test_a_permit_is_no_order(invested: World) -> None:
    """A signature of the same key under the same domain for something else."""
    order = order_of(invested)
    with reverts("orders: invalid signature"):
        invested.vault.settle(order, "optimizer", invested.sign(order._replace(nonce=7)), sender="attacker")


def test_an_order_for_limits_that_came_back(invested: World) -> None:
    """Tightened and loosened again: the limits are the same, and so is the order. The nonce is what kills it."""
    order = order_of(invested)
    signature = invested.sign(order)
    old = invested.limits()
    invested.mandate.set_limits(old._replace(loss_capacity_bps=50), sender="curator")
    with reverts("orders: wrong mandate"):
        invested.vault.settle(order, "optimizer", signature, sender="attacker")
    invested.vault.cancel(order.nonce, sender="curator")
    invested.loosen(old)
    with reverts("orders: wrong nonce"):
        invested.vault.settle(order, "optimizer", signature, sender="attacker")


def test_two_relayers_race(invested: World) -> None:
    """The first settles, the second reverts; the vault traded once."""
    order = order_of(invested)
    signature = invested.sign(order)
    invested.vault.settle(order, "optimizer", signature, sender="keeper")
    held = invested.vault.holdings()
    with reverts("orders: wrong nonce"):
        invested.vault.settle(order, "optimizer", signature, sender="attacker")
    assert invested.vault.holdings() == held
    assert development_address("keeper") != development_address("attacker")
