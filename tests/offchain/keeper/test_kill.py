# SPDX-License-Identifier: Apache-2.0
"""A keeper that dies around any write to its journal settles its intent once, and knows it."""

from contextlib import contextmanager

import pytest

from offchain.keeper.journal import Journal
from offchain.keeper.records import Purpose
from offchain.keeper.states import State

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
