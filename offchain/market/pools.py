# SPDX-License-Identifier: Apache-2.0
"""Which pools a mandate may trade with: addresses by computation, existence by one request."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from offchain.mandate import Mandate
from offchain.market import abi
from offchain.market.balancer import BalancerKey, find_calls, found_pools
from offchain.market.multicall import MULTICALL3, Call, aggregate_request, decode_aggregate
from offchain.market.rpc import NodeClient, NodeError

UNISWAP_V2_FACTORY = "0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f"
UNISWAP_V2_INIT_CODE_HASH = bytes.fromhex("96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f")
UNISWAP_V3_FACTORY = "0x1F98431c8aD98523631AE4a59f267346ea31F984"
UNISWAP_V3_INIT_CODE_HASH = bytes.fromhex("e34f199b19b2b4f47f68442619d555527d244f78a3297ea89325f843f87b8b54")
TICK_SPACING = {100: 1, 500: 10, 3000: 60, 10000: 200}

SLOT0 = abi.encode_call("slot0()")
GET_RESERVES = abi.encode_call("getReserves()")
LIQUIDITY = abi.encode_call("liquidity()")


@dataclass(frozen=True, slots=True)
class PoolKey:
    """A pool's identity; its state is in the snapshot."""

    address: str
    token0: int
    """Index into the mandate's ordered assets, as `token1`; `token0` has the lower address."""
    token1: int
    fee_ppm: int
    """Fee tier of a v3 pool; 0 for a v2 pair."""

    @property
    def is_v3(self) -> bool:
        """Whether it is a concentrated-liquidity pool."""
        return self.fee_ppm != 0

    @property
    def calls(self) -> list[Call]:
        """What a snapshot asks, besides the ticks."""
        views = (SLOT0, LIQUIDITY) if self.is_v3 else (GET_RESERVES,)
        return [Call(self.address, data) for data in views]

    @property
    def tick_spacing(self) -> int:
        """Distance between usable ticks of a v3 pool."""
        return TICK_SPACING[self.fee_ppm]


AnyPoolKey = PoolKey | BalancerKey


def uniswap_v2_address(token_a: str, token_b: str) -> str:
    """CREATE2 address of the pair of two tokens, in either order."""
    token0, token1 = sorted((token_a, token_b), key=lambda token: int(token, 16))
    salt = keccak(bytes.fromhex(token0[2:]) + bytes.fromhex(token1[2:]))
    return _create2(UNISWAP_V2_FACTORY, salt, UNISWAP_V2_INIT_CODE_HASH)


def uniswap_v3_address(token_a: str, token_b: str, fee_ppm: int) -> str:
    """CREATE2 address of the pool of two tokens, in either order, at a fee tier."""
    token0, token1 = sorted((token_a, token_b), key=lambda token: int(token, 16))
    salt = keccak(abi.encode_word(token0) + abi.encode_word(token1) + abi.encode_word(fee_ppm))
    return _create2(UNISWAP_V3_FACTORY, salt, UNISWAP_V3_INIT_CODE_HASH)


def candidate_pools(mandate: Mandate) -> tuple[PoolKey, ...]:
    """Every pool that could exist between two assets of the mandate at its venues."""
    addresses = mandate.addresses
    order = sorted(range(len(addresses)), key=lambda index: int(addresses[index], 16))
    pools = []
    for token0, token1 in combinations(order, 2):
        pair = addresses[token0], addresses[token1]
        if mandate.uses_uniswap_v2:
            pools.append(PoolKey(uniswap_v2_address(*pair), token0, token1, 0))
        pools += [
            PoolKey(uniswap_v3_address(*pair, tier), token0, token1, tier) for tier in mandate.uniswap_v3_fee_tiers
        ]
    return tuple(pools)


def discover_pools(client: NodeClient, mandate: Mandate) -> tuple[AnyPoolKey, ...]:
    """The mandate's pools that exist and have a price. One round trip; pools do not vanish, so keep the answer.

    Raises
    ------
    NodeError
        The node cannot be used, serves another chain, or has no Multicall3.
    SnapshotError
        A pool that the mandate lists by its id is not what it should be.
    """
    candidates = candidate_pools(mandate)
    calls = [Call(pool.address, SLOT0 if pool.is_v3 else GET_RESERVES) for pool in candidates]
    calls += find_calls(mandate)
    chain_id, raw = client.batch([("eth_chainId", []), aggregate_request(calls, "latest")])
    client.check_chain(client.quantity(chain_id, "eth_chainId"), mandate.chain_id)
    answers = decode_multicall(client, raw, len(calls))
    found = zip(candidates, answers[: len(candidates)], strict=True)
    listed = found_pools(mandate, answers[len(candidates) :])
    return (*(pool for pool, answer in found if answer and has_price(answer)), *listed)


def has_price(answer: bytes) -> bool:
    """Whether ``slot0`` has a square-root price, or ``getReserves`` reserves."""
    return len(answer) >= 2 * abi.WORD and abi.word(answer, 0) > 0


def decode_multicall(client: NodeClient, raw: object, count: int) -> list[bytes | None]:
    """Decode the result of a multicall; `NodeError` when the chain has no Multicall3."""
    try:
        return decode_aggregate(client.data(raw, "eth_call"), count)
    except abi.DecodeError as error:
        raise NodeError(client.url, f"no Multicall3 at {MULTICALL3} ({error}); is it the right chain?") from None


def _create2(factory: str, salt: bytes, init_code_hash: bytes) -> str:
    return to_checksum_address(keccak(b"\xff" + bytes.fromhex(factory[2:]) + salt + init_code_hash)[12:])
