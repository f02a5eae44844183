# SPDX-License-Identifier: Apache-2.0
"""An EVM in this process that starts where the sandbox stands.

Real tokens, Uniswap pools and Chainlink feeds answer in tens of microseconds, so that a test
can afford thousands of transactions. `Evm` is the chain, `Contract` an address with an ABI::

    evm = Evm.sandbox()
    weth = Contract(evm, addresses.WETH, ERC20)
    weth.transfer("bob", 10**18, sender="attacker")     # roles name the development accounts
    with reverts("stand_in: insufficient"): ...
    weth.events("Transfer")                             # of the last transaction, decoded
    with evm.rolled_back(): ...                         # undone at the end of the block

What it is not: there is no mempool, nobody pays for gas and the base fee is 0, nonces do not
count, and every account or slot is warm once touched, so gas figures are too low. pyrevm 0.3.7
runs the cancun rules whichever fork it is told; base fees and newer rules are tested on anvil.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self, TypeVar

from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from pyrevm import EVM, AccountInfo, BlockEnv, CfgEnv, Env

from offchain.sandbox.state import saved_state
from offchain.settle.development import ROLES, development_address

GAS = 30_000_000
BLOCK_SECONDS = 12
ERROR_STRING = bytes.fromhex("08c379a0")
PANIC = bytes.fromhex("4e487b71")
ABI = Sequence[Mapping[str, Any]]
T = TypeVar("T")


class Reverted(Exception):
    """A transaction reverted; `reason` is its string, empty where the contract gave none."""

    def __init__(self, reason: str, data: bytes = b"") -> None:
        super().__init__(reason or f"without a reason: 0x{data.hex()}")
        self.reason = reason
        self.data = data


@contextmanager
def reverts(reason: str | None = None) -> Iterator[None]:
    """Demand that the block reverts, with exactly this reason unless it is None; "" means without one."""
    try:
        yield
    except Reverted as error:
        if reason is not None and error.reason != reason:
            raise AssertionError(f"reverted with {error.reason!r} instead of {reason!r}") from None
        return
    raise AssertionError("did not revert" if reason is None else f"did not revert with {reason!r}")


def attempt(action: Callable[[], T]) -> tuple[T | None, str | None]:
    """What an action returned, and why it reverted: one of the two is None."""
    try:
        return action(), None
    except Reverted as error:
        return None, error.reason


def address_of(who: Any) -> str:
    """Address of a role, a `Contract`, or of an address itself."""
    if isinstance(who, Contract):
        return who.address
    return development_address(who) if who in ROLES else str(who)


@dataclass(frozen=True, slots=True)
class Mark:
    """A point to come back to."""

    checkpoint: Any
    number: int
    timestamp: int
    patches: int
    deployments: int
    views: dict[tuple[str, str, bytes], bytes] | None


class Evm:
    """A chain of one's own.

    Parameters
    ----------
    chain_id
        What `chain.id` answers.

    Attributes
    ----------
    number, timestamp
        Of the block in which the next transaction runs; set them at will.
    gas_used
        By the last transaction; everything touched before counts as warm.
    """

    def __init__(self, chain_id: int = 1) -> None:
        self._evm = EVM(env=Env(cfg=CfgEnv(chain_id=chain_id)), spec_id="CANCUN")
        self._number, self._timestamp = 1, 1
        self._stale_block = True
        self.gas_used = 0
        self.logs: list[Any] = []
        self._patches: list[tuple[str, bytes]] = []
        self._deployed: list[str] = []
        # What views answer while the state stands; None where somebody else may change it.
        self._views: dict[tuple[str, str, bytes], bytes] | None = {}

    @classmethod
    def sandbox(cls, chain_id: int = 1) -> Self:
        """A copy of the sandbox at its head; the sandbox is built first where it never was."""
        evm = cls(chain_id)
        state = _sandbox_state()
        for address, account in state["accounts"].items():
            nonce, code = int(account["nonce"]), bytes.fromhex(account["code"][2:])
            evm._evm.insert_account_info(address, AccountInfo(nonce=nonce, code=code or None))
            evm._evm.set_balance(address, int(account["balance"], 16))
            for slot, word in account["storage"].items():
                evm._evm.insert_account_storage(address, int(slot, 16), int(word, 16))
        head = state["block"]
        evm.number = int(head["number"], 16) + 1
        evm.timestamp = int(head["timestamp"], 16) + BLOCK_SECONDS
        return evm

    @property
    def number(self) -> int:
        """Block number."""
        return self._number

    @number.setter
    def number(self, number: int) -> None:
        self._number, self._stale_block = number, True
        self._forget_views()

    @property
    def timestamp(self) -> int:
        """Unix seconds."""
        return self._timestamp

    @timestamp.setter
    def timestamp(self, timestamp: int) -> None:
        self._timestamp, self._stale_block = timestamp, True
        self._forget_views()

    def mine(self, seconds: int = BLOCK_SECONDS, blocks: int | None = None) -> None:
        """Let time pass; a block each twelve seconds, at least one, unless told otherwise."""
        self.number += max(1, seconds // BLOCK_SECONDS) if blocks is None else blocks
        self.timestamp += seconds

    def call(self, sender: str, to: str, data: bytes, value: int = 0, static: bool = False, gas: int = GAS) -> bytes:
        """One transaction, or one call that may change nothing.

        Raises
        ------
        Reverted
            It did.
        """
        if static and self._views is not None:
            known = self._views.get((sender, to, data))
            if known is not None:
                return known
        self._set_block()
        self._evm.reset_transient_storage()
        try:
            answer = bytes(self._evm.message_call(sender, to, calldata=data, value=value, gas=gas, is_static=static))
        except RuntimeError as error:
            raise _reverted(str(error)) from None
        if not static:
            result = self._evm.result
            self.gas_used, self.logs = result.gas_used, result.logs
            self._forget_views()
        elif self._views is not None:
            self._views[sender, to, data] = answer
        return answer

    def deploy(self, creation_code: bytes, sender: str = "market") -> str:
        """Create a contract; returns its address."""
        self._set_block()
        self._evm.reset_transient_storage()
        try:
            address = str(to_checksum_address(self._evm.deploy(address_of(sender), creation_code)))
        except RuntimeError as error:
            raise _reverted(str(error)) from None
        self._deployed.append(address)
        self._forget_views()
        return address

    def code(self, address: str) -> bytes:
        """Runtime code; empty where there is none."""
        return bytes(self._evm.get_code(address) or b"")

    def set_code(self, address: str, code: bytes) -> None:
        """Put code at an address; its storage and balance stay."""
        # The EVM's journal knows nothing of it, so going back is up to us.
        self._patches.append((address, self.code(address)))
        self._put_code(address, code)
        self._forget_views()

    def storage(self, address: str, slot: int) -> int:
        """One word."""
        return int(self._evm.storage(address, slot))

    def snapshot(self) -> Mark:
        """Remember state and block."""
        patches, deployed = len(self._patches), len(self._deployed)
        return Mark(self._evm.snapshot(), self._number, self._timestamp, patches, deployed, self._views)

    def revert(self, mark: Mark) -> None:
        """Go back; the mark and every later one are used up."""
        self._evm.revert(mark.checkpoint)
        undone = set(self._deployed[mark.deployments :])
        del self._deployed[mark.deployments :]
        while len(self._patches) > mark.patches:
            address, code = self._patches.pop()
            self._put_code(address, b"" if address in undone else code)
        self.number, self.timestamp = mark.number, mark.timestamp
        if self._views is not None:
            self._views = mark.views

    @contextmanager
    def rolled_back(self) -> Iterator[None]:
        """Undo at the end whatever the block did, errors included."""
        mark = self.snapshot()
        try:
            yield
        finally:
            self.revert(mark)

    def engine(self) -> EVM:
        """The EVM itself, for who drives it without this class; views are asked anew from now on."""
        self._views = None
        return self._evm

    def _forget_views(self) -> None:
        # A new table: marks keep theirs.
        if self._views is not None:
            self._views = {}

    def _put_code(self, address: str, code: bytes) -> None:
        balance = self._evm.get_balance(address)
        self._evm.insert_account_info(address, AccountInfo(code=code or None))
        self._evm.set_balance(address, balance)

    def _set_block(self) -> None:
        if self._stale_block:
            self._evm.set_block_env(BlockEnv(number=self._number, timestamp=self._timestamp, gas_limit=2 * GAS))
            self._stale_block = False


@dataclass(frozen=True, slots=True)
class Method:
    """A function of a contract, ready to be called."""

    contract: Contract
    name: str
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    view: bool

    def encode(self, *arguments: Any) -> bytes:
        """Calldata."""
        if len(arguments) != len(self.inputs):
            raise TypeError(f"{self.name} takes {self.inputs}, not {len(arguments)} arguments")
        if not arguments:
            return self.selector
        plain = [_plain(kind, value) for kind, value in zip(self.inputs, arguments, strict=True)]
        if WORDS.issuperset(self.inputs):
            return self.selector + b"".join(map(_word, plain))
        return self.selector + encode(self.inputs, plain)

    def __call__(self, *arguments: Any, sender: Any = None, value: int = 0) -> Any:
        """Call it: as a transaction of `sender` when one is named, otherwise as a view of nobody's.

        Returns
        -------
        The single value returned, a tuple of several, None of none; addresses checksummed.
        """
        if sender is None and not self.view:
            raise TypeError(f"{self.name} changes state: say who sends it")
        answer = self.contract.evm.call(
            address_of(sender) if sender is not None else NOBODY,
            self.contract.address,
            self.encode(*arguments),
            value,
            static=sender is None,
        )
        values = _decoded(self.outputs, answer)
        return values[0] if len(values) == 1 else values or None


NOBODY = "0x" + "99" * 20


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Contract:
    """An address and its ABI; functions are attributes."""

    evm: Evm
    address: str
    abi: ABI
    _methods: dict[str, Method] = field(default_factory=dict, init=False)

    def __getattr__(self, name: str) -> Method:
        if name.startswith("__"):
            raise AttributeError(name)
        method = self._methods.get(name)
        if method is None:
            signature = _functions(_Identity(self.abi)).get(name)
            if signature is None:
                raise AttributeError(f"the ABI has no function {name}")
            method = self._methods[name] = Method(self, *signature)
        return method

    def __repr__(self) -> str:
        return f"Contract({self.address})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def at(self, evm: Evm) -> Contract:
        """The same address on another chain."""
        return Contract(evm, self.address, self.abi)

    def events(self, name: str) -> list[dict[str, Any]]:
        """This contract's events of that name in the last transaction, by parameter name."""
        topic, parameters = _events(_Identity(self.abi))[name]
        found = []
        for log in self.evm.logs:
            if log.address.lower() != self.address.lower() or bytes.fromhex(log.topics[0][2:]) != topic:
                continue
            indexed = iter(log.topics[1:])
            plain = iter(decode([kind for _, kind, is_indexed in parameters if not is_indexed], log.data[1]))
            found.append(
                {
                    label: _cooked(
                        kind, decode([kind], bytes.fromhex(next(indexed)[2:]))[0] if is_indexed else next(plain)
                    )
                    for label, kind, is_indexed in parameters
                }
            )
        return found

    def event(self, name: str) -> dict[str, Any]:
        """The one event of that name in the last transaction."""
        (only,) = self.events(name)
        return only


