# SPDX-License-Identifier: Apache-2.0
import pytest
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from offchain.keeper.records import Purpose
from offchain.keeper.states import State
from offchain.settle.calls import order_values
from offchain.settle.local_simulation import LocalSimulator
from offchain.settle.simulation import simulate_order
from tests.support.vaults import send_as

FINALITY = 2
GWEI = 10**9


@pytest.fixture
def journal(stage):
    with stage.journal() as journal:
        yield journal


@pytest.fixture
def dispatch(stage, journal):
    return stage.dispatch(journal)


def waiting(stage):
    return stage.sandbox.rpc.call("eth_getBlockByNumber", "pending", False)["transactions"]


def test_order_is_settled_and_reconciled_with_the_vaults_event(stage, journal, dispatch):
    row = stage.place(dispatch, journal)
    assert row.state is State.BROADCAST

    stage.step(dispatch)

    row = journal.order(row.id)
    assert (row.state, stage.nonce, stage.settled()) == (State.INCLUDED, 1, 1)
    assert row.settlement.amounts_in == (100_000 * 10**6,)
    assert row.settlement.amounts_out[0] == stage.vault.vault.functions.holdings().call()[1]
    assert row.settlement.value_after == stage.vault.vault.functions.value().call()


def test_settlement_and_what_replaces_it_declare_what_they_touch(stage, journal, dispatch):
    stage.place(dispatch, journal)
    first = journal.transactions()[-1]
    stage.sandbox.rpc.call("anvil_dropTransaction", first.hash)
    # The node's own pool is empty, so that the blocks pass without it.
    for _ in range(3):
        stage.mine()
    dispatch.on_block(stage.node.head())
    second = journal.transactions()[-1]

    assert second.account_nonce == first.account_nonce
    assert second.hash != first.hash
    for row in (first, second):
        fields = TypedTransaction.from_bytes(HexBytes(row.raw)).as_dict()
        assert len(fields["accessList"]) > 10


def test_order_is_final_when_its_block_is(stage, journal, dispatch):
    row = stage.place(dispatch, journal)
    stage.step(dispatch)
    stage.step(dispatch, FINALITY)

    assert journal.order(row.id).state is State.FINAL
    assert [one.state for one in journal.transactions()] == [State.FINAL]
    assert dispatch.idle(stage.node.head())


def test_order_that_fails_in_simulation_is_never_signed(stage, journal, dispatch):
    row = stage.place(dispatch, journal, stage.buy_weth(min_amount_out=10**30))

    assert row.state is State.REVERTED
    assert "orders: amount out below minimum" in row.detail
    assert row.signature is None
    assert journal.transactions() == []


def test_signature_does_not_leave_the_process_before_the_journal_has_it(stage, journal, dispatch, monkeypatch):
    seen = []
    call = stage.node.client.call

    def spy(method, *params):
        stored = [row.signature for row in journal.orders() if row.signature]
        seen.append((method, stored, str(params)))
        return call(method, *params)

    monkeypatch.setattr(stage.node.client, "call", spy)
    row = stage.place(dispatch, journal)

    signature = row.signature[2:]
    assert all(stored for _, stored, params in seen if signature in params)
    assert any(signature in params for _, _, params in seen)


def test_order_that_would_fail_now_is_voided_and_the_vault_nonce_stays_free(stage, journal, dispatch):
    row = stage.place(dispatch, journal)
    stage.sandbox.rpc.call("anvil_dropAllTransactions")
    remove_signer(stage)
    stage.step(dispatch, 0)

    assert journal.order(row.id).state is State.REVERTED
    assert "orders: unauthorised signer" in journal.order(row.id).detail
    assert [one.purpose for one in journal.transactions()] == [Purpose.SETTLE, Purpose.VOID]
    stage.step(dispatch)
    assert stage.nonce == 0
    assert dispatch.idle(stage.node.head())


def test_order_cancelled_on_chain_is_closed_once_that_is_final(stage, journal, dispatch):
    row = stage.place(dispatch, journal)
    stage.sandbox.rpc.call("anvil_dropAllTransactions")
    sent_at_once(stage, "guardian", stage.vault.vault.functions.cancel(0))
    dispatch.on_block(stage.node.head())
    stage.step(dispatch)
    assert dispatch.idle(stage.node.head())

    stage.step(dispatch, FINALITY + 1)

    assert journal.order(row.id).state is State.CANCELLED
    assert stage.settled() == 0


def test_order_relayed_by_somebody_else_is_ours_all_the_same(stage, journal, dispatch):
    row = stage.place(dispatch, journal)
    stage.sandbox.rpc.call("anvil_dropAllTransactions")
    relay(stage, journal, row, "attacker")

    dispatch.on_block(stage.node.head())

    row = journal.order(row.id)
    assert row.state is State.INCLUDED
    assert row.settlement.transaction not in [one.hash for one in journal.transactions()]
    assert stage.settled() == 1


def test_our_own_transaction_is_voided_when_a_stranger_relayed_first(stage, journal, dispatch):
    row = stage.place(dispatch, journal)
    stage.sandbox.rpc.call("anvil_dropAllTransactions")
    relay(stage, journal, row, "attacker")
    dispatch.on_block(stage.node.head())
    stage.step(dispatch)

    assert [one.purpose for one in journal.transactions()] == [Purpose.SETTLE, Purpose.VOID]
    assert dispatch.idle(stage.node.head())


