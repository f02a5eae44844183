# SPDX-License-Identifier: Apache-2.0
import pytest

from offchain.keeper.journal import Journal
from offchain.keeper.records import Purpose
from offchain.keeper.states import State
from offchain.keeper.submitter import Job, Submitter
from offchain.settle.fees import FeePolicy

GWEI = 10**9
VAULT = "0x00000000000000000000000000000000000000AA"
TARGET = "0x00000000000000000000000000000000000000cc"
REVERTS = "0x60006000fd"
POLICY = FeePolicy(max_base_fee=50 * GWEI, max_priority_fee=5 * GWEI, min_priority_fee=GWEI)
URGENT = FeePolicy(max_base_fee=100 * GWEI, max_priority_fee=50 * GWEI, min_priority_fee=2 * GWEI)
JOB = Job(Purpose.TRIP, TARGET, b"\x01\x02", 100_000)
SETTLE = Job(Purpose.SETTLE, TARGET, b"\x01\x02", 100_000)


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "journal.sqlite", chain_id=1, vault=VAULT) as journal:
        yield journal


@pytest.fixture
def start(chain, journal, role):
    """Start a submitter on the journal, as a process would."""

    def start(payer="keeper"):
        return Submitter(chain.node, journal, role(payer), 1, policy=POLICY, urgent_policy=URGENT, patience=3)

    return start


@pytest.fixture
def submitter(start):
    return start()


def watch(chain, submitter):
    return submitter.watch(chain.node.finalized_number())


def states(journal):
    return [row.state for row in journal.transactions()]


def test_transaction_walks_to_final(chain, journal, submitter):
    submitter.send(SETTLE, chain.node.head())
    assert states(journal) == [State.BROADCAST]

    chain.mine()
    watch(chain, submitter)
    assert states(journal) == [State.INCLUDED]

    chain.mine(2)
    watch(chain, submitter)
    assert states(journal) == [State.FINAL]
    assert journal.unresolved_transactions(submitter.account) == []


def test_transaction_is_on_disk_before_it_is_broadcast(chain, journal, submitter, monkeypatch):
    seen = []
    monkeypatch.setattr(chain.node, "send_raw", lambda raw: seen.append([row.raw for row in journal.transactions()]))

    row = submitter.send(SETTLE, chain.node.head())

    assert seen == [[row.raw]]


def test_failed_transaction_is_reverted_and_closed_when_final(chain, journal, submitter):
    chain.call("anvil_setCode", TARGET, REVERTS)
    submitter.send(SETTLE, chain.node.head())
    chain.mine()
    watch(chain, submitter)
    assert states(journal) == [State.REVERTED]

    chain.mine(2)
    watch(chain, submitter)

    assert states(journal) == [State.REVERTED]
    assert journal.unresolved_transactions(submitter.account) == []


def test_waiting_too_long_replaces_at_the_same_nonce_for_an_eighth_more(chain, journal, submitter):
    first = submitter.send(SETTLE, chain.node.head())
    chain.call("anvil_dropAllTransactions")
    chain.mine(3)

    second = submitter.push(first, SETTLE, chain.node.head())

    assert second.account_nonce == first.account_nonce
    assert second.max_fee * 1000 >= first.max_fee * 1125
    assert second.priority_fee * 1000 >= first.priority_fee * 1125
    assert chain.waiting() == [second.hash]


def test_transaction_that_was_replaced_is_closed_once_its_rival_is_final(chain, journal, submitter):
    first = submitter.send(SETTLE, chain.node.head())
    second = submitter.send(SETTLE, chain.node.head())
    chain.mine()
    watch(chain, submitter)
    assert states(journal) == [State.BROADCAST, State.INCLUDED]

    chain.mine(2)
    watch(chain, submitter)

    assert journal.transaction(first.id).state is State.REPLACED
    assert journal.transaction(second.id).state is State.FINAL


def test_replacement_never_exceeds_the_ceiling(chain, journal, submitter):
    row = submitter.send(SETTLE, chain.node.head())
    while (higher := submitter.send(SETTLE, chain.node.head())) is not None:
        row = higher

    assert row.max_fee <= POLICY.max_fee
    assert row.priority_fee <= POLICY.max_priority_fee
    assert row.priority_fee * 113 > POLICY.max_priority_fee * 100 or row.max_fee * 113 > POLICY.max_fee * 100


def test_nothing_is_sent_while_the_base_fee_is_above_the_ceiling(chain, journal, submitter):
    chain.call("anvil_setNextBlockBaseFeePerGas", hex(60 * GWEI))
    chain.mine()

    assert submitter.send(SETTLE, chain.node.head()) is None
    assert journal.transactions() == []


def test_what_is_urgent_is_sent_above_the_settlements_ceiling(chain, journal, submitter):
    chain.call("anvil_setNextBlockBaseFeePerGas", hex(60 * GWEI))
    chain.mine()

    assert submitter.send(JOB, chain.node.head()) is not None


