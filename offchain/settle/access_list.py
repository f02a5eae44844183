# SPDX-License-Identifier: Apache-2.0
"""What a settlement declares that it will touch, where that makes it cheaper (EIP-2930).

An account or slot that is listed costs 100 gas less than one that is first touched by the call
(EIP-2929). One that is warm anyway, as the vault and the sender are, costs its whole entry: it
is listed only where its slots make up for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog

from offchain.market.node_errors import NodeError
from offchain.settle.node import Node, call_fields

LISTED_ACCOUNT = 2400
"""Gas of an account in the list; the same for a slot is 1900, against 2600 and 2100 when first touched."""
SAVED_PER_ITEM = 100

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class AccessEntry:
    """One account and those of its storage slots that are declared; all hex."""

    address: str
    slots: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As JSON-RPC and signers take it."""
        return {"address": self.address, "storageKeys": list(self.slots)}


def cheaper_access_list(
    node: Node, to: str, calldata: bytes, *, sender: str, gas_limit: int
) -> tuple[AccessEntry, ...]:
    """The access list of a call as the node traces it on the newest block, without what does not pay; one round trip.

    Returns
    -------
    tuple of AccessEntry
        Empty where the list would not lower the gas, and where the node cannot tell.
    """
    fields = call_fields(to, calldata, sender, gas_limit)
    plain = {"blockStateCalls": [{"calls": [fields]}], "validation": False}
    try:
        traced, tried = node.client.batch(
            [("eth_createAccessList", (fields, "latest")), ("eth_simulateV1", (plain, "latest"))]
        )
        told = [AccessEntry(str(one["address"]), tuple(sorted(one["storageKeys"]))) for one in traced["accessList"]]
        listed, unlisted = int(traced["gasUsed"], 16), int(tried[0]["calls"][0]["gasUsed"], 16)
    except (NodeError, KeyError, IndexError, TypeError, ValueError) as error:
        log.debug("no access list", why=str(error))
        return ()
    # A node may tell the same list in another order each time, and a transaction's hash is of the order.
    entries = sorted(told)
    kept = tuple(one for one in entries if _loss(one, to, sender) <= 0)
    lost = sum(_loss(one, to, sender) for one in entries if one not in kept)
    return kept if listed - lost < unlisted else ()


def _loss(entry: AccessEntry, *warm: str) -> int:
    """Gas that an entry costs more than it saves; negative where it pays."""
    saved = SAVED_PER_ITEM * len(entry.slots)
    if entry.address.lower() in (one.lower() for one in warm):
        return LISTED_ACCOUNT - saved
    return -saved - SAVED_PER_ITEM
