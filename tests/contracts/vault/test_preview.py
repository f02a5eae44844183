# SPDX-License-Identifier: Apache-2.0
"""preview* and convert*: exact, to the vault's favour, and the same as what then happens."""

from __future__ import annotations

from math import ceil, floor

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.vault.conftest import VIRTUAL_ASSETS, VIRTUAL_SHARES, Reference, Situation, situations
from tests.support.evm import attempt
from tests.support.world import World, usdc

in_pytest = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
amounts = st.integers(0, 10) | st.integers(0, usdc(2_000_000))
share_amounts = st.integers(0, 10**13) | st.integers(0, 2 * 10**24)


@given(situation=situations, assets=amounts, shares=share_amounts)
@in_pytest
def test_previews_are_exact(with_fees: World, situation: Situation, assets: int, shares: int) -> None:
    vault = with_fees.vault
    with with_fees.evm.rolled_back():
        situation.apply(with_fees)
        exact = Reference.of(with_fees)
        assert vault.previewDeposit(assets) == exact.deposit(assets)
        assert vault.previewMint(shares) == exact.mint(shares)
        assert vault.previewWithdraw(assets) == exact.withdraw(assets)
        assert vault.previewRedeem(shares) == exact.redeem(shares)
        assert vault.convertToShares(assets) == floor(assets / exact.paid_per_share)
        assert vault.convertToAssets(shares) == floor(shares * exact.got_per_share)


@given(situation=situations, assets=amounts, shares=share_amounts)
@in_pytest
def test_what_happens_is_what_was_previewed(with_fees: World, situation: Situation, assets: int, shares: int) -> None:
    world, vault = with_fees, with_fees.vault
    with world.evm.rolled_back():
        situation.apply(world)
        world.approve("carol")
        for name, amount in (("deposit", assets), ("mint", shares)):
            expected = getattr(vault, f"preview{name.title()}")(amount)
            cost, gets = (amount, expected) if name == "deposit" else (expected, amount)
            world.give(0, "carol", cost)
            before = vault.balanceOf("carol"), world.tokens[0].balanceOf("carol")
            done, reason = attempt(lambda: getattr(vault, name)(amount, "carol", sender="carol"))  # noqa: B023
            if reason is not None:
                assert (reason, gets) == ("vault: zero shares", 0)
                continue
            assert done == expected
            assert vault.balanceOf("carol") - before[0] == gets
            assert before[1] - world.tokens[0].balanceOf("carol") == cost
        for name, amount in (("withdraw", assets), ("redeem", shares)):
            expected = getattr(vault, f"preview{name.title()}")(amount)
            cost, gets = (amount, expected) if name == "redeem" else (expected, amount)
            before = vault.balanceOf("carol"), world.tokens[0].balanceOf("carol")
            fits = amount <= getattr(vault, f"max{name.title()}")("carol")
            done, reason = attempt(lambda: getattr(vault, name)(amount, "carol", "carol", sender="carol"))  # noqa: B023
            assert (reason is None) == (fits and (gets > 0 or cost == 0))
            if reason is None:
                assert done == expected
                assert before[0] - vault.balanceOf("carol") == cost
                assert world.tokens[0].balanceOf("carol") - before[1] == gets


@given(situation=situations, assets=st.integers(1, usdc(200_000)))
@in_pytest
def test_no_round_trip_pays(with_fees: World, situation: Situation, assets: int) -> None:
    world, vault = with_fees, with_fees.vault
    with world.evm.rolled_back():
        situation.apply(world)
        world.give(0, "carol", 2 * assets)
        world.approve("carol")
        shares = vault.previewDeposit(assets)
        if shares == 0:
            return
        with world.evm.rolled_back():
            vault.deposit(assets, "carol", sender="carol")
            back, _ = attempt(lambda: vault.redeem(shares, "carol", "carol", sender="carol"))
            assert (back or 0) <= assets
        with world.evm.rolled_back():
            paid = vault.mint(shares, "carol", sender="carol")
            assert paid <= assets
            limit = vault.maxWithdraw("carol")
            assert limit <= paid
            if limit:
                assert vault.withdraw(limit, "carol", "carol", sender="carol") <= shares


def test_each_rounding_is_the_vaults(with_fees: World) -> None:
    """One unit each way: entering pays at least the fair price, leaving gets at most it."""
    world = with_fees
    with world.evm.rolled_back():
        world.give("WETH", world.vault, 12345678901234567)
        exact = Reference.of(world)
        fair = (exact.worth + VIRTUAL_ASSETS) / (exact.supply + VIRTUAL_SHARES)
        for units in (1, 3, 7, 10**6 + 1):
            assert world.vault.previewDeposit(units) <= units / fair
            assert world.vault.previewWithdraw(units) >= units / fair
            shares = ceil(units / fair)
            assert world.vault.previewMint(shares) >= shares * fair
            assert world.vault.previewRedeem(shares) <= shares * fair
