# SPDX-License-Identifier: Apache-2.0
"""Noticing that blocks already seen are no longer the chain's."""

from __future__ import annotations

from collections import deque

import structlog

from offchain.market.snapshot import Block
from offchain.settle.node import Node

REMEMBERED = 128

log = structlog.get_logger(__name__)


class Ancestry:
    """Hashes of the blocks seen lately; compared with the chain whenever a head does not follow the last.

    What a lost block means for orders and transactions is not decided here: they are
    asked after one by one.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._seen: deque[tuple[int, str]] = deque(maxlen=REMEMBERED)

    def observe(self, head: Block) -> int:
        """Remember a head; returns how many of the blocks seen were lost."""
        lost = 0
        while self._seen and self._seen[-1][1] not in (head.hash, head.parent_hash):
            number, block_hash = self._seen[-1]
            if number < head.number and self._node.block_hash(number) == block_hash:
                break
            self._seen.pop()
            lost += 1
        if lost:
            log.warning("reorganisation", lost=lost, head=head.number)
        if not self._seen or self._seen[-1][1] != head.hash:
            self._seen.append((head.number, head.hash))
        return lost
