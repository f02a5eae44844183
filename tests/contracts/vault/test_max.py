# SPDX-License-Identifier: Apache-2.0
"""max*: honest to the unit. What they promise goes through, a unit more does not, and nothing is promised in vain."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.vault.conftest import Situation, situations
from tests.support.evm import Reverted, attempt
from tests.support.world import World

MOST_SHARES = 2**128 - 1


def limits(world: World, who: str = "alice") -> tuple[int, int, int, int]:
    vault = world.vault
    return vault.maxDeposit(who), vault.maxMint(who), vault.maxWithdraw(who), vault.maxRedeem(who)


def test_open_when_active(invested: World) -> None:
    entry_assets, entry_shares, assets, shares = limits(invested)
    assert entry_shares == MOST_SHARES - invested.vault.totalSupply()
    assert entry_assets == invested.vault.convertToAssets(entry_shares)
    assert assets == invested.vault.holdings()[0]
    assert 0 < shares < invested.vault.balanceOf("alice")


def test_a_vault_without_shares_is_open(world: World) -> None:
    assert limits(world) == (MOST_SHARES // 10**12, MOST_SHARES, 0, 0)


def test_reduced_takes_nothing_in(invested: World) -> None:
    invested.mandate.guardian_trip(1, sender="guardian")
    entry_assets, entry_shares, assets, shares = limits(invested)
    assert entry_assets == entry_shares == 0
    assert assets > 0
    assert shares > 0


def test_halted_is_shut(invested: World) -> None:
    invested.mandate.guardian_trip(2, sender="guardian")
    assert limits(invested) == (0, 0, 0, 0)


def test_a_dead_oracle_shuts(invested: World) -> None:
    invested.evm.mine(30 * 86_400)
    assert limits(invested) == (0, 0, 0, 0)


def test_a_drawdown_that_nobody_proved_yet_takes_nothing_in(invested: World) -> None:
    for feed, price in (("ETH/USD", 1800), ("BTC/USD", 36_000)):
        invested.set_feed(feed, price)
    assert limits(invested)[:2] == (0, 0)


def test_an_emptied_vault_in_a_fallen_market_is_open(invested: World) -> None:
    """Its first deposit starts the peak anew, and so it says."""
    invested.leave_in_kind("alice")
    for feed, price in (("ETH/USD", 300), ("BTC/USD", 6000)):
        invested.set_feed(feed, price)
    assert limits(invested)[1:] == (MOST_SHARES, 0, 0)
    invested.deposit("bob", 10**6)


@given(situation=situations, shares=st.integers(0, 10**13) | st.integers(0, 10**24))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exits_go_up_to_the_limit_and_no_farther(with_fees: World, situation: Situation, shares: int) -> None:
    """Carol holds any number of shares, dust too. Two base units' worth of shares is the grain of maxRedeem."""
    world, vault = with_fees, with_fees.vault
    with world.evm.rolled_back():
        situation.apply(world)
        held = min(shares, vault.balanceOf("alice"))
        vault.transfer("carol", held, sender="alice")
        for name, grain in (("Withdraw", 1), ("Redeem", vault.previewWithdraw(2))):
            most = getattr(vault, f"max{name}")("carol")
            function = getattr(vault, name.lower())
            if most > 0:
                with world.evm.rolled_back():
                    function(most, "carol", "carol", sender="carol")
            _, reason = attempt(lambda: function(most + grain, "carol", "carol", sender="carol"))  # noqa: B023
            assert reason in (
                "erc20: burn amount exceeds balance",
                "vault: not enough base asset",
                "vault: zero assets",
            )


def test_dust_worth_nothing_cannot_be_redeemed_and_max_says_so(invested: World) -> None:
    invested.vault.transfer("carol", 10**6, sender="alice")
    assert invested.vault.previewRedeem(10**6) == 0
    assert invested.vault.maxRedeem("carol") == 0
    with pytest.raises(Reverted, match="vault: zero assets"):
        invested.vault.redeem(10**6, "carol", "carol", sender="carol")
