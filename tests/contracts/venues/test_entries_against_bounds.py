# SPDX-License-Identifier: Apache-2.0
"""What deposits and redemptions may do to each bound, as the mandate's notice says, and what settles afterwards.

They move weights, leverage, venues and buffer as far as their size does; the next settlement has to come closer.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from offchain.route.leg import LendingAction
from tests.support.evm import reverts
from tests.support.lending import SKIP_AAVE, Lending
from tests.support.world import ONE, usdc

USDC, WETH = 0, 1


@pytest.fixture
def near_its_bounds(bounded: Lending) -> Lending:
    """1.3 times leverage of at most 1.35, 57 % at the venue of at most 70 %, and dollars in the wallet."""
    bounded.open(usdc(300_000))
    return bounded


def leverage(lender: Lending) -> Fraction:
    world = lender.world
    prices, (held, owed) = world.prices(), lender.position()
    gross = sum((a + b) * p for a, b, p in zip(world.vault.holdings(), held, prices, strict=True))
    return Fraction(gross, gross - sum(owe * p for owe, p in zip(owed, prices, strict=True)))


def at_the_venue(lender: Lending) -> Fraction:
    held = sum(amount * price for amount, price in zip(lender.position()[0], lender.world.prices(), strict=True))
    return Fraction(held // ONE, lender.world.vault.value())


def in_the_wallet(lender: Lending) -> Fraction:
    vault = lender.world.vault
    return Fraction(vault.holdings()[USDC] * lender.world.prices()[USDC] // ONE, vault.value())


def redeem(lender: Lending, dollars: int) -> None:
    lender.world.vault.withdraw(usdc(dollars), "alice", "alice", sender="alice")


def test_a_redemption_raises_leverage_and_the_next_settlement_lowers_it(near_its_bounds: Lending) -> None:
    lender, world = near_its_bounds, near_its_bounds.world
    assert leverage(lender) < Fraction(135, 100)
    redeem(lender, 200_000)
    assert leverage(lender) > Fraction(135, 100)
    with reverts("limits: leverage"):
        world.settle([lender.leg(LendingAction.BORROW, "USDC", usdc(1000))])
    with reverts("limits: weight"):
        world.settle([])
    world.settle([lender.leg(LendingAction.REPAY, "USDC", usdc(1000))])


def test_a_redemption_leaves_health_as_it_was(near_its_bounds: Lending) -> None:
    before = near_its_bounds.health()
    redeem(near_its_bounds, 200_000)
    assert near_its_bounds.health() == before


def test_a_redemption_raises_a_venues_part_and_the_next_settlement_lowers_it(near_its_bounds: Lending) -> None:
    lender, world = near_its_bounds, near_its_bounds.world
    world.settle([lender.leg(LendingAction.REPAY, "USDC", usdc(200_000))])
    redeem(lender, 250_000)
    assert leverage(lender) < Fraction(135, 100)
    assert at_the_venue(lender) > Fraction(70, 100)
    with reverts("limits: venue"):
        world.settle([world.leg("LINK", "WETH", 10**18), lender.leg(LendingAction.SUPPLY, "WETH", 2**127)])
    with reverts("limits: weight"):
        world.settle([])
    world.settle([lender.leg(LendingAction.WITHDRAW, "WETH", 10**18)])


def test_a_redemption_uses_the_buffer_and_the_next_settlement_refills_it(bounded: Lending) -> None:
    world = bounded.world
    redeem(bounded, 190_000)
    assert in_the_wallet(bounded) < Fraction(5, 100)
    with reverts("limits: buffer"):
        world.settle([world.leg("USDC", "WETH", usdc(100), 500)])
    with reverts("limits: weight"):
        world.settle([])
    world.settle([world.leg("WETH", "USDC", ONE, 500)])


def test_a_deposit_moves_weights_and_the_next_settlement_brings_them_closer(bounded: Lending) -> None:
    world = bounded.world
    world.deposit("bob", usdc(3_000_000))
    assert in_the_wallet(bounded) > Fraction(70, 100)
    with reverts("limits: weight"):
        world.settle([world.leg("WETH", "USDC", ONE, 500)])
    world.settle([world.leg("USDC", "WETH", usdc(1000), 500)])


def test_a_deposit_lowers_leverage_and_leaves_health_as_it_was(near_its_bounds: Lending) -> None:
    before, health = leverage(near_its_bounds), near_its_bounds.health()
    near_its_bounds.world.deposit("bob", usdc(100_000))
    assert leverage(near_its_bounds) < before
    assert near_its_bounds.health() == health


@pytest.mark.parametrize("skip", [0, SKIP_AAVE])
def test_in_kind_nothing_is_moved_but_by_the_fee(near_its_bounds: Lending, skip: int) -> None:
    """Of all that others hold and owe the leaver takes the same part: no bound is touched by more than his exit fee."""
    lender, world = near_its_bounds, near_its_bounds.world
    world.deposit("bob", usdc(200_000))
    lender.bring("bob", "USDC", usdc(200_000))
    looks = (in_the_wallet, at_the_venue, leverage)
    before, health = [look(lender) for look in looks] if not skip else [in_the_wallet(lender)], lender.health()
    world.leave_in_kind("bob", skip=skip)
    after = [look(lender) for look in looks[: len(before)]]
    assert all(abs(now / was - 1) < Fraction(1, 10**8) for was, now in zip(before, after, strict=True))
    assert lender.health() >= health


def test_a_settlement_in_the_transaction_of_a_redemption_counts_what_is_left(bounded: Lending) -> None:
    """Leaving shrinks what the bounds are fractions of: an order that fitted before does not any more."""
    from tests.support.hostile import actor

    world = bounded.world
    order = world.order([world.leg("USDC", "WETH", usdc(100_000), 500)])
    with world.evm.rolled_back():
        world.settle(order)
    both = actor(world.evm, "FlashDepositor")
    world.vault.approve(both, 2**255, sender="alice")
    leave = world.vault.withdraw.encode(usdc(100_000), "alice", "alice")
    settle = world.vault.settle.encode(order, "optimizer", world.sign(order))
    with reverts("limits: buffer"):
        both.run(world.vault, leave, world.vault, settle, sender="attacker")
