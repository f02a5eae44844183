# SPDX-License-Identifier: Apache-2.0
"""A node that misbehaves, one way after the other: the keeper keeps its promises and goes on when it ends."""

import json
import threading
import time
from pathlib import Path

import pytest

from offchain.keeper.records import Decision
from offchain.keeper.states import State
from offchain.market.rpc import NodeClient
from offchain.settle.node import Node
from tests.support.fronts import FRONTS
from tests.support.proxy import FAULTS, FaultProxy

OUT = Path(__file__).parents[3] / "out"
FAILS_FOR = 0.5
TIMEOUT = 0.4
QUICK = ("internal error", "lagging", "another chain")


@pytest.fixture(scope="module", autouse=True)
def _warm():
    """The first plan of a process imports the solvers, which is not what is measured here."""
    import cvxpy  # noqa: F401

    import offchain.allocate  # noqa: F401


@pytest.fixture(scope="module")
def table():
    """What each fault cost; written beside the other results."""
    rows = []
    yield rows
    if len(rows) < 2 * len(FAULTS) * len(FRONTS):
        return
    OUT.mkdir(exist_ok=True)
    (OUT / "faults.json").write_text(json.dumps(rows, indent=2) + "\n")
    for row in rows:
        print(f"{row['fault']:<24}{row['transport']:<6}{row['when']:<22}{row['recovery_s']:>7.2f} s")


@pytest.fixture(params=["http", *(pytest.param(one, marks=pytest.mark.slow) for one in FRONTS if one != "http")])
def transport(request):
    """How the keeper reaches its node; all but HTTP are left to `make test-all`, where clients alone are enough."""
    return request.param


@pytest.fixture
def proxy(stage, transport):
    proxy = FaultProxy(stage.sandbox.rpc_url, transport)
    direct, stage.node = stage.node, Node(NodeClient(proxy.url, timeout=TIMEOUT))
    yield proxy
    stage.node.client.close()
    stage.node = direct
    proxy.stop()


class Running:
    """A keeper in a thread, with blocks coming."""

    def __init__(self, stage, journal):
        self.stage = stage
        self.keeper = stage.keeper(journal)
        self.keeper._pause = lambda: time.sleep(0.01)
        self.error = None
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            self.keeper.run()
        except BaseException as error:
            self.error = error

    def wait(self, condition, seconds=20.0):
        """Mine until a condition holds; returns how long that took."""
        began = time.monotonic()
        while not condition():
            assert self.error is None, self.error
            assert time.monotonic() - began < seconds, "not in time"
            self.stage.mine()
            time.sleep(0.1)
        return time.monotonic() - began

    def pass_time(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.stage.mine()
            time.sleep(0.1)

    def stop(self):
        self.keeper.stopping.set()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def running(stage, proxy):
    with stage.journal() as journal:
        running = Running(stage, journal)
        yield running
        if running.thread.is_alive():
            running.stop()


def settled_once(stage, journal):
    """The promise: one settlement on the chain, and the journal knows it."""
    settled = [row for row in journal.orders() if row.settlement is not None]
    assert (stage.settled(), stage.nonce, len(settled)) == (1, 1, 1)
    assert all(row.state is not State.BROADCAST for row in journal.orders())


def finished(journal):
    return any(row.settlement is not None for row in journal.orders()) and not journal.unsigned_orders()


def sometimes_slow(quick):
    """All faults; those not named are left to `make test-all`, because each of them takes a whole plan."""
    return [fault if fault.name in quick else pytest.param(fault, marks=pytest.mark.slow) for fault in FAULTS]


@pytest.mark.parametrize("fault", sometimes_slow(QUICK), ids=lambda one: one.name)
def test_intent_is_settled_once_when_the_node_fails_before_the_decision(stage, proxy, transport, running, table, fault):
    journal = running.keeper.journal
    running.keeper.recover()
    running.keeper.recover = lambda: None
    # A node that lags shall know the vault with its deposits, not an empty one that there is nothing to decide about.
    for _ in range(fault.lag):
        stage.mine()
    with proxy.failing(fault):
        running.thread.start()
        running.pass_time(FAILS_FOR)
    seconds = running.wait(lambda: finished(journal))
    table.append({"fault": fault.name, "transport": transport, "when": "before the decision", "recovery_s": seconds})
    running.stop()

    settled_once(stage, journal)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_intent_is_settled_once_when_the_node_fails_while_it_is_sent(stage, proxy, transport, running, table, fault):
    journal = running.keeper.journal
    running.keeper.recover()
    running.keeper.recover = lambda: None
    report = running.keeper.decide(stage.node.head())
    assert report.decision is Decision.SETTLE
    with proxy.failing(fault):
        running.thread.start()
        running.pass_time(FAILS_FOR)
    seconds = running.wait(lambda: finished(journal))
    table.append({"fault": fault.name, "transport": transport, "when": "order on its way", "recovery_s": seconds})
    running.stop()

    settled_once(stage, journal)
