# SPDX-License-Identifier: Apache-2.0
"""The keeper: watches a vault, plans, signs and settles.

Every new block it first learns what became of what it sent, then guards the breaker,
then looks after what waits to be mined. When the mandate's interval has passed on the
chain's clock and nothing is under way it decides anew:

    snapshot -> forecast -> plan -> order -> simulate -> sign -> journal -> send

and the blocks that follow do the rest: watch, replace, reconcile. All state is in the
journal and on the chain, so that a keeper that dies goes on where it stopped.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog
from eth_utils.address import to_checksum_address

from offchain.errors import PlimsollError
from offchain.keeper.breaker_watch import BreakerWatch, find_alarms
from offchain.keeper.checks import check_before_start, check_fresh, check_same_chain, check_sources
from offchain.keeper.dispatch import Dispatch, Expected
from offchain.keeper.health import Health
from offchain.keeper.history_chunks import decode_history, encode_history
from offchain.keeper.journal import Journal, JournalError
from offchain.keeper.life_signs import LifeSigns
from offchain.keeper.limits_watch import LimitsWatch
from offchain.keeper.loan_watch import LoanWatch
from offchain.keeper.pipeline import deliberate, plan_to_json, volatility
from offchain.keeper.records import Decision
from offchain.keeper.reorganisation import Ancestry, NodeBehind
from offchain.keeper.report import TickReport
from offchain.keeper.submitter import Submitter
from offchain.keeper.tracing import span
from offchain.keeper.triggers import TriggerWatch
from offchain.mandate import Mandate, tighter_limits
from offchain.market import codec
from offchain.market.heads import HeadWatch
from offchain.market.history import HistoryReader, PriceHistory
from offchain.market.lending import discover_lending
from offchain.market.mirror import SnapshotMirror
from offchain.market.pools import discover_pools
from offchain.market.reader import read_snapshot
from offchain.market.rpc import NodeClient, NodeError
from offchain.market.snapshot import Block, Snapshot
from offchain.settle.accounts import TransactionSigner
from offchain.settle.compile import compile_order, gwei
from offchain.settle.development import is_sandbox
from offchain.settle.fees import FeePolicy
from offchain.settle.local_simulation import LocalSimulator
from offchain.settle.node import Node
from offchain.settle.reconcile import compare, loss_bps
from offchain.settle.relay import Relay
from offchain.settle.signing import OrderSigner

if TYPE_CHECKING:
    from offchain.allocate.plan import Plan

MINUTE = 60
LOAN_SECONDS = MINUTE
"""Between two decisions while a lending account's health factor is below what a plan lets be."""
DAY = 86_400
_LONGEST_BACKOFF = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeeperSettings:
    """What is the operator's to choose, not the mandate's."""

    poll_seconds: float = 1.0
    """Between two looks at the head."""
    max_head_age: float | None = 180.0
    """Seconds after which the chain counts as standing still; not applied on a sandbox, whose clock is its own."""
    patience: int = 3
    """Blocks before a waiting transaction is replaced."""
    urgency: int = 4
    """How many times a settlement's fee ceilings a trip may pay."""
    keep_days: float | None = 90.0
    """Chain time after which what is final leaves the journal; `None` keeps everything."""
    max_divergence_bps: float = 500.0
    """Furthest that the pools may be from the oracle, beyond the error granted to the feed."""
    full_snapshots: bool = False
    """Whether every snapshot is read in full, instead of carrying the pools on by their events."""
    simulate_here: bool = False
    """Whether orders are tried in this process first, which pays where the node is far away; see `LocalSimulator`."""