class _Identity:
    """Hashes an ABI by identity, so that what is derived from it can be cached."""

    def __init__(self, abi: ABI) -> None:
        self.abi = abi

    def __hash__(self) -> int:
        return id(self.abi)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.abi is other.abi


@cache
def _functions(identity: _Identity) -> dict[str, tuple[str, bytes, tuple[str, ...], tuple[str, ...], bool]]:
    table = {}
    for entry in identity.abi:
        if entry.get("type") == "function":
            inputs = tuple(_type(item) for item in entry["inputs"])
            outputs = tuple(_type(item) for item in entry["outputs"])
            selector = keccak(text=f"{entry['name']}({','.join(inputs)})")[:4]
            view = entry.get("stateMutability") in ("view", "pure") or bool(entry.get("constant"))
            table[entry["name"]] = (entry["name"], selector, inputs, outputs, view)
    return table


@cache
def _events(identity: _Identity) -> dict[str, tuple[bytes, tuple[tuple[str, str, bool], ...]]]:
    table = {}
    for entry in identity.abi:
        if entry.get("type") == "event":
            parameters = tuple((item["name"], _type(item), bool(item["indexed"])) for item in entry["inputs"])
            topic = keccak(text=f"{entry['name']}({','.join(kind for _, kind, _ in parameters)})")
            table[entry["name"]] = (topic, parameters)
    return table


