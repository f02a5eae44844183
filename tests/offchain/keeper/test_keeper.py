# SPDX-License-Identifier: Apache-2.0
import json
import threading
from dataclasses import replace
from importlib.metadata import version

import pytest
from eth_account import Account
from sqlalchemy import update

from offchain.backtest.replay import replay
from offchain.keeper import dispatch, schema
from offchain.keeper.checks import KeeperRefusal
from offchain.keeper.records import Decision
from offchain.keeper.reorganisation import NodeBehind
from offchain.keeper.report import report_lines
from offchain.keeper.states import State
from offchain.mandate import MandateParityError
from offchain.settle.accounts import LocalSigner
from offchain.settle.development import NotADevelopmentKey

HOUR = 3600
INTERVAL = 4 * HOUR


@pytest.fixture
def journal(stage):
    with stage.journal() as journal:
        yield journal


@pytest.fixture
def keeper(stage, journal):
    keeper = stage.keeper(journal)
    keeper.recover()
    return keeper


class Killed(BaseException):
    """Nobody catches it."""


def sent(stage):
    """Number of transactions of the keeper's account, mined or waiting."""
    return int(stage.sandbox.rpc.call("eth_getTransactionCount", stage.role("keeper").address, "pending"), 16)


def changed(mandate, **limits):
    """The mandate with other limits."""
    return mandate.model_copy(update={"limits": mandate.limits.model_copy(update=limits)})


def test_tick_settles_what_was_planned_to_the_wei(stage, keeper):
    report = keeper.tick()

    assert (report.decision, report.order.state) == (Decision.SETTLE, State.INCLUDED)
    assert report.settlement.amounts_out == tuple(leg.amount_out for leg in report.plan.legs)
    assert report.settlement.value_after == report.plan.value_after
    assert report.outcome.realised_loss_bps == pytest.approx(report.outcome.planned_loss_bps)


def test_second_tick_holds_when_nothing_moved(stage, keeper):
    keeper.tick()
    report = keeper.tick()

    assert (report.decision, report.order) == (Decision.HOLD, None)
    assert stage.settled() == 1


def test_tick_is_due_once_in_each_interval_of_the_chains_clock(stage, keeper):
    head = stage.node.head()
    assert keeper.due(head)
    keeper.tick()
    head = stage.node.head()
    start = head.timestamp // INTERVAL * INTERVAL

    assert not keeper.due(replace(head, timestamp=start + INTERVAL - 1))
    assert keeper.due(replace(head, timestamp=start + INTERVAL))


def test_no_tick_is_due_while_an_order_is_under_way(stage, journal, keeper):
    keeper.decide(stage.node.head())
    head = stage.node.head()

    assert not keeper.due(replace(head, timestamp=head.timestamp + INTERVAL))


def test_stale_oracle_is_a_refusal_that_names_the_asset(stage, journal, keeper):
    stage.sandbox.rpc.call("evm_increaseTime", 30 * HOUR)
    stage.mine()
    report = keeper.tick()

    assert report.decision is Decision.REFUSE
    assert "oracle of" in report.reason
    assert "seconds old" in report.reason
    assert (sent(stage), journal.orders()) == (0, [])


def test_run_follows_the_chain_until_it_is_told_to_stop(stage, journal, keeper):
    reports = []

    def note(report):
        reports.append(report)
        if len(reports) == 1:
            stage.sandbox.rpc.call("evm_increaseTime", INTERVAL)
        else:
            keeper.stopping.set()

    runner = threading.Thread(target=keeper.run, args=(note,))
    runner.start()
    runner.join(60)

    assert not runner.is_alive()
    assert len(reports) == 2
    assert stage.settled() >= 1


def test_process_that_restarts_goes_on_with_the_order_it_left(stage, journal, keeper):
    report = keeper.decide(stage.node.head())
    stage.sandbox.rpc.call("anvil_dropAllTransactions")

    reborn = stage.keeper(journal)
    reborn.recover()
    reborn.settle_down()

    assert journal.order(report.order.id).state is State.INCLUDED
    assert stage.settled() == 1


def test_file_tighter_than_the_chain_is_refused(stage, journal):
    mandate = changed(stage.vault.file_mandate, loss_capacity_bps=50)

    with pytest.raises(MandateParityError, match=r"limits\.loss_capacity_bps.*50.*100.*the chain is looser"):
        stage.keeper(journal, mandate=mandate)


def test_file_looser_than_the_chain_is_refused(stage, journal):
    mandate = changed(stage.vault.file_mandate, turnover_refill_bps_per_day=3000)

    with pytest.raises(MandateParityError, match=r"limits\.turnover_refill_bps_per_day.*the file is looser"):
        stage.keeper(journal, mandate=mandate)


def test_vault_tightened_while_the_keeper_runs_is_obeyed(stage, keeper):
    tighter = changed(stage.vault.file_mandate, turnover_capacity_bps=3000)
    stage.automine()
    stage.vault.send("curator", stage.vault.mandate.functions.set_limits(tighter.vault_limits.as_struct()))
    stage.automine(False)
    report = keeper.tick()

    assert report.order.state is State.INCLUDED
    assert report.settlement.turnover <= 3 * 10**17


