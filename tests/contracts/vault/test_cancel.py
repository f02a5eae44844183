# SPDX-License-Identifier: Apache-2.0
"""cancel: the current nonce is used up and what was signed for it never settles."""

from __future__ import annotations

import pytest

from offchain.settle.development import development_address
from tests.support.evm import reverts
from tests.support.world import World


@pytest.mark.parametrize("role", ["optimizer", "curator", "guardian"])
def test_signer_curator_and_guardian(invested: World, role: str) -> None:
    order = invested.order([invested.leg("WETH", "USDC", 10**18, 500)])
    invested.vault.cancel(1, sender=role)
    assert invested.vault.event("Cancelled") == {"nonce": 1, "caller": development_address(role)}
    assert invested.vault.order_nonce() == 2
    with reverts("orders: wrong nonce"):
        invested.settle(order)


@pytest.mark.parametrize("role", ["keeper", "alice", "attacker"])
def test_nobody_else(invested: World, role: str) -> None:
    with reverts("roles: may not cancel"):
        invested.vault.cancel(1, sender=role)


def test_not_a_signer_any_more(invested: World) -> None:
    invested.mandate.remove_signer("optimizer", sender="guardian")
    with reverts("roles: may not cancel"):
        invested.vault.cancel(1, sender="optimizer")


@pytest.mark.parametrize("nonce", [0, 2, 2**256 - 1])
def test_only_the_current_nonce(invested: World, nonce: int) -> None:
    """Past ones are gone; cancelling one ahead would let a signer burn the sequence."""
    with reverts("orders: wrong nonce"):
        invested.vault.cancel(nonce, sender="guardian")


def test_the_next_order_settles(invested: World) -> None:
    invested.vault.cancel(1, sender="optimizer")
    invested.settle([invested.leg("WETH", "USDC", 10**18, 500)])
    assert invested.vault.order_nonce() == 3
