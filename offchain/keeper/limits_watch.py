# SPDX-License-Identifier: Apache-2.0
"""Limits that change while the keeper runs: who watches by them is told in the block that follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from offchain.mandate import VaultLimits
from offchain.market.vault import VaultAnswers
from offchain.settle.calls import LIMITS, MANDATE_HASH, selector
from offchain.settle.node import Node

log = structlog.get_logger(__name__)


class LimitsWatch:
    """Asks every block for the hash of a mandate's limits, and for the limits when it is another one.

    Parameters
    ----------
    limits_set
        Called with the limits on the chain: at the first look, and whenever they changed.
    """

    def __init__(self, node: Node, mandate_contract: str, limits_set: Sequence[Callable[[VaultLimits], None]]) -> None:
        self._node, self._mandate_contract, self._limits_set = node, mandate_contract, limits_set
        self._seen = b""

    def look(self) -> None:
        """Tell of limits that are not those of the last look; see `NodeClient.call` for the errors.

        A node that lags behind the contract's creation knows of none: the next look may.
        """
        found = self._node.call(self._mandate_contract, selector(MANDATE_HASH))
        if found in (self._seen, b""):
            return
        answer = self._node.call(self._mandate_contract, selector(LIMITS))
        if not answer:
            return
        limits = VaultAnswers(self._mandate_contract, {"limits()": answer}).limits()
        if self._seen:
            log.info("limits changed", mandate=self._mandate_contract)
        for tell in self._limits_set:
            tell(limits)
        self._seen = found
