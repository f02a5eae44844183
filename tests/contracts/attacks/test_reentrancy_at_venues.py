# SPDX-License-Identifier: Apache-2.0
"""A token calls somebody back while a leg runs at a venue, real Balancer: what can be called then, and what is seen.

The vault has paid and has not been paid, or the other way round: whoever read a value now would read a wrong one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from offchain.settle.deployment import EXTENSIONS
from tests.contracts.attacks.test_reentrancy import CALLBACK, FIXED, SHARE_TOKEN, arguments_of
from tests.support.evm import Contract, reverts
from tests.support.hostile import Hostile, actor, failure, hostile_world, puppet
from tests.support.lending import AAVE
from tests.support.world import Leg, World, product_abi, usdc

VENUE = AAVE
"""How legs name the first listed venue, here Balancer."""
AMOUNT = usdc(1000)
SOLD, BOUGHT = 0, 1
"""Whose hook fires: in Balancer's transferFrom, or in its transfer to the vault."""
HARMLESS = ("permit", "claim")
"""Of the extensions: on storage of its own, in which nobody has anything."""


@pytest.fixture(scope="module")
def _trading() -> Hostile:
    hostile = hostile_world(balancer=True)
    hostile.world.deposit("alice", usdc(1_000_000))
    return hostile


@pytest.fixture
def trading(_trading: Hostile) -> Iterator[Hostile]:
    """The first two tokens have a Balancer pool; the vault has a million of the first."""
    with _trading.world.evm.rolled_back():
        yield _trading


def trade(world: World) -> dict[str, Any]:
    return world.settle([Leg(VENUE, SOLD, BOUGHT, 0, AMOUNT, 0)])


def called_back(hostile: Hostile, asset: int, target: Contract, name: str, arguments: Sequence[Any]) -> Contract:
    """A puppet after a settlement in which it called this once."""
    doll = puppet(hostile.world.evm, target, name, *arguments)
    hostile.misbehave(asset, hook=doll.address)
    trade(hostile.world)
    return doll


def entries(abi: Sequence[Any]) -> list[dict[str, Any]]:
    return [entry for entry in abi if entry["type"] == "function" and entry["name"] not in CALLBACK]


@pytest.mark.parametrize("asset", [SOLD, BOUGHT], ids=["sold", "bought"])
def test_nothing_that_prices_or_moves_anything_answers(trading: Hostile, asset: int) -> None:
    """Each function of the vault, views included."""
    world, answered = trading.world, set()
    for entry in entries(world.vault.abi):
        with world.evm.rolled_back():
            doll = called_back(trading, asset, world.vault, entry["name"], arguments_of(entry))
            if doll.succeeded():
                answered.add(entry["name"])
            elif entry["name"] not in SHARE_TOKEN:
                assert failure(doll) == ""
    assert answered <= SHARE_TOKEN | FIXED


@pytest.mark.parametrize("name", EXTENSIONS)
@pytest.mark.parametrize("asset", [SOLD, BOUGHT], ids=["sold", "bought"])
def test_the_extensions_do_nothing_for_anybody_but_the_vault(trading: Hostile, asset: int, name: str) -> None:
    world = trading.world
    address = dict(zip(EXTENSIONS, (world.vault.extension(), world.vault.claims_extension()), strict=True))[name]
    extension = Contract(world.evm, address, product_abi(name))
    moving = [entry for entry in entries(extension.abi) if entry["stateMutability"] == "nonpayable"]
    for entry in moving:
        if entry["name"] in HARMLESS:
            continue
        leg = (0, (VENUE, SOLD, BOUGHT, 0, AMOUNT, 0), AMOUNT)
        with world.evm.rolled_back():
            arguments = leg if entry["name"] == "run_leg" else arguments_of(entry)
            doll = called_back(trading, asset, extension, entry["name"], arguments)
            assert failure(doll) == "vault: not called by a vault"


@pytest.mark.parametrize("asset", [SOLD, BOUGHT], ids=["sold", "bought"])
def test_the_mandate_is_neither_told_nor_tripped(trading: Hostile, asset: int) -> None:
    world = trading.world
    calls: dict[str, Sequence[Any]] = {
        "trip": (),
        "enter": (1, False),
        "leave": (1,),
        "bind": (3,),
        "resume": (1, 1, 1),
        "guardian_trip": (2,),
    }
    for name, arguments in calls.items():
        with world.evm.rolled_back():
            doll = called_back(trading, asset, world.mandate, name, arguments)
            failure(doll)
            assert world.mandate.breaker_state() == 0


@pytest.mark.parametrize("asset", [SOLD, BOUGHT], ids=["sold", "bought"])
def test_a_settlement_in_a_settlement(trading: Hostile, asset: int) -> None:
    """The thief's next order, signed in advance, cannot settle before the present one is judged."""
    world = trading.world
    inner = world.order([Leg(VENUE, SOLD, BOUGHT, 0, AMOUNT, 0)])
    for nonce in (inner.nonce, inner.nonce + 1):
        order = inner._replace(nonce=nonce)
        with world.evm.rolled_back():
            arguments = (order, "optimizer", world.sign(order))
            doll = called_back(trading, asset, world.vault, "settle", arguments)
            assert failure(doll) == ""
            assert world.vault.order_nonce() == inner.nonce + 1


def test_a_payment_in_the_middle_counts_once(trading: Hostile) -> None:
    """Somebody pays the vault while Balancer does: what is held afterwards is read from the token."""
    world = trading.world
    token, held = world.tokens[BOUGHT], world.vault.holdings()[BOUGHT]
    doll = actor(world.evm, "Puppet")
    token.mint(doll, 10**18, sender="attacker")
    doll.arm(token, token.transfer.encode(world.vault, 10**18), 1, sender="attacker")
    trading.misbehave(SOLD, hook=doll.address)
    settled = trade(world)
    assert doll.succeeded()
    assert world.vault.holdings()[BOUGHT] == held + settled["amounts_out"][0]
    assert settled["value_after"] == world.vault.value()


@pytest.mark.parametrize("asset", [SOLD, BOUGHT], ids=["sold", "bought"])
def test_the_allowance_of_a_leg_is_gone_before_anybody_could_use_it(trading: Hostile, asset: int) -> None:
    """Called back in the middle, a thief asks the token for one more unit."""
    world = trading.world
    token = world.tokens[SOLD]
    target = Contract(world.evm, world.vault.venues()[0], product_abi("BalancerV2")).target()
    with world.evm.rolled_back():
        doll = called_back(trading, asset, token, "transferFrom", (world.vault, "attacker", 1))
        failure(doll)
    with world.evm.rolled_back():
        doll = called_back(trading, asset, token, "allowance", (world.vault, target))
        assert int.from_bytes(doll.answer(), "big") == 0
        assert token.allowance(world.vault, target) == 0


def test_a_token_that_takes_the_pay_back(trading: Hostile) -> None:
    """What was bought vanishes after it arrived: the minimum and the loss are read from what is there."""
    world = trading.world
    trading.misbehave(BOUGHT, fee_bps=500)
    order = world.order([Leg(VENUE, SOLD, BOUGHT, 0, AMOUNT, 99 * 10**17)])
    with reverts("orders: amount out below minimum"):
        world.settle(order)
