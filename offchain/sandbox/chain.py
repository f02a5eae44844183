# SPDX-License-Identifier: Apache-2.0
"""Doing things on an anvil chain: calling, sending as anybody, deploying anywhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eth_utils.address import to_checksum_address

from offchain.errors import PlimsollError
from offchain.sandbox.artifacts import Artifact
from offchain.sandbox.contract import Contract, Function, constructor_arguments
from offchain.sandbox.rpc import Rpc, RpcError

GAS = 16_000_000
"""Gas of a transaction: an estimate made at one second can be too low at the next."""


class Reverted(PlimsollError):
    """A transaction that had to succeed did not."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction sent by an unlocked account."""

    sender: str
    to: str | None
    data: str = "0x"
    value: int = 0
    gas: int = GAS

    def fields(self) -> dict[str, str]:
        """As JSON-RPC takes it."""
        fields = {"from": self.sender, "data": self.data, "gas": hex(self.gas), "value": hex(self.value)}
        return fields if self.to is None else fields | {"to": self.to}


@dataclass(slots=True)
class Chain:
    """Reads and writes an anvil node.

    Every sender must be unlocked: either anvil runs with ``--auto-impersonate``, or
    `impersonate` was called for it.
    """

    rpc: Rpc
    sender: str
    """Who sends when nobody is named."""
    manual: bool = False
    """The node does not mine by itself: each `send_all` is one block."""
    libraries: dict[str, str] = field(default_factory=dict)
    """Addresses of deployed libraries, by name."""

    def call(self, to: str, function: Function, *arguments: Any, block: str = "latest") -> Any:
        """Decoded result of a view."""
        data = function.encode(*arguments)
        return function.decode(self.rpc.call("eth_call", {"to": to, "data": data, "gas": hex(GAS)}, block))

    def view(self, contract: Contract, name: str, *arguments: Any) -> Any:
        """Decoded result of a view of a contract's ABI."""
        return self.call(contract.address, contract.function(name, len(arguments)), *arguments)

    def send(
        self, to: str | Contract, call: str | Function, *arguments: Any, sender: str | None = None, value: int = 0
    ) -> Mapping[str, Any]:
        """Send one transaction, wait for its receipt, raise `Reverted` when it failed.

        A `Function` goes to an address, a name to a `Contract`.
        """
        return self.send_all([self.transaction(to, call, *arguments, sender=sender, value=value)])[0]

    def transaction(
        self, to: str | Contract, call: str | Function, *arguments: Any, sender: str | None = None, value: int = 0
    ) -> Transaction:
        """The transaction `send` would send."""
        if isinstance(to, Contract):
            address = to.address
            data = to.encode(call, *arguments) if isinstance(call, str) else call.encode(*arguments)
        elif isinstance(call, Function):
            address, data = to, call.encode(*arguments)
        else:
            raise TypeError("a function's name needs a Contract; give a Function for a plain address")
        return Transaction(sender or self.sender, address, data, value)

    def send_all(self, transactions: Iterable[Transaction], timestamp: int | None = None) -> list[Mapping[str, Any]]:
        """Send transactions in order and return their receipts.

        Parameters
        ----------
        timestamp
            When given, all of them go into one block with this time (Unix seconds);
            otherwise each is mined as the node is set to.

        Raises
        ------
        Reverted
            One of them failed; the message says why.
        """
        pending = list(transactions)
        together = self.manual or timestamp is not None
        if together and not self.manual:
            self.rpc.call("evm_setAutomine", False)
        try:
            # One after the other: anvil gives no order to the requests of a batch.
            hashes = [self.rpc.call("eth_sendTransaction", one.fields()) for one in pending]
            if together:
                self.mine(timestamp)
        finally:
            if together and not self.manual:
                self.rpc.call("evm_setAutomine", True)
        receipts = [self.receipt(item) for item in hashes]
        for one, receipt in zip(pending, receipts, strict=True):
            if int(receipt["status"], 16) != 1:
                raise Reverted(f"transaction of {one.sender} to {one.to} reverted: {self._reason(one)}")
        return receipts

    def receipt(self, transaction_hash: str, timeout: float = 30.0) -> Mapping[str, Any]:
        """Receipt of a transaction, waiting for it to be mined.

        Raises
        ------
        Reverted
            It was not mined in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            receipt: Mapping[str, Any] | None = self.rpc.call("eth_getTransactionReceipt", transaction_hash)
            if receipt is not None:
                return receipt
            if time.monotonic() > deadline:
                raise Reverted(f"transaction {transaction_hash} was not mined in {timeout:g} s; is the node mining?")
            # Anvil answers before it has mined.
            time.sleep(0.001)

    def deploy(self, artifact: Artifact, *arguments: Any, sender: str | None = None) -> Contract:
        """Deploy with an ordinary transaction; libraries are taken from `libraries`."""
        code = artifact.linked(self.libraries) + constructor_arguments(artifact.abi, arguments)
        receipt = self.send_all([Transaction(sender or self.sender, None, "0x" + code.hex())])[0]
        return Contract(to_checksum_address(receipt["contractAddress"]), artifact.abi)

    def deploy_at(self, address: str, artifact: Artifact, *arguments: Any, sender: str | None = None) -> Contract:
        """Run a constructor at a chosen address and leave its code there.

        The creation code is put at the address and called there: a call's answer is the
        runtime code with immutables filled in, a transaction writes the constructor's
        storage at that very address. `address(this)` is right, so is everything derived
        from it. What differs from CREATE: the address has code while its constructor runs.
        """
        code = artifact.linked(self.libraries) + constructor_arguments(artifact.abi, arguments)
        who = sender or self.sender
        self.rpc.call("anvil_setNonce", address, "0x1")
        self.rpc.call("anvil_setCode", address, "0x" + code.hex())
        construct = Transaction(who, address)
        runtime = self.rpc.call("eth_call", construct.fields(), "latest")
        self.send_all([construct])
        self.rpc.call("anvil_setCode", address, runtime)
        return Contract(to_checksum_address(address), artifact.abi)

    def code(self, address: str) -> str:
        """Runtime code, 0x-prefixed; ``"0x"`` where there is none."""
        return str(self.rpc.call("eth_getCode", address, "latest"))

    def timestamp(self) -> int:
        """Unix time of the newest block."""
        return int(self.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def mine(self, timestamp: int | None = None) -> None:
        """Mine a block, at a given time if one is given; the clock goes on from there."""
        self.rpc.call("evm_mine", *([] if timestamp is None else [timestamp]))

    def impersonate(self, *addresses: str) -> None:
        """Let `eth_sendTransaction` send as these accounts without their keys."""
        self.rpc.batch([("anvil_impersonateAccount", [address]) for address in addresses])

    def set_balance(self, address: str, wei: int) -> None:
        """Give an account ether."""
        self.rpc.call("anvil_setBalance", address, hex(wei))

    def _reason(self, one: Transaction) -> str:
        try:
            self.rpc.call("eth_call", one.fields(), "latest")
        except RpcError as error:
            return str(error)
        return "for a reason that no longer holds at the newest block"
