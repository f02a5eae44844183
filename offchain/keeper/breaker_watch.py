# SPDX-License-Identifier: Apache-2.0
"""Pulling the kill switch when its condition holds, and recording the conditions that have to persist.

Anyone may; the keeper does because it looks at every block and has gas.
"""

from __future__ import annotations

import structlog
from eth_utils.address import to_checksum_address

from offchain.keeper.records import Purpose, TransactionRecord
from offchain.keeper.submitter import Job, Submitter
from offchain.mandate import VaultLimits
from offchain.market.snapshot import Block
from offchain.settle.calls import ALARMS, encode_poke, encode_trip, selector
from offchain.settle.node import Node, Reverted
from offchain.settle.simulation import padded_gas

NO_CONDITION = "breaker: no condition"
RECORDED_LIMITS = (
    "volatility_trip_bps",
    "oracle_dead_minutes",
    "sources_apart_minutes",
    "depeg_bps",
    "deleverage_trigger_bps",
)
"""Of the breaker's table, what needs a record before it can trip, or before deleveraging pays anything."""

log = structlog.get_logger(__name__)


class BreakerWatch:
    """Asks every block whether the breaker's table wants a higher state, and trips it.

    Parameters
    ----------
    alarms
        Contract that records what has to persist; `None` where the table has no such condition.
    """

    def __init__(self, node: Node, submitter: Submitter, mandate_contract: str, alarms: str | None = None) -> None:
        self._node = node
        self._alarms = alarms
        self._submitter = submitter
        self._mandate_contract = mandate_contract
        self._last_refusal = NO_CONDITION

    def obey(self, limits: VaultLimits) -> None:
        """Record what these limits need a record of."""
        self._alarms = find_alarms(self._node, self._mandate_contract, limits)

    def job(self) -> Job | None:
        """The transaction that trips; `None` while no condition holds or it cannot be judged."""
        calldata = encode_trip()
        try:
            gas = self._node.estimate_gas(self._mandate_contract, calldata, sender=self._submitter.account)
        except Reverted as refusal:
            if refusal.reason not in (NO_CONDITION, self._last_refusal):
                log.warning("breaker cannot be judged", why=refusal.reason)
            self._last_refusal = refusal.reason
            return None
        return Job(Purpose.TRIP, self._mandate_contract, calldata, padded_gas(gas))

    def guard(self, head: Block, waiting: TransactionRecord | None) -> TransactionRecord | None:
        """Trip if a condition holds, in the place of whatever waits to be mined.

        Returns
        -------
        TransactionRecord or None
            The trip on its way; `None` when nothing is to be done.
        """
        job = self.job()
        if job is None:
            return None
        if waiting is not None and waiting.purpose is Purpose.TRIP:
            return self._submitter.push(waiting, job, head)
        log.warning("tripping the breaker", block=head.number)
        return self._submitter.send(job, head)

    def record(self, head: Block, waiting: TransactionRecord | None) -> TransactionRecord | None:
        """Record what the table has to remember, where that changed and nothing else waits.

        Returns
        -------
        TransactionRecord or None
            The record on its way; `None` when there is nothing new, or something more important waits.
        """
        if self._alarms is None or (waiting is not None and waiting.purpose is not Purpose.POKE):
            return None
        calldata = encode_poke(self._mandate_contract)
        try:
            gas = self._node.estimate_gas(self._alarms, calldata, sender=self._submitter.account)
        except Reverted:
            return None
        job = Job(Purpose.POKE, self._alarms, calldata, padded_gas(gas))
        if waiting is not None:
            return self._submitter.push(waiting, job, head)
        return self._submitter.send(job, head)


def find_alarms(node: Node, mandate_contract: str, limits: VaultLimits) -> str | None:
    """Address of a mandate's alarms, where its table has a condition that needs records."""
    if not any(getattr(limits, name) for name in RECORDED_LIMITS):
        return None
    return str(to_checksum_address(node.call(mandate_contract, selector(ALARMS))[-20:]))
