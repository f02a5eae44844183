# SPDX-License-Identifier: Apache-2.0
"""withdraw: an exact amount of base asset, from the base asset held."""

from __future__ import annotations

import pytest

from offchain.settle.development import development_address
from tests.support.evm import reverts
from tests.support.world import World, usdc

ZERO = "0x" + "00" * 20


def test_burns_the_price_and_the_fee(funded: World) -> None:
    vault = funded.vault
    expected, supply = vault.previewWithdraw(usdc(1000)), vault.totalSupply()
    before = funded.tokens[0].balanceOf("bob")
    assert vault.withdraw(usdc(1000), "bob", "alice", sender="alice") == expected
    assert supply - vault.totalSupply() == expected
    assert funded.tokens[0].balanceOf("bob") - before == usdc(1000)


def test_emits(funded: World) -> None:
    shares = funded.vault.withdraw(usdc(1000), "bob", "alice", sender="alice")
    assert funded.vault.event("Withdraw") == {
        "sender": development_address("alice"),
        "receiver": development_address("bob"),
        "owner": development_address("alice"),
        "assets": usdc(1000),
        "shares": shares,
    }


def test_needs_the_owners_allowance(funded: World) -> None:
    with reverts("erc20: insufficient allowance"):
        funded.vault.withdraw(1, "attacker", "alice", sender="attacker")


def test_spends_the_allowance_in_shares(funded: World) -> None:
    cost = funded.vault.previewWithdraw(usdc(1000))
    funded.vault.approve("bob", cost, sender="alice")
    funded.vault.withdraw(usdc(1000), "bob", "alice", sender="bob")
    assert funded.vault.allowance("alice", "bob") == 0


def test_no_more_than_the_base_asset_held(invested: World) -> None:
    held = invested.vault.holdings()[0]
    with reverts("vault: not enough base asset"):
        invested.vault.withdraw(held + 1, "alice", "alice", sender="alice")
    invested.vault.withdraw(held, "alice", "alice", sender="alice")
    assert invested.vault.holdings()[0] == 0


def test_not_what_is_claimed(invested: World) -> None:
    invested.leave_in_kind("alice", 10**23, skip=1)
    balance = invested.tokens[0].balanceOf(invested.vault)
    with reverts("vault: not enough base asset"):
        invested.vault.withdraw(balance, "alice", "alice", sender="alice")


def test_nothing_for_nothing(funded: World) -> None:
    """What somebody else may withdraw of alice's without her word."""
    before = funded.tokens[0].balanceOf("bob")
    assert funded.vault.withdraw(0, "bob", "alice", sender="bob") == 0
    assert funded.tokens[0].balanceOf("bob") == before


@pytest.mark.parametrize("receiver", ["zero", "vault"])
def test_refuses_receivers_that_would_lose_it(funded: World, receiver: str) -> None:
    with reverts("vault: bad receiver"):
        funded.vault.withdraw(1000, ZERO if receiver == "zero" else funded.vault, "alice", sender="alice")


def test_goes_on_while_only_reducing(funded: World) -> None:
    funded.mandate.guardian_trip(1, sender="guardian")
    assert funded.vault.withdraw(1000, "alice", "alice", sender="alice") > 0


def test_stops_when_halted(funded: World) -> None:
    funded.mandate.guardian_trip(2, sender="guardian")
    with reverts("breaker: halted"):
        funded.vault.withdraw(1000, "alice", "alice", sender="alice")


def test_stops_when_a_price_is_dead(funded: World) -> None:
    funded.evm.mine(30 * 86_400)
    with reverts("oracle: stale"):
        funded.vault.withdraw(1000, "alice", "alice", sender="alice")


def test_moves_the_peak_with_the_fee_it_leaves(funded: World) -> None:
    before = funded.mandate.peak()
    funded.vault.withdraw(usdc(500_000), "alice", "alice", sender="alice")
    assert funded.mandate.peak() == funded.vault.value_per_share() > before
