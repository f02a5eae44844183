# SPDX-License-Identifier: Apache-2.0
"""Development keys: public, deterministic, and of no use anywhere but on a sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from eth_account import Account
from web3 import HTTPProvider, Web3

from offchain.sandbox.anvil import Anvil
from offchain.sandbox.standup import Sandbox
from offchain.settle.development import (
    ROLES,
    NotADevelopmentKey,
    NotASandbox,
    UnknownRole,
    check_signer,
    deployment_name,
    development_address,
    development_key,
    is_sandbox,
    require_development_key,
)

STRANGER = "0x" + "99" * 20


@pytest.fixture
def bare_node() -> Iterator[Anvil]:
    """A node that plays chain id 1 and is not a sandbox."""
    with Anvil() as anvil:
        yield anvil


def test_addresses_belong_to_the_keys() -> None:
    for role in ROLES:
        assert Account.from_key(development_key(role)).address == development_address(role)


def test_keys_do_not_change() -> None:
    assert development_key("owner") == "0x" + Web3.keccak(text="plimsoll sandbox development key: owner").hex()


def test_an_unknown_role_lists_the_known_ones() -> None:
    with pytest.raises(UnknownRole, match="optimizer"):
        development_key("admin")


def test_a_development_key_names_its_role() -> None:
    assert require_development_key(development_address("keeper").lower()) == "keeper"


def test_a_real_key_is_refused_on_a_sandbox(sandbox: Sandbox) -> None:
    with pytest.raises(NotADevelopmentKey, match=STRANGER):
        check_signer(sandbox.rpc, STRANGER)


def test_a_development_key_is_refused_elsewhere(bare_node: Anvil) -> None:
    with pytest.raises(NotASandbox, match="optimizer"):
        check_signer(bare_node.rpc, development_address("optimizer"))


def test_everyone_signs_with_their_own(sandbox: Sandbox, bare_node: Anvil) -> None:
    check_signer(sandbox.rpc, development_address("optimizer"))
    check_signer(bare_node.rpc, STRANGER)


def test_a_sandbox_is_recognised_through_web3_too(sandbox: Sandbox, bare_node: Anvil) -> None:
    assert is_sandbox(Web3(HTTPProvider(sandbox.rpc_url)))
    assert not is_sandbox(Web3(HTTPProvider(bare_node.rpc_url)))


def test_a_fork_of_a_sandbox_is_a_sandbox(sandbox_fork: Sandbox) -> None:
    assert is_sandbox(sandbox_fork.rpc)


def test_deployments_are_filed_by_genesis_hash_on_a_sandbox_only(sandbox: Sandbox, bare_node: Anvil) -> None:
    assert deployment_name(sandbox.rpc) == "1-sandbox-" + sandbox.genesis_hash[2:10]
    assert deployment_name(Web3(HTTPProvider(sandbox.rpc_url))) == deployment_name(sandbox.rpc)
    assert deployment_name(bare_node.rpc) == "1"
