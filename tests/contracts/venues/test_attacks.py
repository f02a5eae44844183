# SPDX-License-Identifier: Apache-2.0
"""What thieves, donors and leavers try at a lending venue, and what it costs or brings them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from offchain.route.leg import LendingAction
from tests.support.evm import address_of, attempt, reverts
from tests.support.lending import DISCOUNT, SKIP_AAVE, TARGET, TRIGGER, Lending
from tests.support.world import BPS, usdc

USDC, WETH = 0, 1


# ---------------------------------------------------------------- the optimizer's key


def test_the_key_cannot_borrow_the_vault_into_an_auction_of_its_collateral(lending: Lending) -> None:
    """Below the trigger anyone is paid the discount, of which no budget knows: a settlement never ends there."""
    lending.open()
    refusals = set()
    step = usdc(64_000)
    while step > 10**6:
        legs = [lending.leg(LendingAction.BORROW, "USDC", step)]
        _, reason = attempt(partial(lending.world.settle, legs))
        if reason is not None:
            refusals.add(reason)
            step //= 2
    assert refusals == {"limits: health factor"}
    assert TRIGGER * BPS <= lending.world.vault.health() < TRIGGER * BPS * 1001 // 1000
    lending.bring("attacker", "USDC", usdc(100_000))
    with reverts("deleverage: not allowed"):
        lending.world.vault.deleverage(0, USDC, WETH, usdc(100_000), sender="attacker")


# ---------------------------------------------------------------- the guardian's key


def test_a_guardian_that_halts_sells_no_more_than_the_discount_of_what_a_loan_lacks(lending: Lending) -> None:
    """Above the trigger nobody is paid; halted, whoever waits half an hour is, up to the target and no further."""
    world = lending.world
    lending.open(usdc(280_000))
    world.settle([world.leg("USDC", "LINK", world.vault.holdings()[USDC], 3000)])
    for feed, price in (("ETH/USD", 2500), ("BTC/USD", 48_000)):
        world.set_feed(feed, price)
    assert TRIGGER * BPS < world.vault.health() < TARGET * BPS
    lending.bring("attacker", "USDC", usdc(400_000))
    world.mandate.guardian_trip(2, sender="guardian")
    world.evm.mine(1800)
    before = world.vault.value()
    taken, _ = world.vault.deleverage(0, USDC, WETH, usdc(400_000), sender="attacker")
    assert 0 < before - world.vault.value() <= taken * 10**12 * DISCOUNT // 10_000 + 10**13
    with reverts("deleverage: not allowed"):
        world.vault.deleverage(0, USDC, WETH, usdc(1), sender="attacker")


# ---------------------------------------------------------------- gifts


@pytest.mark.parametrize(("dollars", "trips"), [(0.01, False), (999, False), (1001, True)])
def test_a_gift_passes_for_a_position_in_a_frozen_reserve_from_a_thousand_dollars_on(
    bounded: Lending, dollars: float, trips: bool
) -> None:
    """Otherwise anyone trips the breaker of a vault that only lists such a reserve, as often as it is mended."""
    world = bounded.world
    amount = int(dollars / world.usd("WETH") * 10**18)
    world.give("WETH", "attacker", amount)
    world.token("WETH").approve(bounded.pool, amount, sender="attacker")
    bounded.pool.supply(world.token("WETH").address, amount, world.vault, 0, sender="attacker")
    bounded.freeze("WETH")
    state, reason = attempt(lambda: world.mandate.trip(sender="attacker"))
    assert (state, reason) == ((1, None) if trips else (None, "breaker: no condition"))


def test_nobody_borrows_for_the_vault(leveraged: Lending) -> None:
    """It never delegates credit; a gift of collateral or of debt repaid is one."""
    world, pool = leveraged.world, leveraged.pool
    with reverts("panic 0x11"):
        pool.borrow(world.token("USDC").address, 10**6, 2, 0, world.vault, sender="attacker")
    worth, health = world.vault.value(), world.vault.health()
    leveraged.bring("attacker", "USDC", usdc(1000))
    world.token("USDC").approve(pool, usdc(1000), sender="attacker")
    pool.repay(world.token("USDC").address, usdc(1000), 2, world.vault, sender="attacker")
    assert world.vault.value() - worth >= 999 * 10**18
    assert world.vault.health() > health


# ---------------------------------------------------------------- leavers


def test_claims_left_lying_at_a_venue_make_valuation_dearer(leveraged: Lending, record_property: Any) -> None:
    """Two words and the protocol's index for each side of each reserve that was claimed; and only for these."""
    world = leveraged.world
    world.vault.value(sender="keeper")
    before = world.evm.gas_used
    world.leave_in_kind("bob", 10**17, skip=SKIP_AAVE)
    assert sum(world.vault.position_claims("bob", key) > 0 for key in range(32)) == 3
    world.vault.value(sender="keeper")
    dearer = world.evm.gas_used - before
    record_property("gas of three claims left at a venue, warm", dearer)
    assert dearer < 3 * 20_000


def test_too_little_gas_to_ask_the_venue_is_no_way_around_its_debt(leveraged: Lending) -> None:
    """A venue that does not answer is left with nothing recorded; who starves it of gas has none left to leave."""
    world = leveraged.world
    leave = world.vault.redeem_in_kind
    data = leave.encode(world.vault.balanceOf("bob"), "bob", "bob", SKIP_AAVE | 0b11111)
    for gas in range(60_000, 500_000, 2_000):
        with world.evm.rolled_back():
            _, reason = attempt(partial(world.evm.call, address_of("bob"), leave.contract.address, data, gas=gas))
            if reason is None:
                assert world.vault.position_claims("bob", 1 << 4 | USDC) > 0
                break
    else:
        raise AssertionError("no gas suffices")
