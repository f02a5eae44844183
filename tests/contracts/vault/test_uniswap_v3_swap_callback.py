# SPDX-License-Identifier: Apache-2.0
"""uniswapV3SwapCallback: pays the pool of the running leg once, and nobody else, ever."""

from __future__ import annotations

import pytest

from offchain.sandbox.uniswap import POOLS
from tests.support.evm import Contract, reverts
from tests.support.hostile import Hostile, actor, failure, puppet
from tests.support.world import World, usdc

CALLBACK = "uniswapV3SwapCallback"


@pytest.mark.parametrize("role", ["attacker", "owner", "keeper", "market"])
@pytest.mark.parametrize("deltas", [(1, 0), (0, 10**18), (-1, 10**6), (0, 0), (-5, -5)])
def test_nobody_outside_a_settlement(invested: World, role: str, deltas: tuple[int, int]) -> None:
    with reverts("uniswap: unexpected callback"):
        invested.vault.uniswapV3SwapCallback(*deltas, b"", sender=role)


def test_not_a_fake_pool(invested: World) -> None:
    fake = actor(invested.evm, "Puppet")
    with reverts("uniswap: unexpected callback"):
        fake.do(invested.vault, invested.vault.uniswapV3SwapCallback.encode(10**6, 0, b""), sender="attacker")


@pytest.mark.parametrize("name", ["WETH/USDC v3 500", "WETH/USDC v3 3000", "LINK/WETH v3 3000", "WETH/USDT v3 500"])
def test_not_a_real_pool_that_the_vault_did_not_call(invested: World, name: str) -> None:
    """Not even from the very address of a pool: outside a leg no pool is expected."""
    (pool,) = (pool for pool in POOLS if pool.name == name)
    fake = actor(invested.evm, "Puppet")
    invested.evm.set_code(pool.address, invested.evm.code(fake.address))
    posing = Contract(invested.evm, pool.address, fake.abi)
    with reverts("uniswap: unexpected callback"):
        posing.do(invested.vault, invested.vault.uniswapV3SwapCallback.encode(10**6, 0, b""), sender="attacker")


def test_not_with_data_of_its_own(invested: World) -> None:
    with reverts(""):
        selector = invested.vault.uniswapV3SwapCallback.selector
        invested.evm.call(
            "0x" + "77" * 20,
            invested.vault.address,
            selector + bytes(64) + (96).to_bytes(32, "big") + (33).to_bytes(32, "big") + bytes(64),
        )


def test_not_during_a_settlement_through_a_token(hostile: Hostile) -> None:
    """The token being paid calls back in the middle of the pool's own callback: the permission is used up."""
    world = hostile.world
    doll = puppet(world.evm, world.vault, CALLBACK, usdc(1000), 0, b"")
    hostile.misbehave(0, hook=doll.address)
    world.settle([world.leg(0, 1, usdc(1000))])
    assert failure(doll) == "uniswap: unexpected callback"


def test_not_before_the_pool_asks(hostile: Hostile) -> None:
    """The pool sends what is bought before it asks to be paid; that token's hook poses as the pool."""
    world = hostile.world
    doll = puppet(world.evm, world.vault, CALLBACK, usdc(1000), 0, b"")
    hostile.misbehave(1, hook=doll.address)
    world.settle([world.leg(0, 1, usdc(1000))])
    assert failure(doll) == "uniswap: unexpected callback"


def test_permission_does_not_outlive_a_leg(hostile: Hostile) -> None:
    """After a v3 leg its pool may not call back, in the same transaction: a v2 leg's token asks for it."""
    world = hostile.world
    doll = puppet(world.evm, world.vault, CALLBACK, usdc(1), 0, b"")
    hostile.misbehave(2, hook=doll.address)
    world.settle([world.leg(0, 1, usdc(1000)), world.leg(0, 2, usdc(1000), 0)])
    assert failure(doll) == "uniswap: unexpected callback"


def test_a_pool_takes_no_more_than_the_leg_offers(invested: World) -> None:
    (pool,) = (pool for pool in POOLS if pool.name == "WETH/USDC v3 500")
    invested.evm.set_code(pool.address, invested.evm.code(actor(invested.evm, "GreedyPool").address))
    with reverts("uniswap: unexpected amount"):
        invested.settle([invested.leg("WETH", "USDC", 10**18, 500)])
