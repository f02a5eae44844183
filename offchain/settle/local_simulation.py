# SPDX-License-Identifier: Apache-2.0
"""Trying an order in this process, so that a node that is far away need not be waited for.

What a settlement touches is learned from the access lists of earlier ones, and its state is fetched at
a block's hash while the plan is being made. An order that touches anything else, or would fail,
or for which the state is not there, is not judged here: the node is asked.
Needs pyrevm (extra ``evm``), which runs the rules of cancun.
"""

from __future__ import annotations

import re
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import structlog

from offchain.errors import PlimsollError
from offchain.market.node_errors import NodeError
from offchain.market.snapshot import Block
from offchain.settle.calls import SETTLED, CalldataError, decode_settled, encode_settle, encode_signed, topic
from offchain.settle.node import Node, call_fields
from offchain.settle.order import Order, SignedOrder
from offchain.settle.simulation import APPROVES_EVERYTHING, TRANSACTION_GAS_CAP, SimulationResult

BLOCK_SECONDS = 12
MOST_SLOTS = 2000
"""Remembered; those touched longest ago are forgotten first."""
_WAIT_SECONDS = 1.0
_LAST_PRECOMPILE = 0x1FF

log = structlog.get_logger(__name__)


class LocalSimulationError(PlimsollError):
    """pyrevm is not installed."""


@dataclass(frozen=True, slots=True)
class _State:
    """What is known of a block; accounts and slots that are not here were not asked for."""

    block: Block
    codes: dict[str, bytes]
    balances: dict[str, int]
    slots: dict[tuple[str, int], int]


