# SPDX-License-Identifier: Apache-2.0
"""A listed protocol is a proxy, and its governance puts other code behind it."""

from __future__ import annotations

import pytest

from offchain.mandate.venues import AaveV3Venue
from offchain.route.leg import LendingAction
from offchain.sandbox import addresses
from tests.support.evm import Reverted
from tests.support.world import Leg, World, blue_chip, usdc, with_weights

AAVE = 2
"""How legs name the first venue."""
SKIP_AAVE = 1 << 16
INVALID = b"\xfe"


@pytest.fixture(scope="module")
def lending() -> World:
    """Ten ether supplied to Aave, the rest in the wallet."""
    file = with_weights(blue_chip(), **dict.fromkeys(blue_chip().symbols, (0, 10_000)))
    venue = AaveV3Venue(kind="aave_v3", pool=addresses.AAVE_POOL, supply=("WETH",), borrow=())
    world = World.deploy(file.model_copy(update={"venues": (*file.venues, venue)}))
    world.deposit("alice", usdc(1_000_000))
    world.invest()
    weth = world.index("WETH")
    world.evm.mine()
    world.settle([Leg(AAVE, weth, weth, int(LendingAction.SUPPLY), 10 * 10**18, 0)])
    return world


def test_a_proxy_whose_implementation_changes_under_an_allowlist(lending: World) -> None:
    """It finds nothing to take but what was supplied, and stops nobody from leaving with the rest."""
    world, evm = lending, lending.evm
    with evm.rolled_back():
        # Whatever the new code wants to do, it does as the pool.
        evm.set_code(addresses.AAVE_POOL, b"")
        for token, held in zip(world.tokens, world.balances(world.vault), strict=True):
            assert held > 0
            assert token.allowance(world.vault, addresses.AAVE_POOL) == 0
            with pytest.raises(Reverted):
                token.transferFrom(world.vault, "attacker", 1, sender=addresses.AAVE_POOL)
        evm.set_code(addresses.AAVE_POOL, INVALID)
        wallet, supply = world.balances(world.vault), world.vault.totalSupply()
        shares = world.vault.balanceOf("alice") // 2
        amounts = world.leave_in_kind("alice", shares, SKIP_AAVE)
        for amount, held in zip(amounts, wallet, strict=True):
            assert amount >= held * shares // supply * 99 // 100
