# SPDX-License-Identifier: Apache-2.0
"""deposit_in_kind: a part of everything for shares, the fee on top, and through the same gate as deposit."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offchain.route.leg import LendingAction
from tests.support.evm import reverts
from tests.support.lending import Lending
from tests.support.world import ONE, World, usdc

FOREVER = [2**255] * 5
ENTRY_FEE_BPS = 50


def furnish(lender: Lending, role: str = "bob") -> None:
    """Enough of every asset and receipt token, approved."""
    world, pool = lender.world, lender.pool
    for symbol, amount in zip(world.file.symbols, (usdc(10**6), 10**21, 10**10, 10**23, 10**21), strict=True):
        world.give(symbol, role, 2 * amount)
        world.token(symbol).approve(world.vault, 2**255, sender=role)
    world.token("WETH").approve(pool, 2**255, sender=role)
    pool.supply(world.token("WETH").address, 10**21, role, 0, sender=role)
    lender.token("WETH").approve(world.vault, 2**255, sender=role)


@pytest.fixture
def supplied(lending: Lending) -> Lending:
    """Half the ether at Aave; bob has everything."""
    lending.world.settle([lending.leg(LendingAction.SUPPLY, "WETH", lending.world.vault.holdings()[1] // 2)])
    furnish(lending)
    return lending


@given(shares=st.integers(1, 3 * 10**23))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_takes_the_part_and_the_fee_rounded_up(supplied: Lending, shares: int) -> None:
    world = supplied.world
    with world.evm.rolled_back():
        holdings, (held, _) = world.vault.holdings(), supplied.position()
        supply, per_share = world.vault.totalSupply() + 10**12, world.vault.value_per_share()
        gross = -(-shares * 10_000 // (10_000 - ENTRY_FEE_BPS))
        amounts = world.vault.deposit_in_kind(shares, "bob", FOREVER, sender="bob")
        for i, amount in enumerate(amounts):
            part = -(-holdings[i] * gross // supply)
            assert amount == part + (-(-held[i] * gross // supply) + 1 if held[i] else 0)
        assert world.vault.balanceOf("bob") == shares
        assert world.vault.value_per_share() >= per_share


def test_there_and_back_costs_the_fees(supplied: Lending) -> None:
    world = supplied.world
    paid = world.vault.deposit_in_kind(10**23, "bob", FOREVER, sender="bob")
    before = world.balances("bob"), supplied.token("WETH").balanceOf("bob")
    got = world.leave_in_kind("bob")
    receipts = supplied.token("WETH").balanceOf("bob") - before[1]
    for i, (gave, back) in enumerate(zip(paid, got, strict=True)):
        assert back + (receipts if i == 1 else 0) < gave


def test_the_same_gate_as_deposit(supplied: Lending) -> None:
    supplied.world.mandate.guardian_trip(1, sender="guardian")
    with reverts("breaker: not active"):
        supplied.world.vault.deposit_in_kind(ONE, "bob", FOREVER, sender="bob")


def test_not_into_debt(supplied: Lending) -> None:
    supplied.world.settle([supplied.leg(LendingAction.BORROW, "USDC", usdc(1000))])
    with reverts("vault: owes"):
        supplied.world.vault.deposit_in_kind(ONE, "bob", FOREVER, sender="bob")


def test_not_above_a_maximum(supplied: Lending) -> None:
    with reverts("vault: above maximum"):
        supplied.world.vault.deposit_in_kind(ONE, "bob", [2**255, 1, *FOREVER[2:]], sender="bob")


def test_not_before_there_are_shares(world: World) -> None:
    with reverts("vault: zero shares"):
        world.vault.deposit_in_kind(ONE, "bob", FOREVER, sender="bob")
