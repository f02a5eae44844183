# SPDX-License-Identifier: Apache-2.0
"""What goes wrong between the signature and the final block, and what the keeper then does."""

import threading
import time

import pytest
from sqlalchemy import event

from offchain.keeper.checks import KeeperRefusal, check_fresh
from offchain.keeper.journal import JournalError
from offchain.keeper.records import Decision, Purpose
from offchain.keeper.reorganisation import NodeBehind
from offchain.keeper.states import State
from offchain.market.rpc import NodeClient
from offchain.sandbox.anvil import Anvil
from offchain.sandbox.standup import launch
from offchain.settle.development import development_address
from offchain.settle.node import Node
from tests.offchain.keeper.conftest import MILLION, POLICY, Stage
from tests.support.vaults import deploy_vault

GWEI = 10**9
DEPTH = 12
TEN_MINUTES = 600


@pytest.fixture
def journal(stage):
    with stage.journal() as journal:
        yield journal


@pytest.fixture
def dispatch(stage, journal):
    return stage.dispatch(journal)


@pytest.fixture
def keeper(stage, journal):
    keeper = stage.keeper(journal)
    keeper.recover()
    return keeper


@pytest.fixture
def slow_finality(role, tmp_path):
    """A stage whose blocks are final after 64, as mainnet's are.

    No fork: there anvil_reorg replaces the blocks and leaves the state as it was.
    """
    with launch() as node:
        vault = deploy_vault(node)
        node.give("USDC", development_address("alice"), MILLION)
        vault.deposit("alice", MILLION)
        node.rpc.call("evm_setAutomine", False)
        node.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
        node.rpc.call("anvil_mine", hex(DEPTH + 2))
        stage = Stage(node, vault, Node(NodeClient(node.rpc_url)), tmp_path / "journal.sqlite", role)
        yield stage
        stage.node.client.close()


@pytest.mark.parametrize("depth", [1, 5, DEPTH])
def test_settlement_in_a_reorganisation_of_any_depth_is_settled_again_and_once(slow_finality, depth):
    stage = slow_finality
    with stage.journal() as journal:
        dispatch = stage.dispatch(journal)
        row = stage.place(dispatch, journal)
        stage.step(dispatch)
        stage.step(dispatch, depth - 1)
        lost = journal.order(row.id).settlement.block_hash
        stage.sandbox.rpc.call("anvil_reorg", depth, [])
        dispatch.on_block(stage.node.head())
        assert journal.order(row.id).state is State.BROADCAST
        stage.step(dispatch)
        stage.step(dispatch)
        row = journal.order(row.id)

    assert row.state is State.INCLUDED
    assert row.settlement.block_hash != lost
    assert (stage.settled(), stage.nonce) == (1, 1)


def test_base_fee_spike_is_waited_out_and_never_paid(stage, journal, dispatch):
    row = stage.place(dispatch, journal)
    for _ in range(6):
        stage.sandbox.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(60 * GWEI))
        stage.step(dispatch)
    assert journal.order(row.id).state in (State.BROADCAST, State.REVERTED)
    assert all(one.max_fee <= POLICY.max_fee for one in journal.transactions() if one.purpose is Purpose.SETTLE)

    stage.sandbox.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    stage.step(dispatch)
    for _ in range(3):
        stage.step(dispatch)

    assert journal.order(row.id).state in (State.INCLUDED, State.FINAL)
    assert stage.settled() == 1


def test_underpriced_transaction_is_replaced_when_patience_ends(stage, journal, dispatch):
    row = stage.place(dispatch, journal)
    stage.sandbox.rpc.call("anvil_dropAllTransactions")
    stage.sandbox.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(10 * GWEI))
    stage.step(dispatch)
    for _ in range(5):
        stage.step(dispatch)

    first, *others = journal.transactions()
    assert others
    assert {one.account_nonce for one in others} == {first.account_nonce}
    assert journal.order(row.id).state in (State.INCLUDED, State.FINAL)


