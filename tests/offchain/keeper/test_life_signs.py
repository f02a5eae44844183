# SPDX-License-Identifier: Apache-2.0
"""A keeper that lives says so, and records what has to persist before it trips."""

import dataclasses

import pytest
import yaml

from offchain.keeper.records import Purpose
from offchain.keeper.states import State
from offchain.sandbox.chain import Transaction
from tests.support.vaults import BLUE_CHIP, deploy_vault

MINUTE = 60
SILENCE = 60
DEAD = 60


@pytest.fixture(params=[{"heartbeat_minutes": SILENCE}])
def watched(request, stage, tmp_path):
    """The stage with a vault whose breaker wants a heartbeat, or what else is asked for."""
    rules = yaml.safe_load(BLUE_CHIP.read_text())
    rules["limits"] |= request.param
    file = tmp_path / "watched.yaml"
    file.write_text(yaml.safe_dump(rules))
    stage.automine()
    vault = deploy_vault(stage.sandbox, file)
    stage.automine(False)
    return dataclasses.replace(stage, vault=vault)


@pytest.fixture
def alarms(watched):
    address = watched.vault.mandate.functions.alarms().call()
    views = [
        {"type": "function", "name": "last_heartbeat", "stateMutability": "view",
         "inputs": [{"name": "mandate", "type": "address"}], "outputs": [{"name": "", "type": "uint256"}]},
        {"type": "function", "name": "clocks", "stateMutability": "view",
         "inputs": [{"name": "mandate", "type": "address"}],
         "outputs": [{"name": "", "type": "uint256"}] * 3},
    ]  # fmt: skip
    return watched.vault.web3.eth.contract(address=address, abi=views)


@pytest.fixture
def journal(watched):
    with watched.journal() as journal:
        yield journal


@pytest.fixture
def keeper(watched, journal):
    keeper = watched.keeper(journal)
    keeper.recover()
    return keeper


def pass_minutes(stage, minutes):
    stage.sandbox.rpc.call("evm_increaseTime", minutes * MINUTE)
    stage.mine()


def see(stage, keeper):
    keeper.on_block(stage.node.head())


def purposes(journal):
    return [row.purpose for row in journal.transactions()]


def test_heartbeat_is_shown_when_half_the_time_is_over(watched, alarms, journal, keeper):
    pass_minutes(watched, SILENCE // 2 - 5)
    see(watched, keeper)
    assert purposes(journal) == []
    pass_minutes(watched, 10)
    head = watched.node.head()
    see(watched, keeper)
    watched.mine()
    see(watched, keeper)

    assert alarms.functions.last_heartbeat(watched.vault.mandate.address).call() == head.timestamp
    assert purposes(journal) == [Purpose.BEAT]
    assert journal.transactions()[0].state is State.INCLUDED


def test_vault_whose_keeper_beats_cannot_be_tripped_for_silence_and_one_whose_does_not_can(watched, journal, keeper):
    for _ in range(4):
        pass_minutes(watched, SILENCE // 2 + 1)
        see(watched, keeper)
        watched.mine()
        see(watched, keeper)
    assert purposes(journal) == [Purpose.BEAT] * 4
    with pytest.raises(Exception, match="breaker: no condition"):
        watched.vault.mandate.functions.trip().call()

    pass_minutes(watched, SILENCE + 1)
    see(watched, keeper)
    watched.mine()
    assert watched.vault.mandate.functions.breaker_state().call() == 1


def test_heartbeat_that_waits_is_left_where_it_is(watched, journal, keeper):
    pass_minutes(watched, SILENCE // 2 + 1)
    see(watched, keeper)
    see(watched, keeper)

    assert purposes(journal) == [Purpose.BEAT]


def set_limits(stage, **changes):
    """The owner approves limits, whatever its timelock says, and the curator sets them."""
    mandate = stage.vault.mandate
    limits = stage.vault.file_mandate.vault_limits
    wanted = dataclasses.replace(limits, **changes).as_struct()
    owner = mandate.functions.owner().call()
    stage.automine()
    stage.sandbox.chain.impersonate(owner)
    stage.sandbox.chain.set_balance(owner, 10**18)
    approval = mandate.functions.approve_limits(mandate.functions.hash_limits(wanted).call())
    data = approval.build_transaction({"from": owner, "gas": 200_000, "gasPrice": 10**10, "nonce": 0})["data"]
    stage.sandbox.chain.send_all([Transaction(owner, mandate.address, data)])
    stage.vault.send("curator", mandate.functions.set_limits(wanted))
    stage.automine(False)


@pytest.mark.parametrize("watched", [{}], indirect=True)
def test_limits_that_change_are_obeyed_without_a_restart(watched, alarms, journal, keeper):
    pass_minutes(watched, SILENCE // 4)
    see(watched, keeper)
    assert purposes(journal) == []

    set_limits(watched, heartbeat_minutes=SILENCE)
    pass_minutes(watched, SILENCE // 2 + 1)
    see(watched, keeper)
    watched.mine()
    see(watched, keeper)
    assert purposes(journal) == [Purpose.BEAT]

    set_limits(watched, heartbeat_minutes=0, oracle_dead_minutes=DEAD)
    pass_minutes(watched, 6 * 60)
    see(watched, keeper)
    assert purposes(journal) == [Purpose.BEAT, Purpose.POKE]


@pytest.mark.parametrize("watched", [{"oracle_dead_minutes": DEAD}], indirect=True)
def test_oracle_that_is_dead_is_recorded_and_trips_when_it_has_been_long_enough(watched, alarms, journal, keeper):
    pass_minutes(watched, 6 * 60)
    see(watched, keeper)
    watched.mine()
    see(watched, keeper)
    assert purposes(journal) == [Purpose.POKE]
    assert alarms.functions.clocks(watched.vault.mandate.address).call()[0] > 0
    assert watched.vault.mandate.functions.breaker_state().call() == 0

    pass_minutes(watched, DEAD + 1)
    see(watched, keeper)
    watched.mine()
    assert purposes(journal) == [Purpose.POKE, Purpose.TRIP]
    assert watched.vault.mandate.functions.breaker_state().call() == 2
