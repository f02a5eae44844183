# SPDX-License-Identifier: Apache-2.0
"""value, totalAssets, mark_is_live: what everything held is worth, and what is said when no price can be had."""

from __future__ import annotations

import pytest

from tests.support.evm import reverts
from tests.support.hostile import Hostile
from tests.support.world import ONE, World, usdc

CONVERSIONS = (
    "convertToShares",
    "convertToAssets",
    "previewDeposit",
    "previewMint",
    "previewWithdraw",
    "previewRedeem",
)


def kill_oracle(world: World) -> None:
    world.evm.mine(30 * 86_400)


def test_value_is_holdings_at_oracle_prices(invested: World) -> None:
    expected = sum(
        held * price // ONE for held, price in zip(invested.vault.holdings(), invested.prices(), strict=True)
    )
    assert invested.vault.value() == expected


def test_total_assets_is_value_in_the_base_asset(invested: World) -> None:
    invested.set_feed("USDC/USD", 0.98)
    assert invested.vault.totalAssets() == invested.vault.value() * ONE // invested.prices()[0]
    assert invested.vault.mark_is_live()


def test_an_empty_vault_is_worth_nothing(world: World) -> None:
    assert world.vault.value() == world.vault.totalAssets() == 0


def test_dead_prices_are_said_to_be(invested: World) -> None:
    kill_oracle(invested)
    assert not invested.vault.mark_is_live()
    with reverts("oracle: stale"):
        invested.vault.value()


def test_conversions_answer_from_the_last_mark(invested: World) -> None:
    """Dead or zero oracle: the answers are those of the last transaction that priced the vault, to a unit."""
    vault = invested.vault
    invested.vault.withdraw(usdc(100), "alice", "alice", sender="alice")
    before = [getattr(vault, name)(10**20) for name in CONVERSIONS]
    total = vault.totalAssets()
    kill_oracle(invested)
    assert abs(vault.totalAssets() - total) <= 1
    for name, was in zip(CONVERSIONS, before, strict=True):
        assert getattr(vault, name)(10**20) == pytest.approx(was, rel=1e-11)


@pytest.mark.parametrize("how", ["settle", "withdraw"])
def test_what_keeps_the_mark(invested: World, how: str) -> None:
    invested.set_feed("ETH/USD", 3300)
    if how == "settle":
        invested.settle([invested.leg("WETH", "USDC", 10**17, 500)])
    else:
        invested.vault.withdraw(usdc(1000), "alice", "alice", sender="alice")
    live = invested.vault.convertToAssets(ONE)
    kill_oracle(invested)
    assert abs(invested.vault.convertToAssets(ONE) - live) <= 1


def test_a_deposit_keeps_the_mark_that_its_shares_were_made_at(invested: World) -> None:
    """Without the fee that it leaves to everybody."""
    invested.set_feed("ETH/USD", 3300)
    live = invested.vault.convertToAssets(ONE)
    invested.deposit("bob", usdc(1000))
    kill_oracle(invested)
    assert abs(invested.vault.convertToAssets(ONE) - live) <= 1


def test_the_mark_is_a_shares_so_leaving_in_kind_does_not_move_it(invested: World) -> None:
    invested.deposit("bob", usdc(100))
    before = invested.vault.convertToAssets(ONE)
    kill_oracle(invested)
    invested.leave_in_kind("alice", 10**23)
    assert abs(invested.vault.convertToAssets(ONE) - before) <= 1


def test_prices_that_come_back_are_used_again(invested: World) -> None:
    kill_oracle(invested)
    invested.refresh_feeds()
    assert invested.vault.mark_is_live()


def test_never_priced_and_dead(world: World) -> None:
    kill_oracle(world)
    assert world.vault.totalAssets() == 0
    assert world.vault.convertToShares(usdc(1)) == ONE


def test_a_zero_price_is_dead_not_worthless(hostile: Hostile) -> None:
    world = hostile.world
    world.give(1, world.vault, 10**20)
    before = world.vault.convertToAssets(ONE)
    world.deposit("bob", usdc(1))
    hostile.set_usd(1, 0)
    assert abs(world.vault.convertToAssets(ONE) - before) <= 1
    assert not world.vault.mark_is_live()


def test_a_stale_zero_or_frozen_oracle_stops_pricing_after_its_heartbeat(invested: World) -> None:
    invested.evm.mine(18_000 - 60)
    assert invested.vault.mark_is_live()
    invested.evm.mine(120)
    assert not invested.vault.mark_is_live()
