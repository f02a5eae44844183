# SPDX-License-Identifier: Apache-2.0
"""A reserve that Aave's administrators freeze or pause: the breaker trips, and everybody can leave."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from offchain.route.leg import LendingAction
from tests.support.evm import reverts
from tests.support.lending import SKIP_AAVE, Lending
from tests.support.world import usdc

REDUCE_ONLY, FROZEN_RESERVE = 1, 9
USDC, WETH = 0, 1
PAUSED, FROZEN = "29", "28"
"""Aave's reasons."""


@pytest.fixture
def exposed(bounded: Lending) -> Lending:
    """WETH and WBTC supplied, dollars owed; bob, who has dollars, is a shareholder."""
    bounded.open()
    bounded.world.deposit("bob", usdc(200_000))
    bounded.bring("bob", "USDC", usdc(200_000))
    return bounded


TROUBLES: dict[str, Callable[[Lending, str, bool], None]] = {"paused": Lending.pause, "frozen": Lending.freeze}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("symbol", ["WETH", "USDC"])
def test_anyone_trips_the_breaker_for_a_reserve_it_uses(exposed: Lending, trouble: str, symbol: str) -> None:
    """Collateral or debt; it latches though the administrators think better of it."""
    mandate = exposed.world.mandate
    with reverts("breaker: no condition"):
        mandate.trip(sender="attacker")
    TROUBLES[trouble](exposed, symbol, True)
    assert mandate.trip(sender="attacker") == REDUCE_ONLY
    TROUBLES[trouble](exposed, symbol, False)
    assert (mandate.breaker_state(), mandate.breaker_reason()) == (REDUCE_ONLY, FROZEN_RESERVE)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_that_trips_though_every_feed_is_dead(exposed: Lending, trouble: str) -> None:
    """It is asked of the protocol: neither our prices nor anybody's are needed."""
    world = exposed.world
    world.evm.mine(30 * 86_400)
    with reverts("oracle: stale"):
        world.mandate.trip(sender="attacker")
    TROUBLES[trouble](exposed, "WETH", True)
    assert world.mandate.trip(sender="attacker") == REDUCE_ONLY
    assert world.mandate.breaker_reason() == FROZEN_RESERVE


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_reserve_it_does_not_use_trips_nothing(bounded: Lending, trouble: str) -> None:
    TROUBLES[trouble](bounded, "WETH", True)
    with reverts("breaker: no condition"):
        bounded.world.mandate.trip(sender="attacker")


def test_from_a_frozen_reserve_everybody_leaves_as_always(exposed: Lending) -> None:
    world = exposed.world
    for symbol in ("USDC", "WETH", "WBTC"):
        exposed.freeze(symbol)
    world.mandate.trip(sender="attacker")
    before = exposed.health()
    assert world.leave_in_kind("bob")[USDC] > 0
    assert exposed.token("WETH").balanceOf("bob") > 0
    assert exposed.health() >= before


def test_out_of_a_frozen_reserve_the_keeper_gets_and_not_in(exposed: Lending) -> None:
    """Breaker tripped: repaying and withdrawing are the way out; Aave itself refuses more."""
    world = exposed.world
    for symbol in ("USDC", "WETH"):
        exposed.freeze(symbol)
    world.mandate.trip(sender="attacker")
    world.settle(
        [exposed.leg(LendingAction.REPAY, "USDC", 2**127), exposed.leg(LendingAction.WITHDRAW, "WETH", 10**18)]
    )
    assert exposed.position()[1][USDC] == 0
    for action, symbol in ((LendingAction.SUPPLY, "WETH"), (LendingAction.BORROW, "USDC")):
        with reverts(FROZEN):
            world.settle([exposed.leg(action, symbol, 10**6)])


def test_of_a_paused_reserve_a_claim_is_left_and_paid_when_it_opens(exposed: Lending) -> None:
    world = exposed.world
    for symbol in ("USDC", "WETH", "WBTC"):
        exposed.pause(symbol)
    world.mandate.trip(sender="attacker")
    with reverts(PAUSED), world.evm.rolled_back():
        world.leave_in_kind("bob")
    assert world.leave_in_kind("bob", skip=SKIP_AAVE)[USDC] > 0
    with reverts(PAUSED), world.evm.rolled_back():
        world.vault.claim_position(0, "bob", sender="bob")
    for symbol in ("USDC", "WETH", "WBTC"):
        exposed.pause(symbol, False)
    before = exposed.health()
    world.vault.claim_position(0, "bob", sender="bob")
    assert exposed.token("WETH").balanceOf("bob") > 0
    assert exposed.health() >= before * (1 - 10**-9)


def test_while_paused_nobody_deleverages_and_nobody_liquidates(exposed: Lending) -> None:
    """Below the liquidation threshold: both wait for the reserve."""
    world = exposed.world
    exposed.bring("attacker", "USDC", usdc(100_000))
    world.set_feed("ETH/USD", 500)
    world.set_feed("BTC/USD", 6000)
    assert exposed.health() < 1
    for symbol in ("WETH", "USDC"):
        exposed.pause(symbol)
    with reverts(PAUSED), world.evm.rolled_back():
        exposed.liquidate("WETH", "USDC", usdc(1000))
    with reverts(PAUSED), world.evm.rolled_back():
        world.vault.deleverage(0, USDC, WETH, usdc(1000), sender="attacker")
    for symbol in ("WETH", "USDC"):
        exposed.pause(symbol, False)
    exposed.liquidate("WETH", "USDC", usdc(1000))