class Keeper:
    """One vault's keeper. Construction checks everything and sends nothing.

    Parameters
    ----------
    client
        Node to read from and send to.
    vault
        Address of the vault.
    mandate
        The file the vault was deployed from.
    payer
        Pays for gas.
    signer
        Signs orders; the vault must know it.
    journal
        Opened for this vault and chain.
    pause
        Called while waiting for a block; by default sleeps `KeeperSettings.poll_seconds`.
    history_reader
        Where past prices come from; by default the feeds, cached.
    relay
        Gets settlements before the public mempool does.
    announced_by
        ``ws(s)://`` of a node that announces its blocks, so that pauses end with the next one.

    Raises
    ------
    PlimsollError
        See `check_before_start`.
    """

    def __init__(
        self,
        client: NodeClient,
        vault: str,
        mandate: Mandate,
        *,
        payer: TransactionSigner,
        signer: OrderSigner,
        journal: Journal,
        settings: KeeperSettings | None = None,
        pause: Callable[[], object] | None = None,
        history_reader: HistoryReader | None = None,
        relay: Relay | None = None,
        announced_by: str = "",
    ) -> None:
        self.settings = settings or KeeperSettings()
        self.vault = to_checksum_address(vault)
        self.mandate = mandate
        self.journal = journal
        self.stopping = threading.Event()
        self.health = Health()
        self._client = client
        self._node = Node(client)
        identity = check_before_start(self._node, self.vault, mandate, signer=signer.address, payer=payer.address)
        submitter = Submitter(
            self._node,
            journal,
            payer,
            mandate.chain_id,
            policy=_fee_policy(mandate, 1),
            urgent_policy=_fee_policy(mandate, self.settings.urgency),
            patience=self.settings.patience,
            relay=relay,
        )
        alarms = find_alarms(self._node, identity.mandate_contract, mandate.vault_limits)
        breaker = BreakerWatch(self._node, submitter, identity.mandate_contract, alarms)
        self._lending = discover_lending(client, mandate)
        self._loan = None
        if self._lending is not None:
            self._loan = LoanWatch(self._node, submitter, self.vault, mandate, self._lending)
        life = LifeSigns(
            self._node,
            journal,
            submitter,
            signer,
            chain_id=mandate.chain_id,
            mandate_contract=identity.mandate_contract,
            limits=mandate.vault_limits,
        )
        self._limits = LimitsWatch(self._node, identity.mandate_contract, (breaker.obey, life.obey))
        simulator = None
        if self.settings.simulate_here:
            simulator = LocalSimulator(self._node, self.vault, mandate.chain_id)
        self._dispatch = Dispatch(
            self._node, journal, submitter, breaker, signer, identity.domain, self._loan, life, simulator
        )
        self._pools = discover_pools(client, mandate)
        self._mirror = SnapshotMirror(client, self.vault, mandate, self._pools, self._lending)
        self._history = history_reader or HistoryReader(client, mandate)
        self._heads = HeadWatch(announced_by, self.stopping) if announced_by else None
        self._pause = pause or self._wait_for_block
        self._max_head_age = None if is_sandbox(self._node) else self.settings.max_head_age
        self._ancestry = Ancestry(self._node)
        self._triggers = TriggerWatch(mandate.execution.triggers, self._volatility)
        self._mandate_json = mandate.model_dump_json()
        self._last_problem = ""
        self._pruned_day = -1

    def recover(self) -> None:
        """Bring the journal up to date with the chain; comes before everything else.

        Raises
        ------
        KeeperRefusal
            The journal was written on another chain, or the node has not reached what it has seen.
        """
        head = self._node.head()
        check_same_chain(self._node, head, self.journal)
        self._dispatch.recover()
        self._remember_decision()
        self.on_block(head)
        self.health.recovered = True
        self.health.saw(head)
        open_orders = len(self.journal.open_orders())
        log.info("started", vault=self.vault, node=self._client.url, pools=len(self._pools), open_orders=open_orders)

    def _remember_decision(self) -> None:
        """Measure triggers against the last decision in the journal, where it is one with a plan."""
        last = self.journal.last_tick() if self.mandate.execution.triggers.any else None
        if last is None or last.plan is None:
            return
        plan = json.loads(last.plan)
        wanted = plan["weights_after"] if plan["legs"] else plan["weights_before"]
        snapshot = codec.from_json(last.snapshot)
        found = volatility(wanted, snapshot, decode_history(last.history), self.mandate)
        self._triggers.decided(snapshot, wanted, found)

    def run(self, report: Callable[[TickReport], None] = lambda report: None) -> None:
        """Follow the chain until `stopping` is set; `report` is called after every decision.

        A node or a journal that fails is tried again, with growing pauses: whatever was to be
        done was journaled first, or was not done.
        """
        self.recover()
        backoff = self.settings.poll_seconds
        seen = ""
        while not self.stopping.is_set():
            self.health.turn()
            try:
                self.journal.renew()
                head = self._head()
                if head.hash != seen:
                    self.on_block(head)
                    if self.due(head) or self.triggered(head):
                        report(self.decide(head))
                    self._mirror.follow(head)
                    seen = head.hash
                self.health.saw(head)
            except (NodeError, JournalError) as error:
                kind = "journal" if isinstance(error, JournalError) else "node"
                self.health.failed(kind, str(error))
                log.warning(f"{kind} failed", error=str(error), again_in=backoff)
                self.stopping.wait(backoff)
                backoff = min(2 * backoff, _LONGEST_BACKOFF)
            else:
                backoff = self.settings.poll_seconds
                self._pause()
        log.info("stopped", vault=self.vault)

    def tick(self) -> TickReport:
        """Finish what is under way, decide now, and follow what was sent until its fate is known."""
        head = self.settle_down()
        if self.stopping.is_set():
            return TickReport(Decision.HOLD, "stopped before it could decide", head.number)
        return self.follow(self.decide(head))

    def due(self, head: Block) -> bool:
        """Whether nothing is under way, and a new interval has begun on the chain's clock or the last tick was cut off.

        A tick is cut off when its order was never signed, see `Journal.left_unsigned`. While the health factor of
        a lending account has slipped, the interval is `LOAN_SECONDS`.
        """
        interval = self.mandate.execution.interval_minutes * MINUTE
        last = self.journal.last_tick_block()
        begun = last is None or head.timestamp // interval > last.timestamp // interval
        if not begun and last is not None and self._loan is not None and self._loan.slipped(head):
            begun = head.timestamp - last.timestamp >= LOAN_SECONDS
        return (begun or self.journal.left_unsigned(head.number)) and self._dispatch.idle(head)

    def triggered(self, head: Block) -> bool:
        """Whether nothing is under way, and one of the mandate's triggers is a reason to decide before its time.

        A block at which that cannot be judged is none.
        """
        if not self._triggers.ready or not self._dispatch.idle(head):
            return False
        try:
            check_fresh(head, self._max_head_age)
            why = self._triggers.fired(self._read(head))
        except NodeError:
            raise
        except PlimsollError as problem:
            self._tell_once(str(problem), head.number)
            return False
        if why:
            log.info("triggered", why=why, block=head.number)
        return bool(why)

    def on_block(self, head: Block) -> None:
        """Do for a new block all that is not deciding."""
        self._ancestry.observe(head)
        self._limits.look()
        self._dispatch.on_block(head)

    def settle_down(self) -> Block:
        """Follow the chain until nothing is under way, or `stopping` is set; returns the head then."""
        seen, idle = "", False
        while not self.stopping.is_set():
            head = self._head()
            if head.hash != seen:
                self.on_block(head)
                seen, idle = head.hash, self._dispatch.idle(head)
            elif idle:
                # Still the block that everything was looked up at, so nothing was mined meanwhile.
                return head
            else:
                self._pause()
        return self._node.head()

    def decide(self, head: Block) -> TickReport:
        """Plan at the newest block and send what the plan wants, without waiting for it.

        Whatever makes planning impossible is a refusal, not an error; only a node that
        fails raises.
        """
        began = time.perf_counter()
        with span("tick", block=head.number, vault=self.vault):
            report = self._decide(head)
        self._prune(head)
        self.health.ticked(time.perf_counter() - began)
        return report

    def _decide(self, head: Block) -> TickReport:
        self._dispatch.recover()
        try:
            check_fresh(head, self._max_head_age)
            with span("snapshot"):
                snapshot = self._read(head)
                check_sources(self._client, snapshot, self.mandate, self.settings.max_divergence_bps)
            with span("history"):
                history = self._history.read(snapshot.block)
        except NodeError:
            raise
        except PlimsollError as problem:
            # Nothing worth recording was read; the next block tries again.
            self._tell_once(str(problem), head.number)
            return TickReport(Decision.REFUSE, str(problem), head.number)
        return self._act(snapshot, history)

    def _read(self, head: Block) -> Snapshot:
        """The snapshot at a head just seen, or at a newer one."""
        if not self.settings.full_snapshots:
            return self._mirror.read(head)
        return read_snapshot(self._client, self.vault, self.mandate, self._pools, lending=self._lending)

    def _volatility(self, snapshot: Snapshot, weights: Sequence[float]) -> float:
        return volatility(weights, snapshot, self._history.read(snapshot.block), self.mandate)

    def _head(self) -> Block:
        """The newest block, of the mandate's chain and not of a node that fell behind."""
        head = self._node.head_of(self.mandate.chain_id)
        if self._client.leave_if_behind(head.number, self.mandate.chain_id):
            log.warning("node lags", block=head.number, now=self._client.url)
            head = self._node.head_of(self.mandate.chain_id)
        try:
            self._ancestry.refuse_behind(head, self._client.url)
        except NodeBehind:
            self._client.give_up()
            raise
        return head

    def _wait_for_block(self) -> None:
        if self._heads is None:
            self.stopping.wait(self.settings.poll_seconds)
        else:
            self._heads.wait(self.settings.poll_seconds)

    def follow(self, report: TickReport) -> TickReport:
        """Wait until nothing is under way and complete a report with what became of its order."""
        if report.order is None:
            return report
        self.settle_down()
        order = self.journal.order(report.order.id)
        if order.settlement is None or report.plan is None:
            return replace(report, order=order)
        snapshot = codec.from_json(self.journal.tick(order.tick).snapshot)
        outcome = compare(report.plan, snapshot.value, order.settlement)
        return replace(report, order=order, settlement=order.settlement, outcome=outcome)

    def _act(self, snapshot: Snapshot, history: PriceHistory) -> TickReport:
        number = snapshot.block.number
        plan = None
        try:
            tighter_limits(self.mandate, snapshot.vault.limits)
            self._dispatch.expect_order(snapshot.block)
            with span("plan"):
                plan = deliberate(snapshot, history, self.mandate)
        except PlimsollError as problem:
            decision, reason = Decision.REFUSE, str(problem)
            self._tell_once(reason, number)
        else:
            decision = Decision.SETTLE if plan.trades else Decision.HOLD
            reason = f"{plan.reason}: {plan.note}" if plan.note else str(plan.reason)
            self._last_problem = ""
            self._triggers.decided(snapshot, _wanted(plan))
            log.info("decided", decision=decision, reason=reason, block=number, legs=len(plan.legs))
        with span("record"):
            tick = self.journal.record_tick(
                block_number=number,
                block_hash=snapshot.block.hash,
                block_timestamp=snapshot.block.timestamp,
                mandate=self._mandate_json,
                snapshot=codec.to_json(snapshot),
                history=encode_history(history),
                plan=None if plan is None else plan_to_json(plan),
                decision=decision,
                reason=reason,
            )
        if plan is None or not plan.trades:
            return TickReport(decision, reason, number, tick, plan)
        with span("order", legs=len(plan.legs)):
            expected = Expected(loss_bps(snapshot.value, plan.value_after), self.mandate.execution.slippage_bps)
            order = self._dispatch.place(tick, compile_order(plan, snapshot, self.mandate), snapshot.block, expected)
        return TickReport(decision, reason, number, tick, plan, order)

    def _prune(self, block: Block) -> None:
        """Once a day of the chain's clock, forget what is older than the operator wants kept."""
        day = block.timestamp // DAY
        if self.settings.keep_days is None or day == self._pruned_day:
            return
        self._pruned_day = day
        forgotten = self.journal.prune(block.timestamp - int(self.settings.keep_days * DAY))
        if forgotten:
            log.info("pruned", ticks=forgotten, older_than_days=self.settings.keep_days)

    def _tell_once(self, problem: str, block: int) -> None:
        if problem != self._last_problem:
            log.warning("refused to plan", why=problem, block=block)
        self._last_problem = problem


def _wanted(plan: Plan) -> tuple[float, ...]:
    """Weights that a plan leaves: drift is what comes after it, not what it found not worth trading."""
    return plan.weights_after if plan.trades else plan.weights_before


def _fee_policy(mandate: Mandate, times: int) -> FeePolicy:
    execution = mandate.execution
    return FeePolicy(
        max_base_fee=gwei(execution.max_base_fee_gwei) * times,
        max_priority_fee=gwei(execution.max_priority_fee_gwei) * times,
    )
