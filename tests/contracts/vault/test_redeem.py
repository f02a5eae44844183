# SPDX-License-Identifier: Apache-2.0
"""redeem: an exact number of shares for base asset, from the base asset held."""

from __future__ import annotations

from offchain.settle.development import development_address
from tests.support.evm import reverts
from tests.support.world import ONE, World, usdc


def test_pays_their_value_less_the_fee(funded: World) -> None:
    gross = funded.vault.convertToAssets(1000 * ONE)
    before = funded.tokens[0].balanceOf("bob")
    assets = funded.vault.redeem(1000 * ONE, "bob", "alice", sender="alice")
    assert assets == gross - -(-gross * 50 // 10_000)
    assert funded.tokens[0].balanceOf("bob") - before == assets


def test_emits(funded: World) -> None:
    assets = funded.vault.redeem(ONE, "bob", "alice", sender="alice")
    assert funded.vault.event("Withdraw") == {
        "sender": development_address("alice"),
        "receiver": development_address("bob"),
        "owner": development_address("alice"),
        "assets": assets,
        "shares": ONE,
    }


def test_needs_the_owners_allowance(funded: World) -> None:
    with reverts("erc20: insufficient allowance"):
        funded.vault.redeem(ONE, "attacker", "alice", sender="attacker")


def test_needs_the_shares(funded: World) -> None:
    with reverts("erc20: burn amount exceeds balance"):
        funded.vault.redeem(ONE, "bob", "bob", sender="bob")


def test_no_more_than_the_base_asset_held(invested: World) -> None:
    with reverts("vault: not enough base asset"):
        invested.vault.redeem(invested.vault.balanceOf("alice"), "alice", "alice", sender="alice")


def test_refuses_what_pays_nothing(funded: World) -> None:
    with reverts("vault: zero assets"):
        funded.vault.redeem(10**11, "alice", "alice", sender="alice")


def test_nothing_for_nothing(funded: World) -> None:
    supply = funded.vault.totalSupply()
    assert funded.vault.redeem(0, "bob", "alice", sender="bob") == 0
    assert funded.vault.totalSupply() == supply


def test_goes_on_while_only_reducing_and_stops_when_halted(funded: World) -> None:
    funded.mandate.guardian_trip(1, sender="guardian")
    assert funded.vault.redeem(ONE, "alice", "alice", sender="alice") > 0
    funded.mandate.guardian_trip(2, sender="guardian")
    with reverts("breaker: halted"):
        funded.vault.redeem(ONE, "alice", "alice", sender="alice")


def test_stops_when_a_price_is_dead(funded: World) -> None:
    funded.evm.mine(30 * 86_400)
    with reverts("oracle: stale"):
        funded.vault.redeem(ONE, "alice", "alice", sender="alice")


def test_everything_pays_the_fee_too(funded: World) -> None:
    """The whole supply is spared the fee only in kind."""
    assets = funded.vault.redeem(funded.vault.balanceOf("alice"), "alice", "alice", sender="alice")
    assert usdc(994_999) < assets <= usdc(995_000)
    assert funded.vault.totalSupply() == 0
