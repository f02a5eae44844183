# SPDX-License-Identifier: Apache-2.0
"""Relative caps bypassed by a flash deposit: more value for a moment would widen every limit that is a fraction of it."""

from __future__ import annotations

from typing import Any

import pytest

from offchain.settle.development import development_address
from tests.support.evm import Contract, reverts
from tests.support.hostile import actor
from tests.support.world import BPS, DAY, ONE, World, usdc


@pytest.fixture
def flash(invested: World) -> Contract:
    """Holds ten million dollars of somebody else's."""
    flash = actor(invested.evm, "FlashDepositor")
    invested.give(0, flash, usdc(10_000_000))
    token, vault = invested.tokens[0], invested.vault
    approve = token.approve.encode(vault.address, 2**256 - 1)
    flash.run(token.address, approve, token.address, approve, sender="attacker")
    return flash


def test_relative_caps_bypassed_by_a_flash_deposit(invested: World, flash: Contract) -> None:
    """An order that concentrates the vault is refused; a deposit before it in the transaction does not help."""
    order = invested.order([invested.leg("USDC", "WETH", usdc(200_000), 500)])
    signature = invested.sign(order)
    with reverts("limits: weight"):
        invested.vault.settle(order, "optimizer", signature, sender="attacker")
    vault = invested.vault
    deposit = vault.deposit.encode(usdc(10_000_000), flash.address)
    settle = vault.settle.encode(order, development_address("optimizer"), signature)
    with reverts("limits: deposit in this transaction"):
        flash.run(vault.address, deposit, vault.address, settle, sender="attacker")


@pytest.mark.parametrize("entry", ["deposit", "mint", "deposit_in_kind"])
def test_no_entry_and_settlement_in_one_transaction(invested: World, flash: Contract, entry: str) -> None:
    """Whichever way in, and though the settlement would pass without it."""
    vault = invested.vault
    arguments: dict[str, tuple[Any, ...]] = {
        "deposit": (usdc(100), flash.address),
        "mint": (ONE, flash.address),
        "deposit_in_kind": (10**15, flash.address, [2**255] * 5),
    }
    for i, token in enumerate(invested.tokens):
        invested.give(i, flash, 10 ** (invested.file.ordered_assets[i].decimals - 2))
        approve = token.approve.encode(vault.address, 2**256 - 1)
        flash.run(token.address, approve, token.address, approve, sender="attacker")
    order = invested.order([invested.leg("WETH", "USDC", 10**16, 500)])
    settle = vault.settle.encode(order, development_address("optimizer"), invested.sign(order))
    enter = getattr(vault, entry).encode(*arguments[entry])
    with reverts("limits: deposit in this transaction"):
        flash.run(vault.address, enter, vault.address, settle, sender="attacker")
    flash.run(vault.address, settle, vault.address, enter, sender="attacker")


def test_in_and_out_in_one_transaction_pays_both_fees_and_moves_no_limit(invested: World, flash: Contract) -> None:
    """Those who were there gain, though he owned most of his own entry fee; an order that was refused still is."""
    vault, base = invested.vault, invested.tokens[0]
    refused = invested.order([invested.leg("USDC", "WETH", usdc(200_000), 500)])
    before, purse = vault.value_per_share(), base.balanceOf(flash)
    deposit = vault.deposit.encode(usdc(5_000_000), flash.address)
    leave = vault.redeem.encode(vault.previewDeposit(usdc(5_000_000)), flash.address, flash.address)
    flash.run(vault.address, deposit, vault.address, leave, sender="attacker")
    assert purse - base.balanceOf(flash) >= usdc(5_000_000) * 50 // 10_000
    assert vault.value_per_share() > before
    with reverts("limits: weight"):
        invested.settle(refused)


def test_across_two_blocks_the_depositor_loses_his_part(invested: World, flash: Contract) -> None:
    """Deposit, settle at a loss, leave: the others lose their part of it, which the budget bounds, and keep his fees.

    The settlement sells to the market at a bad price, as the thief's would to himself.
    """
    vault = invested.vault
    invested.evm.mine(10 * DAY)
    invested.refresh_feeds()
    others, per_share = vault.balanceOf("alice"), vault.value_per_share()
    deposit = vault.deposit.encode(usdc(9_000_000), flash.address)
    flash.run(vault.address, deposit, vault.address, vault.totalAssets.encode(), sender="attacker")
    invested.evm.mine()
    settled = invested.settle([invested.leg("USDC", "WETH", usdc(1_000_000), 500)])
    assert settled["loss"] > 0
    invested.evm.mine()
    leave = vault.redeem.encode(vault.maxRedeem(flash), flash.address, flash.address)
    flash.run(vault.address, leave, vault.address, vault.totalAssets.encode(), sender="attacker")
    assert vault.balanceOf("alice") == others
    capacity = invested.limits().loss_capacity_bps
    assert vault.value_per_share() * 10_000 >= per_share * (10_000 - capacity)
    # What the settlement lost is no larger than the budget of the larger vault, and so is everybody's part.
    assert settled["loss"] <= capacity * BPS
    # The next settlement finds the vault as he left it, outside its weights: it has to come closer.
    with reverts("limits: weight"):
        invested.settle([invested.leg("LINK", "WETH", ONE, 3000)])
