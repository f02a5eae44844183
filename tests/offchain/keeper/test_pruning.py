# SPDX-License-Identifier: Apache-2.0
"""A journal forgets what is old and final, and nothing else."""

import pytest

from offchain.keeper import schema
from offchain.keeper.journal import Journal
from offchain.keeper.records import Decision, Purpose
from offchain.keeper.states import State
from offchain.settle.accounts import RawTransaction
from offchain.settle.order import SignedOrder
from tests.offchain.keeper.test_journal import ORDER, SETTLEMENT, SIGNER, VAULT

DAY = 86_400


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "journal.sqlite", chain_id=1, vault=VAULT) as journal:
        yield journal


def tick(journal, day, history=(b"shared",)):
    return journal.record_tick(
        block_number=100 * day, block_hash="0x00", block_timestamp=day * DAY, mandate="{}", snapshot="{}",
        history=history, plan=None, decision=Decision.SETTLE, reason="a test",
    )  # fmt: skip


def signed(journal, day):
    digest = f"0x{day:064x}"
    row = journal.plan_order(tick(journal, day), ORDER, digest, SIGNER, 100 * day)
    journal.advance_order(row.id, State.SIMULATED)
    return journal.sign_order(row.id, SignedOrder(ORDER, VAULT, 1, digest, SIGNER, "0x" + "05" * 65))


def sent(journal, day, order=None, purpose=Purpose.SETTLE):
    row = journal.store_transaction(
        RawTransaction(f"0x{day:064x}", "0x02"), purpose=purpose, order=order, account=SIGNER, account_nonce=day,
        gas_limit=1, max_fee=1, priority_fee=1, block_number=100 * day,
    )  # fmt: skip
    return journal.advance_transaction(row.id, State.BROADCAST)


def settled(journal, day, final=True):
    order = signed(journal, day)
    transaction = sent(journal, day, order.id)
    journal.advance_order(order.id, State.BROADCAST)
    journal.include_order(order.id, SETTLEMENT)
    journal.advance_transaction(transaction.id, State.INCLUDED, block_number=1, block_hash="0x00")
    if final:
        journal.advance_order(order.id, State.FINAL)
        journal.advance_transaction(transaction.id, State.FINAL)
    return order


def days(journal):
    return [one.block_timestamp // DAY for one in journal.ticks()]


def test_what_is_old_and_final_goes_with_all_its_steps(journal):
    settled(journal, 1)
    sent(journal, 2, purpose=Purpose.TRIP)
    (trip,) = [row for row in journal.transactions() if row.purpose is Purpose.TRIP]
    journal.advance_transaction(trip.id, State.REPLACED)
    kept = settled(journal, 5)

    assert journal.prune(4 * DAY) == 1
    assert days(journal) == [5]
    assert [row.id for row in journal.orders()] == [kept.id]
    assert [row.order for row in journal.transactions()] == [kept.id]
    assert {(kind, row) for kind, row, *_ in journal.transition_log()} == {
        ("order", kept.id),
        ("transaction", journal.transactions()[0].id),
    }


@pytest.mark.parametrize("unfinished", ["open order", "unsigned order", "transaction that is not final"])
def test_what_is_not_final_stays_however_old(journal, unfinished):
    if unfinished == "open order":
        signed(journal, 1)
    elif unfinished == "unsigned order":
        journal.plan_order(tick(journal, 1), ORDER, "0x01", SIGNER, 1)
    else:
        order = settled(journal, 1, final=False)
        journal.advance_order(order.id, State.FINAL)
    tick(journal, 9)

    assert journal.prune(8 * DAY) == 0
    assert len(journal.orders()) == 1


def test_newest_tick_stays_because_it_says_when_the_next_is_due(journal):
    tick(journal, 1)
    tick(journal, 2)

    assert journal.prune(100 * DAY) == 1
    assert journal.last_tick_block().timestamp == 2 * DAY


def test_history_that_a_tick_still_needs_stays(journal):
    tick(journal, 1, (b"old", b"shared"))
    tick(journal, 5, (b"shared", b"new"))
    journal.prune(4 * DAY)

    assert journal.last_tick().history == (b"shared", b"new")
    with journal._engine.connect() as connection:
        assert len(connection.execute(schema.history_chunks.select()).all()) == 2


def test_keeper_forgets_once_a_day_what_is_older_than_wanted(stage):
    with stage.journal() as journal:
        keeper = stage.keeper(journal)
        keeper.recover()
        old = tick(journal, 1)
        keeper.tick()

        assert [one.id for one in journal.ticks()] == [old + 1]
        again = tick(journal, 1)
        tick(journal, 2)
        keeper.decide(stage.node.head())
        assert again in [one.id for one in journal.ticks()]
