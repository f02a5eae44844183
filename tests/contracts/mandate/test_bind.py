# SPDX-License-Identifier: Apache-2.0
"""bind, and who may ask a mandate to judge: one vault, the first, for ever."""

from __future__ import annotations

import pytest

from offchain.settle.deployment import plan_deployment
from offchain.settle.development import development_address, sandbox_deployer
from tests.contracts.mandate.conftest import DELAY, VAULT, Judge, deploy_mandate, loose_limits
from tests.support.contracts import DEPLOYABLE, compiled
from tests.support.evm import Evm, address_of, reverts
from tests.support.vaults import default_roles
from tests.support.world import ONE, World, blue_chip, book, deploy_plan, deploy_timelock, report, scheduled


def test_the_first_is_the_vault(evm: Evm) -> None:
    mandate = deploy_mandate(evm, loose_limits())
    mandate.bind(2, sender=VAULT)
    assert mandate.vault() == development_address(VAULT)


def test_the_first_signers_sign_from_then_on(evm: Evm) -> None:
    mandate = deploy_mandate(evm, loose_limits())
    assert not mandate.is_signer("optimizer")
    mandate.bind(2, sender=VAULT)
    assert mandate.is_signer("optimizer")
    assert mandate.events("SignerAdded") == [{"signer": development_address("optimizer")}]


def test_without_a_vault_nobody_signs(evm: Evm) -> None:
    timelock = deploy_timelock(evm, DELAY)
    mandate = deploy_mandate(evm, loose_limits(), timelock.address)
    add = scheduled(timelock, mandate.add_signer, "bob")
    with reverts("roles: no vault to sign for"):
        add()


@pytest.mark.parametrize("role", [VAULT, "attacker", "owner"])
def test_there_is_no_second(judge: Judge, role: str) -> None:
    with reverts("mandate: bound"):
        judge.mandate.bind(2, sender=role)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_not_a_vault_of_other_assets(evm: Evm, count: int) -> None:
    with reverts("mandate: other assets"):
        deploy_mandate(evm, loose_limits()).bind(count, sender=VAULT)


def test_a_mandate_bound_by_a_front_runner_gets_no_vault(world: World) -> None:
    """All he can do is make the deployer choose another salt: no vault ever listens to his mandate."""
    code = {name: compiled(name).bytecode for name in DEPLOYABLE}
    plan = plan_deployment(blue_chip(), default_roles(), code, sandbox_deployer(), salt=b"another")
    for creation in plan.creations[:-1]:
        if world.evm.code(creation.address):
            continue
        world.evm.call(address_of("owner"), plan.deployer, bytes.fromhex(creation.transaction_data[2:]))
    mandate = world.mandate.__class__(world.evm, plan.mandate.address, world.mandate.abi)
    mandate.bind(5, sender="attacker")
    with reverts(""):
        # The deployer proxy hides the reason, which is "mandate: bound".
        world.evm.call(address_of("owner"), plan.deployer, bytes.fromhex(plan.vault.transaction_data[2:]))
    assert world.evm.code(plan.vault.address) == b""


def test_creating_a_vault_for_its_deployer_changes_nothing(world: World) -> None:
    """CREATE2: whoever sends the creation, the vault is the same and binds the same mandate."""
    code = {name: compiled(name).bytecode for name in DEPLOYABLE}
    plan = plan_deployment(blue_chip(), default_roles(), code, sandbox_deployer(), salt=b"third")
    vault, mandate, _ = deploy_plan(world.evm, plan, sender="attacker")
    assert mandate.vault() == vault.address
    assert mandate.owner() == plan.timelock.address


@pytest.mark.parametrize("role", ["owner", "curator", "optimizer", "attacker"])
def test_only_the_vault_asks_for_judgement(judge: Judge, role: str) -> None:
    arguments = {
        "judge": ("optimizer", judge.mandate.mandate_hash(), *report(book([1, 1]), book([1, 1]))),
        "enter": (ONE, True),
        "leave": (ONE,),
    }
    for name, values in arguments.items():
        with reverts("mandate: not the vault"):
            getattr(judge.mandate, name)(*values, sender=role)
