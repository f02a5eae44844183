# SPDX-License-Identifier: Apache-2.0
"""Keepers that share a PostgreSQL: one leads, and whatever befalls it no intent is settled twice."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from offchain.keeper.journal import Journal, JournalError, JournalLocked
from offchain.keeper.lease import Lease, LeaseLost
from offchain.keeper.records import Decision
from offchain.keeper.states import State
from offchain.market.rpc import NodeClient
from offchain.sandbox.keys import PASSWORD, keyfile
from offchain.settle.node import Node
from tests.support.postgres import PostgresServer, postgres_folder
from tests.support.proxy import Fault, FaultProxy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(postgres_folder() is None, reason="PostgreSQL is not installed; Debian's package is postgresql"),
    pytest.mark.xdist_group("postgres"),
]
VAULT = "0x00000000000000000000000000000000000000AA"
LEASE = 2.0
NAMES = count()


@pytest.fixture(scope="module")
def server():
    server = PostgresServer(postgres_folder())
    server.start()
    yield server
    server.remove()


@pytest.fixture
def url(server):
    return server.create(f"journal{next(NAMES)}")


def lead(url, seconds=LEASE, vault=VAULT, holder=None):
    return Journal.open(url, chain_id=1, vault=vault, lease=Lease(holder, seconds))


def record(journal):
    return journal.record_tick(
        block_number=1, block_hash="0x00", block_timestamp=1, mandate="{}", snapshot="{}", history=(b"x",), plan=None,
        decision=Decision.HOLD, reason="a test",
    )  # fmt: skip


def test_journal_on_a_server_is_the_same_journal(url):
    with lead(url) as journal:
        record(journal)
    with Journal.read(url) as reader:
        assert reader.tick_counts() == {"hold": 1}
        assert reader.last_tick().history == (b"x",)
        assert reader.meta()["schema_version"] == "2"


def test_only_one_leads(url):
    with lead(url, holder="first"), pytest.raises(JournalLocked, match="first leads"):
        lead(url)


def test_lease_is_free_when_its_holder_closes(url):
    lead(url).close()
    lead(url).close()


def test_silent_leader_is_replaced_and_cannot_write_any_more(url):
    old = lead(url, holder="old")
    time.sleep(LEASE + 0.3)
    with lead(url, holder="new") as new:
        with pytest.raises(LeaseLost, match="new leads now"):
            record(old)
        record(new)
        assert new.tick_counts() == {"hold": 1}
    old.close()


def test_leader_that_was_slow_but_not_replaced_goes_on(url):
    with lead(url) as journal:
        time.sleep(LEASE + 0.3)
        journal.renew()
        record(journal)


def test_write_that_began_before_the_takeover_holds_it_up(url):
    with lead(url, seconds=1) as old, old._write():
        impatient = url + "?options=-c%20lock_timeout%3D200"
        time.sleep(1.3)
        with pytest.raises(JournalError, match="lock timeout"):
            lead(impatient)


@pytest.fixture
def keepers(stage, url, tmp_path):
    fleet = Fleet(stage, url, tmp_path)
    yield fleet
    fleet.stop()


class Fleet:
    """Real keeper processes on one database."""

    def __init__(self, stage, url, folder):
        self.stage, self.url, self.folder = stage, url, folder
        self.running = {}

    def start(self, name, rpc=None):
        options = {
            "rpc": rpc or self.stage.sandbox.rpc_url, "vault": self.stage.vault.address, "mandate": self.stage.vault.file,
            "account": keyfile("keeper"), "signer": keyfile("optimizer"), "poll": 0.05, "lease-seconds": LEASE,
        }  # fmt: skip
        command = [Path(sys.executable).with_name("plimsoll"), "keeper", "run"]
        arguments = [text for key, value in options.items() for text in (f"--{key}", str(value))]
        environment = {**os.environ, "PLIMSOLL_PASSPHRASE": PASSWORD, "PLIMSOLL_JOURNAL": self.url}
        with (self.folder / f"{name}.log").open("w") as log:
            self.running[name] = subprocess.Popen([*command, *arguments], stderr=log, env=environment)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def wait(self, name, event, seconds=60, mine=False):
        end = time.monotonic() + seconds
        while f'"{event}"' not in self.log(name):
            assert time.monotonic() < end, self.log(name)
            if mine:
                self.stage.mine()
            time.sleep(0.1)

    def settle(self, name):
        self.wait(name, "settled", mine=True)
        for _ in range(3):
            self.stage.mine()
            time.sleep(0.2)

    def check(self):
        with Journal.read(self.url) as journal:
            orders = journal.orders()
        settled = [row for row in orders if row.settlement is not None]
        assert (self.stage.settled(), self.stage.nonce, len(settled)) == (1, 1, 1)

    def stop(self):
        for process in self.running.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def test_leader_killed_the_other_settles_its_intent_once(keepers):
    keepers.start("first")
    keepers.wait("first", "broadcast")
    keepers.start("second")
    keepers.wait("second", "standing by")
    keepers.running["first"].kill()
    keepers.settle("second")

    keepers.check()


def test_leader_paused_and_resumed_settles_nothing_more(keepers):
    keepers.start("first")
    keepers.wait("first", "broadcast")
    keepers.stage.sandbox.rpc.call("anvil_dropAllTransactions")
    keepers.start("second")
    keepers.wait("second", "standing by")
    keepers.running["first"].send_signal(signal.SIGSTOP)
    keepers.settle("second")
    keepers.running["first"].send_signal(signal.SIGCONT)
    keepers.running["first"].wait(30)

    assert keepers.running["first"].returncode == 2
    assert "leads now" in keepers.log("first")
    keepers.check()


def test_leader_cut_off_from_its_node_keeps_the_lease_and_settles_when_it_is_back(keepers):
    proxy = FaultProxy(keepers.stage.sandbox.rpc_url)
    keepers.start("first", rpc=proxy.url)
    keepers.wait("first", "broadcast")
    keepers.start("second")
    keepers.wait("second", "standing by")
    with proxy.failing(Fault("cut off", drop="before")):
        keepers.wait("first", "node failed")
        time.sleep(LEASE)
    keepers.settle("first")
    proxy.stop()

    keepers.check()


def test_database_gone_for_a_while_is_waited_for(keepers, server):
    keepers.start("first")
    keepers.wait("first", "started")
    server.stop()
    keepers.wait("first", "journal failed", mine=True)
    before = keepers.stage.settled()
    server.start()
    keepers.settle("first")

    assert before in (0, 1)
    keepers.check()
    failed = [json.loads(line)["error"] for line in keepers.log("first").splitlines() if "journal failed" in line]
    assert all("nothing more is sent" in one or "cannot be" in one for one in failed)


def test_old_leader_that_wakes_in_the_middle_of_an_order_signs_nothing(stage, url):
    old = lead(url, holder="old", vault=stage.vault.address)
    dispatch = stage.dispatch(old)
    tick = stage.record_tick(old)
    row = old.plan_order(tick, stage.buy_weth(), "0x" + "ab" * 32, stage.role("optimizer").address, 1)
    time.sleep(LEASE + 0.3)
    with lead(url, holder="new", vault=stage.vault.address) as new:
        with pytest.raises(LeaseLost):
            old.advance_order(row.id, State.SIMULATED)
        with pytest.raises(LeaseLost):
            stage.place(dispatch, old)
        stage.place(stage.dispatch(new), new)
        stage.mine()

    assert stage.settled() == 1
    assert Node(NodeClient(stage.sandbox.rpc_url)).account_nonce(stage.role("keeper").address) == 1
    old.close()