def test_order_expires_only_when_a_final_block_has_passed_its_deadline(stage, journal, dispatch):
    row = stage.place(dispatch, journal, stage.buy_weth(deadline=3))
    stage.sandbox.rpc.call("anvil_dropAllTransactions")
    stage.sandbox.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(1000 * GWEI))
    stage.mine(4)
    dispatch.on_block(stage.node.head())
    assert dispatch.idle(stage.node.head()) is False
    assert journal.order(row.id).state is State.BROADCAST

    stage.step(dispatch, FINALITY)

    assert journal.order(row.id).state is State.EXPIRED
    assert stage.nonce == 0


def test_new_order_takes_the_same_nonce_and_closes_the_one_it_replaced(stage, journal, dispatch):
    old = stage.place(dispatch, journal, stage.buy_weth(deadline=2))
    stage.sandbox.rpc.call("anvil_dropAllTransactions")
    stage.mine(3)
    new = stage.place(dispatch, journal, stage.buy_weth(dollars=50_000))
    stage.step(dispatch)
    stage.step(dispatch, FINALITY + 1)

    assert old.order.nonce == new.order.nonce
    assert journal.order(new.id).state is State.FINAL
    assert journal.order(old.id).state in (State.REPLACED, State.EXPIRED)
    assert stage.settled() == 1


def test_settlement_lost_in_a_reorganisation_is_settled_again_and_once(stage, journal, dispatch):
    row = stage.place(dispatch, journal)
    mark = stage.sandbox.rpc.call("evm_snapshot")
    stage.step(dispatch)
    assert journal.order(row.id).state is State.INCLUDED

    stage.sandbox.rpc.call("evm_revert", mark)
    stage.sandbox.rpc.call("anvil_dropAllTransactions")
    stage.sandbox.rpc.call("evm_increaseTime", 100)
    stage.step(dispatch)
    assert journal.order(row.id).state is State.BROADCAST
    stage.step(dispatch)

    assert journal.order(row.id).state is State.INCLUDED
    assert (stage.nonce, stage.settled()) == (1, 1)


def test_order_waits_while_the_base_fee_is_above_the_ceiling(stage, journal, dispatch):
    stage.sandbox.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(60 * GWEI))
    stage.mine()
    row = stage.place(dispatch, journal)
    assert (row.state, journal.transactions()) == (State.SIGNED, [])

    stage.sandbox.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    stage.step(dispatch)
    stage.step(dispatch)

    assert journal.order(row.id).state is State.INCLUDED


def test_breaker_is_tripped_when_its_condition_holds(stage, journal, dispatch):
    hold_weth(stage, journal, dispatch)
    halve_weth(stage)
    dispatch.on_block(stage.node.head())
    stage.step(dispatch)

    trip = journal.transactions()[-1]
    assert (trip.purpose, trip.state) == (Purpose.TRIP, State.INCLUDED)
    assert stage.vault.mandate.functions.breaker_state().call() == 1


def test_trip_takes_the_place_of_a_waiting_settlement(stage, journal, dispatch):
    hold_weth(stage, journal, dispatch)
    stage.place(dispatch, journal, stage.buy_weth(dollars=10_000))
    stage.sandbox.rpc.call("anvil_dropAllTransactions")
    halve_weth(stage)
    dispatch.on_block(stage.node.head())

    settle, trip = journal.transactions()[-2:]
    assert (settle.purpose, trip.purpose) == (Purpose.SETTLE, Purpose.TRIP)
    assert settle.account_nonce == trip.account_nonce
    assert waiting(stage) == [trip.hash]


def test_breaker_is_left_alone_when_no_condition_holds(stage, journal, dispatch):
    stage.step(dispatch)

    assert journal.transactions() == []


def hold_weth(stage, journal, dispatch):
    """Put half the vault into WETH."""
    for _ in range(5):
        stage.place(dispatch, journal)
        stage.step(dispatch)


def halve_weth(stage):
    stage.sandbox.rpc.call("evm_setAutomine", True)
    stage.sandbox.push("ETH/USD", stage.vault.oracle.functions.prices().call()[1] / 10**18 * 0.5)
    stage.sandbox.rpc.call("evm_setAutomine", False)


def remove_signer(stage):
    signer = stage.role("optimizer").address
    sent_at_once(stage, "guardian", stage.vault.mandate.functions.remove_signer(signer))


def relay(stage, journal, row, who):
    signed = row.signed(stage.vault.address, 1)
    order = order_values(signed.order)
    sent_at_once(
        stage, who, stage.vault.vault.functions.settle(order, signed.signer, bytes.fromhex(signed.signature[2:]))
    )


def sent_at_once(stage, who, function):
    stage.sandbox.rpc.call("evm_setAutomine", True)
    send_as(stage.vault.web3, who, function)
    stage.sandbox.rpc.call("evm_setAutomine", False)


def test_second_order_is_tried_without_the_node(stage, journal, monkeypatch):
    simulator = LocalSimulator(stage.node, stage.vault.address, 1)
    dispatch = stage.dispatch(journal, simulator)
    tried = []
    monkeypatch.setattr(
        "offchain.keeper.dispatch.simulate_order",
        lambda *args, **names: tried.append(args) or simulate_order(*args, **names),
    )
    for _ in range(2):
        dispatch.expect_order(stage.node.head())
        row = stage.place(dispatch, journal)
        simulator._worker.submit(lambda: None).result()
        stage.step(dispatch)
        stage.step(dispatch, FINALITY)
        assert journal.order(row.id).state is State.FINAL
    simulator.close()

    assert len(tried) == 1
    assert stage.settled() == 2
