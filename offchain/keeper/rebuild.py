# SPDX-License-Identifier: Apache-2.0
"""A journal from nothing but the chain.

What settled is there, and what paid for it. What was signed and never settled is not: a
keeper on a rebuilt journal does not know of it, and need not, because whatever it signs
next has the same vault nonce, of which the vault settles one. Snapshots and plans are not
on the chain either, so that rebuilt ticks cannot be replayed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address

from offchain.errors import PlimsollError
from offchain.keeper.journal import Journal
from offchain.keeper.records import Decision, Purpose
from offchain.keeper.states import State
from offchain.mandate import Mandate
from offchain.market.rpc import RpcError
from offchain.settle.accounts import RawTransaction
from offchain.settle.calls import MANDATE as MANDATE_OF
from offchain.settle.calls import (
    SETTLED,
    TRIPPED,
    CalldataError,
    decode_settle,
    encode_trip,
    selector,
    topic,
)
from offchain.settle.node import Node
from offchain.settle.order import SignedOrder
from offchain.settle.reconcile import settlement_of

REASON = "rebuilt from the chain"


class RebuildError(PlimsollError):
    """The journal is not empty, or the chain does not tell enough."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was found."""

    settlements: int
    trips: int
    unreadable: tuple[str, ...]
    """Transactions that settled through another contract, so that the order cannot be read."""


def rebuild(node: Node, journal: Journal, vault: str, mandate: Mandate, *, first_block: int = 0) -> Rebuilt:
    """Write every settlement and trip of a vault into an empty journal.

    Parameters
    ----------
    first_block
        Where to begin, at or before the vault's deployment.

    Raises
    ------
    RebuildError
        The journal holds something already.
    NodeError
        The node cannot be used; one that keeps old transactions is needed.
    """
    if journal.last_tick_block() is not None or journal.transaction_counts():
        raise RebuildError(f"journal {journal.path}: it is not empty; give --journal another place")
    head, finalized = node.head().number, node.finalized_number()
    unreadable: list[str] = []
    settlements = trips = 0
    for log in _logs(node, vault, topic(SETTLED), first_block, head):
        if _settlement(node, journal, vault, mandate, log, finalized):
            settlements += 1
        else:
            unreadable.append(str(log["transactionHash"]))
    contract = to_checksum_address(node.call(vault, selector(MANDATE_OF))[-20:])
    for log in _logs(node, contract, topic(TRIPPED), first_block, head):
        found = _transaction(node, str(log["transactionHash"]))
        if found["input"] == "0x" + encode_trip().hex():
            _store(node, journal, found, Purpose.TRIP, None, finalized)
            trips += 1
    return Rebuilt(settlements, trips, tuple(unreadable))


def _settlement(
    node: Node, journal: Journal, vault: str, mandate: Mandate, log: Mapping[str, Any], finalized: int
) -> bool:
    found = _transaction(node, str(log["transactionHash"]))
    try:
        order, signer, signature = decode_settle(bytes.fromhex(found["input"][2:]))
    except CalldataError:
        return False
    receipt = node.receipt(str(log["transactionHash"]))
    digest = str(log["topics"][1])
    if receipt is None:
        raise RebuildError(f"transaction {found['hash']}: no receipt; use a node that keeps old ones")
    settlement = settlement_of(receipt, vault, digest)
    tick = journal.record_tick(
        block_number=settlement.block_number,
        block_hash=settlement.block_hash,
        block_timestamp=node.timestamp(settlement.block_number),
        mandate=mandate.model_dump_json(),
        snapshot="",
        history=(),
        plan=None,
        decision=Decision.SETTLE,
        reason=REASON,
    )
    row = journal.plan_order(tick, order, digest, signer, settlement.block_number)
    journal.advance_order(row.id, State.SIMULATED, REASON)
    signed = SignedOrder(order, vault, mandate.chain_id, digest, signer, "0x" + signature.hex())
    journal.sign_order(row.id, signed)
    journal.advance_order(row.id, State.BROADCAST)
    journal.include_order(row.id, settlement)
    if settlement.block_number <= finalized:
        journal.advance_order(row.id, State.FINAL, f"block {settlement.block_number}")
    _store(node, journal, found, Purpose.SETTLE, row.id, finalized)
    return True


def _store(
    node: Node, journal: Journal, found: Mapping[str, Any], purpose: Purpose, order: int | None, finalized: int
) -> None:
    block = int(found["blockNumber"], 16)
    try:
        raw = str(node.client.call("eth_getRawTransactionByHash", found["hash"]) or "")
    except RpcError:
        raw = ""  # not every node gives it; what is mined is not sent again anyway
    max_fee = int(found.get("maxFeePerGas") or found["gasPrice"], 16)
    row = journal.store_transaction(
        RawTransaction(str(found["hash"]), raw),
        purpose=purpose,
        order=order,
        account=to_checksum_address(found["from"]),
        account_nonce=int(found["nonce"], 16),
        gas_limit=int(found["gas"], 16),
        max_fee=max_fee,
        priority_fee=int(found.get("maxPriorityFeePerGas") or hex(max_fee), 16),
        block_number=block,
    )
    journal.advance_transaction(row.id, State.BROADCAST, REASON)
    journal.advance_transaction(
        row.id, State.INCLUDED, f"block {block}", block_number=block, block_hash=str(found["blockHash"])
    )
    if block <= finalized:
        journal.advance_transaction(row.id, State.FINAL, f"block {block}")


def _transaction(node: Node, transaction: str) -> Mapping[str, Any]:
    found = node.client.call("eth_getTransactionByHash", transaction)
    if not isinstance(found, Mapping):
        raise RebuildError(f"transaction {transaction}: the node does not have it; use one that keeps old ones")
    return found


def _logs(node: Node, address: str, event: str, first: int, last: int) -> Iterator[Mapping[str, Any]]:
    """Logs of a range, in halves where the node finds it too long."""
    try:
        found = node.logs(address, [event], first, last)
    except RpcError:
        if first >= last:
            raise
        middle = (first + last) // 2
        yield from _logs(node, address, event, first, middle)
        yield from _logs(node, address, event, middle + 1, last)
    else:
        yield from found
