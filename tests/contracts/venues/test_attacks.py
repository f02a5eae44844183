# SPDX-License-Identifier: Apache-2.0
"""What thieves, donors and leavers try at a lending venue, and what it costs or brings them."""

from __future__ import annotations

from functools import partial

from offchain.route.leg import LendingAction
from tests.support.evm import attempt, reverts
from tests.support.lending import TRIGGER, Lending
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
