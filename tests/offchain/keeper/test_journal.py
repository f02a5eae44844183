# SPDX-License-Identifier: Apache-2.0
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from offchain.keeper.journal import Journal, JournalError, JournalLocked
from offchain.keeper.records import Decision, Purpose
from offchain.keeper.states import IllegalTransition, State
from offchain.route.leg import Venue
from offchain.settle.accounts import RawTransaction
from offchain.settle.order import Leg, Order, Settlement, SignedOrder

VAULT = "0x00000000000000000000000000000000000000AA"
SIGNER = "0x00000000000000000000000000000000000000bb"
BLOCK_HASH = "0x" + "01" * 32
DIGEST = "0x" + "02" * 32
ORDER = Order(
    nonce=2**255,
    deadline=125,
    mandate_hash="0x" + "11" * 32,
    model_hash="0x" + "22" * 32,
    legs=(Leg(Venue.UNISWAP_V3, 0, 1, 500, 2**127, 2**126),),
    min_value_per_share=2**90,
    max_base_fee=10**11,
)
SETTLEMENT = Settlement(
    transaction="0x" + "03" * 32,
    block_number=101,
    block_hash="0x" + "04" * 32,
    digest=DIGEST,
    nonce=2**255,
    value_before=2**100,
    value_after=2**100 - 1,
    loss=1,
    turnover=10**17,
    loss_level=2,
    turnover_level=3 * 10**17,
    value_per_share=2**60,
    amounts_in=(2**127,),
    amounts_out=(2**126,),
    gas_used=500_000,
    effective_gas_price=10**9,
)


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "journal.sqlite", chain_id=1, vault=VAULT) as journal:
        yield journal


def record_tick(journal, history=(b"one", b"two"), reason="it pays", number=100):
    return journal.record_tick(
        block_number=number,
        block_hash=BLOCK_HASH,
        block_timestamp=1_700_000_000 + number,
        mandate='{"name":"Blue Chip"}',
        snapshot='{"chain_id":1}',
        history=history,
        plan='{"reason":"improves"}',
        decision=Decision.SETTLE,
        reason=reason,
    )


def planned(journal):
    return journal.plan_order(record_tick(journal), ORDER, DIGEST, SIGNER, 100)


def signed(journal):
    row = journal.advance_order(planned(journal).id, State.SIMULATED)
    return journal.sign_order(row.id, SignedOrder(ORDER, VAULT, 1, DIGEST, SIGNER, "0x" + "05" * 65))


def stored(journal, order=None, number=1, nonce=7):
    return journal.store_transaction(
        RawTransaction("0x" + f"{number:064x}", "0x02"),
        purpose=Purpose.SETTLE,
        order=order,
        account=SIGNER,
        account_nonce=nonce,
        gas_limit=2_000_000,
        max_fee=2**80,
        priority_fee=10**9,
        block_number=100,
    )


def test_tick_comes_back_with_every_input(journal):
    tick = journal.tick(record_tick(journal))

    assert (tick.snapshot, tick.history, tick.plan) == ('{"chain_id":1}', (b"one", b"two"), '{"reason":"improves"}')
    assert (tick.mandate, tick.decision, tick.reason) == ('{"name":"Blue Chip"}', Decision.SETTLE, "it pays")


def test_history_chunks_are_stored_once(journal):
    record_tick(journal, history=(b"old", b"new 1"))
    record_tick(journal, history=(b"old", b"new 2"))

    with sqlite3.connect(journal.path) as database:
        assert database.execute("select count(*) from history_chunks").fetchone() == (3,)
    assert [tick.history for tick in journal.ticks()] == [(b"old", b"new 1"), (b"old", b"new 2")]


def test_order_walks_from_planned_to_final(journal):
    row = signed(journal)
    row = journal.advance_order(row.id, State.BROADCAST)
    row = journal.include_order(row.id, SETTLEMENT)
    row = journal.advance_order(row.id, State.FINAL)

    assert (row.state, row.order, row.settlement) == (State.FINAL, ORDER, SETTLEMENT)
    assert [after for kind, _, _, after, _ in journal.transition_log() if kind == "order"] == [
        "PLANNED",
        "SIMULATED",
        "SIGNED",
        "BROADCAST",
        "INCLUDED",
        "FINAL",
    ]


