# SPDX-License-Identifier: Apache-2.0
"""One leader among keepers that share a database, and a fence against the ones before.

A keeper leads while it holds the lease. Each time it changes hands its token grows, and
every write to the journal first checks, in the same transaction, that the token is still
the writer's. Whatever a keeper does to the world is preceded by a write: so one that was
paused, lost the lease and goes on as if nothing had been, can sign and settle nothing.
"""

from __future__ import annotations

import os
import socket

from sqlalchemy import Connection, text

from offchain.errors import PlimsollError

SECONDS = 30
"""How long a leader may be silent before another takes over."""


class LeaseLost(PlimsollError):
    """Another keeper leads now."""


def this_process() -> str:
    """Name of this process for others to read."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Lease:
    """The lease of one journal; times are the database's own.

    Parameters
    ----------
    seconds
        For which it is taken and renewed.
    """

    def __init__(self, holder: str | None = None, seconds: float = SECONDS) -> None:
        self.holder = holder or this_process()
        self.seconds = seconds
        self.token: int | None = None

    def acquire(self, connection: Connection) -> str | None:
        """Take the lease when it is free or has run out; returns who holds it otherwise."""
        taken = connection.execute(
            text(
                "INSERT INTO lease (id, holder, token, expires_at)"
                " VALUES (1, :holder, 1, clock_timestamp() + make_interval(secs => :seconds))"
                " ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, token = lease.token + 1,"
                " expires_at = excluded.expires_at WHERE lease.expires_at < clock_timestamp()"
                " RETURNING token"
            ),
            {"holder": self.holder, "seconds": self.seconds},
        ).scalar()
        if taken is not None:
            self.token = int(taken)
            return None
        return str(connection.execute(text("SELECT holder FROM lease WHERE id = 1")).scalar())

    def check(self, connection: Connection) -> None:
        """Renew inside a transaction that is about to write, or raise `LeaseLost`.

        The row stays locked until that transaction ends, so nobody takes over in between.
        """
        renewed = connection.execute(
            text(
                "UPDATE lease SET expires_at = clock_timestamp() + make_interval(secs => :seconds)"
                " WHERE id = 1 AND token = :token"
            ),
            {"seconds": self.seconds, "token": self.token},
        )
        if renewed.rowcount != 1:
            holder = connection.execute(text("SELECT holder FROM lease WHERE id = 1")).scalar()
            raise LeaseLost(f"journal: {holder} leads now; start this keeper again and it stands by")

    def release(self, connection: Connection) -> None:
        """Let go, so that another need not wait."""
        connection.execute(
            text("UPDATE lease SET expires_at = clock_timestamp() WHERE id = 1 AND token = :token"),
            {"token": self.token},
        )
