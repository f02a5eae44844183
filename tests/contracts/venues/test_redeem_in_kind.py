# SPDX-License-Identifier: Apache-2.0
"""redeem_in_kind and claim_position of a vault that lends and owes: nobody who stays is less safe."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offchain.route.leg import LendingAction
from tests.support.evm import reverts
from tests.support.lending import AAVE, SKIP_AAVE, Lending
from tests.support.world import ONE, usdc


def leave(lender: Lending, role: str, shares: int | None = None, skip: int = 0) -> tuple[int, ...]:
    lender.bring(role, "USDC", usdc(200_000))
    return lender.world.leave_in_kind(role, shares, skip)


def test_the_leaver_brings_his_debt_and_takes_receipt_tokens(leveraged: Lending) -> None:
    world = leveraged.world
    held, owed = leveraged.position()
    supply, shares = world.vault.totalSupply() + 10**12, world.vault.balanceOf("bob")
    net = shares - -(-shares * 50 // 10_000)
    leave(leveraged, "bob")
    receipt = leveraged.token("WETH").balanceOf("bob")
    assert abs(receipt - held[1] * net // supply) <= 2
    brought = world.vault.event("PositionRedeemed")["owed"][0]
    assert 0 <= brought - owed[0] * net // supply <= 2
    assert leveraged.position()[1][0] == pytest.approx(owed[0] - brought, abs=1)
    assert world.tokens[0].allowance(world.vault, leveraged.pool) == 0


def test_without_the_debt_nobody_leaves(leveraged: Lending) -> None:
    leveraged.world.approve("bob", 0)
    with reverts("stand_in: insufficient allowance"):
        leveraged.world.leave_in_kind("bob")


@given(parts=st.lists(st.tuples(st.sampled_from(["alice", "bob"]), st.integers(1, 100)), min_size=1, max_size=4))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_exit_lowers_nobodys_health(leveraged: Lending, parts: list[tuple[str, int]]) -> None:
    world = leveraged.world
    with world.evm.rolled_back():
        for role, part in parts:
            shares = world.vault.balanceOf(role) * part // 100
            if shares == 0 or world.vault.totalSupply() - shares < ONE:
                continue
            before = leveraged.health()
            leave(leveraged, role, shares)
            assert leveraged.health() >= before
            assert world.tokens[0].allowance(world.vault, leveraged.pool) == 0
            world.evm.mine(3600)


@pytest.mark.parametrize("state", [0, 1, 2])
def test_works_in_every_state_and_with_dead_feeds(leveraged: Lending, state: int) -> None:
    world = leveraged.world
    if state:
        world.mandate.guardian_trip(state, sender="guardian")
    world.evm.mine(40 * 86_400)
    with reverts("oracle: stale"):
        world.vault.value()
    assert leave(leveraged, "bob")[0] > 0


def test_a_reserve_without_liquidity_does_not_matter(leveraged: Lending) -> None:
    """Receipt tokens move even when nothing can be withdrawn."""
    world, pool = leveraged.world, leveraged.pool
    world.give("USDC", "attacker", usdc(900_000_000))
    world.token("USDC").approve(pool, 2**255, sender="attacker")
    pool.supply(world.tokens[0].address, usdc(900_000_000), "attacker", 0, sender="attacker")
    idle = world.token("WETH").balanceOf(leveraged.token("WETH"))
    pool.borrow(world.tokens[1].address, idle, 2, 0, "attacker", sender="attacker")
    assert world.token("WETH").balanceOf(leveraged.token("WETH")) == 0
    leave(leveraged, "bob")
    assert leveraged.token("WETH").balanceOf("bob") > 0


def test_a_paused_market_holds_up_who_does_not_skip_it(leveraged: Lending) -> None:
    world = leveraged.world
    for symbol in ("USDC", "WETH", "WBTC"):
        leveraged.pause(symbol)
    with reverts(None), world.evm.rolled_back():
        leave(leveraged, "bob")
    before = leveraged.health()
    amounts = world.leave_in_kind("bob", skip=SKIP_AAVE)
    assert amounts[0] > 0
    assert leveraged.health() == before


def test_a_claim_to_a_position_is_paid_with_interest_against_its_debt(leveraged: Lending) -> None:
    world = leveraged.world
    worth = world.vault.value()
    shares, supply = world.vault.balanceOf("bob"), world.vault.totalSupply()
    world.leave_in_kind("bob", skip=SKIP_AAVE)
    # The claim is nobody else's: what is left is worth the others' part.
    assert world.vault.value() >= worth * (supply - shares) // supply
    assert world.vault.value() <= worth * (supply - shares) // supply * 1002 // 1000
    world.evm.mine(90 * 86_400)
    world.refresh_feeds()
    left = world.vault.value()
    leveraged.bring("bob", "USDC", usdc(200_000))
    before = leveraged.health()
    world.vault.claim_position(AAVE - 2, "bob", sender="bob")
    assert leveraged.token("WETH").balanceOf("bob") > 0
    assert leveraged.health() >= before * (1 - 10**-9)
    assert 0 <= world.vault.value() - left < 10**16
    with reverts("positions: no claim"):
        world.vault.claim_position(AAVE - 2, "bob", sender="bob")


def test_what_is_claimed_cannot_be_withdrawn_by_a_settlement(leveraged: Lending) -> None:
    world = leveraged.world
    held = leveraged.position()[0][2]
    world.leave_in_kind("bob", skip=SKIP_AAVE)
    claimed = world.vault.position_claims("bob", 2)
    assert claimed > 0
    world.settle([leveraged.leg(LendingAction.WITHDRAW, "WBTC", 2**127)])
    assert leveraged.position()[0][2] == pytest.approx(claimed, abs=3)
    assert held > claimed


def test_what_is_owed_by_a_claim_is_not_repaid_by_a_settlement(leveraged: Lending) -> None:
    """An order to repay everything repays what those who stay owe; it loses nothing to the claimant."""
    world = leveraged.world
    world.leave_in_kind("bob", skip=SKIP_AAVE)
    owed = leveraged.position()[1][0]
    claimed = world.vault.position_claims("bob", 16) * leveraged.venue.indices(0)[1] // 10**27
    before = world.vault.value()
    settled = world.settle([leveraged.leg(LendingAction.REPAY, "USDC", 2**127)])
    assert settled["amounts_in"][0] == pytest.approx(owed - claimed, abs=3)
    assert claimed <= leveraged.position()[1][0] <= claimed + 3
    assert before - world.vault.value() < 10**13
    leveraged.bring("bob", "USDC", usdc(200_000))
    world.vault.claim_position(0, "bob", sender="bob")
    assert leveraged.position()[1][0] <= 3


def test_a_claim_without_the_debt_stays(leveraged: Lending) -> None:
    world = leveraged.world
    world.leave_in_kind("bob", skip=SKIP_AAVE)
    world.approve("bob", 0)
    with reverts("stand_in: insufficient allowance"):
        world.vault.claim_position(0, "bob", sender="bob")
    assert world.vault.position_claims("bob", 16) > 0
