# SPDX-License-Identifier: Apache-2.0
"""Waiting to lead, where keepers share a database."""

from __future__ import annotations

import time
from pathlib import Path

import structlog

from offchain.keeper.journal import Journal, JournalLocked
from offchain.keeper.lease import Lease

log = structlog.get_logger(__name__)


def lead(place: Path | str, *, chain_id: int, vault: str, seconds: float) -> Journal:
    """Open a journal for writing; on a server, stand by until nobody else leads.

    Parameters
    ----------
    seconds
        How long a leader may be silent before another takes over.

    Raises
    ------
    JournalLocked
        When another process has the file open.
    JournalError
        When it cannot be opened or is another vault's.
    """
    shared = isinstance(place, str) and "://" in place
    told = False
    while True:
        try:
            return Journal.open(place, chain_id=chain_id, vault=vault, lease=Lease(seconds=seconds))
        except JournalLocked as locked:
            if not shared:
                raise
            if not told:
                log.info("standing by", why=str(locked))
            told = True
            time.sleep(min(1.0, seconds / 4))
