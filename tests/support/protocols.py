# SPDX-License-Identifier: Apache-2.0
"""Real protocol bytecode in an in-process EVM, with states of pools written straight into storage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from eth_abi import decode, encode
from eth_utils import keccak, to_checksum_address
from pyrevm import EVM, AccountInfo

from offchain.route.tick_math import MAX_TICK, MIN_TICK, tick_at_sqrt_ratio

NODE_MODULES = Path(__file__).parents[2] / "node_modules"
TRADER = "0x" + "11" * 20
NOBODY = "0x" + "00" * 20
PLENTY = 2**120
Book = tuple[tuple[int, int], ...]


class Reverted(Exception):
    """The call reverted."""


def artifact(path: str) -> Any:
    """A JSON file of an npm package; the test is skipped where the package is missing."""
    file = NODE_MODULES / path
    if not file.exists():
        pytest.skip(f"{file} is missing: run `make setup`")
    return json.loads(file.read_text())


def slot_of(key: bytes | int, mapping: int) -> int:
    """Storage slot of a mapping's entry."""
    word = key.rjust(32, b"\0") if isinstance(key, bytes) else key.to_bytes(32, "big", signed=key < 0)
    return int.from_bytes(keccak(word + mapping.to_bytes(32, "big")), "big")


def split_types(signature: str) -> list[str]:
    """Parameter types of a function's signature."""
    inner = signature[signature.index("(") + 1 : -1]
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(inner):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(inner[start:index])
            start = index + 1
    return [*parts, inner[start:]] if inner else []


@dataclass
class Chain:
    """An EVM without limits, and some tokens that the trader has plenty of."""

    evm: EVM = field(default_factory=lambda: EVM(gas_limit=2**40))

    def deploy(self, bytecode: str, types: Sequence[str] = (), values: Sequence[Any] = ()) -> str:
        code = bytes.fromhex(bytecode.removeprefix("0x")) + encode(list(types), list(values))
        return to_checksum_address(self.evm.deploy(TRADER, code))

    def call(
        self, to: str, signature: str, values: Sequence[Any] = (), returns: Sequence[str] = (), sender: str = TRADER
    ) -> Any:
        """Call a function; raises `Reverted`."""
        data = keccak(text=signature)[:4] + encode(split_types(signature), list(values))
        self.evm.reset_transient_storage()
        try:
            answer = self.evm.message_call(sender, to, calldata=data)
        except RuntimeError as error:
            raise Reverted(str(error)[:300]) from None
        return decode(list(returns), answer)

    def write(self, address: str, slot: int, value: int) -> None:
        self.evm.insert_account_storage(address, slot, value)

    def tokens(self, count: int, spenders: Sequence[str] = (), decimals: Sequence[int] | None = None) -> list[str]:
        """Tokens in rising order of address; `decimals` gives those that ask their own."""
        if decimals is not None:
            code = [_token_with_decimals(places) for places in decimals]
        else:
            code = [artifact("@uniswap/v2-core/build/ERC20.json")["bytecode"]] * count
        made = [self.deploy(one, ("uint256",), (2**255,)) for one in code]
        for token in made:
            for spender in spenders:
                self.call(token, "approve(address,uint256)", (spender, 2**256 - 1))
        return sorted(made, key=lambda address: int(address, 16)) if decimals is None else made

    def give(self, token: str, holder: str, amount: int) -> None:
        """Set a balance of a token made by `tokens`."""
        self.write(token, slot_of(int(holder, 16), 1), amount)


def _token_with_decimals(places: int) -> str:
    """The same ERC-20, its constant 18 replaced: ``decimals()`` is all that differs."""
    code: str = artifact("@uniswap/v2-core/build/ERC20.json")["bytecode"]
    assert code.count("601281565b") == 1
    return code.replace("601281565b", f"60{places:02x}81565b")