def _type(item: Mapping[str, Any]) -> str:
    kind = str(item["type"])
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(_type(part) for part in item["components"]) + ")" + kind.removeprefix("tuple")


WORDS = frozenset({"address", "uint256"})
"""Types encoded here: eth_abi takes longer over them than the EVM over the call."""
PLAIN = frozenset({"uint256", "uint256[]", "bool"})
"""Types decoded here, likewise."""


def _word(value: int | str) -> bytes:
    return bytes.fromhex(value[2:].rjust(64, "0")) if isinstance(value, str) else value.to_bytes(32, "big")


def _decoded(kinds: tuple[str, ...], answer: bytes) -> tuple[Any, ...]:
    """What a function returned; unsigned integers, alone and in arrays, and truth values are read here."""
    if not PLAIN.issuperset(kinds) or len(answer) < 32 * len(kinds):
        return tuple(_cooked(kind, value) for kind, value in zip(kinds, decode(kinds, answer), strict=True))
    values: list[Any] = []
    for at, kind in enumerate(kinds):
        word = int.from_bytes(answer[32 * at : 32 * at + 32], "big")
        values.append(_array(answer, word) if kind == "uint256[]" else word if kind == "uint256" else bool(word))
    return tuple(values)


def _array(answer: bytes, at: int) -> tuple[int, ...]:
    count = int.from_bytes(answer[at : at + 32], "big")
    end = at + 32 * (count + 1)
    if end > len(answer):
        raise ValueError(f"an array of {count} at {at} of {len(answer)} bytes")
    return tuple(int.from_bytes(answer[i : i + 32], "big") for i in range(at + 32, end, 32))


def _plain(kind: str, value: Any) -> Any:
    if kind == "address":
        return address_of(value)
    if kind == "address[]":
        return [address_of(one) for one in value]
    return value


def _cooked(kind: str, value: Any) -> Any:
    if kind == "address":
        return _checksummed(value)
    if kind == "address[]":
        return tuple(map(_checksummed, value))
    return value


@cache
def _checksummed(address: str) -> str:
    return str(to_checksum_address(address))


def _reverted(message: str) -> Reverted:
    found = re.search(r"Revert \{.*output: 0x([0-9a-f]*)", message)
    if found is None:
        return Reverted(message)
    data = bytes.fromhex(found[1])
    if data[:4] == ERROR_STRING:
        return Reverted(decode(["string"], data[4:])[0], data)
    if data[:4] == PANIC:
        return Reverted(f"panic {decode(['uint256'], data[4:])[0]:#x}", data)
    return Reverted("", data)


@cache
def _sandbox_state() -> Mapping[str, Any]:
    state: Mapping[str, Any] = json.loads(saved_state().read_text())
    return state
