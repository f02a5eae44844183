# SPDX-License-Identifier: Apache-2.0
"""Pulling the kill switch when its condition holds.

Anyone may; the keeper does because it looks at every block and has gas.
"""

from __future__ import annotations

import structlog

from offchain.keeper.records import Purpose, TransactionRecord
from offchain.keeper.submitter import Job, Submitter
from offchain.market.snapshot import Block
from offchain.settle.calls import encode_trip
from offchain.settle.node import Node, Reverted
from offchain.settle.simulation import padded_gas

NO_CONDITION = "breaker: no condition"

log = structlog.get_logger(__name__)


class BreakerWatch:
    """Asks every block whether the breaker's table wants a higher state, and trips it."""

    def __init__(self, node: Node, submitter: Submitter, mandate_contract: str) -> None:
        self._node = node
        self._submitter = submitter
        self._mandate_contract = mandate_contract
        self._last_refusal = NO_CONDITION

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
