# SPDX-License-Identifier: Apache-2.0
"""The lending account between two decisions: when it is looked after, by what call, at what price; on the real pool."""

import dataclasses

import pytest

from offchain.keeper.loan_watch import LoanWatch
from offchain.keeper.records import Purpose
from offchain.keeper.states import State
from offchain.keeper.submitter import Submitter
from offchain.mandate.venues import FIRST_LISTED
from offchain.market.lending import discover_lending, read_lending
from offchain.sandbox.prices import PRICES
from offchain.settle.calls import encode_deleverage
from offchain.settle.development import development_address
from tests.offchain.keeper.conftest import POLICY, URGENT
from tests.support.stakers import ETHER, ONE, STAKED, STAKING
from tests.support.vaults import deploy_vault

GWEI = 10**9
STAKE = 100 * ONE
CRASHED = 0.845
"""Of the price: the health factor falls just below the trigger."""
HELD, APPROVED = 5 * ONE, 3 * ONE


@pytest.fixture
def leveraged(stage):
    """The stage with a vault that its keeper has brought to leverage."""
    stage.automine()
    vault = deploy_vault(stage.sandbox, STAKING)
    stage.sandbox.give("WETH", development_address("alice"), STAKE)
    vault.deposit("alice", STAKE)
    stage.automine(False)
    return dataclasses.replace(stage, vault=vault)


@pytest.fixture
def journal(leveraged):
    with leveraged.journal() as journal:
        yield journal


@pytest.fixture
def keeper(leveraged, journal):
    """It may bring what it holds; by then it has opened the position in two orders."""
    leveraged.automine()
    leveraged.sandbox.give("WETH", development_address("keeper"), HELD)
    token = leveraged.vault.token(0)
    leveraged.vault.send("keeper", token.functions.approve(leveraged.vault.address, APPROVED))
    leveraged.automine(False)
    keeper = leveraged.keeper(journal)
    keeper.recover()
    keeper.tick()
    keeper.tick()
    assert health(leveraged) == pytest.approx(1.3, abs=0.01)
    return keeper


@pytest.fixture
def watch(leveraged, journal, keeper):
    submitter = Submitter(leveraged.node, journal, leveraged.role("keeper"), 1, policy=POLICY, urgent_policy=URGENT)
    mandate = leveraged.vault.file_mandate
    key = discover_lending(leveraged.node.client, mandate)
    return LoanWatch(leveraged.node, submitter, leveraged.vault.address, mandate, key)


def health(stage):
    return stage.vault.vault.functions.health().call() / 1e18


def crash(stage, part):
    """What is staked is worth only a part of what it was, on every feed and all at once."""
    stage.automine()
    stage.sandbox.push("stETH/ETH", PRICES["stETH/ETH"] * part)
    stage.automine(False)
    stage.mine()
    return stage.node.head()


def base_fee(stage, gwei):
    stage.sandbox.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(int(gwei * GWEI)))
    stage.mine()
    return stage.node.head()


def sent(journal, purpose=Purpose.DELEVERAGE):
    return [row for row in journal.transactions() if row.purpose is purpose]


@pytest.mark.slow
def test_account_has_slipped_below_two_thirds_of_the_way_from_the_floor_to_the_target(leveraged, watch):
    for part in (1.0, 0.97, 0.95):
        head = crash(leveraged, part)

        assert watch.slipped(head) is (part == 0.95)
        assert (health(leveraged) < 1.25) is (part == 0.95)


@pytest.mark.slow
def test_nothing_is_sent_while_the_mandate_does_not_allow_it(leveraged, journal, watch):
    head = crash(leveraged, 0.9)

    assert watch.slipped(head)
    assert 1.1 < health(leveraged) < 1.25
    assert watch.guard(head, None) is None
    assert sent(journal) == []


@pytest.mark.slow
def test_call_brings_what_the_payer_holds_and_has_approved(leveraged, watch):
    crash(leveraged, CRASHED)
    key = discover_lending(leveraged.node.client, leveraged.vault.file_mandate)
    state = read_lending(leveraged.node.client, key, leveraged.vault.address)
    job = watch.job(state)

    assert (job.purpose, job.to, job.order) == (Purpose.DELEVERAGE, leveraged.vault.address, None)
    assert job.calldata == encode_deleverage(state.venue - FIRST_LISTED, ETHER, STAKED, APPROVED)


@pytest.mark.slow
def test_payer_who_approved_nothing_brings_nothing(leveraged, watch):
    leveraged.automine()
    token = leveraged.vault.token(0)
    leveraged.vault.send("keeper", token.functions.approve(leveraged.vault.address, 0))
    leveraged.automine(False)
    head = crash(leveraged, CRASHED)

    # The vault's own wallet is empty: there is nothing to repay with, and the vault says so.
    assert watch.guard(head, None) is None


@pytest.mark.slow
def test_call_takes_the_place_of_what_waits_and_is_pushed_when_it_waits_itself(leveraged, journal, watch):
    head = crash(leveraged, CRASHED)
    submitter = watch._submitter
    void = submitter.send(submitter.void_job, head)
    first = watch.guard(head, void)
    assert (first.account_nonce, first.purpose) == (void.account_nonce, Purpose.DELEVERAGE)
    assert first.max_fee * 8 >= void.max_fee * 9

    assert watch.guard(head, first).id == first.id
    later = dataclasses.replace(head, number=head.number + 3)
    second = watch.guard(later, first)
    assert second.account_nonce == first.account_nonce
    assert second.max_fee * 8 >= first.max_fee * 9


def test_keeper_deleverages_by_itself_after_a_crash_and_pays_more_than_a_settlement_may(leveraged, journal, keeper):
    execution = leveraged.vault.file_mandate.execution
    ceiling = execution.max_base_fee_gwei
    crash(leveraged, CRASHED)
    before = health(leveraged)
    head = base_fee(leveraged, 2 * ceiling)
    keeper.on_block(head)
    assert len(sent(journal, Purpose.TRIP)) == 1  # at this leverage the fall is one for the breaker, too
    keeper.on_block(base_fee(leveraged, 2 * ceiling))
    keeper.on_block(leveraged.node.head())  # while it waits nothing takes its place
    (row,) = sent(journal)
    assert sent(journal, Purpose.VOID) == []
    leveraged.mine()
    keeper.on_block(leveraged.node.head())

    assert ceiling * GWEI < row.max_fee
    assert row.max_fee <= keeper.settings.urgency * (ceiling + execution.max_priority_fee_gwei) * GWEI
    assert row.priority_fee <= keeper.settings.urgency * execution.max_priority_fee_gwei * GWEI
    assert sent(journal)[0].state is State.INCLUDED
    (event,) = leveraged.vault.vault.events.Deleveraged().get_logs(from_block=head.number)
    transaction = leveraged.vault.web3.eth.get_transaction(event["transactionHash"])
    assert transaction["from"] == development_address("keeper")
    assert event["args"]["health_after"] > event["args"]["health_before"]
    assert health(leveraged) > before


@pytest.mark.slow
def test_keeper_does_not_pay_more_than_its_urgency_allows(leveraged, journal, keeper):
    ceiling = leveraged.vault.file_mandate.execution.max_base_fee_gwei
    crash(leveraged, CRASHED)
    keeper.on_block(base_fee(leveraged, (keeper.settings.urgency + 1) * ceiling))

    assert sent(journal) == []