def test_signer_that_the_vault_does_not_know_is_refused(stage, journal):
    with pytest.raises(KeeperRefusal, match="does not accept its orders"):
        stage.keeper(journal, signer="alice")


def test_real_key_is_refused_on_a_sandbox(stage, journal):
    stage.role = lambda name: LocalSigner(Account.from_key(b"\x01" * 32))

    with pytest.raises(NotADevelopmentKey):
        stage.keeper(journal)


def test_vault_that_is_not_there_is_named(stage, journal):
    stage.vault.vault.address = stage.role("bob").address
    try:
        with pytest.raises(KeeperRefusal, match="no contract on chain 1"):
            stage.keeper(journal)
    finally:
        stage.vault.vault.address = journal.meta()["vault"]


def test_journal_from_the_future_of_the_chain_is_refused(stage, journal, keeper):
    keeper.tick()
    with journal._write() as connection:
        connection.execute(update(schema.ticks).values(block_number=stage.node.head().number + 1000))

    with pytest.raises(KeeperRefusal, match="wait until it is in sync"):
        stage.keeper(journal).recover()


def test_journal_of_another_chain_is_refused(stage, journal, keeper):
    keeper.tick()
    stage.mine(3)
    with journal._write() as connection:
        connection.execute(update(schema.ticks).values(block_hash="0x" + "ab" * 32))

    with pytest.raises(KeeperRefusal, match="of another chain"):
        stage.keeper(journal).recover()


def test_keeper_that_was_told_to_stop_does_not_decide(stage, journal, keeper):
    keeper.stopping.set()

    assert keeper.tick().decision is Decision.HOLD
    assert (sent(stage), journal.last_tick()) == (0, None)


def test_report_for_a_reader_names_reason_order_and_transaction(keeper):
    report = keeper.tick()
    lines = "\n".join(report_lines(report))

    assert f"Block {report.block_number}: settle: {report.plan.reason}" in lines
    assert f"Order {report.order.digest}, nonce {report.order.order.nonce}: included" in lines
    assert f"Transaction {report.settlement.transaction} in block {report.settlement.block_number}" in lines
    assert f"Vault worth ${report.settlement.value_after / 1e18:,.2f}" in lines


def test_recorded_ticks_replay_to_identical_plans(stage, journal, keeper):
    for price in (1.0, 1.04, 0.95):
        stage.automine()
        stage.sandbox.push("ETH/USD", stage.vault.oracle.functions.prices().call()[1] / 10**18 * price)
        stage.automine(False)
        keeper.tick()

    results = list(replay(journal))

    assert len(results) == 3
    assert all(one.identical for one in results)
    settled = [one for one in results if one.decision is Decision.SETTLE]
    assert settled
    # Nobody trades between the snapshot and the block: the simulated vault gets what the real one got.
    assert [(one.settlement_bps, one.simulated_refusal) for one in settled] == [(0.0, "")] * len(settled)


def test_replay_names_what_differs(stage, journal, keeper):
    keeper.tick()
    plan = journal.last_tick().plan
    with journal._write() as connection:
        connection.execute(update(schema.ticks).values(plan=plan.replace('"gas_cost_usd":', '"gas_cost_usd":1')))

    (result,) = replay(journal)

    assert result.differences == ("gas_cost_usd",)


def test_replay_tells_another_solver_apart_from_another_plan(stage, journal, keeper):
    keeper.tick()
    plan = journal.last_tick().plan
    solver = json.loads(plan)["solver"]
    with journal._write() as connection:
        connection.execute(update(schema.ticks).values(plan=plan.replace(solver, "slide rule (ivory 1)")))

    (result,) = replay(journal)

    assert result.solvers == ("slide rule (ivory 1)", solver)
    assert result.identical
    assert f"plimsoll {version('plimsoll')}" in solver


def test_tick_whose_order_was_never_signed_is_due_again(stage, journal, keeper, monkeypatch):
    def die(*_arguments, **_options):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(dispatch, "sign_order", die)
        with pytest.raises(Killed):
            keeper.decide(stage.node.head())
    reborn = stage.keeper(journal)
    reborn.recover()
    assert reborn.due(stage.node.head())
    reborn.tick()

    assert [row.state for row in journal.orders()] == [State.CANCELLED, State.INCLUDED]
    assert not reborn.due(stage.node.head())


def test_order_that_failed_in_simulation_is_planned_again_after_its_deadline(stage, journal, keeper, monkeypatch):
    impossible = stage.buy_weth(deadline=5, min_amount_out=10**30)
    with monkeypatch.context() as patch:
        patch.setattr("offchain.keeper.keeper.compile_order", lambda *_: impossible)
        keeper.decide(stage.node.head())
    assert journal.orders()[0].state is State.REVERTED
    assert not keeper.due(stage.node.head())
    stage.mine(6)

    assert keeper.due(stage.node.head())


def test_head_that_was_passed_already_is_a_node_that_lags(stage, keeper):
    keeper.on_block(stage.node.head())
    before = stage.node.head()
    stage.mine()
    keeper.on_block(stage.node.head())

    with pytest.raises(NodeBehind, match="wait until it has caught up"):
        keeper._ancestry.refuse_behind(before, "http://node")
