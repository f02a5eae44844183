# SPDX-License-Identifier: Apache-2.0
"""From an order to a mined transaction: simulate, sign, journal, send, look after.

Every step is journaled before it is taken, so that `Dispatch` can be thrown away at
any point and a new one goes on from the journal.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from offchain.keeper.breaker_watch import BreakerWatch
from offchain.keeper.journal import Journal
from offchain.keeper.life_signs import LifeSigns
from offchain.keeper.loan_watch import LoanWatch
from offchain.keeper.orders import OrderWatch
from offchain.keeper.records import OrderRecord, Purpose, TransactionRecord
from offchain.keeper.states import State
from offchain.keeper.submitter import Job, Submitter
from offchain.keeper.tracing import span
from offchain.market.snapshot import Block
from offchain.settle.calls import SettledEvent, encode_signed
from offchain.settle.local_simulation import LocalSimulator
from offchain.settle.node import Node
from offchain.settle.order import Order
from offchain.settle.reconcile import loss_bps
from offchain.settle.signing import Domain, OrderSigner, order_digest, sign_order
from offchain.settle.simulation import SimulationResult, simulate_order, simulate_signed

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a plan expects of its order."""

    loss_bps: float
    """Value given up to fees and price impact, of the value before, at oracle prices."""
    tolerance_bps: float

    def agrees(self, event: SettledEvent) -> bool:
        """Whether a settlement loses what was planned, give or take the tolerance."""
        return abs(loss_bps(event.value_before, event.value_after) - self.loss_bps) <= self.tolerance_bps

    def difference(self, event: SettledEvent) -> str:
        """The same in words."""
        found = loss_bps(event.value_before, event.value_after)
        return f"it loses {found:.2f} bps and {self.loss_bps:.2f} were planned, {self.tolerance_bps:g} apart is allowed"


