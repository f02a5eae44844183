# SPDX-License-Identifier: Apache-2.0
"""Tokens that call somebody back while the vault is half-way through: what can be called then, and what it sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.evm import Contract, reverts
from tests.support.hostile import Hostile, actor, failure, puppet
from tests.support.world import ONE, World, usdc

SHARE_TOKEN = {
    "transfer", "transferFrom", "approve", "balanceOf", "allowance", "totalSupply", "nonces",
    "DOMAIN_SEPARATOR", "eip712Domain", "name", "symbol", "decimals",
}  # fmt: skip
"""Of the vault, only its share token answers inside: moving shares prices nothing."""
CALLBACK = {"uniswapV3SwapCallback"}
FIXED = {"oracle", "mandate", "asset", "extension", "claims_extension"}
"""Immutables: the same at every moment."""

SAMPLES: dict[str, Any] = {
    "uint256": 1,
    "address": "0x" + "11" * 20,
    "bytes": b"",
    "bytes32": bytes(32),
    "int256": 1,
    "uint256[]": [1] * 16,
    "uint256[16]": [1] * 16,
    "uint8": 27,
}


def arguments_of(entry: dict[str, Any]) -> list[Any]:
    order = (0, 0, bytes(32), bytes(32), [], 0, 0)
    return [order if item["type"].startswith("tuple") else SAMPLES[item["type"]] for item in entry["inputs"]]


def settle_v3(world: World) -> None:
    world.settle([world.leg(0, 1, usdc(1000))])


def settle_v2(world: World) -> None:
    world.settle([world.leg(1, 0, 10**18, 0)])


def in_kind(world: World) -> None:
    world.leave_in_kind("alice", 10**22)


def claim(world: World) -> None:
    world.vault.claim(1, "bob", sender="bob")


def deposit(world: World) -> None:
    world.deposit("bob", usdc(5))


def withdraw(world: World) -> None:
    world.vault.withdraw(usdc(5), "alice", "alice", sender="alice")


MOMENTS: dict[str, tuple[int, Callable[[World], None]]] = {
    "settle, v3, the asset sold": (0, settle_v3),
    "settle, v3, the asset bought": (1, settle_v3),
    "settle, v2, the asset sold": (1, settle_v2),
    "settle, v2, the asset bought": (0, settle_v2),
    "redeem_in_kind": (1, in_kind),
    "claim": (1, claim),
    "deposit": (0, deposit),
    "withdraw": (0, withdraw),
}
"""Whose hook fires, and in what."""


@pytest.fixture
def prepared(hostile: Hostile) -> Hostile:
    """The vault holds the second token, and bob has a claim to some."""
    world = hostile.world
    world.give(1, world.vault, 10**20)
    world.deposit("bob", usdc(1000))
    world.leave_in_kind("bob", world.vault.balanceOf("bob") // 2, skip=0b10)
    return hostile


@pytest.mark.parametrize("moment", MOMENTS)
def test_read_only_reentrancy_and_any_other(prepared: Hostile, moment: str) -> None:
    """Nothing that prices or moves anything answers: each function of the vault, at each moment."""
    world = prepared.world
    asset, happen = MOMENTS[moment]
    answered = set()
    for entry in world.vault.abi:
        if entry["type"] != "function" or entry["name"] in CALLBACK:
            continue
        with world.evm.rolled_back():
            doll = puppet(world.evm, world.vault, entry["name"], *arguments_of(entry))
            prepared.misbehave(asset, hook=doll.address)
            happen(world)
            if doll.succeeded():
                answered.add(entry["name"])
            elif entry["name"] not in SHARE_TOKEN:
                assert failure(doll) == ""
    assert answered <= SHARE_TOKEN | FIXED


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_breaker_is_not_tripped_from_inside(prepared: Hostile, moment: str) -> None:
    world = prepared.world
    asset, happen = MOMENTS[moment]
    doll = puppet(world.evm, world.mandate, "trip")
    prepared.misbehave(asset, hook=doll.address)
    happen(world)
    assert failure(doll) == ""
    assert world.mandate.breaker_state() == 0


def test_nested_callback_double_counting_a_balance_delta(prepared: Hostile) -> None:
    """Somebody pays the vault in the middle of its settlement: counted once, read at the end from the token."""
    world = prepared.world
    held = world.vault.holdings()[1]
    doll = actor(world.evm, "Puppet")
    world.tokens[1].mint(doll, 10**18, sender="attacker")
    doll.arm(world.tokens[1], world.tokens[1].transfer.encode(world.vault, 10**18), 1, sender="attacker")
    prepared.misbehave(0, hook=doll.address)
    settled = world.settle([world.leg(0, 1, usdc(1000))])
    assert doll.succeeded()
    assert world.vault.holdings()[1] == held + settled["amounts_out"][0] + 10**18
    assert settled["value_after"] == world.vault.value()


@pytest.mark.parametrize("name", ["sync", "skim"])
def test_a_payment_taken_from_a_v2_pair_before_its_swap(prepared: Hostile, name: str) -> None:
    """The vault pays the pair, then asks for the swap; in between a hook absorbs or steals the payment. All reverts."""
    world = prepared.world
    before = world.vault.holdings()
    doll = puppet(world.evm, _pair(world), name, *(["attacker"] if name == "skim" else []))
    prepared.misbehave(0, hook=doll.address)
    with reverts("UniswapV2: INSUFFICIENT_INPUT_AMOUNT"):
        world.settle([world.leg(0, 1, usdc(1000), 0)])
    assert world.vault.holdings() == before


def test_shares_moved_while_they_are_being_minted_are_still_paid_for(prepared: Hostile) -> None:
    """deposit mints first and takes the assets after: what the hook does with the shares, the payment stands."""
    world = prepared.world
    before = world.tokens[0].balanceOf(world.vault)
    doll = puppet(world.evm, world.vault, "transfer", "attacker", ONE)
    prepared.misbehave(0, hook=doll.address)
    world.deposit("bob", usdc(1000), receiver=doll.address)
    assert doll.succeeded()
    assert world.tokens[0].balanceOf(world.vault) == before + usdc(1000)


def _pair(world: World) -> Contract:
    from offchain.sandbox import addresses

    inputs = [{"name": name, "type": "address"} for name in ("a", "b")]
    get_pair = {"type": "function", "name": "getPair", "stateMutability": "view", "inputs": inputs,
                "outputs": [{"name": "", "type": "address"}]}  # fmt: skip
    sync = {"type": "function", "name": "sync", "stateMutability": "nonpayable", "inputs": [], "outputs": []}
    skim = sync | {"name": "skim", "inputs": [{"name": "to", "type": "address"}]}
    factory = Contract(world.evm, addresses.UNISWAP_V2_FACTORY, [get_pair])
    return Contract(world.evm, factory.getPair(world.tokens[0], world.tokens[1]), [sync, skim])
