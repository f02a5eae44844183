# SPDX-License-Identifier: Apache-2.0
"""What a vault on an in-process EVM said of its settlement, decoded as the keeper decodes it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from offchain.settle.calls import SETTLED, decode_settled, topic
from tests.support.evm import Contract


def settled_event(vault: Contract) -> dict[str, Any]:
    """The one Settled event of the last transaction, by the names of `SettledEvent`."""
    (log,) = (log for log in vault.evm.logs if log.address == vault.address and log.topics[0] == topic(SETTLED))
    return asdict(decode_settled({"topics": log.topics, "data": "0x" + log.data[1].hex()}))
