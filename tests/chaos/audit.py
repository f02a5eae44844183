# SPDX-License-Identifier: Apache-2.0
"""The journal against the chain, after the fact and by other code than the keeper's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from offchain.keeper.journal import Journal
from offchain.keeper.records import Decision, OrderRecord
from offchain.keeper.states import State
from tests.support.vaults import DeployedVault


@dataclass
class Audit:
    """What does not agree; empty lists are what a keeper should leave."""

    settled_twice: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)
    settlements: int = 0
    by_others: int = 0
    """Of these, what somebody else than the keeper relayed."""
    intents: int = 0


def audit(journal: Journal, vault: DeployedVault, account: str, interval: int) -> Audit:
    """Compare every intent, order and transaction with what the chain says.

    An intent is the wish to rebalance in one interval of the mandate: however often a
    process dies over it, it may be settled once, and must not be forgotten.
    """
    found = Audit()
    ticks, orders = list(journal.ticks()), journal.orders()
    period = {tick.id: tick.block_timestamp // interval for tick in ticks}
    events = {
        "0x" + event["args"]["digest"].hex(): event for event in vault.vault.events.Settled().get_logs(from_block=0)
    }
    found.settlements = len(events)
    senders = [vault.web3.eth.get_transaction(event["transactionHash"])["from"] for event in events.values()]
    found.by_others = sum(sender.lower() != account.lower() for sender in senders)
    _orders(found, orders, events)

    per_intent = Counter(period[row.tick] for row in orders if row.digest in events)
    found.settled_twice += [f"interval {one}: {count} settlements" for one, count in per_intent.items() if count > 1]
    wanted = {period[tick.id] for tick in ticks if tick.decision is Decision.SETTLE}
    found.intents = len(wanted)
    explained = {period[row.tick] for row in orders if _explained(row)}
    dropped = {period[tick.id] for tick in ticks if tick.decision is Decision.HOLD}
    found.lost += [f"interval {one}: never settled" for one in sorted(wanted - explained - dropped)]
    _transactions(found, journal, vault, account)
    return found


def _explained(row: OrderRecord) -> bool:
    """Whether an order's fate is one that the chain decided; dying before the signature is not."""
    return row.settlement is not None or row.state is State.REVERTED or row.signature is not None


def _orders(found: Audit, orders: list[OrderRecord], events: dict[str, object]) -> None:
    known = {row.digest for row in orders}
    found.lost += [f"settlement {digest} is not in the journal" for digest in events if digest not in known]
    for row in orders:
        event = events.get(row.digest)
        if (event is None) != (row.settlement is None):
            found.mismatches.append(f"order {row.digest}: {row.state}, the chain disagrees")
        elif event is not None and row.settlement is not None:
            args = event["args"]
            told = (row.settlement.nonce, row.settlement.value_after, list(row.settlement.amounts_out))
            low = 2**128
            if told != (args["nonce"], args["values"] % low, [amount % low for amount in args["amounts"]]):
                found.mismatches.append(f"order {row.digest}: its settlement differs from the event")
            if row.state is not State.FINAL:
                found.mismatches.append(f"order {row.digest}: settled, but {row.state}")
        elif row.signature is not None and row.state not in (State.REPLACED, State.CANCELLED, State.EXPIRED):
            found.lost.append(f"order {row.digest}: signed and still {row.state}")


def _transactions(found: Audit, journal: Journal, vault: DeployedVault, account: str) -> None:
    rows = journal.transactions()
    mined = [row for row in rows if row.state in (State.FINAL, State.INCLUDED) or row.block_number is not None]
    nonce = vault.web3.eth.get_transaction_count(account)
    if sorted(row.account_nonce for row in mined) != list(range(nonce)):
        found.mismatches.append(f"account: nonce {nonce}, the journal has {len(mined)} mined transactions")
    for row in mined:
        receipt = vault.web3.eth.get_transaction_receipt(row.hash)
        succeeded = row.state is not State.REVERTED
        if receipt["blockNumber"] != row.block_number or (receipt["status"] == 1) != succeeded:
            found.mismatches.append(
                f"transaction {row.hash}: {row.state} in block {row.block_number}, not so on the chain"
            )
    found.mismatches += [f"transaction {row.hash}: still {row.state}" for row in rows if not row.final]
