# SPDX-License-Identifier: Apache-2.0
"""What the settle room asks of a node, in typed values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address

from offchain.errors import PlimsollError
from offchain.market.rpc import NodeClient, RpcError
from offchain.market.snapshot import Block

T = TypeVar("T")

_ERROR_STRING = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")
_METHOD_NOT_FOUND = -32601
_REVERT = 3


class Reverted(PlimsollError):
    """A call that the contract refused; `reason` is the contract's own string, such as ``limits: weight``."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the chain refuses: {reason}")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a transaction did; the gas price is wei per gas."""

    transaction: str
    block_number: int
    block_hash: str
    succeeded: bool
    gas_used: int
    effective_gas_price: int
    logs: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class FeeHistory:
    """Base fee of the next block and what recent transactions paid on top, wei per gas."""

    next_base_fee: int
    priority_fees: tuple[int, ...]


class Node:
    """Typed requests over one connection.

    Every method raises `RpcError` when the node answers with an error and another
    `NodeError` when it does not answer, or not with what the method promises.
    """

    def __init__(self, client: NodeClient) -> None:
        self.client = client

    def make_request(self, method: str, params: list[Any], /) -> Mapping[str, Any]:
        """Send one request and return a whole answer, as web3's providers do."""
        return {"result": self.client.call(method, *params)}

    def chain_id(self) -> int:
        """Chain id the node answers for."""
        return self._ask(_integer, "eth_chainId")

    def head(self) -> Block:
        """The newest block."""
        return self._ask(_block, "eth_getBlockByNumber", "latest", False)

    def head_of(self, chain_id: int) -> Block:
        """The newest block; `WrongChain` when the node serves another chain than it should."""
        served, answer = self.client.batch([("eth_chainId", ()), ("eth_getBlockByNumber", ("latest", False))])
        self.client.check_chain(self.client.quantity(served, "eth_chainId"), chain_id)
        try:
            return _block(answer)
        except (KeyError, TypeError, ValueError):
            raise self.client.malformed("eth_getBlockByNumber", answer) from None

    def finalized_number(self) -> int:
        """Number of the newest finalised block."""
        return self._ask(lambda block: _integer(block["number"]), "eth_getBlockByNumber", "finalized", False)

    def block_hash(self, number: int) -> str | None:
        """Hash of the block that is canonical at a height; `None` above the head."""
        return self._ask(
            lambda block: None if block is None else str(block["hash"]), "eth_getBlockByNumber", hex(number), False
        )

    def timestamp(self, number: int) -> int:
        """Unix seconds of the block at a height."""
        return self._ask(lambda block: _integer(block["timestamp"]), "eth_getBlockByNumber", hex(number), False)

    def account_nonce(self, account: str) -> int:
        """Number of transactions of an account that are mined."""
        return self._ask(_integer, "eth_getTransactionCount", account, "latest")

    def waiting_fees(self, account: str, nonce: int) -> tuple[int, int] | None:
        """Maximum and priority fee, wei per gas, of what an account has waiting at a nonce, whoever sent it.

        `None` where nothing waits there, or the node does not show its pool. The pool is
        asked for only when the account's pending nonce says that something waits.
        """
        if self._ask(_integer, "eth_getTransactionCount", account, "pending") <= nonce:
            return None
        for method, params in (("txpool_contentFrom", [account]), ("txpool_content", [])):
            try:
                answer = self.client.call(method, *params)
            except RpcError:
                continue
            try:
                return _pooled_fees(answer["pending"], account, nonce)
            except (KeyError, TypeError, ValueError, AttributeError):
                raise self.client.malformed(method, answer) from None
        return None

    def final_nonce(self, account: str, finalized: int) -> int | None:
        """The same at a finalised block; `None` where the node keeps no state that old."""
        try:
            return self._ask(_integer, "eth_getTransactionCount", account, hex(finalized))
        except RpcError:
            return None

    def balance(self, account: str) -> int:
        """Wei an account holds."""
        return self._ask(_integer, "eth_getBalance", account, "latest")

    def has_code(self, address: str) -> bool:
        """Whether an account is a contract."""
        return self._ask(lambda code: len(code) > 2, "eth_getCode", address, "latest")

    def call(self, to: str, calldata: bytes, *, sender: str | None = None, block: str = "latest") -> bytes:
        """Answer of a call on a block; `Reverted` when the contract refuses it."""
        try:
            return self._ask(_bytes, "eth_call", call_fields(to, calldata, sender), block)
        except RpcError as error:
            raise as_revert(error) or error from None

    def estimate_gas(self, to: str, calldata: bytes, *, sender: str) -> int:
        """Gas a transaction would use on the newest block; `Reverted` when the contract refuses it.

        Some nodes otherwise answer for the block after it, in which what already waits has been done.
        """
        try:
            return self._ask(_integer, "eth_estimateGas", call_fields(to, calldata, sender), "latest")
        except RpcError as error:
            raise as_revert(error) or error from None

    def fee_history(self, blocks: int, percentile: float) -> FeeHistory:
        """Fees of recent blocks; empty ones do not count for the priority fee."""
        return self._ask(_fee_history, "eth_feeHistory", hex(blocks), "latest", [percentile])

    def send_raw(self, raw: str) -> None:
        """Broadcast a signed transaction; one that the node already has is fine."""
        try:
            self.client.call("eth_sendRawTransaction", raw)
        except RpcError as error:
            if not re.search(r"already (known|imported|exists)", error.message, re.IGNORECASE):
                raise

    def has_waiting(self, transaction: str) -> bool:
        """Whether a transaction waits in the node's pool; one that is in a block, perhaps a lost one, does not."""
        return self._ask(
            lambda found: found is not None and found.get("blockHash") is None, "eth_getTransactionByHash", transaction
        )

    def receipt(self, transaction: str) -> Receipt | None:
        """Receipt of a mined transaction; `None` while it has none."""
        return self._ask(_receipt, "eth_getTransactionReceipt", transaction)

    def logs(
        self, address: str, topics: Sequence[str | None], first_block: int, last_block: int | None = None
    ) -> list[Mapping[str, Any]]:
        """Logs of a contract from a block to another, both included, or to the head."""
        last = "latest" if last_block is None else hex(last_block)
        query = {"address": address, "topics": list(topics), "fromBlock": hex(first_block), "toBlock": last}
        return self._ask(lambda logs: list(logs), "eth_getLogs", query)

    def _ask(self, read: Callable[[Any], T], method: str, *params: Any) -> T:
        answer = self.client.call(method, *params)
        try:
            return read(answer)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            raise self.client.malformed(method, answer) from None


