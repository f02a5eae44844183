# SPDX-License-Identifier: Apache-2.0
"""redeem_in_kind: everybody's part of everything, in every state, whatever a single token does."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offchain.settle.development import development_address
from tests.support.evm import reverts
from tests.support.hostile import Hostile
from tests.support.world import ONE, World, usdc

VIRTUAL_SHARES = 10**12
EXIT_FEE_BPS = 50
ZERO = "0x" + "00" * 20


def less_fee(shares: int) -> int:
    return shares - -(-shares * EXIT_FEE_BPS // 10_000)


def test_pays_the_part_of_every_token_less_the_exit_fee(invested: World) -> None:
    vault, holdings = invested.vault, invested.vault.holdings()
    supply, shares = vault.totalSupply(), vault.balanceOf("alice") // 3
    before = invested.balances("bob")
    amounts = vault.redeem_in_kind(shares, "bob", "alice", 0, sender="alice")
    expected = [held * less_fee(shares) // (supply + VIRTUAL_SHARES) for held in holdings]
    assert list(amounts) == expected
    assert [now - was for now, was in zip(invested.balances("bob"), before, strict=True)] == expected
    assert vault.totalSupply() == supply - shares


def test_the_whole_supply_pays_no_fee_and_leaves_dust(invested: World) -> None:
    holdings = invested.vault.holdings()
    supply = invested.vault.totalSupply()
    amounts = invested.leave_in_kind("alice")
    assert list(amounts) == [held * supply // (supply + VIRTUAL_SHARES) for held in holdings]
    assert all(left <= 1 + held // 10**11 for left, held in zip(invested.vault.holdings(), holdings, strict=True))


def test_the_fee_stays_with_the_others(invested: World) -> None:
    bob = invested.deposit("bob", usdc(100_000))
    before = invested.vault.convertToAssets(bob)
    invested.leave_in_kind("alice")
    assert invested.vault.convertToAssets(bob) > before


def test_emits_what_was_paid(invested: World) -> None:
    shares = invested.vault.balanceOf("alice") // 2
    invested.vault.approve("bob", shares, sender="alice")
    amounts = invested.vault.redeem_in_kind(shares, "carol", "alice", 0b10, sender="bob")
    assert invested.vault.event("RedeemedInKind") == {
        "caller": development_address("bob"),
        "receiver": development_address("carol"),
        "owner": development_address("alice"),
        "shares": shares,
        "amounts": amounts,
        "skip": 0b10,
    }


def test_needs_the_shares(invested: World) -> None:
    with reverts("erc20: burn amount exceeds balance"):
        invested.vault.redeem_in_kind(1, "bob", "bob", 0, sender="bob")


def test_needs_the_owners_allowance(invested: World) -> None:
    with reverts("erc20: insufficient allowance"):
        invested.vault.redeem_in_kind(ONE, "attacker", "alice", 0, sender="attacker")


def test_spends_the_allowance(invested: World) -> None:
    invested.vault.approve("bob", 3 * ONE, sender="alice")
    invested.vault.redeem_in_kind(2 * ONE, "bob", "alice", 0, sender="bob")
    assert invested.vault.allowance("alice", "bob") == ONE


def test_refuses_zero_shares(invested: World) -> None:
    with reverts("vault: zero shares"):
        invested.vault.redeem_in_kind(0, "alice", "alice", 0, sender="alice")


@pytest.mark.parametrize("receiver", [ZERO, "vault"])
def test_refuses_receivers_that_would_lose_it(invested: World, receiver: str) -> None:
    to = invested.vault.address if receiver == "vault" else receiver
    with reverts("vault: bad receiver"):
        invested.vault.redeem_in_kind(ONE, to, "alice", 0, sender="alice")


@pytest.mark.parametrize("state", [0, 1, 2])
def test_works_in_every_breaker_state(invested: World, state: int) -> None:
    if state:
        invested.mandate.guardian_trip(state, sender="guardian")
    assert all(amount > 0 for amount in invested.leave_in_kind("alice"))


def test_asks_no_oracle(invested: World) -> None:
    invested.evm.mine(365 * 86_400)
    with reverts("oracle: stale"):
        invested.vault.value()
    assert all(amount > 0 for amount in invested.leave_in_kind("alice"))


def test_skip_records_a_claim_and_moves_nothing(invested: World) -> None:
    held = invested.balances("alice")[2]
    amounts = invested.leave_in_kind("alice", 10**23, skip=0b100)
    assert invested.balances("alice")[2] == held
    assert invested.vault.claims("alice", 2) == amounts[2] > 0


def test_the_claim_is_the_receivers(invested: World) -> None:
    amounts = invested.vault.redeem_in_kind(10**23, "carol", "alice", 0b1, sender="alice")
    assert (invested.vault.claims("carol", 0), invested.vault.claims("alice", 0)) == (amounts[0], 0)


def test_claims_add_up(invested: World) -> None:
    first, second = (invested.leave_in_kind("alice", 10**23, skip=0b10)[1] for _ in range(2))
    assert invested.vault.claims("alice", 1) == first + second


def test_bits_beyond_the_assets_do_nothing(invested: World) -> None:
    invested.leave_in_kind("alice", ONE, skip=2**256 - 2**5)
    assert [invested.vault.claims("alice", i) for i in range(5)] == [0] * 5


def test_a_frozen_token_holds_up_who_does_not_skip_it(hostile: Hostile) -> None:
    hostile.world.give(1, hostile.world.vault, ONE)
    hostile.misbehave(1, frozen=True)
    with reverts("hostile: frozen"):
        hostile.world.leave_in_kind("alice", ONE)


def test_a_token_that_answers_false_holds_up_who_does_not_skip_it(hostile: Hostile) -> None:
    hostile.world.give(1, hostile.world.vault, 10**20)
    hostile.misbehave(1, refuses=True)
    with reverts("custody: transfer failed"):
        hostile.world.leave_in_kind("alice", 10**22)


@pytest.mark.parametrize("how", ["frozen", "refuses", "blind", "lies", "gone"])
def test_a_pause_that_traps_redeemers(hostile: Hostile, how: str) -> None:
    """One broken token, even one that cannot tell a balance, costs only itself."""
    world = hostile.world
    for asset in (1, 2):
        world.give(asset, world.vault, 10**20)
    if how == "gone":
        world.evm.set_code(world.tokens[1].address, b"")
    elif how == "lies":
        hostile.misbehave(1, lie=2**256 - 1)
    else:
        hostile.misbehave(1, **{how: True})
    amounts = world.leave_in_kind("alice", world.vault.balanceOf("alice") // 2, skip=0b10)
    assert amounts[0] > 0
    assert amounts[2] > 0
    assert world.tokens[2].balanceOf("alice") == amounts[2]
    assert (amounts[1] > 0) is (how in ("frozen", "refuses"))


def test_a_token_without_return_value_is_paid(hostile: Hostile) -> None:
    hostile.world.give(1, hostile.world.vault, 10**20)
    hostile.misbehave(1, silent=True)
    amounts = hostile.world.leave_in_kind("alice", 10**23)
    assert hostile.world.tokens[1].balanceOf("alice") == amounts[1] > 0


@given(st.lists(st.tuples(st.sampled_from(["alice", "bob", "carol"]), st.integers(1, 10**24), st.integers(0, 31))))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_paid_and_claimed_never_exceeds_what_was_held(
    invested: World, exits: list[tuple[str, int, int]]
) -> None:
    vault = invested.vault
    with invested.evm.rolled_back():
        invested.deposit("bob", usdc(300_000))
        invested.deposit("carol", usdc(7))
        held = [token.balanceOf(vault) for token in invested.tokens]
        gone = [0] * len(held)
        for role, shares, skip in exits:
            shares = min(shares, vault.balanceOf(role))
            if shares:
                gone = [a + b for a, b in zip(gone, invested.leave_in_kind(role, shares, skip), strict=True)]
        assert [a - b for a, b in zip(held, gone, strict=True)] == list(vault.holdings())
        for i, token in enumerate(invested.tokens):
            assert sum(vault.claims(role, i) for role in ("alice", "bob", "carol")) <= token.balanceOf(vault)
