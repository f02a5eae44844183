# SPDX-License-Identifier: Apache-2.0
"""First depositor: minimal shares, a donation that makes each worth a fortune, a victim whose deposit rounds away."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.evm import reverts
from tests.support.hostile import Hostile, hostile_world

NO_FEES = {"entry_bps": 0, "exit_bps": 0}


@pytest.fixture(scope="module", params=[6, 8, 12, 13, 18])
def by_base_decimals(request: pytest.FixtureRequest) -> Hostile:
    """Vaults without fees: fees are paid to whoever is there first and would hide a theft."""
    return hostile_world((request.param, 18), (1.0, 100.0), **NO_FEES)


@given(
    seed=st.integers(1, 10**6),
    deposit=st.integers(10**3, 10**12),
    donation=st.integers(0, 10**14),
    victim_leaves_first=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_first_depositor_inflation_and_donation(
    by_base_decimals: Hostile, seed: int, deposit: int, donation: int, victim_leaves_first: bool
) -> None:
    """Whatever he donates, the attacker ends with less, and the victim loses less than a millionth of the donation."""
    world = by_base_decimals.world
    base = world.tokens[0]
    scale = 10 ** (world.file.ordered_assets[0].decimals - 6)
    deposit, donation = deposit * scale, donation * scale
    with world.evm.rolled_back():
        world.give(0, "attacker", seed + donation)
        world.approve("attacker")
        world.vault.deposit(seed, "attacker", sender="attacker")
        base.transfer(world.vault, donation, sender="attacker")
        if world.vault.previewDeposit(deposit) == 0:
            with reverts("vault: zero shares"):
                world.deposit("alice", deposit)
            return
        world.deposit("alice", deposit)
        for role in ("alice", "attacker") if victim_leaves_first else ("attacker", "alice"):
            world.leave_in_kind(role)
        assert base.balanceOf("attacker") <= seed + donation
        assert deposit - base.balanceOf("alice") <= donation // 10**6 + 2 * scale


def test_zero_shares_are_refused(by_base_decimals: Hostile) -> None:
    """A deposit that would round to nothing is refused, not swallowed."""
    world = by_base_decimals.world
    with world.evm.rolled_back():
        world.deposit("attacker", 1)
        world.give(0, world.vault, 10 ** (world.file.ordered_assets[0].decimals + 20))
        with reverts("vault: zero shares"):
            world.deposit("alice", 1)
