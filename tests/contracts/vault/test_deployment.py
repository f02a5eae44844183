# SPDX-License-Identifier: Apache-2.0
"""What a vault refuses to be built from, how large it is, and that the committed ABIs are the compiler's."""

from __future__ import annotations

from typing import Any

import pytest

from offchain.abi import contract_abi
from offchain.sandbox.contract import constructor_arguments
from offchain.settle.deployment import EXTENSIONS
from tests.contracts.mandate.conftest import deploy_mandate, loose_limits
from tests.contracts.price_oracle.conftest import chainlink, deploy_oracle
from tests.support.contracts import DEPLOYABLE, compiled
from tests.support.evm import Contract, Evm, reverts
from tests.support.hostile import actor
from tests.support.world import World, product_abi

EIP_170 = 24_576
MARGIN = 192
"""Bytes that every contract stays below the limit, with the 33 by which the in-process EVM pads its code."""


def deploy(evm: Evm, tokens: list[str], **changes: Any) -> Contract:
    feed = actor(evm, "HostileFeed", 8, 10**10)
    count = changes.get("assets", len(tokens))
    parts = {
        "oracle": deploy_oracle(evm, *[chainlink(feed)] * count).address,
        "mandate": deploy_mandate(evm, loose_limits(max(1, count))).address,
        "decimals": 6,
        "venues": [],
        "extensions": (),
    } | changes
    shared = [tokens, parts["decimals"], parts["oracle"], parts["mandate"], parts["venues"]]
    extensions = parts["extensions"] or [create(evm, name, "Name", *shared).address for name in EXTENSIONS]
    return create(evm, "Vault", "Name", "SYM", *shared, *extensions)


def create(evm: Evm, name: str, *arguments: Any) -> Contract:
    abi = product_abi(name)
    code = bytes.fromhex(compiled(name).bytecode[2:]) + constructor_arguments(abi, arguments)
    return Contract(evm, evm.deploy(code), abi)


@pytest.fixture
def evm() -> Evm:
    return Evm.sandbox()


@pytest.fixture
def tokens(evm: Evm) -> list[str]:
    return [actor(evm, "HostileToken", f"T{i}", "T", 18).address for i in range(16)]


def test_sixteen_assets(evm: Evm, tokens: list[str]) -> None:
    assert len(deploy(evm, tokens).holdings()) == 16


def test_one_asset(evm: Evm, tokens: list[str]) -> None:
    assert deploy(evm, tokens[:1]).asset() == tokens[0]


def test_no_assets(evm: Evm) -> None:
    with reverts("custody: no tokens"):
        deploy(evm, [])


def test_a_duplicate_asset(evm: Evm, tokens: list[str]) -> None:
    with reverts("custody: duplicate token"):
        deploy(evm, [tokens[0], tokens[1], tokens[0]])


def test_an_asset_without_code(evm: Evm, tokens: list[str]) -> None:
    with reverts("custody: not a token"):
        deploy(evm, [tokens[0], "0x" + "12" * 20])


def test_an_oracle_of_other_assets(evm: Evm, tokens: list[str]) -> None:
    feed = actor(evm, "HostileFeed", 8, 10**10)
    with reverts("vault: oracle of other assets"):
        deploy(evm, tokens[:2], oracle=deploy_oracle(evm, chainlink(feed)).address)


def test_a_mandate_of_other_assets(evm: Evm, tokens: list[str]) -> None:
    with reverts("mandate: other assets"):
        deploy(evm, tokens[:2], mandate=deploy_mandate(evm, loose_limits(3)).address)


def test_a_mandate_that_serves_another_vault(evm: Evm, tokens: list[str]) -> None:
    mandate = deploy_mandate(evm, loose_limits(2)).address
    deploy(evm, tokens[:2], mandate=mandate)
    with reverts("mandate: bound"):
        deploy(evm, tokens[:2], mandate=mandate)


def test_extensions_made_for_something_else_or_in_each_others_place(evm: Evm, tokens: list[str]) -> None:
    vault = deploy(evm, tokens)
    theirs = [vault.extension(), vault.claims_extension()]
    shared = {"oracle": vault.oracle(), "mandate": deploy_mandate(evm, loose_limits(16)).address}
    for wrong in ({}, shared):
        with reverts("vault: extension of another vault"):
            deploy(evm, tokens, extensions=theirs, **wrong)
    mine = [create(evm, name, "Name", tokens, 6, *shared.values(), []).address for name in EXTENSIONS]
    with reverts("vault: extension of another vault"):
        deploy(evm, tokens, extensions=mine[::-1], **shared)
    with reverts("vault: extension of another vault"):
        deploy(evm, tokens, extensions=[mine[0], theirs[1]], **shared)
    assert deploy(evm, tokens, extensions=mine, **shared).claims_extension() == mine[1]


def test_more_than_18_decimals(evm: Evm, tokens: list[str]) -> None:
    with reverts(""):
        deploy(evm, tokens[:2], decimals=19)


def test_fits_with_room(world: World) -> None:
    """As deployed: the tables of a vault lie behind its code."""
    mandate, vault = world.mandate, world.vault
    extensions = [vault.extension(), vault.claims_extension()]
    deployed = [vault.address, *extensions, mandate.address, mandate.owner(), mandate.alarms(), vault.oracle()]
    sizes = {address: len(world.evm.code(address)) for address in deployed}
    assert min(sizes.values()) > 0
    assert max(sizes.values()) <= EIP_170 - MARGIN


@pytest.mark.parametrize("name", DEPLOYABLE)
def test_the_committed_abi_is_the_compilers(name: str) -> None:
    assert contract_abi(name) == compiled(name).abi
