# SPDX-License-Identifier: Apache-2.0
"""Value per share: what it says, and that nobody can lower it by coming or going."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.support.evm import Reverted
from tests.support.world import ONE, World, usdc

VIRTUAL_SHARES = 10**12
ROLES = ("alice", "bob", "carol")


def test_starts_at_one_base_unit_a_share(world: World) -> None:
    assert world.vault.value_per_share() == ONE


def test_is_value_over_shares_with_the_virtual_ones(invested: World) -> None:
    vault = invested.vault
    worth = Fraction(vault.value()) + Fraction(invested.prices()[0], ONE)
    exact = worth * ONE / (vault.totalSupply() + VIRTUAL_SHARES)
    assert vault.value_per_share() == int(exact)


def test_reverts_when_a_price_is_dead(invested: World) -> None:
    invested.evm.mine(30 * 86_400)
    with pytest.raises(Reverted, match="oracle: stale"):
        invested.vault.value_per_share()


moves = st.tuples(
    st.sampled_from(["deposit", "mint", "withdraw", "redeem", "in kind", "in kind skipping", "claim", "donate"]),
    st.sampled_from(ROLES),
    st.integers(0, 100),
)


@given(st.lists(moves, min_size=1, max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_entering_and_leaving_never_lower_it(invested: World, sequence: list[tuple[str, str, int]]) -> None:
    """At standing prices each entry and exit, the last one too, leaves a share worth at least as much."""
    vault = invested.vault
    with invested.evm.rolled_back():
        for kind, role, size in sequence:
            before = vault.value_per_share()
            _move(invested, kind, role, size)
            note(f"{kind} {role} {size} %: {before} -> {vault.value_per_share()}, supply {vault.totalSupply()}")
            assert vault.value_per_share() >= before


def test_the_last_to_leave_in_kind_does_not_lower_it(invested: World) -> None:
    """The virtual shares keep their part: an emptied vault stands at no drawdown that anyone could trip."""
    invested.set_feed("ETH/USD", 4500)
    invested.deposit("bob", usdc(1000))
    for role in ("alice", "bob"):
        before = invested.vault.value_per_share()
        invested.leave_in_kind(role)
        assert invested.vault.value_per_share() >= before
    assert invested.vault.totalSupply() == 0
    with pytest.raises(Reverted, match="breaker: no condition"):
        invested.mandate.trip(sender="attacker")
    assert invested.deposit("bob", usdc(1000)) > 0


@pytest.mark.parametrize("kind", ["deposit", "mint"])
@pytest.mark.parametrize("cents", [101, 107, 150, 199])
def test_an_entry_pays_for_a_part_of_a_unit_as_for_all_of_it(world: World, kind: str, cents: int) -> None:
    """Dust that all have left, worth one base unit and a part: rounded down, it would be the next depositor's."""
    vault, unit = world.vault, world.prices()[0]
    world.give("WETH", vault, -(-unit * cents // (100 * world.prices()[1])))
    before = vault.value_per_share()
    assert vault.totalAssets() == 1
    if kind == "deposit":
        world.deposit("alice", 32)
    else:
        world.give(0, "alice", 100)
        world.approve("alice")
        vault.mint(31 * VIRTUAL_SHARES // 2, "alice", sender="alice")
    assert vault.value_per_share() >= before


def _move(world: World, kind: str, role: str, percent: int) -> None:
    vault, shares = world.vault, world.vault.balanceOf(role)
    amount = max(2, usdc(2_000_000) * percent**4 // 100**4)
    if kind == "deposit":
        if vault.previewDeposit(amount) > 0:
            world.deposit(role, amount)
    elif kind == "mint":
        wanted = max(1, 10**24 * percent**4 // 100**4)
        world.give(0, role, vault.previewMint(wanted))
        world.approve(role)
        vault.mint(wanted, role, sender=role)
    elif kind == "withdraw":
        if (part := vault.maxWithdraw(role) * percent // 100) > 0:
            vault.withdraw(part, role, role, sender=role)
    elif kind == "redeem":
        part = vault.maxRedeem(role) * percent // 100
        if vault.previewRedeem(part) > 0:
            vault.redeem(part, role, role, sender=role)
    elif kind == "donate":
        world.give(1 + percent % 4, vault, percent * 10**10)
    elif kind == "claim":
        for asset in range(len(world.tokens)):
            if vault.claims(role, asset) > 0:
                vault.claim(asset, role, sender=role)
    elif shares > 0:
        # The whole of it one time in five, so that vaults are emptied too.
        part = shares if percent > 80 else max(1, shares * percent // 100)
        skip = percent % 32 if kind == "in kind skipping" else 0
        vault.redeem_in_kind(part, role, role, skip, sender=role)