class LocalSimulator:
    """Simulates settlements of one vault on state fetched once a block.

    Raises
    ------
    LocalSimulationError
        When pyrevm is missing.
    """

    def __init__(self, node: Node, vault: str, chain_id: int) -> None:
        try:
            import pyrevm  # noqa: F401
        except ImportError:
            raise LocalSimulationError(
                "simulation in the process: install plimsoll[evm], or leave it to the node"
            ) from None
        self._node = node
        self._vault = vault.lower()
        self._chain_id = chain_id
        self._codes: dict[str, bytes] = {}
        self._accounts: dict[str, None] = {self._vault: None}
        self._slots: dict[tuple[str, int], None] = {}
        self._worker = ThreadPoolExecutor(1, "simulation")
        self._fetched: Future[_State | None] | None = None

    def fetch(self, block: Block) -> None:
        """Begin to fetch the state at a block; returns at once."""
        if self._slots:
            self._fetched = self._worker.submit(self._fetch, block)

    def learn(self, signed: SignedOrder, sender: str) -> None:
        """Have the node trace a signed order that is about to be sent, so that the next can be tried here; at once."""
        fields = call_fields(signed.vault, encode_signed(signed), sender)
        self._worker.submit(self._learn, fields)

    def simulate(self, order: Order, signer: str, *, sender: str) -> SimulationResult | None:
        """Try an order that nobody has signed yet, as `simulate_order`; `None` where the node should be asked."""
        fetched, self._fetched = self._fetched, None
        if fetched is None:
            return None
        try:
            state = fetched.result(_WAIT_SECONDS)
        except TimeoutError:
            return None
        return None if state is None else self._run(state, order, signer, sender)

    def close(self) -> None:
        """Wait for what is under way, and end."""
        self._worker.shutdown()

    def _run(self, state: _State, order: Order, signer: str, sender: str) -> SimulationResult | None:
        evm = self._evm(state, signer)
        try:
            evm.message_call(
                caller=sender, to=self._vault, calldata=encode_settle(order, signer, b""), gas=TRANSACTION_GAS_CAP
            )
        except RuntimeError as failure:
            log.debug("not simulated here", why=str(failure)[:200])
            return None
        accounts, slots = _touched(evm.journal_str)
        known = state.codes.keys() | {signer.lower(), sender.lower()}
        unknown = (accounts - known) | (slots - state.slots.keys())
        events = [
            one for one in evm.result.logs if one.address.lower() == self._vault and one.topics[0] == topic(SETTLED)
        ]
        if unknown or len(events) != 1:
            log.debug("not simulated here", unknown=len(unknown), events=len(events))
            return None
        try:
            event = decode_settled({"topics": list(events[0].topics), "data": "0x" + bytes(events[0].data[1]).hex()})
        except CalldataError:
            return None
        return SimulationResult(True, "", evm.result.gas_used + evm.result.gas_refunded, event)

    def _evm(self, state: _State, signer: str) -> Any:
        # Its stubs leave out what its classes take.
        from pyrevm import EVM, AccountInfo, BlockEnv, CfgEnv, Env

        number, timestamp = state.block.number + 1, state.block.timestamp + BLOCK_SECONDS
        block = BlockEnv(number=number, timestamp=timestamp)
        evm = EVM(env=Env(cfg=CfgEnv(chain_id=self._chain_id), block=block), spec_id="CANCUN")
        for account, code in state.codes.items():
            info: dict[str, Any] = {"balance": state.balances[account], "nonce": 1, "code": code or None}
            evm.insert_account_info(account, AccountInfo(**info))
        evm.insert_account_info(signer, AccountInfo(nonce=1, code=bytes.fromhex(APPROVES_EVERYTHING[2:])))
        for (account, slot), value in state.slots.items():
            evm.insert_account_storage(account, slot, value)
        return evm

    def _fetch(self, block: Block) -> _State | None:
        at = {"blockHash": block.hash}
        accounts, slots = list(self._accounts), list(self._slots)
        new = [account for account in accounts if account not in self._codes]
        requests: list[tuple[str, list[Any]]] = [("eth_getCode", [account, at]) for account in new]
        requests += [("eth_getBalance", [account, at]) for account in accounts]
        requests += [("eth_getStorageAt", [account, f"0x{slot:064x}", at]) for account, slot in slots]
        try:
            answers = self._node.client.batch(requests)
            self._codes |= {one: bytes.fromhex(code[2:]) for one, code in zip(new, answers, strict=False)}
            words = [int(answer, 16) for answer in answers[len(new) :]]
        except (NodeError, TypeError, ValueError) as problem:
            log.debug("state not fetched", why=str(problem))
            return None
        codes = {account: self._codes[account] for account in accounts}
        balances = dict(zip(accounts, words, strict=False))
        return _State(block, codes, balances, dict(zip(slots, words[len(accounts) :], strict=True)))

    def _learn(self, fields: dict[str, str]) -> None:
        try:
            entries = self._node.client.call("eth_createAccessList", fields, "latest")["accessList"]
            touched = [(str(one["address"]).lower(), int(slot, 16)) for one in entries for slot in one["storageKeys"]]
            accounts = [str(one["address"]).lower() for one in entries]
        except (NodeError, KeyError, TypeError, ValueError) as problem:
            log.debug("settlement not traced", why=str(problem))
            return
        for slot in touched:
            self._slots.pop(slot, None)
            self._slots[slot] = None
        for old in list(self._slots)[: max(0, len(self._slots) - MOST_SLOTS)]:
            del self._slots[old]
        self._accounts |= dict.fromkeys(accounts)


def _touched(journal: str) -> tuple[set[str], set[tuple[str, int]]]:
    """Accounts and slots that a call used, from pyrevm's description of its journal; precompiles do not count.

    A description of another form gives what no state has, so that the node is asked.
    """
    accounts: set[str] = set()
    slots: set[tuple[str, int]] = set()
    for before, piece in pairwise(journal.split(": Account { info: ")):
        account = before[-42:].lower()
        start = piece.find("}, storage: {")
        end = piece.find("}, status: ", start)
        if start < 0 or end < 0 or not account.startswith("0x"):
            return {""}, set()
        if int(account, 16) > _LAST_PRECOMPILE:
            accounts.add(account)
            slots |= {(account, int(slot, 0)) for slot in re.findall(r"(\w+): StorageSlot", piece[start:end])}
    return accounts or {""}, slots
