# SPDX-License-Identifier: Apache-2.0
"""claim: what a redemption in kind skipped is its owner's, not the vault's, and is paid once."""

from __future__ import annotations

import pytest

from offchain.settle.development import development_address
from tests.support.evm import reverts
from tests.support.hostile import Hostile, failure, puppet
from tests.support.world import World, usdc


@pytest.fixture
def claimed(invested: World) -> World:
    """Bob left with half of the vault and let WETH stay as a claim."""
    invested.deposit("bob", usdc(1_000_000))
    invested.leave_in_kind("bob", skip=0b10)
    return invested


def test_pays_what_was_recorded(claimed: World) -> None:
    amount = claimed.vault.claims("bob", 1)
    assert claimed.vault.claim(1, "bob", sender="bob") == amount
    assert claimed.tokens[1].balanceOf("bob") == amount


def test_pays_once(claimed: World) -> None:
    claimed.vault.claim(1, "bob", sender="bob")
    with reverts("custody: no claim"):
        claimed.vault.claim(1, "bob", sender="bob")


def test_only_who_has_one(claimed: World) -> None:
    with reverts("custody: no claim"):
        claimed.vault.claim(1, "attacker", sender="attacker")


@pytest.mark.parametrize("asset", [5, 16, 2**256 - 1])
def test_unknown_asset(claimed: World, asset: int) -> None:
    with reverts("custody: no claim"):
        claimed.vault.claim(asset, "bob", sender="bob")


def test_goes_where_the_caller_says(claimed: World) -> None:
    amount = claimed.vault.claim(1, "carol", sender="bob")
    assert claimed.tokens[1].balanceOf("carol") == amount
    assert claimed.vault.event("Claimed") == {
        "account": development_address("bob"),
        "receiver": development_address("carol"),
        "asset": 1,
        "amount": amount,
    }


def test_works_when_halted_with_a_dead_oracle(claimed: World) -> None:
    claimed.mandate.guardian_trip(2, sender="guardian")
    claimed.evm.mine(365 * 86_400)
    assert claimed.vault.claim(1, "bob", sender="bob") > 0


def test_holdings_leave_claims_out(claimed: World) -> None:
    balance, claim = claimed.tokens[1].balanceOf(claimed.vault), claimed.vault.claims("bob", 1)
    assert claimed.vault.holdings()[1] == balance - claim
    claimed.vault.claim(1, "bob", sender="bob")
    assert claimed.vault.holdings()[1] == balance - claim


def test_value_does_not_move_when_a_claim_is_paid(claimed: World) -> None:
    before = claimed.vault.value()
    claimed.vault.claim(1, "bob", sender="bob")
    assert claimed.vault.value() == before


def test_a_settlement_cannot_sell_what_is_claimed(hostile: Hostile) -> None:
    world = hostile.world
    world.give(1, world.vault, 10**19)
    world.leave_in_kind("alice", world.vault.balanceOf("alice") // 2, skip=0b10)
    claim, held = world.vault.claims("alice", 1), world.vault.holdings()[1]
    settled = world.settle([world.leg(1, 0, 2**127)])
    assert settled["amounts_in"] == (held,)
    assert world.tokens[1].balanceOf(world.vault) == claim
    assert world.vault.claim(1, "alice", sender="alice") == claim


def test_waits_while_the_token_refuses_and_is_paid_later(hostile: Hostile) -> None:
    world = hostile.world
    world.give(1, world.vault, 10**20)
    hostile.misbehave(1, frozen=True)
    amount = world.leave_in_kind("alice", skip=0b10)[1]
    with reverts("hostile: frozen"):
        world.vault.claim(1, "alice", sender="alice")
    assert world.vault.claims("alice", 1) == amount
    hostile.misbehave(1)
    assert world.vault.claim(1, "alice", sender="alice") == amount


def test_a_token_that_answers_false_leaves_the_claim(hostile: Hostile) -> None:
    world = hostile.world
    world.give(1, world.vault, 10**20)
    world.leave_in_kind("alice", skip=0b10)
    hostile.misbehave(1, refuses=True)
    with reverts("custody: transfer failed"):
        world.vault.claim(1, "alice", sender="alice")


def test_a_balance_that_falls_below_the_claims_leaves_holdings_at_zero(hostile: Hostile) -> None:
    """A slashed token: holdings never go negative, and who claims first is paid first."""
    world = hostile.world
    world.give(1, world.vault, 10**20)
    world.deposit("bob", usdc(1_000_000))
    claims = [world.leave_in_kind(role, skip=0b10)[1] for role in ("alice", "bob")]
    world.tokens[1].burn(world.vault, 10**20 - claims[0], sender="market")
    assert world.vault.holdings()[1] == 0
    assert world.vault.claim(1, "alice", sender="alice") == claims[0]
    with reverts(""):
        world.vault.claim(1, "bob", sender="bob")


def test_a_deposit_does_not_fill_claims_that_a_slashing_left_short(hostile: Hostile) -> None:
    """Found by the soak: what is paid in has to count for who pays it, so that it is refused until claims are covered."""
    world = hostile.world
    world.deposit("bob", usdc(100_000))
    world.leave_in_kind("bob", skip=1)
    world.leave_in_kind("alice")
    token, claim = world.tokens[0], world.vault.claims("bob", 0)
    token.burn(world.vault, token.balanceOf(world.vault) - claim // 2, sender="market")
    with reverts("custody: fee on transfer"):
        world.deposit("carol", usdc(1))
    world.give(0, world.vault, claim)
    assert world.deposit("carol", usdc(1)) > 0


def test_a_claim_is_paid_once_to_a_token_that_calls_back(hostile: Hostile) -> None:
    """The attacker's contract holds the claim and asks again while it is being paid."""
    world = hostile.world
    world.give(1, world.vault, 10**20)
    doll = puppet(world.evm, world.vault, "claim", 1, "attacker")
    world.vault.redeem_in_kind(world.vault.balanceOf("alice") // 2, doll, "alice", 0b10, sender="alice")
    amount = world.vault.claims(doll, 1)
    hostile.misbehave(1, hook=doll.address)
    doll.do(world.vault, world.vault.claim.encode(1, "attacker"), sender="attacker")
    assert failure(doll) == ""
    assert world.tokens[1].balanceOf("attacker") == amount


def test_a_redemption_too_small_to_be_owed_anything_records_nothing(invested: World) -> None:
    """Otherwise a claim to nothing, which nobody can ever clear, would make each valuation dearer for ever."""
    invested.vault.value(sender="keeper")
    before = invested.evm.gas_used
    invested.leave_in_kind("alice", 1, skip=0b11111)
    invested.vault.value(sender="keeper")
    assert invested.evm.gas_used == before
