# SPDX-License-Identifier: Apache-2.0
"""What makes a keeper decide between two intervals, and what makes it refuse to."""

import pytest

from offchain.keeper.dispatch import Expected
from offchain.keeper.records import Decision
from offchain.keeper.states import State
from offchain.keeper.triggers import Hysteresis
from offchain.mandate.triggers import Triggers
from offchain.market.failover import FailoverClient
from offchain.sandbox.prices import PRICES
from offchain.settle.development import development_address
from offchain.settle.node import Node
from tests.support.proxy import Fault, FaultProxy

MILLION = 10**12


def with_triggers(mandate, **triggers):
    execution = mandate.execution.model_copy(update={"triggers": Triggers(**triggers)})
    return mandate.model_copy(update={"execution": execution})


@pytest.fixture
def journal(stage):
    with stage.journal() as journal:
        yield journal


@pytest.fixture
def start(stage, journal):
    """A keeper with triggers, that has decided once and settled."""

    def start(*, tick=True, **triggers):
        keeper = stage.keeper(journal, mandate=with_triggers(stage.vault.file_mandate, **triggers))
        keeper.recover()
        if tick:
            keeper.tick()
            keeper.settle_down()
        return keeper

    return start


def triggered(stage, keeper):
    head = stage.node.head()
    keeper.on_block(head)
    return keeper.triggered(head)


def deposit(stage, amount):
    stage.automine()
    stage.sandbox.give("USDC", development_address("alice"), amount)
    stage.vault.deposit("alice", amount)
    stage.automine(False)


def test_hysteresis_fires_once_and_again_only_for_more():
    level = Hysteresis(0.04, 0.5)

    assert [level.fires(one) for one in (0.01, 0.039, 0.04, 0.05, 0.079, 0.081)] == [
        False, False, True, False, False, True,
    ]  # fmt: skip


def test_hysteresis_is_armed_again_when_the_level_fell_far_enough():
    level = Hysteresis(0.04, 0.5)
    level.fires(0.05)

    assert not level.fires(0.03)
    assert not level.fires(0.045)
    assert not level.fires(0.02)
    assert level.fires(0.045)


def test_nothing_fires_where_no_trigger_is_given(stage, start):
    keeper = start()
    deposit(stage, MILLION)

    assert not triggered(stage, keeper)


def test_drift_from_what_was_wanted_is_a_reason(stage, start):
    keeper = start(drift_bps=500)
    assert not triggered(stage, keeper)
    deposit(stage, 20_000 * 10**6)
    assert not triggered(stage, keeper)
    deposit(stage, 200_000 * 10**6)

    assert triggered(stage, keeper)
    assert not triggered(stage, keeper)


def test_decision_that_was_triggered_brings_the_drift_back(stage, start):
    keeper = start(drift_bps=500)
    deposit(stage, 200_000 * 10**6)
    assert triggered(stage, keeper)
    report = keeper.tick()

    assert report.decision is Decision.SETTLE
    assert not triggered(stage, keeper)


def test_flow_of_shares_is_a_reason(stage, start):
    keeper = start(flow_bps=1000)
    deposit(stage, 90_000 * 10**6)
    assert not triggered(stage, keeper)
    deposit(stage, 30_000 * 10**6)

    assert triggered(stage, keeper)


def test_move_of_a_price_is_a_reason(stage, start):
    keeper = start(price_move_bps=200)
    price = next(one.price_usd for one in keeper._read(stage.node.head()).assets if one.symbol == "LINK")
    stage.automine()
    stage.sandbox.push("LINK/USD", price * 1.01)
    stage.automine(False)
    assert not triggered(stage, keeper)
    stage.automine()
    stage.sandbox.push("LINK/USD", price * 1.03)
    stage.automine(False)

    assert triggered(stage, keeper)


def test_rise_of_the_forecast_volatility_is_a_reason(stage, start):
    keeper = start(volatility_ratio=1.5)
    assert 0.05 < keeper._triggers._mark.volatility < 3
    assert not triggered(stage, keeper)
    # Six steps of 15 % down and up again: what is held turns out more volatile than it was thought.
    stage.automine()
    for times in (0.85, 1.0, 0.85, 1.0, 0.85, 1.0):
        stage.sandbox.rpc.call("evm_increaseTime", 4 * 3600)
        for feed in ("ETH/USD", "BTC/USD", "LINK/USD"):
            stage.sandbox.push(feed, PRICES[feed] * times)
    for feed in ("USDC/USD", "stETH/ETH"):
        stage.sandbox.push(feed, PRICES[feed])
    stage.automine(False)
    stage.mine()

    assert triggered(stage, keeper)


def test_breaker_that_changed_is_a_reason_once(stage, start):
    keeper = start(breaker=True)
    assert not triggered(stage, keeper)
    stage.automine()
    stage.vault.send("guardian", stage.vault.mandate.functions.guardian_trip(1))
    stage.automine(False)

    assert triggered(stage, keeper)
    assert not triggered(stage, keeper)


def test_keeper_that_starts_again_measures_against_the_same_decision(stage, journal, start):
    start(drift_bps=500)
    deposit(stage, 200_000 * 10**6)
    again = start(drift_bps=500, tick=False)

    assert triggered(stage, again)


def test_trigger_waits_while_an_order_is_under_way(stage, start):
    keeper = start(flow_bps=100)
    deposit(stage, 200_000 * 10**6)
    keeper.decide(stage.node.head())

    assert not keeper.triggered(stage.node.head())


def test_pools_that_contradict_the_oracle_are_a_refusal_that_is_tried_again(stage, journal, start):
    keeper = start(tick=False)
    price = next(one.price_usd for one in keeper._read(stage.node.head()).assets if one.symbol == "LINK")
    stage.automine()
    stage.sandbox.push("LINK/USD", price * 1.2)
    stage.automine(False)
    report = keeper.tick()

    assert report.decision is Decision.REFUSE
    assert "LINK: the oracle says" in report.reason
    assert journal.last_tick() is None
    assert keeper.due(stage.node.head())


def test_nodes_that_disagree_about_the_block_are_a_refusal(stage, journal):
    proxy = FaultProxy(stage.sandbox.rpc_url)
    stage.node = Node(FailoverClient([stage.sandbox.rpc_url, proxy.url]))
    keeper = stage.keeper(journal)
    keeper.recover()
    with proxy.failing(Fault("a fork of its own", block_hash="0x" + "ab" * 32)):
        report = keeper.tick()
    proxy.stop()

    assert report.decision is Decision.REFUSE
    assert f"{proxy.url} has another one" in report.reason
    assert journal.orders() == []


def test_simulation_that_loses_other_than_planned_is_not_signed(stage, journal):
    dispatch = stage.dispatch(journal)
    tick = stage.record_tick(journal)
    row = dispatch.place(tick, stage.buy_weth(), stage.node.head(), Expected(loss_bps=40.0, tolerance_bps=30))

    assert row.state is State.REVERTED
    assert row.signature is None
    assert "40.00 were planned" in row.detail


def test_simulation_that_loses_what_was_planned_is_signed(stage, journal):
    dispatch = stage.dispatch(journal)
    tick = stage.record_tick(journal)
    row = dispatch.place(tick, stage.buy_weth(), stage.node.head(), Expected(loss_bps=1.0, tolerance_bps=30))

    assert row.state is State.BROADCAST


def test_one_key_for_both_is_refused(stage, journal):
    from offchain.keeper.checks import KeeperRefusal

    with pytest.raises(KeeperRefusal, match="the same key pays for gas"):
        stage.keeper(journal, payer="optimizer")