def test_signer_removed_mid_flight_stops_the_order_for_good(stage, journal, dispatch):
    row = stage.place(dispatch, journal)
    waiting = journal.transactions()[0]
    stage.sandbox.rpc.call("anvil_dropTransaction", waiting.hash)
    stage.automine()
    stage.vault.send("guardian", stage.vault.mandate.functions.remove_signer(development_address("optimizer")))
    stage.automine(False)
    dispatch.on_block(stage.node.head())
    for _ in range(4):
        stage.step(dispatch)

    assert journal.order(row.id).state is State.REVERTED
    assert "unauthorised signer" in journal.order(row.id).detail
    assert (stage.settled(), stage.nonce) == (0, 0)


@pytest.mark.parametrize("skew", [TEN_MINUTES, -TEN_MINUTES], ids=["fast", "slow"])
def test_clock_that_is_ten_minutes_wrong_is_refused_by_name(stage, keeper, journal, monkeypatch, skew):
    keeper._max_head_age = 180.0
    head = stage.node.head()
    monkeypatch.setattr(time, "time", lambda: head.timestamp + skew)
    report = keeper.decide(head)

    assert report.decision is Decision.REFUSE
    assert "clock" in report.reason
    assert (journal.orders(), journal.last_tick()) == ([], None)


def test_clock_that_is_right_is_not_remarked_on(stage, monkeypatch):
    head = stage.node.head()
    monkeypatch.setattr(time, "time", lambda: head.timestamp + 12.0)
    check_fresh(head, 180.0)
    monkeypatch.setattr(time, "time", lambda: head.timestamp + 200.0)
    with pytest.raises(KeeperRefusal, match="200 seconds old"):
        check_fresh(head, 180.0)


def fill_disk(journal):
    """From now on the database may not grow by a page."""
    with journal._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

    def cap(connection, *_):
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    event.listen(journal._engine, "begin", cap)
    return lambda: (event.remove(journal._engine, "begin", cap), uncap(journal))


def uncap(journal):
    with journal._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1073741823")


def test_full_disk_stops_everything_that_would_have_to_be_journaled(stage, journal, keeper):
    free = fill_disk(journal)
    with pytest.raises(JournalError, match="full"):
        keeper.decide(stage.node.head())
    assert (stage.settled(), journal.orders()) == (0, [])
    free()

    assert keeper.tick().order.state is State.INCLUDED


def test_running_keeper_waits_for_the_disk_and_goes_on(stage, journal, keeper):
    free = fill_disk(journal)
    with running(stage, keeper):
        mine_for(stage, 0.6)
        assert journal.orders() == []
        free()
        wait_until(stage, lambda: stage.settled() == 1)


def test_journal_that_was_moved_away_is_not_written_and_found_again(stage, journal, keeper):
    away = stage.path.with_name("away.sqlite")
    stage.path.rename(away)
    with running(stage, keeper):
        mine_for(stage, 0.6)
        assert stage.settled() == 0
        away.rename(stage.path)
        wait_until(stage, lambda: stage.settled() == 1)
    assert [row.state for row in journal.orders()][-1] in (State.INCLUDED, State.FINAL)


def test_node_that_starts_again_from_nothing_is_not_believed(stage, journal, keeper):
    stage.mine(70)
    keeper.on_block(stage.node.head())
    with Anvil() as empty:
        head = Node(NodeClient(empty.rpc_url)).head()
        with pytest.raises(NodeBehind):
            keeper._ancestry.refuse_behind(head, empty.rpc_url)


class running:
    """A keeper's `run` in a thread."""

    def __init__(self, stage, keeper):
        self.keeper = keeper
        keeper._pause = lambda: time.sleep(0.01)
        keeper.recover = lambda: None
        self.thread = threading.Thread(target=keeper.run)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.keeper.stopping.set()
        self.thread.join(20)
        assert not self.thread.is_alive()


def mine_for(stage, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        stage.mine()
        time.sleep(0.1)


def wait_until(stage, condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        stage.mine()
        time.sleep(0.1)
