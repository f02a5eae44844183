# SPDX-License-Identifier: Apache-2.0
"""Legs at Aave: what they clamp to, what they refuse, and what they leave in the valuation."""

from __future__ import annotations

import pytest

from offchain.route.leg import LendingAction
from tests.support.evm import reverts
from tests.support.lending import Lending
from tests.support.world import usdc

CENT = 10**16


def test_what_is_supplied_and_borrowed_changes_no_value(lending: Lending) -> None:
    world = lending.world
    before = world.vault.value()
    lending.open()
    held, owed = lending.position()
    assert held[1] > 0
    assert held[2] > 0
    assert owed[0] == usdc(100_000)
    assert abs(world.vault.value() - before) < CENT


def test_health_is_the_accounts(leveraged: Lending) -> None:
    reported = leveraged.pool.getUserAccountData(leveraged.world.vault)[5]
    assert leveraged.world.vault.health() == reported
    assert float(leveraged.health()) == pytest.approx(reported / 1e18, rel=2e-4)


def test_interest_is_in_the_valuation(leveraged: Lending) -> None:
    world = leveraged.world
    before = world.vault.value()
    with world.evm.rolled_back():
        world.evm.mine(30 * 86_400)
        world.refresh_feeds()
        _, owed = leveraged.position()
        assert owed[0] > usdc(100_000)
        assert world.vault.value() != before
        holdings, prices = world.vault.holdings(), world.prices()
        held, _ = leveraged.position()
        net = sum((a + b) * p - c * p for a, b, c, p in zip(holdings, held, owed, prices, strict=True)) // 10**18
        assert abs(world.vault.value() - net) <= len(prices) * 3


def test_withdrawing_and_repaying_clamp_to_what_is_there(leveraged: Lending) -> None:
    world = leveraged.world
    settled = world.settle(
        [
            leveraged.leg(LendingAction.REPAY, "USDC", 2**127),
            leveraged.leg(LendingAction.WITHDRAW, "WETH", 2**127),
            leveraged.leg(LendingAction.WITHDRAW, "WBTC", 2**127),
        ]
    )
    assert settled["amounts_in"][0] == usdc(100_000)
    assert leveraged.position() == ([0] * 5, [0] * 5)
    assert world.vault.health() == 2**256 - 1


def test_only_what_the_venue_lists_is_supplied_or_borrowed(lending: Lending) -> None:
    with reverts("aave: may not be supplied"):
        lending.world.settle([lending.leg(LendingAction.SUPPLY, "LINK", 10**18)])
    lending.open()
    with reverts("aave: may not be borrowed"):
        lending.world.settle([lending.leg(LendingAction.BORROW, "WBTC", 10**6)])


def test_a_leg_of_two_tokens_or_an_unknown_action(lending: Lending) -> None:
    leg = lending.leg(LendingAction.SUPPLY, "WETH", 10**18)
    with reverts("aave: two tokens"):
        lending.world.settle([leg._replace(token_out=0)])
    with reverts("aave: unknown action"):
        lending.world.settle([leg._replace(fee=9)])


def test_e_mode(lending: Lending) -> None:
    lending.world.settle([lending.leg(LendingAction.SET_E_MODE, "USDC", 1)])
    assert lending.pool.getUserEMode(lending.world.vault) == 1
    assert lending.venue.threshold(lending.world.vault, 1) == 95 * CENT
    assert lending.venue.threshold(lending.world.vault, 2) == 78 * CENT


def test_a_paused_reserve_shows(leveraged: Lending) -> None:
    world = leveraged.world
    assert not leveraged.venue.impaired(world.vault)
    leveraged.pause("WETH")
    assert leveraged.venue.impaired(world.vault)


def test_receipt_tokens_do_not_stray_and_others_come_back(leveraged: Lending) -> None:
    world = leveraged.world
    world.give("DAI", world.vault, 10**18)
    for kept in (world.tokens[1].address, leveraged.token("WETH").address):
        with reverts("custody: not a stray token"):
            world.owner_does(world.vault.recover, kept, "alice")
    with reverts("roles: not the owner"):
        world.vault.recover(world.token("DAI").address, "alice", sender="attacker")
    world.owner_does(world.vault.recover, world.token("DAI").address, "alice")
    assert world.token("DAI").balanceOf("alice") == 10**18
