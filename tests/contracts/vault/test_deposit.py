# SPDX-License-Identifier: Apache-2.0
"""deposit: shares for base asset at live prices, while the vault is open."""

from __future__ import annotations

import pytest

from offchain.settle.development import development_address
from tests.support.evm import reverts
from tests.support.hostile import Hostile
from tests.support.world import ONE, World, usdc

ZERO = "0x" + "00" * 20


def test_mints_for_what_is_left_after_the_fee(world: World) -> None:
    assert world.deposit("alice", usdc(1000)) == 995 * ONE
    assert world.vault.balanceOf("alice") == world.vault.totalSupply() == 995 * ONE
    assert world.vault.totalAssets() == usdc(1000)


def test_the_fee_stays_with_the_holders(world: World) -> None:
    world.deposit("alice", usdc(1000))
    before = world.vault.value_per_share()
    world.deposit("bob", usdc(1000))
    assert world.vault.value_per_share() > before


def test_emits(world: World) -> None:
    world.give(0, "alice", usdc(1000))
    world.approve("alice")
    shares = world.vault.deposit(usdc(1000), "bob", sender="alice")
    assert world.vault.event("Deposit") == {
        "sender": development_address("alice"),
        "owner": development_address("bob"),
        "assets": usdc(1000),
        "shares": shares,
    }


def test_the_receiver_gets_the_shares(world: World) -> None:
    world.deposit("alice", usdc(1000), receiver="bob")
    assert (world.vault.balanceOf("alice"), world.vault.balanceOf("bob")) == (0, 995 * ONE)


def test_needs_an_allowance(world: World) -> None:
    world.give(0, "alice", usdc(1000))
    with reverts("stand_in: insufficient allowance"):
        world.vault.deposit(usdc(1000), "alice", sender="alice")


def test_refuses_what_buys_nothing(world: World) -> None:
    """One unit is all fee: the fee rounds up."""
    with reverts("vault: zero shares"):
        world.deposit("alice", 1)


def test_nothing_for_nothing(world: World) -> None:
    assert world.deposit("alice", 0) == 0
    assert world.vault.totalSupply() == 0


def test_refuses_the_zero_receiver(world: World) -> None:
    with reverts("erc20: mint to the zero address"):
        world.deposit("alice", usdc(1), receiver=ZERO)


@pytest.mark.parametrize("state", [1, 2])
def test_refused_when_the_breaker_stands(invested: World, state: int) -> None:
    invested.mandate.guardian_trip(state, sender="guardian")
    with reverts("breaker: not active"):
        invested.deposit("bob", usdc(1))


def test_a_first_deposit_does_not_reopen_a_tripped_vault(invested: World) -> None:
    invested.leave_in_kind("alice")
    invested.mandate.guardian_trip(1, sender="guardian")
    with reverts("breaker: not active"):
        invested.deposit("bob", usdc(1))


def test_refused_when_any_price_is_dead(world: World) -> None:
    """Even of an asset of which the vault holds nothing."""
    world.deposit("alice", usdc(1000))
    world.evm.mine(18_001)
    for name in ("USDC/USD", "ETH/USD", "BTC/USD", "stETH/ETH"):
        world.write_round(name, world.feed(name).latestAnswer())
    with reverts("oracle: stale"):
        world.deposit("alice", usdc(1000))


def test_a_fee_on_transfer_base_asset_is_refused(hostile: Hostile) -> None:
    hostile.misbehave(0, fee_bps=1)
    with reverts("custody: fee on transfer"):
        hostile.world.deposit("bob", usdc(1000))


def test_a_base_asset_that_answers_false_is_refused(hostile: Hostile) -> None:
    hostile.misbehave(0, refuses=True)
    with reverts("custody: transfer failed"):
        hostile.world.deposit("bob", usdc(1000))


def test_a_base_asset_without_return_value_is_taken(hostile: Hostile) -> None:
    hostile.misbehave(0, silent=True)
    assert hostile.world.deposit("bob", usdc(1000)) > 0


def test_a_donation_is_the_holders_not_the_next_depositors(world: World) -> None:
    world.deposit("alice", usdc(1000))
    world.give("WETH", world.vault, ONE)
    shares = world.deposit("bob", usdc(1000))
    assert world.vault.convertToAssets(shares) < usdc(1000)
