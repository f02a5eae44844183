# SPDX-License-Identifier: Apache-2.0
"""Somebody liquidates a part of the account at the real pool while a leaver has a claim to a part of it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from offchain.route.leg import LendingAction
from tests.support.evm import address_of, reverts
from tests.support.lending import SKIP_AAVE, Lending
from tests.support.world import usdc

USDC, WETH, WBTC = 0, 1, 2
DEBT = 16
"""Keys of claims from here on are to what is owed."""


@pytest.fixture
def struck(leveraged: Lending) -> Lending:
    """Bob left with a claim, the market fell, and not quite half of the debt was liquidated for WETH."""
    world = leveraged.world
    world.settle([leveraged.leg(LendingAction.BORROW, "USDC", usdc(250_000))])
    world.leave_in_kind("bob", skip=SKIP_AAVE)
    world.set_feed("ETH/USD", 2200)
    world.set_feed("BTC/USD", 43_500)
    assert leveraged.health() < 1
    _, owed = leveraged.position()
    leveraged.liquidate("WETH", "USDC", owed[USDC] * 45 // 100)
    assert leveraged.position()[1][USDC] < owed[USDC]
    for role in ("alice", "bob"):
        leveraged.bring(role, "USDC", usdc(500_000))
    return leveraged


def grown(lender: Lending, role: str, key: int) -> int:
    """Base units that a claim has grown to."""
    indices = lender.venue.indices(key % DEBT)
    return int(lender.world.vault.position_claims(role, key) * indices[key // DEBT] // 10**27)


def test_the_claim_stands_and_is_paid_against_all_its_debt(struck: Lending) -> None:
    """A liquidation takes from the account: those who stayed bear it, and the claim is theirs neither before nor after."""
    world = struck.world
    held, owed = struck.position()
    claims = {key: grown(struck, "bob", key) for key in (WETH, WBTC, DEBT + USDC)}
    assert all(claims.values())
    dollars = world.tokens[USDC].balanceOf("bob")
    world.vault.claim_position(0, "bob", sender="bob")
    assert dollars - world.tokens[USDC].balanceOf("bob") == pytest.approx(claims[DEBT + USDC], abs=3)
    for key, symbol in ((WETH, "WETH"), (WBTC, "WBTC")):
        assert struck.token(symbol).balanceOf("bob") == pytest.approx(claims[key], abs=2)
        assert struck.position()[0][key] == pytest.approx(held[key] - claims[key], abs=2)
    assert struck.position()[1][USDC] == pytest.approx(owed[USDC] - claims[DEBT + USDC], abs=3)


def test_paying_it_takes_nothing_from_those_who_stayed(struck: Lending) -> None:
    world = struck.world
    before = world.vault.value()
    world.vault.claim_position(0, "bob", sender="bob")
    assert 0 <= world.vault.value() - before < 10**16


def test_what_a_liquidation_took_of_a_claim_waits_and_the_rest_is_paid(leveraged: Lending) -> None:
    world = leveraged.world
    world.settle([leveraged.leg(LendingAction.BORROW, "USDC", usdc(260_000))])
    world.leave_in_kind("bob", skip=SKIP_AAVE)
    world.set_feed("ETH/USD", 2200)
    world.set_feed("BTC/USD", 43_500)
    while leveraged.position()[0][WETH] >= grown(leveraged, "bob", WETH):
        leveraged.liquidate("WETH", "USDC", leveraged.position()[1][USDC] // 8)
    there, claimed = leveraged.position()[0][WETH], grown(leveraged, "bob", WETH)
    assert there < claimed
    world.set_feed("ETH/USD", 3000)
    leveraged.bring("bob", "USDC", usdc(500_000))
    world.vault.claim_position(0, "bob", sender="bob")
    assert leveraged.token("WETH").balanceOf("bob") == pytest.approx(there, abs=2)
    assert (grown(leveraged, "bob", WBTC), grown(leveraged, "bob", DEBT + USDC)) == (0, 0)
    assert grown(leveraged, "bob", WETH) == pytest.approx(claimed - there, abs=4)
    with reverts("positions: no claim"), world.evm.rolled_back():
        world.vault.claim_position(0, "bob", sender="bob")
    leveraged.bring("alice", "WETH", 10**21)
    leveraged.world.token("WETH").approve(leveraged.pool, 2**255, sender="alice")
    leveraged.pool.supply(leveraged.world.token("WETH").address, 10**21, world.vault, 0, sender="alice")
    world.vault.claim_position(0, "bob", sender="bob")
    assert leveraged.token("WETH").balanceOf("bob") == pytest.approx(claimed, abs=4)
    assert not leveraged.has_claim("bob")


def test_a_claim_below_one_holds_nobody_up_once_it_is_foreclosed(struck: Lending) -> None:
    """It is in the same account: Aave lets nobody take collateral with which it would stand alone.

    Anyone forecloses it; then those who stay leave with their part of what it owed and of what pays for it.
    """
    world = struck.world
    claim = [[grown(struck, "bob", side + i) for i in range(5)] for side in (0, DEBT)]
    assert struck.health_of(*claim) < 1 < struck.health()
    with reverts("35"), world.evm.rolled_back():
        world.leave_in_kind("alice")
    with world.evm.rolled_back():
        assert world.leave_in_kind("alice", skip=SKIP_AAVE)[USDC] > 0
    before = world.vault.value_per_share()
    world.vault.foreclose(0, address_of("bob"), sender="attacker")
    assert world.vault.value_per_share() > before
    assert world.leave_in_kind("alice")[USDC] > 0
    assert world.vault.totalSupply() == 0


def test_a_settlement_cannot_touch_what_is_claimed_after_it_either(struck: Lending) -> None:
    world = struck.world
    world.mandate.trip(sender="attacker")
    claimed = grown(struck, "bob", DEBT + USDC)
    world.settle([struck.leg(LendingAction.REPAY, "USDC", 2**127)])
    assert claimed <= struck.position()[1][USDC] <= claimed + 3
    with world.evm.rolled_back():
        world.settle([struck.leg(LendingAction.WITHDRAW, "WBTC", 2**127)])
        assert struck.position()[0][WBTC] >= grown(struck, "bob", WBTC)
    world.vault.claim_position(0, "bob", sender="bob")


def test_while_it_is_below_one_a_claim_waits_for_who_repays(leveraged: Lending) -> None:
    """Collateral of an account below its threshold moves for nobody: a stranger's rescue lets the claim be paid."""
    world = leveraged.world
    world.settle([leveraged.leg(LendingAction.BORROW, "USDC", usdc(250_000))])
    world.leave_in_kind("bob", world.vault.balanceOf("bob") // 10, skip=SKIP_AAVE)
    world.set_feed("ETH/USD", 1900)
    world.set_feed("BTC/USD", 36_000)
    assert leveraged.health() < 1
    leveraged.bring("bob", "USDC", usdc(500_000))
    with reverts("35"), world.evm.rolled_back():
        world.vault.claim_position(0, "bob", sender="bob")
    leveraged.bring("attacker", "USDC", usdc(500_000))
    world.vault.deleverage(0, USDC, WETH, usdc(500_000), sender="attacker")
    assert leveraged.health() > 1
    world.vault.claim_position(0, "bob", sender="bob")


def test_leaving_an_account_that_owes_more_than_it_has_takes_nothing_out_of_the_others_wallet(
    leveraged: Lending,
) -> None:
    """Found by the lending machine: the fee that stays is a part of everything, of such an account's debt, too.

    Nobody has to take that on: who leaves next skips the account and takes more of the wallet than before.
    """
    world = leveraged.world
    world.settle([leveraged.leg(LendingAction.BORROW, "USDC", usdc(250_000))])
    world.set_feed("ETH/USD", 900)
    world.set_feed("BTC/USD", 15_000)
    assert leveraged.health() < Fraction(1, 2)
    wallet, supply, owed = world.vault.holdings(), world.vault.totalSupply(), leveraged.position()[1][USDC]
    shares = world.vault.balanceOf("bob")
    world.leave_in_kind("bob", skip=SKIP_AAVE)
    stay = supply - shares
    for had, has in zip(wallet, world.vault.holdings(), strict=True):
        assert has * supply >= had * stay
    fee = Fraction(world.limits().exit_fee_bps, 10_000)
    left = owed - leveraged.claimed("bob")[1][USDC]
    assert left == pytest.approx(float(owed * (stay + shares * fee) / supply), abs=3)
