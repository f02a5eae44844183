# SPDX-License-Identifier: Apache-2.0
"""The whole life of a vault on a real node, at the cancun rules and at the newest the node knows.

The in-process EVM of the other tests knows cancun only and has no base fee. Newer rules price calldata
higher and cap a transaction's gas; gas figures here come from receipts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from web3.exceptions import ContractLogicError

from offchain.sandbox.standup import Sandbox, launch
from offchain.settle.development import development_address
from tests.support.vaults import DeployedVault, deploy_vault

GWEI = 10**9
TRANSACTION_GAS_CAP = 2**24
"""EIP-7825, newer than cancun."""


@pytest.fixture(scope="module", params=["cancun", None], ids=["cancun", "newest"])
def chain(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with launch(hardfork=request.param) as running:
        yield running


@pytest.fixture
def vault(chain: Sandbox) -> Iterator[DeployedVault]:
    mark = chain.rpc.call("evm_snapshot")
    yield deploy_vault(chain)
    chain.rpc.call("evm_revert", mark)
    # The node carries the base fee over.
    chain.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(GWEI))


def order_of(vault: DeployedVault, legs: list[tuple[int, ...]], max_base_fee: int = 1000 * GWEI) -> tuple[Any, ...]:
    functions = vault.vault.functions
    deadline = vault.web3.eth.block_number + 25
    mandate_hash = vault.mandate.functions.mandate_hash().call()
    return functions.order_nonce().call(), deadline, mandate_hash, bytes(32), legs, 0, max_base_fee


INVEST = [
    (1, 0, 1, 500, 400_000 * 10**6, 0),
    (1, 0, 2, 3000, 270_000 * 10**6, 0),
    (0, 1, 3, 0, 10 * 10**18, 0),
    (1, 1, 4, 100, 40 * 10**18, 0),
]


def settle(vault: DeployedVault, legs: list[tuple[int, ...]], **changes: Any) -> Any:
    return vault.send("keeper", vault.vault.functions.settle(*vault.sign(order_of(vault, legs, **changes))))


def test_the_whole_life_of_a_vault(chain: Sandbox, vault: DeployedVault, record_property: Any) -> None:
    functions = vault.vault.functions
    gas = {"first deposit": vault.deposit("alice", 1_000_000 * 10**6)["gasUsed"]}
    gas["settle, 4 legs"] = settle(vault, INVEST)["gasUsed"]
    gas["deposit"] = vault.deposit("bob", 10_000 * 10**6)["gasUsed"]
    gas["settle, 1 leg"] = settle(vault, [(1, 1, 0, 500, 10**18, 0)])["gasUsed"]
    bob = development_address("bob")
    shares = functions.balanceOf(bob).call()
    gas["redeem"] = vault.send("bob", functions.redeem(shares // 2, bob, bob))["gasUsed"]
    gas["redeem_in_kind"] = vault.send("bob", functions.redeem_in_kind(shares // 4, bob, bob, 0))["gasUsed"]
    gas["redeem_in_kind, all skipped"] = vault.send("bob", functions.redeem_in_kind(shares // 8, bob, bob, 31))[
        "gasUsed"
    ]
    gas["claim"] = vault.send("bob", functions.claim(1, bob))["gasUsed"]
    for feed, price in (("ETH/USD", 1800.0), ("BTC/USD", 36_000.0), ("LINK/USD", 9.0)):
        chain.push(feed, price)
    gas["trip"] = vault.send("attacker", vault.mandate.functions.trip())["gasUsed"]
    assert vault.mandate.functions.breaker_state().call() == 1
    gas["settle, 1 leg, only reducing"] = settle(vault, [(1, 1, 0, 500, 10**18, 0)])["gasUsed"]
    for role in ("alice", "bob"):
        who = development_address(role)
        vault.send(role, functions.redeem_in_kind(functions.balanceOf(who).call(), who, who, 0))
    assert functions.totalSupply().call() == 0
    for name, used in gas.items():
        record_property(f"gas of {name}", used)
        assert used < TRANSACTION_GAS_CAP // 8
    print("\n".join(f"{name}: {used:,}" for name, used in gas.items()))


def test_an_order_above_its_base_fee_ceiling_waits(chain: Sandbox, vault: DeployedVault) -> None:
    vault.deposit("alice", 1_000_000 * 10**6)
    arguments = vault.sign(order_of(vault, INVEST, max_base_fee=20 * GWEI))
    call = vault.vault.functions.settle(*arguments)
    for base_fee in (21 * GWEI, 20 * GWEI + 1):
        chain.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(base_fee))
        chain.chain.mine()
        with pytest.raises(ContractLogicError, match="orders: base fee above ceiling"):
            call.call({"from": development_address("keeper"), "gasPrice": base_fee})
    chain.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(20 * GWEI))
    chain.chain.mine()
    call.call({"from": development_address("keeper"), "gasPrice": 20 * GWEI})


def test_sixteen_legs_stay_below_the_gas_cap_of_a_transaction(vault: DeployedVault) -> None:
    vault.deposit("alice", 1_000_000 * 10**6)
    settle(vault, INVEST)
    back_and_forth = [(1, 1, 0, 500, 10**16, 0), (1, 0, 1, 500, 30 * 10**6, 0)] * 8
    assert settle(vault, back_and_forth)["gasUsed"] < TRANSACTION_GAS_CAP // 4
