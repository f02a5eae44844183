# SPDX-License-Identifier: Apache-2.0
"""The share token: ERC-20 that nobody can mint or burn from outside, permit, EIP-5267, and what the vault says of itself."""

from __future__ import annotations

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from offchain.settle.development import development_address, development_key
from tests.support.evm import Method, reverts
from tests.support.world import ONE, World, sign

FOREVER = 2**64


def permit_message(
    world: World, value: int, deadline: int = FOREVER, nonce: int = 0, chain_id: int = 1
) -> dict[str, object]:
    return {
        "domain": {
            "name": "Plimsoll Blue Chip",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": world.vault.address,
        },
        "primaryType": "Permit",
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Permit": [
                {"name": name, "type": kind}
                for name, kind in (
                    ("owner", "address"), ("spender", "address"), ("value", "uint256"),
                    ("nonce", "uint256"), ("deadline", "uint256"),
                )
            ],
        },
        "message": {
            "owner": development_address("alice"),
            "spender": development_address("bob"),
            "value": value,
            "nonce": nonce,
            "deadline": deadline,
        },
    }  # fmt: skip


def permit(
    world: World, message: dict[str, object], role: str = "alice", value: int = ONE, deadline: int = FOREVER
) -> None:
    signed = Account.sign_typed_data(development_key(role), full_message=message)
    v, r, s = signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")
    world.vault.permit("alice", "bob", value, deadline, v, r, s, sender="keeper")


def test_says_what_it_is(world: World) -> None:
    vault = world.vault
    assert (vault.name(), vault.symbol(), vault.decimals()) == ("Plimsoll Blue Chip", "pBLUE", 18)
    assert vault.asset() == world.tokens[0].address
    assert vault.oracle() == world.oracle.address
    assert vault.mandate() == world.mandate.address
    assert world.mandate.vault() == vault.address
    assert vault.tokens() == tuple(token.address for token in world.tokens)


def test_the_domain_names_chain_and_vault(world: World) -> None:
    fields, name, version, chain_id, contract, salt, extensions = world.vault.eip712Domain()
    assert (fields, name, version, chain_id, contract) == (b"\x0f", "Plimsoll Blue Chip", "1", 1, world.vault.address)
    assert (salt, extensions) == (b"\0" * 32, ())


def test_transfers(funded: World) -> None:
    funded.vault.transfer("bob", ONE, sender="alice")
    assert funded.vault.balanceOf("bob") == ONE


def test_transfers_from_an_allowance(funded: World) -> None:
    funded.vault.approve("bob", ONE, sender="alice")
    funded.vault.transferFrom("alice", "carol", ONE, sender="bob")
    assert (funded.vault.balanceOf("carol"), funded.vault.allowance("alice", "bob")) == (ONE, 0)
    with reverts("erc20: insufficient allowance"):
        funded.vault.transferFrom("alice", "carol", 1, sender="bob")


@pytest.mark.parametrize("state", [1, 2])
def test_transfers_cannot_be_stopped(funded: World, state: int) -> None:
    funded.mandate.guardian_trip(state, sender="guardian")
    funded.evm.mine(365 * 86_400)
    assert funded.vault.transfer("bob", ONE, sender="alice")


@pytest.mark.parametrize(
    "name", ["mint_", "burn", "burn_from", "set_minter", "is_minter", "owner", "transfer_ownership"]
)
def test_nothing_else_of_the_token_is_reachable(world: World, name: str) -> None:
    with pytest.raises(AttributeError):
        getattr(world.vault, name)


@given(st.binary(min_size=4, max_size=100))
@settings(max_examples=60, deadline=None)
def test_unknown_calls_and_ether_are_refused(data: bytes) -> None:
    world = _shared()
    known = {
        method.selector
        for method in (getattr(world.vault, entry["name"]) for entry in world.vault.abi if entry["type"] == "function")
        if isinstance(method, Method)
    }
    if data[:4] in known:
        return
    for value in (0, 1):
        with reverts(""):
            world.evm.call(development_address("attacker"), world.vault.address, data, value)


_worlds: list[World] = []


def _shared() -> World:
    if not _worlds:
        _worlds.append(World.deploy())
    return _worlds[0]


def test_permit_sets_an_allowance(funded: World) -> None:
    permit(funded, permit_message(funded, ONE))
    assert funded.vault.allowance("alice", "bob") == ONE
    assert funded.vault.nonces("alice") == 1


def test_permit_once(funded: World) -> None:
    message = permit_message(funded, ONE)
    permit(funded, message)
    with reverts("erc20: invalid signature"):
        permit(funded, message)


def test_permit_of_another_chain(funded: World) -> None:
    with reverts("erc20: invalid signature"):
        permit(funded, permit_message(funded, ONE, chain_id=10))


def test_permit_of_another_value(funded: World) -> None:
    with reverts("erc20: invalid signature"):
        permit(funded, permit_message(funded, ONE), value=2 * ONE)


def test_permit_by_somebody_else(funded: World) -> None:
    with reverts("erc20: invalid signature"):
        permit(funded, permit_message(funded, ONE), role="attacker")


def test_permit_too_late(funded: World) -> None:
    deadline = funded.evm.timestamp - 1
    with reverts("erc20: expired deadline"):
        permit(funded, permit_message(funded, ONE, deadline), deadline=deadline)


def test_an_order_is_no_permit(funded: World) -> None:
    """Both are signed under one domain; what they hash to tells them apart."""
    digest = funded.vault.hash_order(funded.order([]))
    signature = sign(digest, "alice")
    with reverts("erc20: invalid signature"):
        funded.vault.permit(
            "alice", "bob", ONE, FOREVER, signature[64], signature[:32], signature[32:64], sender="keeper"
        )
