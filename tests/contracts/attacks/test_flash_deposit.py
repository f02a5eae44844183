# SPDX-License-Identifier: Apache-2.0
"""Relative caps bypassed by a flash deposit: more value for a moment would widen every limit that is a fraction of it."""

from __future__ import annotations

import pytest

from offchain.settle.development import development_address
from tests.support.evm import Contract, reverts
from tests.support.hostile import actor
from tests.support.world import World, usdc


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


def test_in_the_next_transaction_the_deposit_is_at_risk_itself(invested: World, flash: Contract) -> None:
    """No flash loan lasts that long, and the fees have been paid: the vault is that large then."""
    vault = invested.vault
    deposit = vault.deposit.encode(usdc(10_000), flash.address)
    flash.run(vault.address, deposit, vault.address, vault.totalAssets.encode(), sender="attacker")
    invested.settle([invested.leg("WETH", "USDC", 10**18, 500)])
