# SPDX-License-Identifier: Apache-2.0
"""What waits in the owner's timelock: whoever holds shares can see what will loosen, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from scripts._vaults import StandingVault, events_since

SCHEDULED = "CallScheduled(bytes32,uint256,address,uint256,bytes,bytes32,uint256)"


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A call that the owner scheduled and nobody executed or withdrew.

    Attributes
    ----------
    call
        Contract, function and arguments; of an unknown contract the address and the selector.
    ready_at
        Unix seconds from which anybody who may execute it can.
    """

    operation: str
    call: str
    ready_at: int


def pending_calls(provider: Any, standing: StandingVault) -> list[PendingCall] | None:
    """What the owner scheduled since the vault stands, in that order; `None` where that cannot be known."""
    logs = events_since(provider, standing, standing.timelock.address, SCHEDULED)
    return None if logs is None else list(_pending(provider, standing, logs))


def _pending(provider: Any, standing: StandingVault, logs: Iterable[Any]) -> Iterator[PendingCall]:
    from eth_abi import decode
    from eth_utils import to_checksum_address

    timelock = standing.timelock
    for log in logs:
        operation = bytes(log["topics"][1])
        if not timelock.is_operation_pending(operation):
            continue
        target, _, payload, _, _ = decode(["address", "uint256", "bytes", "bytes32", "uint256"], bytes(log["data"]))
        call = _in_words(provider, standing, to_checksum_address(target), payload)
        yield PendingCall("0x" + operation.hex(), call, int(timelock.get_timestamp(operation)))


def _in_words(provider: Any, standing: StandingVault, target: str, payload: bytes) -> str:
    from offchain.abi import contract_abi

    contracts = {
        "Mandate": standing.mandate,
        "PriceOracle": standing.oracle,
        "VaultExtension": standing.vault,
        "Timelock": standing.timelock,
    }
    for name, contract in contracts.items():
        if contract.address == target:
            try:
                reader = provider.web3.eth.contract(abi=contract_abi(name))
                function, arguments = reader.decode_function_input(payload)
            except ValueError:
                break
            shown = (f"0x{value.hex()}" if isinstance(value, bytes) else str(value) for value in arguments.values())
            return f"{name}.{function.fn_name}({', '.join(shown)})"
    return f"{target} 0x{payload[:4].hex()}"
