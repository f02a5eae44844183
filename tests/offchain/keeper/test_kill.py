# SPDX-License-Identifier: Apache-2.0
"""A keeper that dies around any write to its journal settles its intent once, and knows it."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from offchain.keeper.journal import Journal
from offchain.keeper.records import Purpose
from offchain.keeper.states import State
from offchain.sandbox.keys import PASSWORD, keyfile

FINALITY = 2
WRITES = [
    "tick recorded",
    "order PLANNED",
    "order SIMULATED",
    "order SIGNED",
    "transaction SIGNED",
    "order BROADCAST",
    "transaction BROADCAST",
    "transaction INCLUDED",
    "order INCLUDED",
    "transaction FINAL",
    "order FINAL",
]


class Killed(BaseException):
    """Stands for SIGKILL: nobody catches it and nothing runs after it."""


class MortalJournal(Journal):
    """Dies right before or right after one of its commits."""

    writes_left = -1
    before = False

    @contextmanager
    def _write(self):
        self.writes_left -= 1
        if self.writes_left == 0 and self.before:
            raise Killed
        with super()._write() as connection:
            yield connection
        if self.writes_left == 0:
            raise Killed


def live(stage, journal):
    """One process: recover, settle the intent if it has not been, follow it until it is final."""
    dispatch = stage.dispatch(journal)
    dispatch.recover()
    head = stage.node.head()
    dispatch.on_block(head)
    if dispatch.idle(head) and stage.nonce == 0:
        stage.place(dispatch, journal)
    stage.step(dispatch)
    stage.step(dispatch, FINALITY)


def settle_once(stage, death, before):
    """Die at one write, come back, and live on; returns the journal's records."""
    with stage.journal(MortalJournal) as journal:
        journal.writes_left, journal.before = death, before
        with pytest.raises(Killed):
            live(stage, journal)
    with stage.journal() as journal:
        live(stage, journal)
        return journal.orders(), journal.transactions()


def test_the_life_of_an_order_has_the_writes_listed_here(stage):
    with stage.journal(MortalJournal) as journal:
        journal.writes_left = 1000
        live(stage, journal)
        written = 1000 - journal.writes_left

    assert written == len(WRITES)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("death", range(1, len(WRITES) + 1), ids=WRITES)
def test_keeper_killed_at_a_write_settles_once_and_knows_it(stage, death, before):
    orders, transactions = settle_once(stage, death, before)

    assert (stage.settled(), stage.nonce) == (1, 1)
    settled = [row for row in orders if row.settlement is not None]
    assert [row.state for row in settled] == [State.FINAL]
    assert all(row.state is State.CANCELLED and row.signature is None for row in orders if row.settlement is None)
    mined = [row for row in transactions if row.state is State.FINAL]
    assert [row.hash for row in mined] == [settled[0].settlement.transaction]
    assert [row.purpose for row in transactions] == [Purpose.SETTLE]


def test_process_killed_after_it_broadcast_is_followed_by_one_that_finishes(stage):
    with running_keeper(stage) as first:
        wait_for(first, "broadcast")
        first.kill()
    with running_keeper(stage) as second:
        wait_for(second, "started")
        stage.mine()
        wait_for(second, "settled")
        second.terminate()
        second.communicate(timeout=30)

    assert second.returncode == 0
    assert (stage.settled(), stage.nonce) == (1, 1)
    with stage.journal() as journal:
        (order,), (transaction,) = journal.orders(), journal.transactions()
    assert order.state is State.INCLUDED
    assert order.settlement.transaction == transaction.hash


def running_keeper(stage):
    options = {
        "rpc": stage.sandbox.rpc_url,
        "vault": stage.vault.address,
        "mandate": stage.vault.file,
        "account": keyfile("keeper"),
        "signer": keyfile("optimizer"),
        "journal": stage.path,
        "poll": 0.05,
    }
    command = [Path(sys.executable).with_name("plimsoll"), "keeper", "run"]
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    environment = {**os.environ, "PLIMSOLL_PASSPHRASE": PASSWORD}
    return subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True, env=environment)


def wait_for(process, event):
    for line in process.stderr:
        assert line.startswith("{"), line
        if json.loads(line)["event"] == event:
            return
    raise AssertionError(f"the keeper ended before {event!r}")