class Dispatch:
    """Carries one vault's orders to the chain, one at a time.

    Parameters
    ----------
    domain
        What signatures are bound to.
    loan
        Watches the lending account of a vault that has one.
    simulator
        Tries orders in this process where it can; the node does otherwise.
    """

    def __init__(
        self,
        node: Node,
        journal: Journal,
        submitter: Submitter,
        breaker: BreakerWatch,
        signer: OrderSigner,
        domain: Domain,
        loan: LoanWatch | None = None,
        life: LifeSigns | None = None,
        simulator: LocalSimulator | None = None,
    ) -> None:
        self._node = node
        self._journal = journal
        self._submitter = submitter
        self._breaker = breaker
        self._loan = loan
        self._life = life
        self._simulator = simulator
        self._signer = signer
        self._domain = domain
        self._orders = OrderWatch(node, journal, domain.vault)

    def recover(self) -> None:
        """Give up what a process that died never signed; all the rest `on_block` asks the chain about."""
        self._orders.drop_unsigned()

    def idle(self, head: Block) -> bool:
        """Whether nothing waits to be mined and no signed order can still settle."""
        return self._submitter.in_flight() is None and self._orders.pending(head.number) is None

    def on_block(self, head: Block) -> None:
        """Learn what became of everything sent, guard the breaker, look after what waits."""
        finalized = self._node.finalized_number()
        for row in self._submitter.watch(finalized):
            self._note_failure(row)
        self._orders.watch(finalized)
        waiting = self._submitter.in_flight()
        if self._breaker.guard(head, waiting) is not None or self._deleverages(head, waiting):
            return
        if self._breaker.record(head, waiting) is None and not self._shows_life(waiting, head):
            self._look_after(waiting, head)

    def _shows_life(self, waiting: TransactionRecord | None, head: Block) -> bool:
        """Whether a sign of life took this block's turn; an order that can still settle goes first."""
        if self._life is None or (waiting is None and self._orders.pending(head.number) is not None):
            return False
        return self._life.show(head, waiting)

    def _deleverages(self, head: Block, waiting: TransactionRecord | None) -> bool:
        return self._loan is not None and self._loan.guard(head, waiting) is not None

    def expect_order(self, block: Block) -> None:
        """Begin to get ready for an order that is being planned at a block."""
        if self._simulator is not None:
            self._simulator.fetch(block)

    def place(self, tick: int, order: Order, head: Block, expected: Expected | None = None) -> OrderRecord:
        """Simulate, sign and send an order.

        Parameters
        ----------
        expected
            What the plan says of it; a simulation that says otherwise is a refusal.

        Returns
        -------
        OrderRecord
            BROADCAST, or SIGNED while fees are above the ceiling, or REVERTED when the
            simulation failed, with the reason as `detail`; then nothing was signed.
        """
        digest = "0x" + order_digest(order, self._domain).hex()
        signer, sender = self._signer.address, self._submitter.account
        row = self._journal.plan_order(tick, order, digest, signer, head.number)
        with span("simulate"):
            trial = self._simulate(order, signer, sender)
        problem = f"in simulation: {trial.reason}"
        if trial.event is not None and trial.event.digest != digest:
            problem = f"the vault hashes it to {trial.event.digest}; is it another version?"
        elif trial.event is not None and expected is not None and not expected.agrees(trial.event):
            problem = f"in simulation: {expected.difference(trial.event)}"
        elif trial.succeeds:
            row = self._journal.advance_order(row.id, State.SIMULATED, f"{trial.gas_used} gas")
            with span("sign"):
                row = self._journal.sign_order(row.id, sign_order(order, self._domain, self._signer))
            with span("send"):
                row = self._relay(row, trial.gas_limit, head)
            if self._simulator is not None:
                self._simulator.learn(row.signed(self._domain.vault, self._domain.chain_id), sender)
            return row
        log.warning("order not signed", order=digest, why=problem)
        return self._journal.advance_order(row.id, State.REVERTED, problem)

    def _simulate(self, order: Order, signer: str, sender: str) -> SimulationResult:
        trial = None if self._simulator is None else self._simulator.simulate(order, signer, sender=sender)
        return trial or simulate_order(self._node, self._domain.vault, order, signer, sender=sender)

    def _relay(self, order: OrderRecord, gas_limit: int, head: Block) -> OrderRecord:
        """Send a signed order; above the fee ceiling it waits for a later block."""
        transaction = self._submitter.prepare(self._job(order, gas_limit), head)
        if transaction is None:
            return order
        order = self._mark_broadcast(order)
        self._submitter.broadcast(transaction)
        return order

    def _look_after(self, waiting: TransactionRecord | None, head: Block) -> None:
        """Keep moving what should be mined, and stop what should not."""
        order = self._orders.pending(head.number)
        if order is not None:
            signed = order.signed(self._domain.vault, self._domain.chain_id)
            trial = simulate_signed(self._node, signed, sender=self._submitter.account)
            if not trial.succeeds:
                log.warning("order would fail now", order=order.digest, why=trial.reason)
                self._journal.advance_order(order.id, State.REVERTED, f"would fail: {trial.reason}")
            elif waiting is None:
                self._relay(order, trial.gas_limit, head)
                return
            elif waiting.order == order.id:
                self._mark_broadcast(order)
                self._submitter.push(waiting, self._job(order, trial.gas_limit), head)
                return
        if waiting is not None:
            self._stop(waiting, head)

    def _stop(self, waiting: TransactionRecord, head: Block) -> None:
        """Put a transfer of nothing in the place of a transaction that would fail."""
        void = self._submitter.void_job
        if waiting.purpose is Purpose.VOID:
            self._submitter.push(waiting, void, head)
            return
        log.info("voiding", transaction=waiting.hash, purpose=waiting.purpose)
        self._submitter.send(void, head)

    def _note_failure(self, row: TransactionRecord) -> None:
        if row.state is not State.REVERTED or row.order is None:
            return
        order = self._journal.order(row.order)
        log.warning("settlement failed", order=order.digest, transaction=row.hash, block=row.block_number)
        if order.state is State.BROADCAST:
            self._journal.advance_order(order.id, State.REVERTED, f"transaction {row.hash} failed")

    def _mark_broadcast(self, order: OrderRecord) -> OrderRecord:
        return self._journal.advance_order(order.id, State.BROADCAST) if order.state is State.SIGNED else order

    def _job(self, order: OrderRecord, gas_limit: int) -> Job:
        calldata = encode_signed(order.signed(self._domain.vault, self._domain.chain_id))
        return Job(Purpose.SETTLE, self._domain.vault, calldata, gas_limit, order.id)
