# SPDX-License-Identifier: Apache-2.0
"""Trying an order on the newest block before anybody pays for it.

An order can be simulated before it is signed: for the call, the signer's account is
given code that approves every signature, as an ERC-1271 wallet would. So nothing
that could be settled leaves this process before the journal has it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from offchain.market.rpc import RpcError
from offchain.settle.calls import SETTLED, SettledEvent, decode_settled, encode_settle, encode_signed, topic
from offchain.settle.node import Node, as_revert, call_fields, is_unsupported, revert_reason
from offchain.settle.order import Order, SignedOrder

TRANSACTION_GAS_CAP = 2**24
"""A transaction may not ask for more (EIP-7825)."""

# PUSH4 ERC-1271's magic value, left-aligned in memory, returned.
APPROVES_EVERYTHING = "0x631626ba7e60e01b60005260206000f3"
_ADDED_GAS = 100_000


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What would happen on the newest block.

    `event` is `None` when it would fail, and on nodes without ``eth_simulateV1``.
    """

    succeeds: bool
    reason: str
    """The contract's own words when it would fail; empty otherwise."""
    gas_used: int
    event: SettledEvent | None

    @property
    def gas_limit(self) -> int:
        """Gas to send along: refunds and time-weighted storage make the exact figure too small."""
        return padded_gas(self.gas_used)


def padded_gas(gas_used: int) -> int:
    """Gas to send along with a transaction that used so much when it was tried."""
    return min(gas_used * 3 // 2 + _ADDED_GAS, TRANSACTION_GAS_CAP)


def simulate_order(node: Node, vault: str, order: Order, signer: str, *, sender: str) -> SimulationResult:
    """Try an order that nobody has signed yet.

    Parameters
    ----------
    signer
        Who will sign it; must be authorised by the vault.
    sender
        Who will send the transaction.
    """
    overrides = {signer: {"code": APPROVES_EVERYTHING}}
    return _simulate(node, vault, encode_settle(order, signer, b""), sender, overrides)


def simulate_signed(node: Node, signed: SignedOrder, *, sender: str) -> SimulationResult:
    """Try a signed order exactly as it would be sent."""
    return _simulate(node, signed.vault, encode_signed(signed), sender, {})


def _simulate(
    node: Node, vault: str, calldata: bytes, sender: str, overrides: dict[str, dict[str, str]]
) -> SimulationResult:
    fields = call_fields(vault, calldata, sender, TRANSACTION_GAS_CAP)
    block = {"stateOverrides": overrides, "calls": [fields]}
    try:
        answer = node.client.call("eth_simulateV1", {"blockStateCalls": [block], "validation": False}, "latest")
    except RpcError as error:
        if is_unsupported(error):
            return _by_estimate(node, fields, overrides)
        refusal = as_revert(error)
        if refusal is None:
            raise
        return SimulationResult(False, refusal.reason, 0, None)
    try:
        return _read(answer[0]["calls"][0], vault)
    except (KeyError, IndexError, TypeError, ValueError):
        raise node.client.malformed("eth_simulateV1", answer) from None


def _read(call: Any, vault: str) -> SimulationResult:
    gas_used = int(call.get("maxUsedGas") or call["gasUsed"], 16)
    if int(call["status"], 16) != 1:
        return SimulationResult(False, _failure(call), gas_used, None)
    settled = [
        log for log in call["logs"] if log["address"].lower() == vault.lower() and log["topics"][:1] == [topic(SETTLED)]
    ]
    return SimulationResult(True, "", gas_used, decode_settled(settled[0]) if settled else None)


def _failure(call: Any) -> str:
    data = bytes.fromhex(str(call.get("returnData") or "0x").removeprefix("0x"))
    if data:
        return revert_reason(data)
    message = str((call.get("error") or {}).get("message", ""))
    return re.sub(r"^.*?reverted:?\s*", "", message) or "without a reason"


def _by_estimate(node: Node, fields: dict[str, str], overrides: dict[str, dict[str, str]]) -> SimulationResult:
    try:
        gas = node.client.call("eth_estimateGas", fields, "latest", *([overrides] if overrides else []))
    except RpcError as error:
        refusal = as_revert(error)
        if refusal is None:
            raise
        return SimulationResult(False, refusal.reason, 0, None)
    return SimulationResult(True, "", node.client.quantity(gas, "eth_estimateGas"), None)