def call_fields(to: str, calldata: bytes, sender: str | None = None, gas: int | None = None) -> dict[str, str]:
    """A call as JSON-RPC takes it."""
    fields = {"to": to_checksum_address(to), "data": "0x" + calldata.hex()}
    if sender is not None:
        fields["from"] = sender
    if gas is not None:
        fields["gas"] = hex(gas)
    return fields


def is_unsupported(error: RpcError) -> bool:
    """Whether the node does not know the method or the options it was given."""
    return error.code == _METHOD_NOT_FOUND or re.search(r"not (found|supported|available)", error.message) is not None


def revert_reason(data: bytes) -> str:
    """The contract's own words in revert data; the data themselves where there are none."""
    try:
        if data[:4] == _ERROR_STRING:
            return str(decode(["string"], data[4:])[0])
        if data[:4] == _PANIC:
            return f"panic 0x{decode(['uint256'], data[4:])[0]:02x}"
    except DecodingError:
        pass
    return f"0x{data.hex()}" if data else "without a reason"


def as_revert(error: RpcError) -> Reverted | None:
    """The revert behind a node's error; `None` when it is about something else."""
    if error.data is not None and re.fullmatch(r"0x([0-9a-fA-F]{2})*", error.data):
        return Reverted(revert_reason(bytes.fromhex(error.data[2:])))
    if error.code == _REVERT or "revert" in error.message.lower():
        reason = re.sub(r"^.*?reverted:?\s*", "", error.message, flags=re.IGNORECASE)
        return Reverted(reason or "without a reason")
    return None


def _pooled_fees(pending: Any, account: str, nonce: int) -> tuple[int, int] | None:
    # `txpool_contentFrom` leaves the account out, and nonces are decimal in both.
    by_account = {str(key).lower(): rows for key, rows in pending.items()}
    row = by_account.get(account.lower(), by_account).get(str(nonce))
    if row is None:
        return None
    most = _integer(row.get("maxFeePerGas") or row["gasPrice"])
    return most, _integer(row.get("maxPriorityFeePerGas") or row.get("gasPrice") or "0x0")


def _integer(value: Any) -> int:
    return int(value, 16)


def _bytes(value: Any) -> bytes:
    return bytes.fromhex(value.removeprefix("0x"))


def _block(answer: Any) -> Block:
    return Block(
        number=_integer(answer["number"]),
        hash=str(answer["hash"]),
        parent_hash=str(answer["parentHash"]),
        timestamp=_integer(answer["timestamp"]),
        base_fee=_integer(answer["baseFeePerGas"]),
    )


def _fee_history(answer: Any) -> FeeHistory:
    rewards = [row[0] for row in answer.get("reward") or []]
    paid = zip(rewards, answer["gasUsedRatio"], strict=False)
    return FeeHistory(
        next_base_fee=_integer(answer["baseFeePerGas"][-1]),
        priority_fees=tuple(_integer(reward) for reward, used in paid if used > 0),
    )


def _receipt(answer: Any) -> Receipt | None:
    if answer is None or answer.get("blockHash") is None:
        return None
    return Receipt(
        transaction=str(answer["transactionHash"]),
        block_number=_integer(answer["blockNumber"]),
        block_hash=str(answer["blockHash"]),
        succeeded=_integer(answer["status"]) == 1,
        gas_used=_integer(answer["gasUsed"]),
        effective_gas_price=_integer(answer["effectiveGasPrice"]),
        logs=tuple(answer["logs"]),
    )
