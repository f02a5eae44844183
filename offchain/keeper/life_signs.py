# SPDX-License-Identifier: Apache-2.0
"""The keeper's heartbeat: a signed sign of life, where the breaker's table wants one.

A mandate with `heartbeat_minutes` is tripped by anyone when no authorised signer has shown for so
long that the keeper is alive. The keeper shows it when nothing more important waits.
"""

from __future__ import annotations

import structlog
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from offchain.keeper.journal import Journal
from offchain.keeper.records import Purpose, TransactionRecord
from offchain.keeper.submitter import Job, Submitter
from offchain.mandate import VaultLimits
from offchain.market.snapshot import Block
from offchain.settle.calls import ALARMS, HEARTBEAT, LAST_HEARTBEAT, selector
from offchain.settle.node import Node, Reverted
from offchain.settle.signing import OrderSigner
from offchain.settle.simulation import padded_gas

MINUTE = 60

log = structlog.get_logger(__name__)


def heartbeat_digest(alarms: str, chain_id: int, mandate_contract: str, at: int) -> bytes:
    """The 32 bytes that show life at a time: EIP-191's data for an intended validator, the Alarms contract."""
    body = encode(["uint256", "address", "uint256"], [chain_id, mandate_contract, at])
    return keccak(b"\x19\x00" + bytes.fromhex(alarms[2:]) + body)


class LifeSigns:
    """Looks every block whether a heartbeat is due.

    Parameters
    ----------
    signer
        Authorised by the mandate; the same that signs orders.
    limits
        The mandate's: how long a keeper may be silent.
    """

    def __init__(
        self,
        node: Node,
        journal: Journal,
        submitter: Submitter,
        signer: OrderSigner,
        *,
        chain_id: int,
        mandate_contract: str,
        limits: VaultLimits,
    ) -> None:
        self._node, self._journal, self._submitter, self._signer = node, journal, submitter, signer
        self._chain_id = chain_id
        self._mandate_contract = mandate_contract
        self._silence, self._alarms = 0, ""
        self.obey(limits)

    def obey(self, limits: VaultLimits) -> None:
        """Show life as often as these limits want it; not at all where they want none."""
        self._silence = limits.heartbeat_minutes * MINUTE
        if self._silence and not self._alarms:
            self._alarms = to_checksum_address(self._node.call(self._mandate_contract, selector(ALARMS))[-20:])

    def show(self, head: Block, waiting: TransactionRecord | None) -> bool:
        """Send what is due, or see to it while it waits; False when there is nothing to do.

        Nothing is sent while another transaction waits: that has the account's nonce, and its own reasons.
        """
        if not self._silence or (waiting is not None and waiting.purpose is not Purpose.BEAT):
            return False
        if waiting is not None and not self._submitter.is_overdue(waiting, head):
            return True
        job = self._beat(head)
        if job is None:
            return False
        return self._submitter.send(job, head) is not None

    def _beat(self, head: Block) -> Job | None:
        """A heartbeat, once half of the time in which there must be one is over."""
        if head.timestamp - self._last_sign(head) < self._silence // 2:
            return None
        digest = heartbeat_digest(self._alarms, self._chain_id, self._mandate_contract, head.timestamp)
        values = [self._mandate_contract, head.timestamp, self._signer.address, self._signer.sign_digest(digest)]
        return self._job(selector(HEARTBEAT) + encode(["address", "uint256", "address", "bytes"], values))

    def _last_sign(self, head: Block) -> int:
        """When the chain last saw the keeper alive; a settlement is a sign, too."""
        calldata = selector(LAST_HEARTBEAT) + encode(["address"], [self._mandate_contract])
        shown = int.from_bytes(self._node.call(self._alarms, calldata), "big")
        settlement = self._journal.last_settlement()
        if settlement is None or head.timestamp - shown < self._silence // 2:
            return shown
        return max(shown, self._node.timestamp(settlement.block_number))

    def _job(self, calldata: bytes) -> Job | None:
        try:
            gas = self._node.estimate_gas(self._alarms, calldata, sender=self._submitter.account)
        except Reverted as refusal:
            log.warning("heartbeat refused", why=refusal.reason)
            return None
        return Job(Purpose.BEAT, self._alarms, calldata, padded_gas(gas))
