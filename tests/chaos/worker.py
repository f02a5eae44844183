# SPDX-License-Identifier: Apache-2.0
"""A keeper process that kills itself at a named step of its journal.

It is `plimsoll keeper run` as an operator starts it, in a process of its own; only the
journal's commits and the handing over of transactions are wrapped. The step at which to die is read from a
file each time, so that a process that runs can still be told.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STEPS = (
    "tick recorded",
    "order PLANNED",
    "order SIMULATED",
    "order SIGNED",
    "transaction SIGNED",
    "order BROADCAST",
    "transaction BROADCAST",
    "raw transaction sent",
    "transaction INCLUDED",
    "order INCLUDED",
    "transaction FINAL",
    "order FINAL",
)
MOMENTS = ("before", "after")


def run(arguments: Sequence[str], armed: Path | None, log: Path, environment: dict[str, str]) -> None:
    """Be the keeper until told to stop, or until the step named in `armed` comes."""
    os.environ.update(environment)
    # An operator's Ctrl-C ends the harness, which ends its children itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with log.open("ab") as out:
        os.dup2(out.fileno(), 2)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    if armed is not None:
        _wrap(armed)
    from offchain.cli import main

    sys.argv = ["plimsoll", *arguments]
    main()


def _wrap(armed: Path) -> None:
    from offchain.keeper import database, journal, schema
    from offchain.settle.node import Node
    from offchain.settle.relay import Relay

    happening: list[str] = []
    insert, note, write = journal._insert, journal._log, database.Database._write
    send, hand_over = Node.send_raw, Relay.send

    def die_if(step: str, moment: str) -> None:
        try:
            wanted = armed.read_text()
        except FileNotFoundError:
            return
        if wanted == f"{step}, {moment}":
            os.kill(os.getpid(), signal.SIGKILL)

    def noting_insert(connection: Any, table: Any, **values: Any) -> int:
        if table is schema.ticks:
            happening.append("tick recorded")
        return insert(connection, table, **values)

    def noting_log(connection: Any, kind: str, row: int, before: Any, after: Any, detail: str) -> None:
        happening.append(f"{kind} {after}")
        note(connection, kind, row, before, after, detail)

    @contextmanager
    def mortal_write(self: Any) -> Iterator[Any]:
        happening.clear()
        with write(self) as connection:
            yield connection
            for step in happening:
                die_if(step, "before")
        for step in happening:
            die_if(step, "after")

    def mortal_send(self: Any, raw: str) -> None:
        die_if("raw transaction sent", "before")
        send(self, raw)
        die_if("raw transaction sent", "after")

    def mortal_hand_over(self: Any, raw: str, head_number: int) -> None:
        die_if("raw transaction sent", "before")
        hand_over(self, raw, head_number)
        die_if("raw transaction sent", "after")

    journal._insert, journal._log = noting_insert, noting_log
    database.Database._write = mortal_write
    Node.send_raw = mortal_send
    Relay.send = mortal_hand_over
