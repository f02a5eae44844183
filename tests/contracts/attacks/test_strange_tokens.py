# SPDX-License-Identifier: Apache-2.0
"""Tokens that take fees, answer nothing, answer false, shrink or lie, in every place where the vault meets them."""

from __future__ import annotations

import pytest

from offchain.mandate import load_mandate
from tests.support.evm import reverts
from tests.support.hostile import Hostile
from tests.support.vaults import PROJECT
from tests.support.world import ONE, World, blue_chip, usdc


def test_fee_on_transfer_and_no_return_value_tokens(hostile: Hostile) -> None:
    """Base asset: a fee is refused, silence is accepted."""
    hostile.misbehave(0, fee_bps=100)
    with reverts("custody: fee on transfer"):
        hostile.world.deposit("bob", usdc(1000))
    hostile.misbehave(0, silent=True)
    assert hostile.world.deposit("bob", usdc(1000)) > 0
    assert hostile.world.vault.withdraw(usdc(10), "bob", "bob", sender="bob") > 0


@pytest.mark.parametrize("fee", [0, 3000], ids=["v2", "v3"])
def test_selling_a_token_with_a_transfer_fee_fails(hostile: Hostile, fee: int) -> None:
    """The pool gets less than it was promised and reverts; nothing is lost."""
    world = hostile.world
    world.give(1, world.vault, 10**18)
    hostile.misbehave(1, fee_bps=100)
    with reverts("UniswapV2: K" if fee == 0 else "IIA"):
        world.settle([world.leg(1, 0, 10**18, fee)])


@pytest.mark.parametrize("fee", [0, 3000], ids=["v2", "v3"])
def test_buying_a_token_with_a_transfer_fee_counts_what_arrived(hostile: Hostile, fee: int) -> None:
    world = hostile.world
    hostile.misbehave(1, fee_bps=100)
    settled = world.settle([world.leg(0, 1, usdc(10_000), fee)])
    arrived = world.tokens[1].balanceOf(world.vault)
    assert arrived == world.vault.holdings()[1] == settled["amounts_out"][0] - settled["amounts_out"][0] // 100
    assert settled["value_after"] == world.vault.value()
    assert settled["loss"] > 10**14


def test_a_transfer_fee_is_charged_to_the_loss_budget(hostile: Hostile) -> None:
    hostile.misbehave(1, fee_bps=1000)
    with reverts("loss_budget: exhausted"):
        hostile.world.settle([hostile.world.leg(0, 1, usdc(200_000))])


@pytest.mark.parametrize("fee", [0, 3000], ids=["v2", "v3"])
@pytest.mark.parametrize("asset", [0, 1])
def test_silent_tokens_are_traded(hostile: Hostile, fee: int, asset: int) -> None:
    hostile.misbehave(asset, silent=True)
    settled = hostile.world.settle([hostile.world.leg(0, 1, usdc(1000), fee)])
    assert settled["amounts_out"][0] > 0


@pytest.mark.parametrize("fee", [0, 3000], ids=["v2", "v3"])
def test_a_sold_token_that_answers_false(hostile: Hostile, fee: int) -> None:
    hostile.misbehave(0, refuses=True)
    with reverts("uniswap: transfer failed"):
        hostile.world.settle([hostile.world.leg(0, 1, usdc(1000), fee)])


def test_tether_is_an_asset_like_any_other() -> None:
    """The sandbox's stand-in answers nothing, as the real one does: deposit, settle, leave."""

    world = World.deploy(load_mandate(PROJECT / "mandates" / "dollar-reserve.yaml"))
    world.deposit("alice", usdc(1_000_000))
    tether, ether = world.leg("USDC", "USDT", usdc(300_000), 100), world.leg("USDC", "WETH", usdc(200_000), 500)
    world.settle([tether, ether])
    amounts = world.leave_in_kind("alice")
    assert world.token("USDT").balanceOf("alice") == amounts[1] > usdc(299_000)


def test_a_balance_that_shrinks_between_transactions_is_a_drawdown_not_a_settlements_loss(hostile: Hostile) -> None:
    """A negative rebase or a slashing: value per share falls, anyone trips."""
    world = hostile.world
    world.settle([world.leg(0, 1, usdc(100_000))])
    world.tokens[0].burn(world.vault, usdc(250_000), sender="market")
    assert world.settle([])["loss"] == 0
    assert world.mandate.breaker_state() == 1


def test_a_balance_that_grows_is_the_holders(hostile: Hostile) -> None:
    world = hostile.world
    before = world.vault.convertToAssets(ONE)
    world.give(0, world.vault, usdc(100_000))
    assert world.vault.convertToAssets(ONE) > before * 109 // 100


def test_an_asset_is_never_priced_by_a_tokens_own_word(hostile: Hostile) -> None:
    """ERC-4626 component priced by `convertToAssets`: prices come from the oracle's feeds alone, whatever the token says.

    Of the staked token the ratio counts, and only times its market feed.
    """
    world = World.deploy(blue_chip())
    world.deposit("alice", usdc(1000))
    before = world.usd("wstETH")
    world.set_feed("stETH/ETH", 0.9)
    assert world.usd("wstETH") == pytest.approx(before * 0.9 / 0.9995)
