# SPDX-License-Identifier: Apache-2.0
"""Batches for a Safe: the builder's own checksum, executed by the published Safe 1.4.1 over a real vault."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from eth_abi.packed import encode_packed
from typer.testing import CliRunner

from offchain.abi import contract_abi
from offchain.cli import app
from offchain.sandbox.artifacts import npm_artifact
from offchain.settle.development import development_address
from offchain.settle.safe_batch import (
    BatchCall,
    BatchError,
    batch_call,
    batch_document,
    checksum,
    through_timelock,
)
from tests.support.evm import Contract, Evm, Reverted
from tests.support.vaults import DAY, default_roles
from tests.support.world import World, sign

SAFE = "@safe-global/safe-contracts/build/artifacts/contracts"
NOBODY = "0x" + "00" * 20
MANDATE = contract_abi("Mandate")
ADDRESS = development_address("bob")


@dataclass(frozen=True)
class Multisig:
    """A Safe 1.4.1 of one owner, as its factory makes it."""

    evm: Evm
    safe: Contract
    multi_send: Contract

    @classmethod
    def deploy(cls, evm: Evm) -> Multisig:
        def deployed(path: str) -> Contract:
            artifact = npm_artifact(f"{SAFE}/{path}")
            return Contract(evm, evm.deploy(artifact.linked({})), artifact.abi)

        singleton, factory = (
            deployed("Safe.sol/Safe.json"),
            deployed("proxies/SafeProxyFactory.sol/SafeProxyFactory.json"),
        )
        setup = singleton.setup.encode([development_address("owner")], 1, NOBODY, b"", NOBODY, NOBODY, 0, NOBODY)
        proxy = factory.createProxyWithNonce(singleton, setup, 0, sender="attacker")
        multi_send = deployed("libraries/MultiSendCallOnly.sol/MultiSendCallOnly.json")
        return cls(evm, Contract(evm, proxy, singleton.abi), multi_send)

    def execute(self, document: dict[str, Any]) -> None:
        """Sign a batch as the builder proposes it, all calls in one transaction, and send it."""
        packed = b"".join(
            encode_packed(["uint8", "address", "uint256", "uint256", "bytes"], [0, one["to"], 0, len(data), data])
            for one in document["transactions"]
            for data in [bytes.fromhex(one["data"][2:])]
        )
        call = (self.multi_send, 0, self.multi_send.multiSend.encode(packed), 1, 0, 0, 0, NOBODY, NOBODY)
        digest = self.safe.getTransactionHash(*call, self.safe.nonce())
        assert self.safe.execTransaction(*call, sign(digest, "owner"), sender="keeper")


@dataclass(frozen=True)
class Governed:
    """A vault whose owner and curator are a Safe."""

    world: World
    multisig: Multisig


@pytest.fixture(scope="module")
def governed() -> Governed:
    evm = Evm.sandbox()
    multisig = Multisig.deploy(evm)
    safe = multisig.safe.address
    return Governed(World.deploy(roles=replace(default_roles(), owner=safe, curator=safe), evm=evm), multisig)


def document(calls: Sequence[BatchCall]) -> dict[str, Any]:
    return batch_document(calls, chain_id=1, name="test", created_at=1)


def test_the_checksum_is_the_builders() -> None:
    """Of a file that the Transaction Builder 1.18.2 exported."""
    inputs = [
        {"internalType": kind, "name": name, "type": kind}
        for name, kind in (("spender", "address"), ("value", "uint256"))
    ]
    exported = {
        "version": "1.0",
        "chainId": "1",
        "createdAt": 1761326849944,
        "meta": {
            "name": "Transactions Batch",
            "description": "",
            "txBuilderVersion": "1.18.2",
            "createdFromSafeAddress": "0xA77DE01e157f9f57C7c4A326eeE9C4874D0598b6",
            "createdFromOwnerAddress": "",
            "checksum": "0x8b5032f716845c8b08bab3d63dbd9ba92e056f3557793cd041e59b84e16aa989",
        },
        "transactions": [
            {
                "to": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
                "value": "0",
                "data": None,
                "contractMethod": {"inputs": inputs, "name": "approve", "payable": False},
                "contractInputsValues": {
                    "spender": "0x474e5Ded6b5D078163BFB8F6dBa355C3aA5478C8",
                    "value": "100000000000",
                },
            }
        ],
    }
    assert checksum(exported) == exported["meta"]["checksum"]  # type: ignore[index]


def test_a_curators_batch_acts_at_once(governed: Governed) -> None:
    world = governed.world
    with world.evm.rolled_back():
        address = world.mandate.address
        calls = [
            batch_call(address, MANDATE, "guardian_trip", [1]),
            batch_call(address, MANDATE, "remove_signer", [development_address("optimizer")]),
        ]
        governed.multisig.execute(document(calls))
        assert world.mandate.breaker_state() == 1
        assert not world.mandate.is_signer("optimizer")


def test_an_owners_batch_waits_in_the_timelock(governed: Governed) -> None:
    world, multisig = governed.world, governed.multisig
    with world.evm.rolled_back():
        calls = [batch_call(world.mandate.address, MANDATE, "add_signer", [development_address("bob")])]
        owner = world.mandate.owner()
        multisig.execute(document([through_timelock(calls, owner, delay=2 * DAY, salt=b"1")]))
        execution = document([through_timelock(calls, owner, delay=None, salt=b"1")])
        with pytest.raises(Reverted), world.evm.rolled_back():
            multisig.execute(execution)
        world.evm.mine(2 * DAY)
        multisig.execute(execution)
        assert world.mandate.is_signer("bob")


def test_a_batch_of_which_one_call_fails_does_nothing(governed: Governed) -> None:
    world = governed.world
    with world.evm.rolled_back():
        address = world.mandate.address
        calls = [batch_call(address, MANDATE, "guardian_trip", [2]), batch_call(address, MANDATE, "guardian_trip", [1])]
        with pytest.raises(Reverted):
            governed.multisig.execute(document(calls))
        assert world.mandate.breaker_state() == 0


def test_what_is_shown_is_what_is_done(governed: Governed) -> None:
    """The builder shows the arguments by name; encoded again from what it shows, they are the data."""
    world = governed.world
    limits = world.limits()
    (shown,) = document([batch_call(world.mandate.address, MANDATE, "set_limits", [limits])])["transactions"]
    (name,) = (item["name"] for item in shown["contractMethod"]["inputs"])

    def number(value: Any) -> Any:
        return [number(one) for one in value] if isinstance(value, list) else int(value)

    values = number(json.loads(shown["contractInputsValues"][name]))
    assert shown["data"] == "0x" + world.mandate.set_limits.encode(values).hex()


@pytest.mark.parametrize(
    ("to", "function", "arguments", "what"),
    [
        ("0x12", "guardian_trip", [1], "not an address"),
        (ADDRESS, "guardian_tripp", [1], "no such function"),
        (ADDRESS, "breaker_state", [], "only answers"),
        (ADDRESS, "guardian_trip", [], "0 arguments given, it takes (state: uint256)"),
        (ADDRESS, "guardian_trip", ["high"], "does not fit"),
        (ADDRESS, "add_signer", ["0x12"], "does not fit"),
    ],
)
def test_calls_that_are_refused(to: str, function: str, arguments: list[Any], what: str) -> None:
    with pytest.raises(BatchError) as refused:
        batch_call(to, MANDATE, function, arguments)
    assert what in str(refused.value)


def test_the_command_writes_what_a_safe_imports(tmp_path: Path) -> None:
    out = tmp_path / "halt.json"
    call = f"Mandate {ADDRESS} guardian_trip 2"
    ran = CliRunner().invoke(app, ["safe", "--chain-id", "1", "--call", call, "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    written = json.loads(out.read_text())
    assert written["chainId"] == "1"
    assert written["meta"]["checksum"] == checksum(written)
    assert written["transactions"][0]["data"] == "0x" + batch_call(ADDRESS, MANDATE, "guardian_trip", [2]).data.hex()
    ran = CliRunner().invoke(app, ["safe", "--chain-id", "1", "--call", call, "--out", str(out), "--json"])
    assert json.loads(ran.stdout)["calls"] == [{"to": ADDRESS, "function": "guardian_trip"}]


@pytest.mark.parametrize(
    "arguments",
    [["--call", "Mandate"], ["--call", f"Nothing {ADDRESS} f"], ["--call", f"Mandate {ADDRESS} trip", "--delay", "5"]],
)
def test_the_command_names_what_is_wrong(arguments: list[str], tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["safe", "--chain-id", "1", *arguments, "--out", str(tmp_path / "x.json")])
    assert isinstance(ran.exception, BatchError)
    assert "--" in str(ran.exception)
