# SPDX-License-Identifier: Apache-2.0
"""What a journal need not keep for ever: decisions whose every consequence has long been final.

The newest tick stays whatever its age, and so does everything that is not final. What goes is
on the chain all the same, see `offchain.keeper.rebuild`; only replaying old plans needs it.
"""

from __future__ import annotations

import json

from sqlalchemy import Connection, Select, and_, delete, exists, func, not_, or_, select

from offchain.keeper import schema
from offchain.keeper.states import OPEN_ORDER, UNSIGNED_ORDER

_AT_ONCE = 500
"""Ticks forgotten in one transaction, so that the keeper does not wait for long."""


def prune(connection: Connection, before: int) -> int:
    """Forget ticks older than a time, with their orders and transactions, once nothing of them is open.

    Parameters
    ----------
    before
        Unix seconds of the chain's clock.

    Returns
    -------
    int
        Number of ticks that were forgotten.
    """
    ticks, orders, transactions = schema.ticks, schema.orders, schema.transactions
    newest = connection.execute(select(func.max(ticks.c.id))).scalar()
    unfinished = or_(
        orders.c.state.in_([*UNSIGNED_ORDER]),
        and_(orders.c.state.in_([*OPEN_ORDER]), orders.c.signature.is_not(None)),
        exists(select(transactions.c.id).where(transactions.c.order == orders.c.id, transactions.c.final.is_(False))),
    )
    old = and_(
        ticks.c.block_timestamp < before,
        ticks.c.id != newest,
        not_(exists(select(orders.c.id).where(orders.c.tick == ticks.c.id, unfinished))),
    )
    doomed = [row.id for row in connection.execute(select(ticks.c.id).where(old).limit(_AT_ONCE))]
    if not doomed:
        return 0
    first_kept = connection.execute(select(func.min(ticks.c.block_number)).where(ticks.c.id.not_in(doomed))).scalar()
    their_orders = select(orders.c.id).where(orders.c.tick.in_(doomed))
    # What trips and voids were for is not an order: they go with their time.
    lone = and_(transactions.c.order.is_(None), transactions.c.final, transactions.c.sent_block < first_kept)
    theirs = select(transactions.c.id).where(or_(transactions.c.order.in_(their_orders), lone))
    _forget_steps(connection, "transaction", theirs)
    _forget_steps(connection, "order", their_orders)
    connection.execute(delete(transactions).where(transactions.c.id.in_(theirs.scalar_subquery())))
    connection.execute(delete(orders).where(orders.c.tick.in_(doomed)))
    connection.execute(delete(ticks).where(ticks.c.id.in_(doomed)))
    _drop_unused(connection)
    return len(doomed)


def _forget_steps(connection: Connection, kind: str, rows: Select[tuple[int]]) -> None:
    table = schema.transitions
    connection.execute(delete(table).where(table.c.kind == kind, table.c.row.in_(rows)))


def _drop_unused(connection: Connection) -> None:
    """Delete mandates and history chunks that no tick refers to any more."""
    ticks = schema.ticks
    connection.execute(delete(schema.mandates).where(schema.mandates.c.hash.not_in(select(ticks.c.mandate))))
    used: set[str] = set()
    for (hashes,) in connection.execute(select(ticks.c.history)):
        used.update(json.loads(hashes))
    unused = set(connection.execute(select(schema.history_chunks.c.hash)).scalars()) - used
    for one in sorted(unused):
        connection.execute(delete(schema.history_chunks).where(schema.history_chunks.c.hash == one))