def test_void_takes_the_nonce_of_what_waits(chain, journal, submitter):
    first = submitter.send(SETTLE, chain.node.head())
    void = submitter.send(submitter.void_job, chain.node.head())
    chain.mine()
    watch(chain, submitter)

    assert void.account_nonce == first.account_nonce
    assert journal.transaction(void.id).state is State.INCLUDED
    assert chain.node.receipt(first.hash) is None


def test_block_lost_in_a_reorganisation_sends_it_back_to_broadcast_and_out_again(chain, journal, submitter):
    row = submitter.send(SETTLE, chain.node.head())
    before = chain.call("evm_snapshot")
    chain.mine()
    watch(chain, submitter)
    assert states(journal) == [State.INCLUDED]

    chain.call("evm_revert", before)
    chain.call("anvil_dropAllTransactions")
    chain.call("evm_setNextBlockTimestamp", chain.node.head().timestamp + 100)
    chain.mine()
    watch(chain, submitter)
    assert states(journal) == [State.BROADCAST]

    submitter.push(journal.transaction(row.id), SETTLE, chain.node.head())
    chain.mine()
    watch(chain, submitter)
    assert states(journal) == [State.INCLUDED]


def test_node_that_restarted_empty_gets_the_transaction_again(chain, journal, submitter):
    row = submitter.send(SETTLE, chain.node.head())
    chain.call("anvil_dropAllTransactions")

    submitter.push(row, SETTLE, chain.node.head())

    assert chain.waiting() == [row.hash]


def test_process_that_died_before_broadcasting_sends_the_same_transaction(
    chain, journal, start, submitter, monkeypatch
):
    def die(_raw):
        raise KeyboardInterrupt

    head = chain.node.head()
    with monkeypatch.context() as patch:
        patch.setattr(chain.node, "send_raw", die)
        with pytest.raises(KeyboardInterrupt):
            submitter.send(SETTLE, head)

    reborn = start()
    row = reborn.in_flight()
    reborn.push(row, SETTLE, chain.node.head())

    assert chain.waiting() == [row.hash]
    assert len(journal.transactions()) == 1


def test_process_that_died_before_noting_the_broadcast_finds_it_on_the_chain(chain, journal, start, submitter):
    submitter.prepare(SETTLE, chain.node.head())
    chain.node.send_raw(journal.transactions()[0].raw)
    chain.mine()

    reborn = start()
    watch(chain, reborn)

    assert states(journal) == [State.INCLUDED]
    assert reborn.in_flight() is None


def test_account_nonce_used_by_a_stranger_closes_the_transaction_when_final(chain, journal, role, submitter):
    row = submitter.send(SETTLE, chain.node.head())
    chain.call("anvil_dropAllTransactions")
    stranger = role("keeper").sign_transaction(
        {
            "type": 2,
            "chainId": 1,
            "nonce": row.account_nonce,
            "to": VAULT,
            "value": 1,
            "gas": 50_000,
            "maxFeePerGas": 10 * GWEI,
            "maxPriorityFeePerGas": GWEI,
        }
    )
    chain.node.send_raw(stranger.raw)
    chain.mine()
    watch(chain, submitter)
    assert submitter.in_flight() is None

    chain.mine(3)
    watch(chain, submitter)

    assert states(journal) == [State.REPLACED]


def test_account_without_ether_keeps_its_transaction_in_the_journal(chain, start):
    poor = start("attacker")

    row = poor.send(SETTLE, chain.node.head())

    assert row.state is State.BROADCAST
    assert poor.in_flight().id == row.id


def test_transaction_that_is_stuck_and_not_in_the_journal_is_replaced(chain, journal, role, submitter):
    stuck = role("keeper").sign_transaction(
        {
            "type": 2, "chainId": 1, "nonce": 0, "to": TARGET, "value": 0, "data": "0x", "gas": 21_000,
            "maxFeePerGas": 7 * GWEI, "maxPriorityFeePerGas": 3 * GWEI,
        }
    )  # fmt: skip
    chain.node.send_raw(stuck.raw)

    row = submitter.send(SETTLE, chain.node.head())

    assert chain.waiting() == [row.hash]
    assert row.account_nonce == 0
    assert (row.max_fee * 8, row.priority_fee * 8) >= (7 * GWEI * 9, 3 * GWEI * 9)
    chain.mine()
    watch(chain, submitter)
    assert states(journal) == [State.INCLUDED]


def test_stuck_transaction_above_the_ceiling_is_left_and_nothing_sent(chain, journal, role, submitter):
    stuck = role("keeper").sign_transaction(
        {
            "type": 2, "chainId": 1, "nonce": 0, "to": TARGET, "value": 0, "data": "0x", "gas": 21_000,
            "maxFeePerGas": 60 * GWEI, "maxPriorityFeePerGas": 3 * GWEI,
        }
    )  # fmt: skip
    chain.node.send_raw(stuck.raw)

    assert submitter.send(SETTLE, chain.node.head()) is None
    assert chain.waiting() == [stuck.hash]
