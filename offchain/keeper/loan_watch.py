# SPDX-License-Identifier: Apache-2.0
"""The lending account between two decisions: plan at once when it slips, deleverage when the mandate allows it.

Orders come first: they sell in the pools, and the signer chooses when. ``deleverage`` is the vault's own
way out, open to anyone; the keeper takes it when orders did not keep up, and at once: what it pays grows with
the time that the low health factor is on record, and whatever it pays is the vault's loss. Where the keeper
has nothing to bring, `BreakerWatch.record` keeps that time running for those who have.
"""

from __future__ import annotations

import structlog
from eth_abi.abi import encode

from offchain.keeper.records import Purpose, TransactionRecord
from offchain.keeper.submitter import Job, Submitter
from offchain.mandate import Mandate
from offchain.mandate.venues import FIRST_LISTED
from offchain.market.errors import SnapshotError
from offchain.market.lending import LendingKey, read_lending
from offchain.market.snapshot import Block, LendingState, ReserveState
from offchain.settle.calls import ALLOWANCE, BALANCE_OF, encode_deleverage, selector
from offchain.settle.node import Node, Reverted
from offchain.settle.simulation import padded_gas

ONE = 10**18

log = structlog.get_logger(__name__)


class LoanWatch:
    """Looks at one vault's lending account every block.

    Parameters
    ----------
    key
        The account, as `offchain.market.lending.discover_lending` found it.
    """

    def __init__(self, node: Node, submitter: Submitter, vault: str, mandate: Mandate, key: LendingKey) -> None:
        self._node, self._submitter, self._vault, self._key = node, submitter, vault, key
        assert mandate.lending is not None
        self._level = mandate.repair_health(mandate.lending.target_health_factor)
        self._last_refusal = ""
        self._seen: tuple[str, LendingState] | None = None

    def slipped(self, head: Block) -> bool:
        """Whether the health factor stands below what a plan lets be, so that the interval is not waited for."""
        state = self._state(head)
        return state is not None and state.health_factor < int(self._level * ONE)

    def guard(self, head: Block, waiting: TransactionRecord | None) -> TransactionRecord | None:
        """Call ``deleverage`` if the mandate allows it, in the place of whatever waits to be mined.

        Returns
        -------
        TransactionRecord or None
            The call on its way; `None` when nothing is to be done.
        """
        state = self._state(head)
        job = self.job(state) if state is not None and self.slipped(head) else None
        if job is None or state is None:
            return None
        if waiting is not None and waiting.purpose is Purpose.DELEVERAGE:
            return self._submitter.push(waiting, job, head)
        log.warning("deleveraging", block=head.number, health=state.health_factor / ONE)
        return self._submitter.send(job, head)

    def job(self, state: LendingState) -> Job | None:
        """The transaction that deleverages: the largest debt, against the largest collateral.

        It brings what the payer has of the debt and has approved to the vault, which may be nothing: what the
        vault's own wallet has of it is used first. `None` while the vault refuses it.
        """
        debt = max(state.reserves, key=lambda one: _worth(one, one.owed))
        collateral = max(state.reserves, key=lambda one: _worth(one, one.supplied))
        amount = min(self._spendable(debt), debt.owed)
        calldata = encode_deleverage(state.venue - FIRST_LISTED, debt.asset, collateral.asset, amount)
        try:
            gas = self._node.estimate_gas(self._vault, calldata, sender=self._submitter.account)
        except Reverted as refusal:
            if refusal.reason != self._last_refusal:
                log.info("not deleveraging", why=refusal.reason)
            self._last_refusal = refusal.reason
            return None
        return Job(Purpose.DELEVERAGE, self._vault, calldata, padded_gas(gas))

    def _spendable(self, reserve: ReserveState) -> int:
        token = next(one.token for one in self._key.reserves if one.asset == reserve.asset)
        payer = self._submitter.account
        answers = (
            self._node.call(token, selector(BALANCE_OF) + encode(["address"], [payer])),
            self._node.call(token, selector(ALLOWANCE) + encode(["address", "address"], [payer, self._vault])),
        )
        return min(int.from_bytes(answer, "big") for answer in answers)

    def _state(self, head: Block) -> LendingState | None:
        """The account now, asked once a block; `None` where the pool does not answer as one."""
        if self._seen is None or self._seen[0] != head.hash:
            try:
                state = read_lending(self._node.client, self._key, self._vault)
            except SnapshotError as problem:
                log.warning("lending account cannot be read", why=str(problem), block=head.number)
                return None
            self._seen = head.hash, state
        return self._seen[1]


def _worth(reserve: ReserveState, amount: int) -> float:
    return amount * reserve.price / 10.0**reserve.decimals