def test_order_included_in_a_lost_block_goes_back_to_broadcast(journal):
    row = journal.include_order(signed(journal).id, SETTLEMENT)

    assert journal.advance_order(row.id, State.BROADCAST).state is State.BROADCAST


@pytest.mark.parametrize("target", [State.SIGNED, State.BROADCAST, State.INCLUDED, State.FINAL, State.EXPIRED])
def test_planned_order_cannot_skip_steps(journal, target):
    row = planned(journal)

    with pytest.raises(IllegalTransition, match=f"PLANNED -> {target}"):
        journal.advance_order(row.id, target)

    assert journal.order(row.id).state is State.PLANNED


def test_order_that_failed_in_simulation_is_dead(journal):
    row = journal.advance_order(planned(journal).id, State.REVERTED, "limits: weight")

    with pytest.raises(IllegalTransition):
        journal.advance_order(row.id, State.BROADCAST)
    assert journal.open_orders() == []


def test_signed_order_whose_transaction_failed_stays_open(journal):
    row = journal.advance_order(signed(journal).id, State.BROADCAST)
    row = journal.advance_order(row.id, State.REVERTED)

    assert [one.id for one in journal.open_orders()] == [row.id]


def test_transaction_fees_beyond_64_bits_survive(journal):
    row = stored(journal)

    assert (row.max_fee, row.priority_fee, row.state) == (2**80, 10**9, State.SIGNED)


def test_transaction_cannot_be_included_before_broadcast(journal):
    row = stored(journal)

    with pytest.raises(IllegalTransition):
        journal.advance_transaction(row.id, State.INCLUDED)


def test_transactions_of_one_nonce_are_found_in_order(journal):
    first, second = stored(journal, number=1), stored(journal, number=2)
    stored(journal, number=3, nonce=8)

    assert [row.id for row in journal.transactions_at(SIGNER, 7)] == [first.id, second.id]


def test_second_keeper_is_refused(journal):
    script = (
        "import sys; from pathlib import Path; from offchain.keeper.journal import Journal, JournalLocked\n"
        f"try: Journal.open(Path(sys.argv[1]), chain_id=1, vault={VAULT!r})\n"
        "except JournalLocked as error: print(error); sys.exit(7)"
    )

    second = subprocess.run(
        [sys.executable, "-c", script, str(journal.path)], capture_output=True, text=True, check=False
    )

    assert second.returncode == 7
    assert "another keeper is running on it" in second.stdout


def test_lock_goes_with_the_process(tmp_path):
    path = tmp_path / "journal.sqlite"
    script = (
        "import os, sys; from pathlib import Path; from offchain.keeper.journal import Journal\n"
        f"Journal.open(Path(sys.argv[1]), chain_id=1, vault={VAULT!r}); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)

    Journal.open(path, chain_id=1, vault=VAULT).close()


@pytest.mark.parametrize(("chain_id", "vault", "culprit"), [(10, VAULT, "chain_id"), (1, SIGNER, "vault")])
def test_journal_of_another_vault_is_refused(journal, chain_id, vault, culprit):
    journal.close()

    with pytest.raises(JournalError, match=f"its {culprit} is"):
        Journal.open(journal.path, chain_id=chain_id, vault=vault)


def test_reader_sees_what_the_keeper_wrote_while_it_runs(journal):
    row = planned(journal)

    with Journal.read(journal.path) as reader:
        assert [one.id for one in reader.orders()] == [row.id]


def test_reader_of_a_closed_journal(journal):
    record_tick(journal)
    journal.close()

    with Journal.read(journal.path) as reader:
        assert reader.tick_counts() == {"settle": 1}


def test_reader_cannot_write(journal):
    with Journal.read(journal.path) as reader, pytest.raises(JournalError, match="cannot be written"):
        record_tick(reader)


@pytest.mark.parametrize("content", [None, b"", b"not a database at all" * 100])
def test_reading_what_is_no_journal_names_the_file(tmp_path, content):
    path = tmp_path / "other.sqlite"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(JournalError, match=r"other\.sqlite"):
        Journal.read(Path(path))


def test_journal_is_durable_and_in_wal_mode(journal):
    with journal._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_locked_journal_is_a_journal_error():
    assert issubclass(JournalLocked, JournalError)