@dataclass
class UniswapV4:
    """The pool manager, its test router, two tokens and pools without hooks."""

    chain: Chain = field(default_factory=Chain)

    def __post_init__(self) -> None:
        out = "@uniswap/v4-core/out"
        manager = artifact(f"{out}/PoolManager.sol/PoolManager.json")["bytecode"]["object"]
        router = artifact(f"{out}/PoolSwapTest.sol/PoolSwapTest.json")["bytecode"]["object"]
        self.manager = self.chain.deploy(manager, ("address",), (TRADER,))
        self.router = self.chain.deploy(router, ("address",), (self.manager,))
        self.tokens = self.chain.tokens(2, (self.router,))
        for token in self.tokens:
            self.chain.give(token, self.manager, PLENTY)

    def key(self, fee: int, spacing: int) -> tuple[str, str, int, int, str]:
        return self.tokens[0], self.tokens[1], fee, spacing, NOBODY

    def pool_id(self, fee: int, spacing: int) -> bytes:
        return keccak(encode(["address", "address", "uint24", "int24", "address"], self.key(fee, spacing)))

    def write_pool(
        self, fee: int, spacing: int, sqrt_price: int, ticks: Book, protocol_fees: tuple[int, int] = (0, 0)
    ) -> tuple[int, int]:
        """Initialise the pool if needed and give it this state; tick and liquidity.

        Protocol fees are for selling token0 and token1.
        """
        base = slot_of(self.pool_id(fee, spacing), 6)
        if not self.chain.evm.storage(self.manager, base):
            types = "(address,address,uint24,int24,address)"
            self.chain.call(self.manager, f"initialize({types},uint160)", (self.key(fee, spacing), 2**96))
        tick = tick_at_sqrt_ratio(sqrt_price)
        liquidity = sum(net for place, net in ticks if place <= tick)
        words = dict.fromkeys(range(MIN_TICK // spacing >> 8, (MAX_TICK // spacing >> 8) + 1), 0)
        for place, net in ticks:
            words[place // spacing >> 8] |= 1 << (place // spacing & 255)
            self.chain.write(self.manager, slot_of(place, base + 4), 1 | (net % 2**128) << 128)
        for word, bits in words.items():
            self.chain.write(self.manager, slot_of(word, base + 5), bits)
        protocol = protocol_fees[0] | protocol_fees[1] << 12
        self.chain.write(self.manager, base, sqrt_price | (tick % 2**24) << 160 | protocol << 184 | fee << 208)
        self.chain.write(self.manager, base + 3, liquidity)
        return tick, liquidity

    def state(self, fee: int, spacing: int) -> tuple[int, int, int]:
        """Square-root price, tick and liquidity."""
        base = slot_of(self.pool_id(fee, spacing), 6)
        slot0 = int(self.chain.evm.storage(self.manager, base))
        tick = slot0 >> 160 & 2**24 - 1
        return (
            slot0 & 2**160 - 1,
            tick - 2**24 if tick >> 23 else tick,
            int(self.chain.evm.storage(self.manager, base + 3)),
        )

    def swap(self, fee: int, spacing: int, zero_for_one: bool, amount: int, exact_out: bool = False) -> tuple[int, int]:
        """Swap without a price limit; what was taken and what was paid."""
        limit = 4295128740 if zero_for_one else 1461446703485210103287273052203988822378723970341
        types = "(address,address,uint24,int24,address),(bool,int256,uint160),(bool,bool),bytes"
        values = (
            self.key(fee, spacing),
            (zero_for_one, amount if exact_out else -amount, limit),
            (False, False),
            b"",
        )
        (delta,) = self.chain.call(self.router, f"swap({types})", values, ("int256",))
        first, second = delta >> 128, delta & 2**128 - 1
        second -= 2**128 if second >> 127 else 0
        return (-first, second) if zero_for_one else (-second, first)


@dataclass
class Balancer:
    """The vault and factories of weighted pools of versions 1, 2 and 3, over tokens of given decimals."""

    decimals: tuple[int, ...] = (18, 6, 8, 0, 18)
    chain: Chain = field(default_factory=Chain)

    def __post_init__(self) -> None:
        tasks = "@balancer-labs/v2-deployments/dist/tasks"
        deploy = self.chain.deploy

        def code(task: str, name: str) -> str:
            file = NODE_MODULES / tasks / task / "artifact" / f"{name}.json"
            if file.exists():
                return str(artifact(f"{tasks}/{task}/artifact/{name}.json")["bytecode"])
            return str(artifact(f"{tasks}/{task}/bytecode/{name}.json")["creationCode"])

        authorizer = deploy(code("20210418-authorizer", "Authorizer"), ("address",), (TRADER,))
        vault_types = ("address", "address", "uint256", "uint256")
        self.vault = deploy(code("20210418-vault", "Vault"), vault_types, (authorizer, NOBODY, 7776000, 2592000))
        provider = deploy(
            code("20220725-protocol-fee-percentages-provider", "ProtocolFeePercentagesProvider"),
            ("address", "uint256", "uint256"),
            (self.vault, 10**17, 10**17),
        )
        self.factories = {
            1: deploy(code("20210418-weighted-pool", "WeightedPoolFactory"), ("address",), (self.vault,)),
            2: deploy(
                code("20220908-weighted-pool-v2", "WeightedPoolFactory"), ("address",) * 2, (self.vault, provider)
            ),
            3: deploy(
                code("20230206-weighted-pool-v3", "WeightedPoolFactory"),
                ("address", "address", "string", "string"),
                (self.vault, provider, "", ""),
            ),
        }
        made = self.chain.tokens(len(self.decimals), (self.vault,), self.decimals)
        pairs = sorted(zip(made, self.decimals, strict=True), key=lambda pair: int(pair[0], 16))
        self.tokens = tuple(token for token, _ in pairs)
        self.decimals = tuple(places for _, places in pairs)

    def create(self, version: int, chosen: Sequence[int], weights: Sequence[int], fee: int) -> tuple[str, bytes]:
        """A new pool of these tokens; its address and id."""
        tokens = [self.tokens[index] for index in chosen]
        types = "string,string,address[],uint256[],uint256,address"
        values: tuple[Any, ...] = ("", "", tokens, list(weights), fee, NOBODY)
        if version > 1:
            types = "string,string,address[],uint256[],address[],uint256,address"
            values = ("", "", tokens, list(weights), [NOBODY] * len(tokens), fee, NOBODY)
        (pool,) = self.chain.call(self.factories[version], f"create({types})", values, ("address",))
        (pool_id,) = self.chain.call(pool, "getPoolId()", (), ("bytes32",))
        return to_checksum_address(pool), pool_id

    def fill(self, pool_id: bytes, balances: Sequence[int]) -> None:
        """First join with exactly these balances."""
        (tokens, _, _) = self.chain.call(
            self.vault, "getPoolTokens(bytes32)", (pool_id,), ("address[]", "uint256[]", "uint256")
        )
        data = encode(["uint256", "uint256[]"], [0, list(balances)])
        request = (list(tokens), list(balances), data, False)
        join = "joinPool(bytes32,address,address,(address[],uint256[],bytes,bool))"
        self.chain.call(self.vault, join, (pool_id, TRADER, TRADER, request))

    def balances(self, pool_id: bytes) -> tuple[int, ...]:
        answer = self.chain.call(
            self.vault, "getPoolTokens(bytes32)", (pool_id,), ("address[]", "uint256[]", "uint256")
        )
        return tuple(answer[1])

    def swap(self, pool_id: bytes, token_in: int, token_out: int, amount: int, exact_out: bool = False) -> int:
        """Swap through the vault; the amount that was computed."""
        single = (pool_id, int(exact_out), self.tokens[token_in], self.tokens[token_out], amount, b"")
        funds = (TRADER, False, TRADER, False)
        types = "(bytes32,uint8,address,address,uint256,bytes),(address,bool,address,bool),uint256,uint256"
        limit = 2**255 if exact_out else 0
        (other,) = self.chain.call(self.vault, f"swap({types})", (single, funds, limit, 2**63), ("uint256",))
        return int(other)

    @contextmanager
    def vault_speaks(self) -> Iterator[None]:
        """Take the vault's code away for a while: only accounts without code may send transactions."""
        evm = self.chain.evm
        code = evm.get_code(self.vault)
        evm.insert_account_info(self.vault, AccountInfo(code=None))
        try:
            yield
        finally:
            evm.insert_account_info(self.vault, AccountInfo(code=code))

    def quote(
        self, pool: str, pool_id: bytes, pair: tuple[int, int], amount: int, balances: tuple[int, int], exact_out: bool
    ) -> int:
        """What the pool answers to the vault for a swap at the given balances; inside `vault_speaks` only."""
        request = (
            int(exact_out),
            self.tokens[pair[0]],
            self.tokens[pair[1]],
            amount,
            pool_id,
            0,
            TRADER,
            TRADER,
            b"",
        )
        types = "(uint8,address,address,uint256,bytes32,uint256,address,address,bytes),uint256,uint256"
        values = (request, *balances)
        (other,) = self.chain.call(pool, f"onSwap({types})", values, ("uint256",), sender=self.vault)
        return int(other)


def random_weights(random: Random, count: int) -> tuple[int, ...]:
    """Weights of at least 1 % that add up to 1e18: often those of real pools."""
    usual = {
        2: ((50, 50), (80, 20), (20, 80), (60, 40)),
        3: ((33, 33, 34), (50, 25, 25)),
        4: ((25,) * 4, (40, 30, 20, 10)),
    }
    if random.random() < 0.6 and count in usual:
        return tuple(part * 10**16 for part in random.choice(usual[count]))
    parts = [random.uniform(0.1, 1) for _ in range(count)]
    weights = [10**16 + int(part / sum(parts) * (100 - count) * 10**16) for part in parts]
    weights[0] += 10**18 - sum(weights)
    return tuple(weights)
