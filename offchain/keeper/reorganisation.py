# SPDX-License-Identifier: Apache-2.0
"""Noticing that blocks already seen are no longer the chain's."""

from __future__ import annotations

from collections import deque

import structlog

from offchain.market.rpc import NodeError
from offchain.market.snapshot import Block
from offchain.settle.node import Node

REMEMBERED = 128
DEEPEST = 64
"""Blocks that no reorganisation exceeds: two epochs, after which a block is final."""


class NodeBehind(NodeError):
    """A node that serves older blocks than it, or another one, did before."""


log = structlog.get_logger(__name__)


class Ancestry:
    """Hashes of the blocks seen lately; compared with the chain whenever a head does not follow the last.

    What a lost block means for orders and transactions is not decided here: they are
    asked after one by one.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._seen: deque[tuple[int, str]] = deque(maxlen=REMEMBERED)

    def refuse_behind(self, head: Block, url: str) -> None:
        """Raise `NodeBehind` for a head that was passed already, or is lower than any reorganisation leads.

        The first is a node that lags, the second one that starts again from nothing: neither
        says that anything was lost.
        """
        newest = self._seen[-1] if self._seen else None
        if newest is None or head.number >= newest[0]:
            return
        if (head.number, head.hash) in self._seen or head.number + DEEPEST < newest[0]:
            raise NodeBehind(url, f"is at block {head.number}, {newest[0]} was seen; wait until it has caught up")

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
